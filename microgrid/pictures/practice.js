/* Practice: questions before the answers are shown, a verdict that names the mistake, hints, a score. Level 1 asks for each
   value and contribution, level 2 for the whole gradient of each box, level 3 for the gradients of the inputs at once. */
let practice = 0;
const MOST_ASKED = 6;
const drill = { seed: 1, number: 0, right: 0, asked: 0, ...data.drill }, answers = new Map(), hints = new Map();
/* Exercises are this graph with other numbers; again.js has those with other graphs. */
const drills = {
  more: live && !data.given && "numbers", choices: "", listen() {}, begin() {}, said: () => ["exercise", drill.number],
  next: () => exercise(drill.number + 1), seed: s => { drill.seed = s; exercise(1); }
};
const keyOf = q => q.e ? `e${q.e.head}.${q.e.place}` : (q.forward ? "f" : "g") + q.i;
const hiddenValue = i => practice === 1 && !back() && nodeAt(at) === i && !answers.has("f" + i);
const hiddenShare = e => practice === 1 ? back() && nodeAt(at) === e.head && !constant(e.tail) && !answers.has(keyOf({ e })) : practice > 1 && back() && hiddenGradient(e.tail);
const hiddenGradient = i => practice > 1 && back() && i !== last && !constant(i) && !answers.has("g" + i);
function questions() {
  const i = nodeAt(at);
  if (practice === 1 && i >= 0) return (back() ? passing().filter(hiddenShare).map(e => ({ e })) : hiddenValue(i) ? [{ i, forward: true }] : []);
  if (practice === 2 && back()) return (at === LAST ? inputs : [i]).filter(hiddenGradient).slice(0, MOST_ASKED).map(i => ({ i }));
  return practice === 3 && at === LAST ? inputs.filter(hiddenGradient).slice(0, MOST_ASKED).map(i => ({ i })) : [];
}
const truth = q => q.e ? q.e.share : q.forward ? value[q.i] : gradient(q.i);
const near = (y, x) => same(y, x) || y === x || Number.isFinite(x) && Math.abs(y - x) <= 5e-3 * Math.abs(x);
function judge(q, y) {
  if (near(y, truth(q))) return "";
  if (near(-y, truth(q))) return "The size is right; look at the sign.";
  if (q.forward) return "Not yet: put the numbers into the formula.";
  const us = q.e ? [q.e] : users[q.i], total = f => us.reduce((sum, e) => sum + f(e), 0);
  if (near(y, total(e => e.local))) return `A factor is missing: that is ${us.length > 1 ? "the sum of the local derivatives" : "the local derivative"}. Each has to be multiplied by the gradient of the box that it leads to.`;
  if (near(y, total(e => grad[e.head]))) return `A factor is missing: that is ${us.length > 1 ? "the sum of the gradients of the users" : `the gradient of ${told_(us[0].head)} itself`}. Multiply by the local derivative.`;
  const said = mistakeInSum(q, y, us);
  if (said) return said;
  if (q.e) {
    const other = operands(ins[q.e.head]).find(o => o !== q.e && near(y, o.share));
    if (other) return `That is the contribution to the other operand, ${told_(other.tail)}.`;
    if (near(y, q.e.local + grad[q.e.head])) return "Along an edge one multiplies. Adding comes where contributions meet.";
  }
  if (near(y, value[q.i ?? q.e.tail])) return "That is the value, not the gradient.";
  return "Not yet. Which local derivative belongs to each edge?";
}
function read(text) {
  const m = text.trim().replace(/[−–]/g, "-").replace(/,/g, ".").replace(/^([+-]?)(inf|infinity|∞)$/i, "$1Infinity").match(/^([+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|Infinity))(?:\/(\d+\.?\d*))?$/i);
  return /^nan$/i.test(text.trim()) ? NaN : m ? m[1] / (m[2] || 1) : undefined;
}
function hint(q, n) {
  if (q.forward) return `The formula: ${math(mathml(whole(q.i)))}, in numbers ${math(mathml(inNumbers(q.i)))}.`;
  const us = q.e ? [q.e] : users[q.i];
  return [us.length > 1 ? `It is used ${us.length} times: one contribution for each, and their sum.` : `The contribution is the local derivative times the gradient of ${told_(us[0].head)}${hiddenGradient(us[0].head) ? "" : `, which is ${num(grad[us[0].head])}`}.`,
    `The local derivative${us.length > 1 ? "s" : ""}: ${us.map(e => math(mathml(by(e.head, e.tail)), EQUALS, mathml(ruleOf(e)))).join(", ")}.`,
    `In numbers: ${math(added(us, e => mathml(e.local) + TIMES + coloured(grad[e.head])))}.`][n];
}
function ask(list) {
  if (!practice) return;
  answers.forEach(said => { if (said.at === at) words.insertAdjacentHTML("beforeend", `<p class="right-answer mg-said">${said.text}</p>`); });
  list.forEach(q => {
    const box = document.createElement("div"), key = keyOf(q), name = q.e ? `What does ${told_(q.e.head)} contribute to the gradient of ${told_(q.e.tail)}?` : `What is the ${q.forward ? "value" : "gradient"} of ${told_(q.i)}?`;
    words.append(box);
    box.innerHTML = `<form class=ask><label for="${id}${key}">${name}</label><input id="${id}${key}" type=text autocomplete=off placeholder="number or 1/3"><button>Check</button><button type=button>Hint</button></form><p role=status></p>`;
    const said = box.querySelector("[role=status]"), field = box.querySelector("input"), [, help] = box.querySelectorAll("button");
    let tries = 0;
    box.querySelector("form").addEventListener("submit", event => {
      event.preventDefault();
      const y = read(field.value);
      if (y === undefined) { said.textContent = "Write a number, as −1.5 or 1/3."; return; }
      const verdict = judge(q, y), first = !tries++ && !hints.get(key);
      if (tries === 1) drill.asked++;
      if (verdict) { said.className = "wrong-answer"; said.innerHTML = `✗ ${verdict}`; score(); return; }
      if (first) drill.right++;
      const us = q.e ? [q.e] : users[q.i];
      answers.set(key, { at, text: `✓ Right: ${q.forward ? valueRow(q.i) : math(...(q.e ? [] : [mathml(G(q.i)), EQUALS]), added(us, e => mathml(e.local, 3) + TIMES + coloured(grad[e.head])), EQUALS, coloured(truth(q), true))}` });
      score();
      render();
      const next = words.querySelector(".ask input") || $("[data-do=next]:enabled") || (alone ? slider : root);
      next.focus();
    });
    help.addEventListener("click", () => {
      const n = hints.get(key) || 0;
      hints.set(key, n + 1);
      said.className = "note";
      said.innerHTML = hint(q, Math.min(n, 2));
    });
  });
}
const score = () => { const s = $(".score"); if (s) s.textContent = `${drill.right} of ${drill.asked} right at the first try`; };
function practise(level, number = 0, stay) {
  const was = practice;
  practice = level;
  $("[data-do=practice]").setAttribute("aria-pressed", !!practice);
  const bar = $(".drill");
  bar.hidden = !practice;
  answers.clear();
  hints.clear();
  if (!practice) return acts.reset();
  if (!was) {
    if (!data.begun) drill.right = drill.asked = 0;
    bar.innerHTML = `<label>Ask for <select aria-label=Level><option value=1>each contribution</option><option value=2>each gradient</option><option value=3>the answer</option></select></label>${drills.choices}${drills.more ? `<button data-do=again>New ${drills.more}</button><label>Seed <input type=number min=1 step=1 value="${drill.seed}" aria-label="Seed of the exercises"></label>` : ""}<span class=score role=status></span>`;
    const [level_, hard] = bar.querySelectorAll("select"), seed_ = bar.querySelector("input");
    level_.addEventListener("change", () => practise(+level_.value, drill.number));
    drills.listen(hard);
    if (seed_) seed_.addEventListener("change", () => drills.seed(Math.max(1, Math.round(+seed_.value) || 1)));
  }
  bar.querySelector("select").value = practice;
  score();
  exercise(number, stay);
}
/* Exercise 0 has the page's own numbers; the others draw theirs, the same for all who have the seed. */
function exercise(number, stay) {
  drill.number = number;
  let state = (drill.seed * 1000003 + number * 7919 + practice) >>> 0;
  const chance = () => {                                                                        /* mulberry32 */
    state = state + 0x6D2B79F5 >>> 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
  for (let tries = 0; tries < 200 && number && live; tries++) {
    leaves.forEach((i, k) => { const x = practice < 3 ? 1 + Math.floor(chance() * 4) : .5 * (1 + Math.floor(chance() * 8)); value[i] = users[i].length ? (chance() < .5 ? -x : x) : original[k]; });
    walk();
    if (value.every(x => Math.abs(x) < 1e4) && grad.every(x => Math.abs(x) < 1e4) && inputs.some(i => gradient(i)) || tries > 150 && value.every(Number.isFinite)) break;
  }
  if (!number) leaves.forEach((i, k) => value[i] = original[k]);
  answers.clear();
  hints.clear();
  if (!stay) { at = practice === 3 ? LAST : half + 1; picked = -1; }
  if (!stay && practice < 3) while (!questions().length && at < LAST) at++;
  moved();
  const field = words.querySelector(".ask input");
  if (field && !stay) field.focus({ preventScroll: true });
}
