/* The whole graph: boxes and edges are made once for each layout; `frame(t)` draws the moment t, 0 to 1, of the step. */
const SVG = document.createElementNS.bind(document, "http://www.w3.org/2000/svg");
function el(name, parent, attributes, text) {
  const e = SVG(name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (text !== undefined) e.textContent = text;
  return parent.appendChild(e);
}
$(".view").innerHTML = `<svg role=group aria-label="The graph"></svg>`;
const svg = $("svg"), tall = data.W ? 80 : 66, top_ = -tall / 2, low = tall / 2, BOX = 126, SMALL = 52;
let shown = "", parts, layer, eye;
const clamp = u => Math.max(0, Math.min(1, u)), ease = u => u < .5 ? 2 * u * u : 1 - 2 * (1 - u) ** 2;
const along = (e, s) => e.points[s] ??= e.path.getPointAtLength(e.length * s);
const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

function draw() {
  const { LR, TB } = data.g, wanted = svg.clientWidth / LR.w >= .74 || LR.w < TB.w ? "LR" : "TB";
  if (wanted === shown) return;
  shown = wanted;
  svg.style.setProperty("--hatch", `url(#${id}h)`);
  const L = data.g[shown];
  svg.innerHTML = `<defs><pattern id="${id}h" width=7 height=7 patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width=2.5 height=7 class="hatch"/></pattern></defs>`;
  edges.forEach((e, k) => {
    e.path = el("path", svg, { "class": "edge", d: L.e[k] });
    const n = e.length = e.path.getTotalLength(), q = e.path.getPointAtLength(n), r = e.path.getPointAtLength(n - 8), turned = Math.atan2(q.y - r.y, q.x - r.x) * 180 / Math.PI;
    e.points = {};
    el("path", svg, { "class": "head", d: "M-8-4L0 0-8 4z", transform: `translate(${q.x} ${q.y}) rotate(${turned})` });
  });
  parts = code.map((_, i) => {
    const [x, y] = L.b[i], c = constant(i), w = c ? SMALL : BOX, h = c ? 30 : tall;
    const g = el("g", svg, { transform: `translate(${x} ${y})`, ...(c ? {} : { role: "button", "data-n": i }) }), p = { g, x, y, w, h };
    el("rect", g, { "class": "halo", x: -w / 2, y: -h / 2, width: w, height: h, rx: 10 });
    el("rect", g, { "class": "box", x: -w / 2, y: -h / 2, width: w, height: h, rx: code[i][0] === -3 ? 3 : 10 });
    if (c) { el("text", g, { "class": "value", y: 5 }, num(value[i])); return p; }
    p.name = el("text", g, { "class": "name", y: top_ + (data.W ? 29 : 17) });
    if (whereOf(i)) el("text", g, { "class": "where", y: top_ + 12 }, whereOf(i).length > 24 ? "…" + whereOf(i).slice(-23) : whereOf(i));
    p.value = el("text", g, { "class": "value", y: low - 30 });
    el("path", g, { "class": "strip", d: `M${-w / 2 + 1.5} ${low - 21}H${w / 2 - 1.5}V${low - 9}q0 7-7 7H${-w / 2 + 8.5}q-7 0-7-7z` });
    p.grad = el("text", g, { "class": "grad", y: low - 6 });
    g.addEventListener("click", () => choose(i));
    g.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); choose(i); } });
    return p;
  });
  edges.forEach(e => { if (!constant(e.tail)) { const s = along(e, 0); e.pip = el("circle", svg, { "class": "pip", cx: s.x, cy: s.y, r: 4.2 }); } });
  layer = el("g", svg, { "aria-hidden": true });
  eye = null;
}
function titleOf(i) {
  const short = textOf(i), sign = leaf(i) ? "" : kindOf(i)[6], text = sign && plain(whole(i));
  if (!sign || text === short || short === sign) return cut(short, 20);
  return `${short} = ${text}`.length > 18 ? `${cut(short, 14)} (${cut(sign, Math.max(7, 15 - short.length))})` : `${short} = ${text}`;
}

/* A label with a frame: parts of text in spans of a class; a wide one breaks before the part that says "=". */
function label(spans, kind, most = 1e3, least = 0) {
  const g = el("g", layer, { "class": "tag " + kind }), r = el("rect", g, { rx: 10 });
  const line = (list, y) => { const t = el("text", g, { y }); list.forEach(([text, cls]) => el("tspan", t, { "class": cls || "" }, text)); return t; };
  let texts = [line(spans, 4.5)];
  if (texts[0].getComputedTextLength() > most) {
    const k = spans.findIndex(([text]) => text === " = ");
    texts[0].remove();
    texts = [line(spans.slice(0, k), -3), line(spans.slice(k), 13)];
  }
  g.half = Math.max(least / 2, ...texts.map(t => t.getComputedTextLength() / 2 + 8));
  g.high = texts.length > 1 ? 18 : 11;
  for (const [k, v] of Object.entries({ x: -g.half, y: -g.high, width: 2 * g.half, height: 2 * g.high })) r.setAttribute(k, v);
  g.to = (x, y) => { g.setAttribute("transform", `translate(${Math.max(g.half - 14, Math.min(data.g[shown].w + 14 - g.half, x))} ${y})`); return g; };
  return g;
}
/* The place of a label on its edge: where it covers least of boxes and other labels. */
function resting(e, g, taken) {
  let best, least = Infinity;
  const over = (c, h, d, r) => Math.max(0, h + r + 2 - Math.abs(c - d));
  for (const aside of [0, -26, 26, -52, 52]) for (const s of [.5, .42, .58, .34, .66, .26, .74, .18, .82]) {
    const q = along(e, s), covered = taken.reduce((sum, [x, y, w, h]) => sum + over(q.x + aside, g.half, x, w) * over(q.y, g.high, y, h), Math.abs(aside));
    if (covered < least - 1) { best = [s, aside, q]; least = covered; }
  }
  taken.push([best[2].x + best[1], best[2].y, g.half, g.high]);
  return best;
}
function frame(t) {
  layer.textContent = "";
  const here = nodeAt(at), now = passing(), n = Math.max(1, now.length), near_ = new Set(here < 0 ? leaves : [here, ...ins[here].map(e => e.tail), ...users[here].map(e => e.head)]);
  const phase = e => clamp(t * n - now.indexOf(e));                           /* contributions go one after another */
  const has = e => arrived(e) && (turn(e.head) < at || !now.includes(e) || phase(e) > .85 && !hiddenShare(e));
  edges.forEach(e => { e.path.setAttribute("class", "edge"); if (e.pip) e.pip.classList.toggle("full", has(e)); });
  code.forEach((_, i) => {
    const p = parts[i];
    if (constant(i)) { p.g.setAttribute("class", "node constant"); return; }
    const known = (seen(i) || place[i] + 1 === at && t > .65) && !hiddenValue(i), sum = soFar(i, has), state = stateOf(i, sum, t > .95 && !now.some(hiddenShare)), said = strip(i, state, sum.sum);
    p.g.setAttribute("class", ["node", code[i][0] === -3 ? "parameter" : leaf(i) ? "input" : "", known ? "" : "unknown", state, state && !hiddenGradient(i) ? sized(sum.sum) : "", i === here ? "active" : "", i === picked ? "picked" : ""].join(" "));
    p.g.setAttribute("tabindex", near_.has(i) || i === picked ? 0 : -1);
    p.name.textContent = titleOf(i);
    p.value.textContent = known ? num(value[i]) : "?";
    p.grad.textContent = said;
    p.grad.style.fontSize = said.length > 18 ? "9.8px" : "";
    p.g.setAttribute("aria-label", `${inFull(i)}, value ${known ? num(value[i]) : "not computed yet"}${back() ? `, ${state || "nothing yet"} ${said.slice(2)}` : ""}`.trim());
  });
  if (here >= 0) {
    const taken = parts.map(p => [p.x, p.y, p.w / 2, p.h / 2]);
    if (back()) now.forEach((e, k) => pass(e, phase(e), here, now.slice(k + 1).some(o => o.tail === e.tail && phase(o) > .85), taken));
    else {
      ins[here].forEach(e => {
        e.path.setAttribute("class", "edge on fwd");
        if (t < .6) { const q = along(e, ease(t / .6)); label([[num(value[e.tail])]], "fwd").to(q.x, q.y); }
      });
      if (t > .6 && !hiddenValue(here)) label([[cut(plain(inNumbers(here)), 40)], [" = "], [num(value[here]), "c"]], "fwd", BOX + 20).to(parts[here].x, parts[here].y + 2);
    }
  }
  look();
}
/* On the edge: local derivative × gradient = contribution, moving against the arrow; in the operand's box old + contribution = new. */
function pass(e, u, here, more, taken) {
  const hide = hiddenShare(e), kind = hide ? "" : sized(e.share), b = parts[e.tail];
  if (u <= 0) return;
  e.path.setAttribute("class", `edge on back ${kind}`);
  svg.insertBefore(e.path, parts[0].g);
  if (!hide && !more && u > .85) {
    const sum = label([[num(e.before)], [" + "], [inBrackets(e.share), "c"], [" = "], [num(e.after), "b"]], kind, b.w - 10, b.w + 4), y = b.y + low - 21 + sum.high;
    taken.push([b.x, y, sum.half, sum.high]);
    sum.to(b.x, y);
    b.grad.textContent = "";
  }
  const g = label([[hide ? "?" : num(e.local)], [` × ${hiddenGradient(here) ? "?" : inBrackets(grad[here])}`], [" = "], [hide ? "?" : num(e.share), "c"]], kind, 92), [rest, aside] = resting(e, g, taken), q = along(e, 1 + (rest - 1) * ease(clamp(u / .45)));
  g.to(q.x + aside * clamp(u / .45), q.y);
  if (u > .5 && u < .9 && !hide) { const s = along(e, rest * (1 - ease((u - .5) / .4))); label([[num(e.share), "c"]], kind).to(s.x, s.y); }
}
/* The view: all of it where that is legible, else the node with its operands in the middle. */
function look() {
  const L = data.g[shown], width = svg.clientWidth || 600, pad = 22, fit = width / (L.w + 2 * pad), most = Math.max(innerHeight * .62, 260);
  const scale = (fit < .74 ? .85 : Math.min(fit, Math.max(.85, most / (L.h + 2 * pad)), 1.5)) * zoom, high = Math.min((L.h + 2 * pad) * scale, most), w = width / scale, h = high / scale;
  const here = picked >= 0 ? picked : nodeAt(at), around = here < 0 ? [inputs[0] ?? 0] : [here, ...ins[here].map(e => e.tail)];
  const middle = k => { const xs = around.map(i => L.b[i][k]), own = L.b[around[0]][k], room = (k ? h : w) / 2 - 90, m = (Math.min(...xs) + Math.max(...xs)) / 2; return Math.max(own - room, Math.min(own + room, m)); };
  const hold = (m, size, all) => size >= all + 2 * pad ? (all - size) / 2 : Math.max(-pad, Math.min(all + pad - size, m - size / 2));
  const goal = [hold(middle(0), w, L.w), hold(middle(1), h, L.h), w, h];
  eye = !eye || reduced || eye[2] !== w || eye[3] !== h || moment === 1 && !animation ? goal : eye.map((v, k) => v + (goal[k] - v) * .16);
  svg.setAttribute("viewBox", eye.map(v => v.toFixed(1)).join(" "));
  svg.style.height = high + "px";
}
const view = { draw, frame, look, moves: true };
new ResizeObserver(() => { if (shown && svg.isConnected) { draw(); frame(moment); } }).observe(svg);
begin();
