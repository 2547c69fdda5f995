/* Packed is in base 85, of the printable characters from ! to z but " & ' < and the backslash: five hold four bytes. */
(function (packed, size) {
  var view = new DataView(new ArrayBuffer(packed.length)), i = 0, n, c;
  while (i < packed.length) {
    c = packed.charCodeAt(i);
    n = (i % 5 ? n * 85 : 0) + c - 33 - (c > 34) - (c > 38) - (c > 39) - (c > 60) - (c > 92);
    if (++i % 5 === 0) view.setUint32(i / 5 * 4 - 4, n);
  }
  new Response(new Blob([view.buffer.slice(0, size)]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text().then(function (text) {
    var script = document.createElement("script");
    script.textContent = text;
    document.head.appendChild(script).remove();
  });
})
