/* Remarks on ops: where one is off or saturated, and where it chooses. */
remarksOn.push(i => {
  const found = [], [, , , text, below, choices] = kindOf(i), e = ins[i];
  if (text && (e[0].local === 0 || Math.abs(e[0].local) < below)) found.push(esc(text.replace("{operand}", num(value[e[0].tail])).replace("{partial}", num(e[0].local))) + ".");
  if (choices.some(x => x) && choices.length > 1 && grad[i]) found.push("Only what was chosen receives.");
  return found;
});
