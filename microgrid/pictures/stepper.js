/* The stepper. All that it shows follows from the graph and its leaves: `walk` computes both passes, a view (picture.js or
   local.js) shows any moment of a step, and the words beside it come from the same numbers. */
const root = [...document.querySelectorAll(`[data-mg="${id}"]`)].find(r => !r.dataset.ready);
if (!root) return;
root.dataset.ready = "1";
const { c: code, F = [], N = {}, l: labels, s: seed, o: overValue = {}, p: overRule = {}, d: told = {}, m: sums = {}, v: given = [], a: earlier = {}, alone, live } = data, count = code.length, last = count - 1;
const value = [], grad = [], start = [], edges = [], ins = [], users = [], computed = [], leaves = [], place = [];
const numbers = list => list.map(Number);
const constant = i => code[i][0] === -2, leaf = i => code[i][0] < 0;
let next = 0;
code.forEach(([kind, ...operands], i) => {
  ins[i] = operands.map((tail, k) => ({ head: i, tail, place: k }));
  edges.push(...ins[i]);
  users[i] = [];
  start[i] = +(earlier[i] || 0);
  if (kind >= 0) { place[i] = computed.length; computed.push(i); }
  else { value[i] = +given[next++]; if (!constant(i)) leaves.push(i); }
});
const backwards = [...computed].reverse(), original = leaves.map(i => value[i]);
backwards.forEach(i => ins[i].forEach(e => users[e.tail].push(e)));
const half = computed.length, LAST = 2 * half + 1;
const inputs = leaves.filter(i => users[i].length), operands = e => e.filter(x => !constant(x.tail));
const kindOf = i => F[code[i][0]], rounds = i => numbers(kindOf(i)[1]), argumentsOf = i => [...ins[i].map(e => value[e.tail]), ...rounds(i)];
/* What not every graph needs is in files of its own, which carried.py adds: these give more than nothing there. */
const remarksOn = [];
let whereOf = () => "", outputOf = whereOf, nextTerm = whereOf, mistakeInSum = whereOf;
const same = (a, b) => Object.is(a, b) || a !== a && b !== b;

function forward(values) {
  for (const i of computed) {
    const f = live && kinds[code[i][0]][0];
    values[i] = f ? f(...ins[i].map(e => values[e.tail]), ...rounds(i)) : value[i];
  }
  return values;
}
let recorded;
function walk() {
  recorded = leaves.every((i, k) => same(value[i], original[k]));
  for (const i of computed) value[i] = recorded && i in overValue ? +overValue[i] : kinds[code[i][0]][0](...argumentsOf(i));
  grad.length = 0;
  for (let i = 0; i < count; i++) grad.push(0);
  grad[last] = seed;
  for (const i of backwards) {
    const rule = recorded && i in overRule ? numbers(overRule[i]) : kinds[code[i][0]][1](value[i], ...argumentsOf(i));
    for (const e of ins[i]) {
      const share = grad[i] * rule[e.place];
      e.local = rule[e.place];
      e.share = share !== share && (grad[i] === 0 || e.local === 0 && kindOf(i)[5][e.place]) ? 0 : share;
      e.before = grad[e.tail] + start[e.tail];
      grad[e.tail] += e.share;
      e.after = grad[e.tail] + start[e.tail];
    }
  }
}
const gradient = i => grad[i] + start[i];

/* Names: a label, a number, a short expression, the place in a sum; else the number of the value. */
const names = [];
const whole = i => [kindOf(i)[0], ...ins[i].map(e => nameOf(e.tail)), ...rounds(i)];
const inNumbers = i => [kindOf(i)[0], ...argumentsOf(i)];
function named(i) {
  names[i] = labels[i] || (leaf(i) ? "" : outputOf(i)) || numberOf(i);
  if (numbered(i) && !leaf(i)) { const f = fill(whole(i), {}); names[i] = plain(f).length <= 16 && (i < last || !/"v\d| of \d/.test(JSON.stringify(f))) ? f : i < last && sums[i] || numberOf(i); }
}
/* In order, and not from nameOf of the operands: a chain of these may be longer than the stack of calls. */
function nameOf(i) {
  if (constant(i)) return value[i];
  while (names.length <= i) named(names.length);
  return names[i];
}
const numberOf = i => i === last && !labels.includes("z") ? "z" : "v" + i, numbered = i => names[i] === numberOf(i) && !labels[i];
const textOf = i => plain(nameOf(i)), told_ = i => math(mathml(nameOf(i)));
const bound = (e, f) => { const [, fixed, rules, , , , , variables] = kindOf(e.head); return rules[e.place] === 0 ? e.local : fill(rules[e.place], Object.fromEntries([["z", f(e.head)], ...ins[e.head].map((x, k) => [variables[k], f(x.tail)]), ...fixed.map((x, k) => [variables[ins[e.head].length + k], +x])])); };
const ruleOf = e => bound(e, nameOf), ruleInNumbers = e => bound(e, i => value[i]);
const by = (a, b) => ["∂", nameOf(a), nameOf(b)], G = i => by(last, i);

/* The state of things at the step `at`: 0 is the beginning, then each value forward and backward, LAST the answer. */
let at = 0, picked = -1, playing = false, moment = 1, zoom = 1, animation = 0;
const back = () => at > half;
const nodeAt = k => computed[k <= half ? k - 1 : 2 * half - k] ?? -1;
const turn = i => leaf(i) ? Math.max(half, ...users[i].map(e => turn(e.head))) : 2 * half - place[i];
const stepOf = i => back() ? turn(i) : leaf(i) ? 0 : place[i] + 1;
const passing = () => back() && at < LAST ? operands(ins[nodeAt(at)]) : [];
const arrived = e => back() && turn(e.head) <= at;
const seen = i => leaf(i) || back() || place[i] < at;
function soFar(i, has = arrived) {
  let sum = i === last ? seed : 0, got = 0;
  for (const e of users[i]) if (has(e)) { sum += e.share; got++; }
  return { sum: sum + start[i], got, all: got === users[i].length };
}
function stateOf(i, { got, all }, finished) {
  if (!back()) return "";
  if (at === LAST || (leaf(i) ? all : turn(i) < at || turn(i) === at && finished)) return "done";
  return all ? "ready" : got ? "waiting" : "";
}
const MARK = { "": "○", waiting: "◐", ready: "●", done: "✓" };
function strip(i, state, sum) {
  if (!back() || constant(i)) return "";
  if (hiddenGradient(i) && state) return `${MARK[state]} gradient ?`;
  return state === "waiting" ? `◐ ${num(sum)} so far` : state ? `${MARK[state]} gradient ${num(sum)}` : "○";
}

/* The page. */
const style = document.createElement("style");
style.textContent = css;
const main = document.createElement("div");
root.querySelectorAll(":scope > :not(script)").forEach(x => x.remove());
root.prepend(style, main);
root.setAttribute("role", "region");
root.setAttribute("aria-label", "Backpropagation, step by step");
if (!alone) root.tabIndex = 0;
main.className = "mgs";
main.innerHTML = `<div class=mg-bar role=group aria-label=Controls><button data-do=home aria-label="To the beginning" title=Home>|◀</button><button data-do=prev aria-label="Previous step" title="←">◀</button><button data-do=play class=play></button><button data-do=next aria-label="Next step" title="→">▶</button><button data-do=end aria-label="To the answer" title=End>▶|</button><span class=mg-count></span><span class=grow></span><select aria-label=Speed><option value=.5>½×</option><option value=1 selected>1×</option><option value=2>2×</option><option value=4>4×</option></select><span class=zoom><button data-do=out aria-label=Smaller>−</button><button data-do=in aria-label=Larger>+</button></span><button data-do=practice aria-pressed=false>Practice</button></div>
<div class=track><div class=halves aria-hidden=true><span style="flex:${half}">forward: values →</span><span style="flex:${half + 1}">← backward: gradients</span></div><input type=range min=0 max="${LAST}" value=0 aria-label=Step></div>
<div class=drill hidden></div>
<div class=view></div>
<div class=legend><span><i>○</i>nothing yet</span><span><i class=waiting>◐</i>waits for more</span><span><i class=ready>●</i>ready: all are in</span><span><i class=done>✓</i>done: passed on</span><span>on an edge: <b>local derivative × gradient = contribution</b></span></div>
<div class=words><section aria-live=polite></section><div class=inputs></div></div>`;
const $ = s => main.querySelector(s), words = $("section"), slider = $(".track input"), reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

/* The words. */
const rows = list => `<div class=rows>${list.map(r => `<div tabindex=0>${r}</div>`).join("")}</div>`;
const heading = text => `<h2>${text}</h2>`;
function shareRow(e) {
  const rule = ruleOf(e), filled = ruleInNumbers(e), parts = [mathml(by(e.head, e.tail))];
  if (plain(rule) !== num(e.local)) parts.push(EQUALS, mathml(rule));
  if (plain(filled) !== num(e.local) && plain(filled) !== plain(rule)) parts.push(EQUALS, mathml(filled));
  return `${math(...parts, EQUALS, mathml(e.local))} <span>${math(mathml(e.local), TIMES, coloured(grad[e.head]), EQUALS, coloured(e.share, true))}</span> <span>gradient of ${told_(e.tail)}: ${math(mathml(e.before), PLUS, coloured(e.share), EQUALS, mathml(e.after))}</span>`;
}
function remarks(i, forwards) {
  const found = [];
  if (forwards) return Number.isFinite(value[i]) ? "" : `<p class=note>This is not finite: detect_anomaly() stops at the first such result.</p>`;
  if (grad[i] === 0) found.push("Its gradient is exactly 0, so it passes nothing on.");
  remarksOn.forEach(f => found.push(...f(i)));
  return [...new Set(found)].map(x => `<p class=note>${x}</p>`).join("");
}
/* As nudge.py says it: the linear prediction, and the next term where it helps. */
const rough = x => num(+x.toPrecision(4));
function nudges(i) {
  const f = (kinds[code[i][0]] || [])[0];
  let size;
  return [...new Set(passing().map(e => e.tail))].slice(0, 3).map((tail, k) => {
    const x = Math.abs(value[tail]), h = x && x < .1 ? 10 ** (Math.floor(Math.log10(x)) - 1) : .1;
    const linear = h * ins[i].reduce((sum, e) => e.tail === tail ? sum + e.local : sum, 0), text = k ? `one${h === size ? "" : ` of ${num(h)}`} to ${told_(tail)} by ${rough(linear)}` : `A nudge of ${num(h)} to ${told_(tail)} moves ${told_(i)} by ${rough(linear)}`;
    size = h;
    return text + (f ? nextTerm(i, tail, h, linear) : "");
  }).join("; ");
}
function why(i) {
  const n = new Set(users[i].map(e => e.head)).size, differ = i in told ? ` By differences it is ${num(+told[i])}.` : "";
  if (i === last) return `The output’s gradient is ${seed === 1 ? 1 : `the seed, ${num(seed)}`}. Everything begins here.${differ}`;
  return `${n > 1 ? `All ${n} boxes that use` : "The one box that uses"} ${told_(i)} ${n > 1 ? "have passed back their contributions" : "has passed back its contribution"}, so the gradient is complete${hiddenGradient(i) ? "." : `: ${math(mathml(G(i)), EQUALS, coloured(grad[i], true))}.${differ}`}`;
}
function say() {
  const i = nodeAt(at), list = questions();
  words.innerHTML = picked >= 0 && !(list.length && hiddenGradient(picked)) ? calculation(picked)
    : at === 0 ? heading("Before the first step") + `<p>The inputs are known, and nothing else. Going <b>forward</b>, each box computes its value from its operands. Going <b>backward</b>, each box passes to every operand its gradient times the local derivative.</p><p>Keys: ← → Home End, space plays. A click on a box opens its whole calculation.${live ? " Drag an input, and everything follows." : ""}</p>`
    : at === LAST ? answer()
    : !back() ? heading(`Forward: compute ${told_(i)}`) + (list.length ? "" : rows([valueRow(i)]) + remarks(i, true))
    : heading(`Backward: ${told_(i)} passes its gradient on`) + `<p>${why(i)}</p>` + (list.length || passing().some(hiddenShare) ? "" : rows(passing().map(shareRow)) + `<p class=soft>${nudges(i)}.</p>` + remarks(i));
  ask(list);
}
function valueRow(i) {
  const f = whole(i), filled = inNumbers(i), parts = plain(f) === textOf(i) ? [] : [mathml(nameOf(i)), EQUALS];
  return math(...parts, mathml(f), EQUALS, ...(plain(filled) === plain(f) ? [] : [mathml(filled), EQUALS]), mathml(value[i]));
}
const inFull = i => `${whereOf(i)} ${textOf(i)}`.trim(), link = i => `<button data-go=${i} aria-label="${esc(inFull(i))}">${told_(i)}</button>`;
const added = (list, f) => list.slice(0, 6).map((x, k) => (k ? PLUS : "") + f(x)).join("") + (list.length > 6 ? `${PLUS}${mo("…")}` : "");
function calculation(i) {
  const us = users[i], secret = hiddenGradient(i) || us.some(hiddenShare), lines = [], factor = f => mathml(f, 3, true);
  const base = i === last ? seed : start[i];
  if (!leaf(i) && seen(i) && !hiddenValue(i)) lines.push(valueRow(i));
  if (us.length) {
    const list = base ? [null, ...us] : us, sum = f => added(list, e => e ? f(e) : mathml(base));
    lines.push(math(mathml(G(i)), EQUALS, added(us, e => mathml(G(e.head)) + DOT + mathml(by(e.head, i)))));
    if (!secret) lines.push(math(EQUALS, sum(e => coloured(grad[e.head]) + DOT + factor(ruleOf(e)))), math(EQUALS, sum(e => coloured(grad[e.head]) + DOT + coloured(e.local))),
      math(EQUALS, ...(list.length > 1 ? [sum(e => coloured(e.share)), EQUALS] : []), coloured(gradient(i), true)));
  } else lines.push(math(mathml(G(i)), EQUALS, coloured(gradient(i), true)));
  const heads = [...new Set(us.map(e => e.head))], tails = [...new Set(operands(ins[i]).map(e => e.tail))];
  return `<h2>The whole calculation of ${told_(i)} <button data-do=close aria-label=Close>✕</button></h2>` + (whereOf(i) ? `<p class=where>${esc(whereOf(i))}</p>` : "") +
    `<p>${us.length > 1 ? `It is used ${us.length} times, so its gradient is the sum of ${us.length} contributions.` : us.length ? "It is used once." : "The output: how it changes with itself."}</p>` + rows(lines) +
    `<p class=links>${heads.length ? `Used by ${heads.slice(0, 40).map(link).join(" ")}` : ""} ${tails.length ? `Made from ${tails.map(link).join(" ")}` : ""}</p>`;
}
const outputWith = (i, x) => { const values = [...value]; values[i] = x; return forward(values)[last]; };
function answer() {
  const size = i => Math.abs(gradient(i)), shown = inputs.filter(i => !hiddenGradient(i)), most = Math.max(...inputs.map(size).filter(Number.isFinite), 1e-300), h = .01, z = told_(last);
  const listed = inputs.length > 30 ? shown.sort((a, b) => size(b) - size(a)).slice(0, 30) : shown;
  return heading(`The answer: how ${z} changes with each input`) + (inputs.length && !shown.length ? "" : `<table><thead><tr><th scope=col>input</th><th scope=col>gradient</th><th scope=col class=wide>size</th>${live ? `<th scope=col>try it: input + ${h}</th>` : ""}</tr></thead><tbody>` + listed.map(i => {
    const g = gradient(i), d = live && outputWith(i, value[i] + h) - value[last];
    return `<tr><td>${link(i)} ${math(EQUALS, mathml(value[i]))}${whereOf(i) ? `<br><small>${esc(whereOf(i))}</small>` : ""}</td><td>${math(mathml(G(i)), EQUALS, coloured(g, true))}</td><td class="wide ${sized(g)}"><span class=meter style="width:${size(i) / most * 5 || 0}em"></span></td>${live ? `<td>${z} changes by <b class="${sized(d)}">${num(d)}</b><br><small>${h} × gradient = ${num(h * g / (seed || 1))}</small></td>` : ""}</tr>`;
  }).join("") + "</tbody></table>" + (inputs.length > 30 ? `<p>The 30 largest of ${inputs.length}.</p>` : "") + (data.t && recorded ? `<p><button data-do=latex>Copy LaTeX</button></p>` : ""));
}

/* Inputs that can be dragged. */
const dragged = [], brief = x => +x.toPrecision(4);
function control(i, parent) {
  const l = document.createElement("label"), most = Math.max(6, 2 * Math.abs(value[i])) || 6;
  l.innerHTML = `${whereOf(i) ? `<small class=where>${esc(whereOf(i))}</small>` : ""}<span>${told_(i)}</span><input type=range aria-label="${esc(inFull(i))}" min="${-most}" max="${most}" step=any value="${value[i]}"><input type=number aria-label="${esc(inFull(i))}, as a number" step=any value="${brief(value[i])}"><output></output>`;
  const [range, number] = l.querySelectorAll("input"), output = l.querySelector("output");
  l.addEventListener("input", ({ target }) => { if (target.value !== "" && Number.isFinite(+target.value)) { value[i] = +target.value; moved(target); } });
  parent.append(l);
  return from => {
    if (from !== range) range.value = value[i];
    if (from !== number) number.value = brief(value[i]);
    output.innerHTML = at === LAST && !hiddenGradient(i) ? `gradient <b class="${sized(gradient(i))}">${num(gradient(i))}</b>` : "";
  };
}
function moved(from) {
  walk();
  names.forEach((x, i) => { if (Array.isArray(x)) named(i); });
  answers.clear();
  moment = 1;
  render(from);
  const again = $("[data-do=reset]");
  if (again) again.hidden = recorded;
}

/* Moving through the steps. */
function render(from) {
  view.draw();
  view.frame(reduced ? 1 : moment);
  say();
  dragged.forEach(f => f(from));
  const text = at === 0 ? "start" : at === LAST ? "the answer" : at <= half ? `forward ${at} of ${half}` : `backward ${at - half} of ${half}`;
  $(".mg-count").textContent = text;
  slider.value = at;
  slider.setAttribute("aria-valuetext", text);
  const focused = document.activeElement;
  ["home", "prev"].forEach(b => $(`[data-do=${b}]`).disabled = at === 0);
  ["end", "next"].forEach(b => $(`[data-do=${b}]`).disabled = at === LAST);
  if (focused?.disabled) (alone ? slider : root).focus();
  $("[data-do=play]").textContent = playing ? "❚❚ Pause" : "▶ Play";
  if (alone) address();
}
function go(to, moving) {
  at = Math.max(0, Math.min(LAST, Math.round(to) || 0));
  picked = -1;
  if (at === LAST) playing = false;
  cancelAnimationFrame(animation);
  animation = 0;
  moment = moving && !reduced && view.moves ? 0 : 1;
  render();
  if (!moving && !playing) return;
  const begin = performance.now(), length = view.moves ? back() ? 1500 * Math.max(1, passing().length) : 1100 : 0;
  const tick = time => {
    const passed = (time - begin) * +$("select").value;
    if (moment < 1) view.frame(moment = reduced ? 1 : Math.min(1, passed / length));
    if (passed < length + (playing ? 1100 : 400)) { if (moment === 1) view.look(); animation = requestAnimationFrame(tick); return; }
    animation = 0;
    view.look();
    if (!playing) return;
    if (at < LAST && !questions().length) go(at + 1, true);
    else { playing = false; render(); }
  };
  animation = requestAnimationFrame(tick);
}
function choose(i) {
  if (at !== LAST) go(stepOf(i));
  picked = i;
  render();
}
const acts = {
  home: () => go(0), prev: () => go(at - 1), next: () => go(at + 1, true), end: () => go(LAST),
  play: () => { playing = !playing; playing ? go(at === LAST ? 1 : at + 1, true) : render(); },
  practice: () => practise(practice ? 0 : 1), again: () => drills.next(),
  reset: () => { leaves.forEach((i, k) => value[i] = original[k]); moved(); },
  "in": () => { zoom = Math.min(zoom * 1.25, 4); view.look(); }, out: () => { zoom = Math.max(zoom / 1.25, .4); view.look(); },
  latex: () => copied(data.t, $("[data-do=latex]")),
  close: () => { picked = -1; render(); }
};
main.addEventListener("click", event => {
  const b = event.target.closest("[data-do],[data-go]");
  if (b) b.dataset.do ? acts[b.dataset.do]() : choose(+b.dataset.go);
});
slider.addEventListener("input", () => go(+slider.value));
(alone ? document : root).addEventListener("keydown", event => {
  const act = { ArrowRight: "next", ArrowLeft: "prev", Home: "home", End: "end", " ": "play", Escape: "close" }[event.key], tag = event.target.tagName;
  if (!act || !main.isConnected || event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT)$/.test(tag) || event.key === " " && tag === "BUTTON") return;
  event.preventDefault();
  event.stopPropagation();
  acts[act]();
});

/* The address says where to begin: #step=8&x=1.5&box=0&practice=2&seed=7&difficulty=3 */
function address() {
  const said = new URLSearchParams();
  if (at) said.set("step", at);
  leaves.forEach((i, k) => { if (!same(value[i], original[k]) && !practice) said.set(textOf(i), value[i]); });
  if (picked >= 0) said.set("box", picked);
  if (practice) { said.set("practice", practice); said.set("seed", drill.seed); said.set(...drills.said()); }
  try { history.replaceState(null, "", said.size ? "#" + said : location.pathname + location.search); } catch { /* a page in a sandbox has no address */ }
}
function begin() {
  const asked = new URLSearchParams(alone && !data.begun ? location.hash.slice(1) : "");
  if (live) leaves.forEach(i => { const x = asked.get(textOf(i)); if (x !== null && x !== "" && Number.isFinite(+x)) value[i] = +x; });
  if (data.at) leaves.forEach((i, k) => value[i] = data.at[k]);
  walk();
  if (live && inputs.length) {
    const shown = view.moves ? inputs : [];
    shown.forEach(i => dragged.push(control(i, $(".inputs"))));
    if (shown.length) $(".inputs").insertAdjacentHTML("beforeend", `<button data-do=reset ${recorded ? "hidden" : ""}>Reset the inputs</button>`);
  } else if (!live) $(".inputs").innerHTML = `<p class=soft>${esc(data.why)}</p>`;
  at = Math.max(0, Math.min(LAST, +asked.get("step") || 0));
  drill.seed = +asked.get("seed") || drill.seed;
  const level = asked.has("practice") ? Math.min(3, +asked.get("practice") || 1) : data.practice;
  if (drills.begin(asked, level)) return;
  if (level) practise(level, +asked.get("exercise") || 0, asked.has("step"));
  else render();
  const box = asked.get("box");
  if (box !== null && +box in code && !constant(+box)) choose(+box);
}

/* The theme is that of the surroundings, where they have a mark: JupyterLab's, VS Code's, and what pages use. */
const marks = [document.body, document.documentElement];
function theme() {
  const said = marks.map(({ dataset: d }) => [{ false: "dark", true: "light" }[d.jpThemeLight], d.theme, d.vscodeThemeKind, d.bsTheme]);
  main.dataset.theme = said.join().match(/dark|light/) || "";
}
theme();
marks.forEach(m => new MutationObserver(theme).observe(m, { attributes: true }));
