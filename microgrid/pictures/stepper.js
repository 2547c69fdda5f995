(function (id, css, data) {
  var roots = document.querySelectorAll('[data-mg="' + id + '"]'), root = null, i;
  for (i = 0; i < roots.length; i++) if (!roots[i].dataset.ready) { root = roots[i]; break; }
  if (!root) return;
  root.dataset.ready = "1";
  root.tabIndex = 0;
  make("style", root, css);
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "Backpropagation, step by step");

  function make(tag, parent, text, attributes) {
    var element = document.createElement(tag), key;
    if (text) element.textContent = text;
    for (key in attributes || {}) element.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(element);
    return element;
  }

  /* The picture is taken from the image that stands there where scripts may not run. */
  var image = root.querySelector("img"), svg = null;
  var bar = make("div", root, "", { "class": "mg-bar", role: "group", "aria-label": "Controls" });
  var previous = make("button", bar, "Previous", { type: "button" });
  var slider = make("input", bar, "", { type: "range", min: 0, value: 0, "aria-label": "Step" });
  var next = make("button", bar, "Next", { type: "button" });
  var count = make("span", bar, "", { "class": "mg-count" });
  var fold = make("button", bar, "Unfold", { type: "button", hidden: "" });
  var label = make("label", bar);
  var predict = make("input", label, "", { type: "checkbox" });
  label.appendChild(document.createTextNode("Predict"));
  label.title = "Hide the numbers, and say them first";
  if (image) {
    var source = decodeURIComponent(image.getAttribute("src").slice("data:image/svg+xml,".length));
    var frame = make("div", root, "", { "class": "mg-picture", tabindex: "0", role: "group", "aria-label": "Graph" });
    svg = document.importNode(new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
    frame.appendChild(svg);
    image.remove();
  }
  var text = make("div", root, "", { "class": "mg-text", "aria-live": "polite" });

  var boxes = {}, edges = [];
  if (svg) {
    svg.querySelectorAll("[data-n]").forEach(function (g) { boxes[g.dataset.n] = g; });
    svg.querySelectorAll("[data-e]").forEach(function (g) { edges.push(g); });
  }
  function home(node) { return data.home ? data.home[node] : node; }

  /* The node that a box shows by itself. */
  var inside = {};
  data.nodes.forEach(function (node, n) { (inside[home(n)] = inside[home(n)] || []).push(n); });
  function alone(box) { return inside[box] && inside[box].length === 1 ? inside[box][0] : -1; }

  /* The stops of the slider: single steps, or runs of steps within a folded box until one is unfolded. */
  var open = {}, stops = [], at = 0;
  function list() {
    var k, r;
    stops = [];
    if (!data.runs) for (k = 0; k < data.total; k++) stops.push({ from: k, to: k + 1 });
    else for (r = 0; r < data.runs.length; r++) {
      var run = data.runs[r];
      if ((open[r] || run[1] === 1) && data.steps.length)
        for (k = run[0]; k < run[0] + run[1]; k++) stops.push({ from: k, to: k + 1, run: r });
      else stops.push({ from: run[0], to: run[0] + run[1], run: r, folded: true });
    }
    slider.max = stops.length;
  }

  /* What each node shows after so many steps. */
  function state(until) {
    var known = {}, grads = {}, k, c, step;
    data.nodes.forEach(function (node, n) { if (!node[2]) known[n] = true; if (node.length > 3) grads[n] = node[2] ? "–" : node[3]; });
    for (k = 0; k < until && k < data.steps.length; k++) {
      step = data.steps[k];
      if (k < data.half) known[step[0]] = true;
      else {
        grads[step[0]] = step[3];
        for (c = 0; c < step[5].length; c++) grads[step[5][c][0]] = step[5][c][4];
      }
    }
    return { known: known, grads: grads };
  }

  function paint(stop, now, hidden) {
    var n, g, lines, step = stop && !stop.folded ? data.steps[stop.from] : null, back = stop && stop.from >= data.half;
    for (n in boxes) {
      g = boxes[n];
      g.classList.remove("on", "to", "off");
      var k = alone(n);
      if (k >= 0) {
        lines = g.querySelectorAll("text");
        var first = lines.length - (data.nodes[k].length > 3 ? 2 : 1);
        lines[first].textContent = now.known[k] && !(hidden && !back && step && step[0] == k) ? data.nodes[k][1] : "?";
        if (data.nodes[k].length > 3)
          lines[first + 1].textContent = "grad " + (hidden && hidden[k] ? "?" : now.grads[k]);
        if (data.nodes[k][2] && !now.known[k]) g.classList.add("off");
      }
    }
    edges.forEach(function (e) { e.classList.remove("on"); });
    if (!stop) return;
    var here = stop.folded ? data.runs[stop.run][2] : home(step[0]);
    if (boxes[here]) boxes[here].classList.add("on");
    edges.forEach(function (e) {
      var ends = e.dataset.e.split(" ");
      if (ends[1] == here) {
        e.classList.add("on");
        if (back && boxes[ends[0]] && ends[0] != here) boxes[ends[0]].classList.add("to");
      }
    });
    var box = boxes[here], pane = svg && svg.parentNode;
    if (!box) return;
    var place = box.getAttribute("transform").match(/-?\d+/g);
    pane.scrollLeft = place[0] - pane.clientWidth / 2;
    pane.scrollTop = place[1] - pane.clientHeight / 2;
  }

  function names(nodes) { return nodes.map(function (n) { return data.nodes[n][0]; }).join(", "); }
  /* What a person writes, with either minus, a decimal comma, inf; undefined when it is no number. */
  function number(x) {
    var plain = x.trim().toLowerCase().replace(/−/g, "-").replace(",", ".").replace("inf", "Infinity");
    return plain && (+plain === +plain || plain === "nan") ? +plain : undefined;
  }

  function question(cell, answer, what, done) {
    var box = make("input", cell, "", { type: "text", inputmode: "decimal", "aria-label": "Your prediction of " + what });
    var verdict = make("span", cell, "");
    function check() {
      if (box.disabled || !box.value.trim()) return;
      var yours = number(box.value.trim()), truth = number(answer);
      if (yours === undefined) { verdict.textContent = " write a number"; return; }
      var right = "" + yours === "" + truth || isFinite(truth) && Math.abs(yours - truth) <= 1e-3 * Math.abs(truth);
      verdict.textContent = (right ? " ✓ right, " : " ✗ it is ") + answer;
      box.disabled = true;
      done("You said " + box.value.trim() + " for " + what + ":" + verdict.textContent);
    }
    box.addEventListener("change", check);
    box.addEventListener("keydown", function (event) { if (event.key === "Enter") check(); event.stopPropagation(); });
  }

  function tell(stop, hidden, before, refresh) {
    var c, row, cell;
    text.textContent = "";
    if (!stop) {
      make("h2", text, "Before the first step");
      make("p", text, "The inputs are known. Next computes one value at a time; then the gradients go backward.");
      return;
    }
    if (stop.folded) {
      var run = data.runs[stop.run];
      make("h2", text, data.boxes[run[2]] + ": " + run[1] + (run[1] > 1 ? " steps" : " step"));
      make("p", text, (run[0] < data.half ? "Forward: its values are computed, from " : "Backward: its cotangents go on to ") +
        (run[3].map(function (pair) { return data.boxes[pair[0]] + " (" + pair[1] + ")"; }).join(", ") || "nothing outside of it") + ".");
      if (!data.steps.length) make("p", text, "The graph is too large to unfold here: steps() of one of its parts shows each step. The picture shows the end.");
      return;
    }
    var step = data.steps[stop.from], name = data.nodes[step[0]][0], back = stop.from >= data.half;
    make("h2", text, (back ? "Backward: " : "Forward: ") + name);
    if (!back) {
      row = make("p", text);
      make("code", row, (step[1] ? (step[1].indexOf(name + " = ") ? name + " = " : "") + step[1] : name) + " = ");
      if (hidden) question(row, data.nodes[step[0]][1], name, refresh);
      else make("code", row, data.nodes[step[0]][1], { "class": "mg-value" });
    } else {
      make("p", text, "Cotangent " + step[3] + (step.length > 8 ? " (by differences " + step[8] + ")" : "") + "; " + step[4] + ".", { "class": "mg-why" });
      if (step[5].length) {
        var pane = make("div", text, "", { "class": "mg-scroll", tabindex: "0", role: "group", "aria-label": "Contributions" });
        var table = make("table", pane), head = make("tr", make("thead", table)), body = make("tbody", table);
        var titles = ["local derivative", "× upstream", "= contribution", "gradient of", "was", "now"];
        titles.forEach(function (title) { make("th", head, title, { scope: "col" }); });
        for (c = 0; c < step[5].length; c++) (function (k) {
          var given = step[5][k];
          row = make("tr", body);
          var same = given[1].slice(-given[2].length - 3).replace(/-/g, "−") === " = " + given[2];
          function place(k) { return make("td", row, "", { "data-l": titles[k] }); }
          make("code", place(0), given[1] + (same || hidden ? "" : " = " + given[2]));
          place(1).textContent = step[3];
          cell = place(2);
          if (hidden) question(cell, given[3], "the contribution to " + data.nodes[given[0]][0], refresh);
          else cell.textContent = given[3];
          make("code", place(3), data.nodes[given[0]][0]);
          place(4).textContent = before.grads[given[0]] === "–" ? "0" : before.grads[given[0]];
          place(5).textContent = hidden ? "?" : given[4];
          before.grads[given[0]] = given[4];
        })(c);
      }
      if (step[6].length || step[7].length) make("p", text,
        (step[6].length ? "Ready next: " + names(step[6]) + ". " : "") + (step[7].length ? "Waiting for more: " + names(step[7]) + "." : ""), { "class": "mg-state" });
    }
    if (!hidden) (answered[stop.from] || []).forEach(function (verdict) { make("p", text, verdict, { "class": "mg-said" }); });
    if (!hidden) step[2].forEach(function (remark) { make("p", text, remark, { "class": "mg-note" }); });
  }

  var answered = {};
  function show() {
    var stop = at ? stops[at - 1] : null, hidden = null;
    if (stop && !stop.folded && predict.checked && !answered[stop.from]) {
      hidden = { left: 1 };
      if (stop.from >= data.half) {
        var given = data.steps[stop.from][5];
        hidden.left = given.length;
        given.forEach(function (c) { hidden[c[0]] = true; });
        if (!given.length) hidden = null;
      }
    }
    var said = [];
    function refresh(verdict) {
      said.push(verdict);
      if (said.length < hidden.left) return;
      answered[stop.from] = said;
      show();
      root.focus();
    }
    paint(stop, state(stop ? stop.to : 0), hidden);
    tell(stop, hidden, state(stop ? stop.from : 0), refresh);
    var focused = document.activeElement;
    previous.disabled = at === 0;
    next.disabled = at === stops.length;
    if (focused.disabled) root.focus();
    slider.value = at;
    count.textContent = "step " + at + " of " + stops.length;
    slider.setAttribute("aria-valuetext", count.textContent);
    if (data.runs) {
      var run = stop && data.runs[stop.run];
      fold.hidden = !(run && run[1] > 1 && data.steps.length);
      fold.textContent = stop && stop.folded ? "Unfold" : "Fold";
    }
  }
  function go(to) { at = Math.max(0, Math.min(stops.length, to)); show(); }
  previous.addEventListener("click", function () { go(at - 1); });
  next.addEventListener("click", function () { go(at + 1); });
  slider.addEventListener("input", function () { go(+slider.value); });
  predict.addEventListener("change", show);
  fold.addEventListener("click", function () {
    var r = stops[at - 1].run, k;
    open[r] = !open[r];
    list();
    for (k = 0; k < stops.length; k++) if (stops[k].run === r) break;
    go(k + 1);
  });
  root.addEventListener("keydown", function (event) {
    var keys = { ArrowRight: 1, ArrowLeft: -1 };
    if (event.target === slider || !(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(at + keys[event.key]);
  });
  list();
  show();
})
