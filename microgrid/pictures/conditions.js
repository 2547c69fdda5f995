/* Choices and comparisons in formulas, as text and as MathML. */
const MARKS = { "<": "<", ">": ">", "<=": "≤", ">=": "≥", "==": "=", "!=": "≠" };
conditions.if = [
  (a, b, c) => `${plain(a)} if ${plain(b)} else ${plain(c)}`,
  (a, b, c) => a === 1 && c === 0 ? mrow(mo("[") + mathml(b) + mo("]")) : within(`${mathml(a)}<mtext> if </mtext>${mathml(b)}<mtext>, else </mtext>${mathml(c)}`)
];
conditions.compared = [
  (...given) => given.map((x, k) => k % 2 ? MARKS[x] : plain(x)).join(" "),
  (...given) => mrow(given.map((x, k) => k % 2 ? mo(esc(MARKS[x])) : mathml(x, 1)).join(""))
];
