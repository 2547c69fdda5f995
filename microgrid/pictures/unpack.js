/* Packed are 13 bits in each two characters: the printable ones, without those that end a text, a script or begin a template;
   the three behind them stand in for three of these. */
(async (packed, size) => {
  const bytes = new Uint8Array(size), digit = (k, c = packed.charCodeAt(k)) => c > 123 ? [2, 28, 60][c - 124] : c - 32;
  for (let k = 0, n = 0, bits = 0, at = 0; k < packed.length; k += 2)
    for (n = n << 13 | digit(k) * 91 + digit(k + 1), bits += 13; bits > 7;) bytes[at++] = n >> (bits -= 8);
  const script = document.createElement("script");
  script.text = await new Response(new Response(bytes).body.pipeThrough(new DecompressionStream("deflate-raw"))).text();
  document.head.append(script);
  script.remove();
})
