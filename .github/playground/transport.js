/* Requests go to a worker. One that does not answer within a minute is ended, and another takes its place. */
const settings = { count: 40, defaults: { layers: "4", epochs: 20 } }; /* interpreted Python is slow here */
let worker = null, asked = 0;
const waiting = new Map();
function begin() {
  worker = new Worker("./worker.mjs", { type: "module" });
  worker.onmessage = (event) => {
    const { id, answer, failed } = event.data;
    if (failed) for (const one of waiting.values()) one.reject(new Error("Python could not be started here: " + failed));
    const one = waiting.get(id);
    if (one) one.resolve(JSON.parse(answer));
    if (event.data.ready) document.documentElement.dataset.ready = "1";
  };
  worker.onerror = (event) => { for (const one of waiting.values()) one.reject(new Error(event.message || "the worker stopped")); };
}
function ask(request) {
  if (!worker) begin();
  const id = ++asked;
  return new Promise((resolve, reject) => {
    const slow = setTimeout(() => {
      worker.terminate();
      worker = null;
      for (const one of waiting.values()) one.reject(new Error("no answer within a minute: ask for less"));
    }, 60000);
    const ended = (then) => (found) => { clearTimeout(slow); waiting.delete(id); then(found); };
    waiting.set(id, { resolve: ended(resolve), reject: ended(reject) });
    worker.postMessage({ id, request: JSON.stringify(request) });
  });
}
