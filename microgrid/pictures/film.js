(function (id, css, data) {
  var roots = document.querySelectorAll('[data-mg="' + id + '"]'), root = null, i;
  for (i = 0; i < roots.length; i++) if (!roots[i].dataset.ready) { root = roots[i]; break; }
  if (!root) return;
  root.dataset.ready = "1";
  root.tabIndex = 0;
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "A network learns");

  function make(tag, parent, text, attributes) {
    var element = document.createElement(tag), key;
    if (text) element.textContent = text;
    for (key in attributes || {}) element.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(element);
    return element;
  }

  make("style", root, css);
  var image = root.querySelector("img");
  var bar = make("div", root, "", { "class": "mg-bar", role: "group", "aria-label": "Controls" });
  var play = make("button", bar, "Play", { type: "button" });
  var previous = make("button", bar, "Previous", { type: "button" });
  var slider = make("input", bar, "", { type: "range", min: 1, max: data.epochs.length, value: 1, "aria-label": "Frame" });
  var next = make("button", bar, "Next", { type: "button" });
  var count = make("span", bar, "", { "class": "mg-count" });
  var frame = make("div", root, "", { "class": "mg-picture", tabindex: "0", role: "group", "aria-label": "Picture" });
  var source = decodeURIComponent(image.getAttribute("src").slice("data:image/svg+xml,".length));
  var svg = document.importNode(new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
  /* The panels of the picture stand side by side where there is room, else one under the other. */
  var labels = { network: "The network: a map of each neuron's output over the plane",
    field: "The output over the plane, with the points", charts: "Loss and gradients" };
  frame.appendChild(svg.querySelector("style"));
  svg.querySelectorAll(".panel").forEach(function (panel) {
    panel.style.width = panel.getAttribute("width") + "px";
    ["x", "width", "height"].forEach(function (name) { panel.removeAttribute(name); });
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", labels[panel.getAttribute("class").split(" ").pop()]);
    frame.appendChild(panel);
  });
  frame.classList.add("mg-panels");
  image.remove();
  svg = frame;
  var text = make("p", root, "", { "class": "mg-text mg-said", "aria-live": "polite" });

  function bytes(packed) { return Uint8Array.from(atob(packed), function (c) { return c.charCodeAt(0); }); }
  var field = bytes(data.field), maps = bytes(data.maps), weights = bytes(data.weights);
  var canvas = document.createElement("canvas");
  function painted(source, start, cells, classes) {
    canvas.width = canvas.height = cells;
    var pen = canvas.getContext("2d"), pixels = pen.createImageData(cells, cells), row, column, byte, kind, colour, at;
    for (row = 0; row < cells; row++) for (column = 0; column < cells; column++) {
      byte = source[start + row * cells + column];
      kind = classes > 1 ? byte : +(byte > 128);
      colour = parseInt(data.colours[kind % data.colours.length].slice(1), 16);
      at = 4 * ((cells - 1 - row) * cells + column);
      pixels.data[at] = colour >> 16;
      pixels.data[at + 1] = colour >> 8 & 255;
      pixels.data[at + 2] = colour & 255;
      pixels.data[at + 3] = classes > 1 ? 102 : Math.floor(Math.abs(byte - 128) * 178 / 127);
    }
    pen.putImageData(pixels, 0, 0);
    return canvas.toDataURL();
  }

  var neurons = Array.prototype.slice.call(svg.querySelectorAll(".neuron"));
  var edges = Array.prototype.slice.call(svg.querySelectorAll(".weight"));
  var size = data.small * data.small, chosen = -1;
  function paint(k) {
    var of = k * neurons.length * size;
    neurons.forEach(function (neuron, i) {
      neuron.querySelector("image").setAttribute("href", painted(maps, of + i * size, data.small, 1));
    });
    edges.forEach(function (edge, i) {
      var byte = weights[k * edges.length + i];
      edge.setAttribute("stroke-width", (0.2 + 4 * Math.abs(byte - 128) / 127).toFixed(2));
      edge.classList.toggle("minus", byte < 128);
    });
    svg.querySelector(".output").setAttribute("href", chosen < 0 ?
      painted(field, k * data.cells * data.cells, data.cells, data.classes) :
      painted(maps, of + chosen * size, data.small, 1));
    svg.querySelector(".shown").textContent = chosen < 0 ? "output" : neurons[chosen].dataset.name;
  }
  neurons.forEach(function (neuron, i) {
    function choose() {
      chosen = chosen === i ? -1 : i;
      neurons.forEach(function (other, j) { other.setAttribute("aria-pressed", String(j === chosen)); });
      paint(at);
    }
    neuron.setAttribute("tabindex", "0");
    neuron.setAttribute("role", "button");
    neuron.setAttribute("aria-pressed", "false");
    neuron.setAttribute("aria-label", neuron.dataset.name);
    neuron.addEventListener("click", choose);
    neuron.addEventListener("keydown", function (event) {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      choose();
    });
  });

  var at = 0, timer = null;
  function show(quiet) {
    paint(at);
    svg.querySelector(".loss").setAttribute("points", data.curve.slice(0, at + 1).map(function (p) { return p.join(","); }).join(" "));
    var dot = svg.querySelector(".dot");
    dot.setAttribute("cx", data.curve[at][0]);
    dot.setAttribute("cy", data.curve[at][1]);
    svg.querySelector(".epoch").textContent = "epoch " + data.epochs[at];
    svg.querySelector(".now").textContent = data.losses[at];
    svg.querySelectorAll(".bar").forEach(function (rect, k) {
      var bottom = +rect.getAttribute("y") + +rect.getAttribute("height"), height = data.bars[at][k];
      rect.setAttribute("y", bottom - height);
      rect.setAttribute("height", height);
    });
    slider.value = at + 1;
    count.textContent = "frame " + (at + 1) + " of " + data.epochs.length;
    slider.setAttribute("aria-valuetext", count.textContent);
    var focused = document.activeElement;
    previous.disabled = at === 0;
    next.disabled = at === data.epochs.length - 1;
    if (focused.disabled) root.focus();
    text.setAttribute("aria-live", quiet ? "off" : "polite");
    text.textContent = "Epoch " + data.epochs[at] + ": loss " + data.losses[at] + "; gradients " +
      data.layers.map(function (name, k) { return name + " " + data.gradients[at][k]; }).join(", ") + ".";
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  function go(to) { at = Math.max(0, Math.min(data.epochs.length - 1, to)); show(timer !== null); }
  play.addEventListener("click", function () {
    if (timer) return stop();
    if (at === data.epochs.length - 1) at = 0;
    play.textContent = "Pause";
    timer = setInterval(function () { go(at + 1); if (at === data.epochs.length - 1) stop(); }, 120);
  });
  previous.addEventListener("click", function () { stop(); go(at - 1); });
  next.addEventListener("click", function () { stop(); go(at + 1); });
  slider.addEventListener("input", function () { stop(); go(+slider.value - 1); });
  root.addEventListener("keydown", function (event) {
    var keys = { ArrowRight: 1, ArrowLeft: -1 };
    if (event.target === slider || !(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    stop();
    go(at + keys[event.key]);
  });
  show();
})
