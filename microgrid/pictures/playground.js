/* `ask` takes a request and returns a promise of the answer; `examples` are the expressions to begin with; settings may
   have `defaults` of the network's form, `count`, the number of points of a data set, and `local`, where the address works
   on this machine only. */
function playground(ask, examples, settings) {
  "use strict";
  const $ = (id) => document.getElementById(id), state = { names: [], values: {}, shown: "" };
  const made = (tag, parent, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(element);
    return element;
  };
  const told = (x) => typeof x === "string" ? { Infinity: "∞", "-Infinity": "−∞", NaN: "nan" }[x] || x : String(+x.toPrecision(5)).replace("-", "−");
  const place = (element, piece) => {
    element.innerHTML = piece || "";
    element.querySelectorAll("script").forEach((old) => { const fresh = document.createElement("script"); fresh.textContent = old.textContent; old.replaceWith(fresh); });
  };

  /* One request of a kind at a time; of those that come meanwhile only the last is sent. */
  const lanes = {};
  function last(lane, request, then, message) {
    const own = lanes[lane] = lanes[lane] || { busy: false, next: null };
    if (own.busy) { own.next = [request, then, message]; return; }
    own.busy = true;
    const slow = setTimeout(() => { message.textContent = "computing …"; message.classList.add("busy"); }, 400);
    ask(request).catch((error) => ({ error: String(error.message || error) })).then((answer) => {
      clearTimeout(slow);
      own.busy = false;
      message.classList.remove("busy");
      message.textContent = "";
      if (own.next) { const next = own.next; own.next = null; last(lane, ...next); }
      then(answer);
    });
  }

  /* Expression */
  const text = $("text"), message = $("message"), rows = $("rows"), opened = () => [...document.querySelectorAll("details[data-part]")].filter((d) => d.open);
  function address() {
    const said = new URLSearchParams({ e: text.value });
    for (const name of state.names) said.set(name, state.values[name]);
    history.replaceState(null, "", location.pathname + location.search + "#" + said);
  }
  function wrong(answer) {
    text.setAttribute("aria-invalid", answer.column !== undefined);
    message.textContent = answer.column === undefined ? answer.error : " ".repeat(Math.min(answer.column, 60)) + "^ " + answer.error;
  }
  const wanted = new Set();
  function compute(parts) {
    parts.forEach((part) => wanted.add(part));
    const request = { kind: "expression", text: text.value, values: { ...state.values }, parts: [...wanted] };
    last("expression", request, (answer) => {
      if (answer.error !== undefined) { wrong(answer); return; }
      Object.keys(answer).forEach((part) => wanted.delete(part));
      text.setAttribute("aria-invalid", "false");
      if (state.names.join() !== answer.names.join()) list(answer);
      answer.names.forEach((name, i) => { state.values[name] = answer.values[i]; });
      show(answer);
      address();
      document.title = text.value + " – microgrid";
      window.dispatchEvent(new Event("microgrid-shown"));
    }, message);
  }
  function list(answer) {
    state.names = answer.names;
    rows.replaceChildren();
    answer.names.forEach((name, i) => {
      const row = made("tr", rows), size = Math.max(3, 2 * Math.abs(answer.values[i]) || 0);
      made("th", row, name, { scope: "row" });
      const range = made("input", made("td", row), undefined, { type: "range", min: -size, max: size, step: size / 300, "aria-label": name });
      const number = made("input", made("td", row), undefined, { type: "text", inputmode: "decimal", "aria-label": name + ", number" });
      made("td", row, "", { "class": "number" });
      const set = (x, from) => {
        if (x === "" || Number.isNaN(+x)) return;
        state.values[name] = +x;
        if (from !== number) number.value = String(+(+x).toPrecision(5));
        if (from !== range) range.value = x;
        compute([...(steer(name, x) ? [] : ["stepper"]), ...opened().map((d) => d.dataset.part)]);
      };
      range.addEventListener("input", () => set(range.value, range));
      number.addEventListener("change", () => set(number.value, number));
      number.value = String(answer.values[i]);
      range.value = answer.values[i];
    });
  }
  /* The stepper has inputs of its own, hidden here, and follows without being made anew; where it has not, it is. */
  function steer(name, x) {
    const own = [...$("steps").querySelectorAll(".inputs input")].find((field) => field.getAttribute("aria-label") === name + ", as a number");
    if (!own || state.shown !== text.value) return false;
    own.value = x;
    own.dispatchEvent(new Event("input", { bubbles: true }));
    return true;
  }
  function step(piece) {
    const slider = () => $("steps").querySelector(".track input"), at = state.shown === text.value && slider() ? slider().value : 0;
    if (at > 0) new MutationObserver((_, seen) => {
      if (!slider()) return;
      seen.disconnect();
      slider().value = at;
      slider().dispatchEvent(new Event("input", { bubbles: true }));
    }).observe($("steps"), { childList: true, subtree: true });
    place($("steps"), piece);
    state.shown = text.value;
  }
  function show(answer) {
    $("value").textContent = told(answer.value);
    [...rows.children].forEach((row, i) => {
      const cell = row.lastChild, slope = answer.gradient[i];
      cell.textContent = told(slope);
      cell.className = "number " + (slope > 0 ? "plus" : slope < 0 ? "minus" : "");
    });
    if (answer.stepper !== undefined) step(answer.stepper);
    if (answer.program !== undefined) $("program").textContent = answer.program;
    if (answer.latex !== undefined) typeset(answer.latex);
    if (answer.check !== undefined) $("check").innerHTML = answer.check ? answer.check.html : "";
    if (answer.hessian !== undefined) {
      $("hessian").replaceChildren();
      if (answer.hessian && answer.names.length) {
        const table = made("table", $("hessian")), head = made("tr", made("thead", table));
        made("td", head);
        answer.names.forEach((name) => made("th", head, name, { scope: "col", "class": "number" }));
        answer.names.forEach((name, i) => {
          const row = made("tr", table);
          made("th", row, name, { scope: "row" });
          answer.names.forEach((_, j) => made("td", row, told(answer.hessian[i][j]), { "class": "number" }));
        });
      }
    }
  }
  /* Each text with a button that copies it; those that stand there already only change. */
  function typeset(found) {
    const place = $("latex");
    if ([...place.querySelectorAll("h3")].map((x) => x.textContent).join() !== found.map(([title]) => title).join()) place.replaceChildren();
    if (!found.length) place.textContent = "too long for one formula";
    found.forEach(([title, said], k) => {
      if (!place.querySelectorAll("pre")[k]) {
        const head = made("div", place, undefined, { "class": "row" });
        made("h3", head, title);
        const button = made("button", head, "Copy", { type: "button", "aria-label": "Copy the " + title, "aria-live": "polite" }), pre = made("pre", place, "", { tabindex: 0 });
        button.addEventListener("click", () => copied(pre.textContent, button));
      }
      place.querySelectorAll("pre")[k].textContent = said;
    });
  }
  const anew = () => compute(["stepper", ...opened().map((d) => d.dataset.part)]);
  let typing = null;
  text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(anew, 250); });
  document.querySelectorAll("details[data-part]").forEach((d) => d.addEventListener("toggle", () => { if (d.open) compute([d.dataset.part]); }));
  function load(hash) {
    const said = new URLSearchParams(hash);
    if (!said.has("e")) return false;
    text.value = said.get("e");
    state.values = {};
    state.names = [];
    for (const [name, x] of said) if (name !== "e" && !Number.isNaN(+x)) state.values[name] = +x;
    state.shown = "";
    anew();
    return true;
  }
  for (const name in examples) made("option", $("examples"), name, { value: examples[name] });
  function example(said) { const [e, values] = said.split("#"); return new URLSearchParams({ e }) + "&" + values; }
  $("examples").addEventListener("change", () => { if ($("examples").value) load(example($("examples").value)); $("examples").value = ""; });
  $("link").addEventListener("click", () => copied(location.href, $("link"), settings.local ? "Copied, for this machine" : "Copied"));
  /* The stepper as a file, for a site or a class: it needs neither this page nor a network. */
  $("save").addEventListener("click", () => {
    const request = { kind: "expression", text: text.value, values: { ...state.values }, parts: ["page"] };
    last("save", request, (answer) => {
      if (!answer.page) { message.textContent = answer.error || "there is nothing to step through"; return; }
      const link = made("a", null, undefined, { href: URL.createObjectURL(new Blob([answer.page], { type: "text/html" })), download: "steps.html" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, message);
  });

  /* Network */
  const canvas = $("points"), pen = canvas.getContext("2d"), own = [];
  function draw() {
    pen.clearRect(0, 0, 240, 240);
    pen.strokeStyle = "#ccc";
    pen.beginPath();
    pen.moveTo(120, 0); pen.lineTo(120, 240); pen.moveTo(0, 120); pen.lineTo(240, 120);
    pen.stroke();
    for (const [x, y, label] of own) {
      const a = 120 + 60 * x, b = 120 - 60 * y;
      pen.fillStyle = label > 0 ? "#0072B2" : "#B34700";
      pen.beginPath();
      if (label > 0) pen.rect(a - 4, b - 4, 8, 8); else pen.arc(a, b, 4.5, 0, 7);
      pen.fill();
    }
  }
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * 240, y = (event.clientY - box.top) / box.height * 240;
    own.push([(x - 120) / 60, (120 - y) / 60, event.shiftKey || $("kind").value === "1" ? 1 : -1]);
    draw();
  });
  $("clear").addEventListener("click", () => { own.length = 0; draw(); });
  const clicked = () => { $("clicks").hidden = $("data").value !== "points"; };
  $("data").addEventListener("change", clicked);
  const number = (id) => Number($(id).value);
  function request(kind) {
    const layers = $("layers").value.split(/[\s,]+/).filter(Boolean).map(Number);
    return { kind, data: $("data").value, count: settings.count || 100, points: own, layers, activation: $("activation").value, epochs: number("epochs"), rate: number("rate"), seed: number("seed") };
  }
  const report = $("training");
  function run(kind, then) {
    $("train").disabled = $("step").disabled = true;
    report.classList.remove("busy");
    last("train", request(kind), (answer) => {
      $("train").disabled = $("step").disabled = false;
      if (answer.error !== undefined) { report.textContent = answer.error; return; }
      then(answer);
      window.dispatchEvent(new Event("microgrid-shown"));
    }, report);
  }
  /* The film begins by itself as soon as its script has made it. */
  function started(tries = 100) {
    const play = [...$("film").querySelectorAll("button")].find((button) => button.textContent === "Play");
    if (play) play.click(); else if (tries) setTimeout(() => started(tries - 1), 50);
  }
  $("train").addEventListener("click", () => run("train", (answer) => {
    place($("film"), answer.film);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) started();
    report.classList.add("busy");
    report.textContent = answer.parameters + " parameters; loss " + told(answer.loss) + ", accuracy " + told(100 * answer.accuracy) + " %";
  }));
  $("step").addEventListener("click", () => run("step", (answer) => {
    place($("trainsteps"), answer.stepper);
    report.classList.add("busy");
    report.textContent = "the loss of the first points before training, " + told(answer.loss) + ": step through it below";
    $("trainsteps").scrollIntoView({ block: "nearest" });
  }));

  /* Practice */
  function practise() {
    last("practice", { kind: "exercise", difficulty: number("difficulty"), seed: number("exercise") }, (answer) => {
      if (answer.error !== undefined) { $("practising").textContent = answer.error; return; }
      place($("drill"), answer.stepper);
      window.dispatchEvent(new Event("microgrid-shown"));
    }, $("practising"));
  }
  $("difficulty").addEventListener("change", practise);
  $("exercise").addEventListener("change", practise);
  $("fresh").addEventListener("click", () => { $("exercise").value = number("exercise") + 1; practise(); });

  /* Tabs */
  const tabs = [...document.querySelectorAll("[role=tab]")];
  function choose(tab) {
    tabs.forEach((one) => {
      const on = one === tab;
      one.setAttribute("aria-selected", on);
      one.tabIndex = on ? 0 : -1;
      $(one.getAttribute("aria-controls")).hidden = !on;
    });
    if (tab.id === "tab3" && !$("drill").firstChild) practise();
  }
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const next = tabs[(i + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
      choose(next);
      next.focus();
    });
  });

  for (const id in settings.defaults) $(id).value = settings.defaults[id];
  draw();
  clicked();
  if (!load(location.hash.slice(1))) load(example(Object.values(examples)[0]));
  window.addEventListener("hashchange", () => load(location.hash.slice(1)));
}
