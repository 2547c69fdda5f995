/* Names with a number, which is an index, and names with signs, which need brackets. */
const parted = text => text.match(/^([A-Za-z]+)_?(?:(\d+)|\[(\d+)\])$/);
const loose = text => /[-+*/%^=<>|&,\s]/.test(text.replace(/[([][^()[\]]*[)\]]/g, ""));
nameInText = (f, least) => {
  const m = parted(f);
  return m ? m[1] + [...(m[2] || m[3])].map(d => String.fromCharCode(8320 + +d)).join("") : least && loose(f) ? `(${f})` : f;
};
nameInMathml = (f, least) => {
  const m = parted(f);
  if (m) return `<msub><mi>${m[1]}</mi><mn>${m[2] || m[3]}</mn></msub>`;
  return least && loose(f) ? within(`<mi>${esc(f)}</mi>`) : `<mi>${esc(f)}</mi>`;
};
