/* The name of a value that leaves its module. */
outputOf = i => {
  const m = whereOf(i).match(/\[(\d+)\]$/);
  return users[i].some(e => whereOf(e.head) !== whereOf(i)) ? m ? `out[${m[1]}]` : "out" : "";
};
