/* Packed are 13 bits in each two characters: the printable ones, without those that end a text, a script or begin a template. */
(async (packed, size) => {
  const bytes = new Uint8Array(size), digit = k => { const c = packed.charCodeAt(k); return c - 32 - (c > 34) - (c > 60) - (c > 92) - (c > 123); };
  for (let k = 0, n = 0, bits = 0, at = 0; k < packed.length; k += 2)
    for (n = n << 13 | digit(k) * 91 + digit(k + 1), bits += 13; bits > 7;) bytes[at++] = n >> (bits -= 8);
  const script = document.createElement("script");
  script.textContent = await new Response(new Response(bytes).body.pipeThrough(new DecompressionStream("deflate-raw"))).text();
  document.head.append(script);
  script.remove();
})
