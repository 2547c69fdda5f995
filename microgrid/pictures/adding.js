/* Where gradients are added, since values have several users or a gradient from before: the remarks on it, and the mistakes. */
remarksOn.push(i => {
  const found = [], e = ins[i];
  if (e.length === 2 && e[0].tail === e[1].tail) found.push("Both operands are the same value, and both edges count.");
  operands(e).forEach(x => {
    const first = users[x.tail][0] === x;
    if (!first) found.push(`${told_(x.tail)} is used more than once, so its contributions add up: += and not =.`);
    else if (start[x.tail]) found.push(`${told_(x.tail)} had a gradient of ${num(start[x.tail])} already: leaves accumulate until zero_grad.`);
  });
  return found;
});
mistakeInSum = ({ i, e }, y, us) => {
  if (e) return e.before && near(y, e.after) && `That is the new gradient of ${told_(e.tail)}, with what it had before. Only the contribution is asked for.`;
  const one = us.find(e => near(y, e.share)), rest = us.find(e => near(y, gradient(i) - e.share)), n = new Set(us.map(e => e.head)).size;
  if (us.length > 1 && one) return `That is the contribution by ${told_(one.head)} alone. ${n > 1 ? `There is a second user: ${told_(i)} is used by ${n} boxes` : "It is used twice"}, and the contributions add up.`;
  if (us.length > 2 && rest) return `A user is missing: ${told_(rest.head)}.`;
  if (us.length > 1 && us.some(e => near(y, gradient(i) - 2 * e.share))) return "The sizes are right; look at the sign of each contribution.";
  if (us.length > 1 && near(y, us.reduce((p, e) => p * e.share, 1))) return "Contributions of several users are added, not multiplied.";
};
