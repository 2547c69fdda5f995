/* Begin anew, with another graph or in another state. */
function again(other) {
  cancelAnimationFrame(animation);
  delete root.dataset.ready;
  mg(id, { ...data, ...other, begun: 1 }, kinds);
}
if (data.u) $("[data-do=practice]").insertAdjacentHTML("beforebegin", `<button data-do=unfold>${data.folded ? "Unfold" : "Fold"} sums</button>`);
acts.unfold = () => again({ ...data.u, u: Object.fromEntries(Object.keys(data.u).map(k => [k, data[k]])), folded: !data.folded, at: leaves.map(i => value[i]), practice });
/* Another graph of those that the page carries for each difficulty, by its seed; after the last comes the first. */
function another(difficulty, seed, level = practice) {
  const list = data.x[difficulty - 1] || data.x[0], k = ((seed - data.first) % list.length + list.length) % list.length;
  again({ ...list[k], difficulty: data.x.indexOf(list) + 1, practice: level, drill: { ...drill, seed: data.first + k } });
}
const { difficulty } = data;
if (data.x) Object.assign(drills, {
  more: !data.given && "exercise",
  choices: `<label>Difficulty <select aria-label=Difficulty><option value=1>sums and products</option><option value=2>a value used twice</option><option value=3>with a function</option></select></label>`,
  listen(hard) { hard.value = difficulty; hard.addEventListener("change", () => another(+hard.value, drill.seed)); },
  begin(asked, level) { if (!data.begun) another(+asked.get("difficulty") || 1, drill.seed, level); return !data.begun; },
  said: () => ["difficulty", difficulty], next: () => another(difficulty, drill.seed + 1), seed: s => another(difficulty, s)
});
