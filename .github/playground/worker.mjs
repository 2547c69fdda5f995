/* Python in the browser: answers requests one by one. */
import { loadPyodide } from "./pyodide.mjs";
const ready = (async () => {
  const python = await loadPyodide({ indexURL: "./" });
  for (const wheel of await (await fetch("./wheels.json")).json()) {
    python.unpackArchive(await (await fetch("./" + wheel)).arrayBuffer(), "wheel");
  }
  return python.runPython("from microgrid.commands.answers import answer\nanswer");
})();
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ failed: String(error) }));
onmessage = async (event) => {
  const answer = await ready;
  postMessage({ id: event.data.id, answer: answer(event.data.request) });
};
