/* The neighbourhood of one value: its operands on the left, its users on the right, and below a map of the whole, in which
   a column is a module, a row one call of it, and the first row holds parameters. */
const SIDE = 25, MOST_ROWS = 10, MOST_CARDS = 40, COLUMNS = 120;
$(".view").innerHTML = `<div class=local><svg class=wires aria-hidden=true></svg><div class="col made" role=group aria-label="Made from" tabindex=0></div><div class="col middle"></div><div class="col used" role=group aria-label="Used by" tabindex=0></div></div><div class=map><p><b>The whole</b>: ${count.toLocaleString("en")} values, ${(2 * half).toLocaleString("en")} steps. A click goes there. <label>Step <input type=number min=0 max="${LAST}" aria-label="Number of the step"></label></p><div class=scroll tabindex=0 role=group aria-label="Map of the whole graph"><svg aria-hidden=true></svg></div></div>`;
const wires = $(".wires"), map = $(".map svg"), number = $(".map input");

/* The cells: each value is in one. */
const cells = new Map(), cellOf = [], blocks = new Map(), runs = {};
let before;
code.forEach((_, i) => {
  if (constant(i)) return;
  const module = whereOf(i), own = module || !leaf(i);
  if (!leaf(i) && module !== before) { runs[module] = (runs[module] || 0) + 1; before = module; }
  const cut = module.lastIndexOf("."), chunk = !data.W && !leaf(i), block = !own ? "inputs" : chunk ? "values" : module ? module.slice(0, Math.max(cut, 0)) : "outside of modules";
  const column = chunk ? Math.floor(place[i] * Math.min(half, COLUMNS) / half) : module.slice(cut + 1), row = leaf(i) ? 0 : chunk ? 1 : Math.min(runs[module], MOST_ROWS), key = JSON.stringify([block, column, row]);
  if (!cells.has(key)) cells.set(key, { block, column, row, list: [] });
  cells.get(key).list.push(i);
  cellOf[i] = cells.get(key);
  if (!blocks.has(block)) blocks.set(block, { columns: new Map(), at: i });
  const b = blocks.get(block);
  if (!b.columns.has(column)) b.columns.set(column, b.columns.size);
  if (row === 1) b.at = i;
});
let x = 78, rowCount = 1;
const titles = [];
[...blocks].sort((a, b) => a[1].at - b[1].at).forEach(([title, b]) => {
  b.x = x;
  const wide = Math.max(b.columns.size * SIDE, title.length * 6.2 + 10);
  titles.push(`<text x="${x + wide / 2}" y=12 class=title>${esc(title || "modules")}</text>`);
  b.x = x + (wide - b.columns.size * SIDE) / 2;
  x += wide + 14;
});
cells.forEach(c => {
  const b = blocks.get(c.block);
  c.x = b.x + b.columns.get(c.column) * SIDE;
  c.y = 20 + c.row * SIDE + (c.row ? 5 : 0);
  rowCount = Math.max(rowCount, c.row + 1);
});
const rowNames = k => !k ? "parameters" : k === MOST_ROWS ? `call ${k} …` : `call ${k}`, calls = Math.max(...Object.values(runs)) > 1;
map.innerHTML = titles.join("") + (data.W ? [...Array(rowCount).keys()].filter(k => !k || calls).map(k => `<text class=row x=70 y="${37 + k * SIDE + (k ? 5 : 0)}">${rowNames(k)}</text>`).join("") : "") +
  [...cells.values()].map((c, k) => `<rect class=cell data-cell=${k} x="${c.x + 1.5}" y="${c.y}" width="${SIDE - 3}" height="${SIDE - 3}" rx="${c.row ? 6 : 2}"><title>${esc(`${c.block} ${c.column}`)}, ${rowNames(c.row)}: ${c.list.length} values</title></rect>`).join("");
map.setAttribute("viewBox", `-8 0 ${x + 4} ${30 + rowCount * SIDE}`);
const listed = [...cells.values()];
map.querySelectorAll("rect").forEach((r, k) => listed[k].rect = r);
const most = list => list.reduce((a, b) => Math.abs(grad[b]) > Math.abs(grad[a]) ? b : a);

function card(i) {
  const sum = soFar(i), state = stateOf(i, sum, true), said = strip(i, state, sum.sum), signs = state && !hiddenGradient(i) ? sized(sum.sum) : "";
  const inside = `<span class=where>${constant(i) ? "constant" : esc([whereOf(i), calls && cellOf[i].row && `call ${cellOf[i].row}`].filter(x => x).join(" · ") || (leaf(i) ? "input" : ""))}</span><span class=what>${constant(i) ? "" : `${told_(i)} = `}<b>${seen(i) && !hiddenValue(i) || place[i] + 1 === at && !hiddenValue(i) ? num(value[i]) : "?"}</b>${leaf(i) || textOf(i) === kindOf(i)[6] ? "" : `<span class=sign>${esc(kindOf(i)[6])}</span>`}</span>` +
    (back() && !constant(i) ? `<span class="strip ${signs}">${said}${state === "waiting" ? `, ${sum.got} of ${users[i].length}` : ""}</span>` : "");
  return constant(i) ? `<div class="card constant">${inside}</div>` : `<button class="card ${state}" data-go="${i}">${inside}</button>`;
}
function pill(e) {
  const on = arrived(e), hide = hiddenShare(e);
  if (!back()) return `<span class="pill fwd">${seen(e.tail) ? num(value[e.tail]) : "?"} →</span>`;
  if (constant(e.tail)) return "";
  if (!on) return `<span class="pill off">not yet</span>`;
  return hide ? `<span class=pill>? × ${hiddenGradient(e.head) ? "?" : inBrackets(grad[e.head])}<br>= ?</span>` : `<span class="pill ${sized(e.share)}">${num(e.local)} × ${inBrackets(grad[e.head])}<br>= <b>${num(e.share)}</b></span>`;
}
let dragging = -1, focus = -1;
function frame() {
  const i = picked >= 0 ? picked : nodeAt(at) < 0 ? last : nodeAt(at), mine = i === nodeAt(at), us = users[i];
  $(".made").innerHTML = `<p class=over>${leaf(i) ? "an input: made from nothing" : "made from"}</p>` + ins[i].map(e => `<div class="link out">${card(e.tail)}${pill(e)}</div>`).join("");
  $(".middle").innerHTML = `<p class=over>${mine ? back() ? "passes its gradient on" : "computes its value" : "looked at"}</p><div class=here>${card(i)}</div>`;
  $(".used").innerHTML = `<p class=over>${us.length ? `used ${us.length === 1 ? "once" : us.length + " times"}` : "the output"}</p>` + us.slice(0, MOST_CARDS).map(e => `<div class="link in">${pill(e)}${card(e.head)}</div>`).join("") + (us.length > MOST_CARDS ? `<p>and ${us.length - MOST_CARDS} more</p>` : "");
  number.value = at;
  if (focus !== i) $(".used").scrollTop = $(".made").scrollTop = 0;
  focus = i;
  paint(i);
  if (live && dragging !== i) {
    dragging = leaf(i) ? i : -1;
    dragged.length = 0;
    $(".inputs").textContent = "";
    if (leaf(i)) dragged.push(control(i, $(".inputs")));
    if (!leaves.every((j, k) => same(value[j], original[k]))) $(".inputs").insertAdjacentHTML("beforeend", `<button data-do=reset>Reset the inputs</button>`);
  }
  look();
}
function paint(i) {
  const near_ = new Set([...ins[i].map(e => e.tail), ...us_(i)].map(j => cellOf[j])), scale = Math.max(...listed.map(c => Math.abs(grad[most(c.list)])).filter(g => g < 1e300 && g !== Math.abs(seed)), 1e-300);
  listed.forEach(c => {
    const j = c.row ? c.list[c.list.length - 1] : most(c.list), state = back() ? stateOf(j, soFar(j), true) : "", known = state === "done" || state === "ready", g = hiddenGradient(j) ? 0 : grad[j];
    c.rect.setAttribute("class", `cell ${state} ${known ? sized(g) : !back() && c.row && seen(j) ? "seen" : ""} ${c === cellOf[i] ? "current" : near_.has(c) ? "near" : ""}`);
    c.rect.style.fillOpacity = known && g ? .25 + .75 * Math.min(1, Math.sqrt(Math.abs(g) / scale)) : 1;
  });
}
const us_ = i => users[i].map(e => e.head);
/* Lines from the card in the middle to each of the others. */
function look() {
  $(".view").style.zoom = zoom;
  const box = $(".local").getBoundingClientRect(), here = $(".here .card").getBoundingClientRect(), beside = here.left > $(".made").getBoundingClientRect().right - 1;
  wires.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  wires.innerHTML = beside ? [...main.querySelectorAll(".link")].map(l => {
    const r = l.getBoundingClientRect(), out = l.classList.contains("out"), p = l.querySelector(".pill"), kind = p ? p.className.replace("pill", "") : "";
    if (r.bottom < box.top || r.top > box.bottom) return "";
    const x0 = (out ? here.left : here.right) - box.left, x1 = (out ? r.right : r.left) - box.left, y1 = (r.top + r.bottom) / 2 - box.top;
    const y0 = Math.max(here.top + 12, Math.min(here.bottom - 12, (r.top + r.bottom) / 2)) - box.top, m = (x0 + x1) / 2;
    return `<path class="edge ${/plus|minus/.test(kind) ? "on back" : ""} ${kind}" d="M${x1} ${y1}C${m} ${y1} ${m} ${y0} ${x0} ${y0}"/>`;
  }).join("") : "";
}
number.addEventListener("change", () => go(+number.value));
map.addEventListener("click", event => { const r = event.target.closest("[data-cell]"); if (r) { const c = listed[+r.dataset.cell]; choose(c.row ? c.list[c.list.length - 1] : most(c.list)); } });
const view = { draw() {}, frame, look, moves: false };
new ResizeObserver(() => focus >= 0 && root.contains(map) && look()).observe($(".local"));
begin();
