(function (packed) {
  var bytes = Uint8Array.from(atob(packed), function (c) { return c.charCodeAt(0); });
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text().then(function (text) {
    var script = document.createElement("script");
    script.textContent = text;
    document.head.appendChild(script).remove();
  });
})
