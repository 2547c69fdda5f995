/* Modules: the one of each value, and the name of a value that leaves its own. */
whereOf = i => data.W ? data.W[data.w[i]] : "";
outputOf = i => {
  const m = whereOf(i).match(/\[(\d+)\]$/);
  return users[i].some(e => whereOf(e.head) !== whereOf(i)) ? m ? `out[${m[1]}]` : "out" : "";
};
