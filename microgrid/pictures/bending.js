/* Values whose local derivative changes with the operand: the next term of a nudge, where it helps. */
nextTerm = (i, tail, h, linear) => {
  const [f, rule] = kinds[code[i][0]], d = h / 1e3, sum = list => ins[i].reduce((total, e) => e.tail === tail ? total + list[e.place] : total, 0);
  const at = d => [...ins[i].map(e => value[e.tail] + (e.tail === tail ? d : 0)), ...rounds(i)], slope = d => { const given = at(d); return sum(rule(f(...given), ...given)); };
  const truth = f(...at(h)) - value[i], next = h * h * (slope(d) - slope(-d)) / 4 / d;
  return Math.abs(next) > 5e-3 * Math.abs(linear) && Math.abs(truth - linear - next) < Math.abs(truth - linear) ? ` (with the next term by ${rough(linear + next)}, in truth by ${rough(truth)})` : "";
};
