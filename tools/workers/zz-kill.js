import { phases, killedInEach } from "./phases.js";
import { workers } from "laplace-ts";
const log = [];
let t = performance.now();
for (const name of Object.keys(phases)) {
  const own = phases[name];
  phases[name] = async (...args) => { const s = performance.now(); const r = await own(...args); console.log(name, Math.round(performance.now() - s), args[0] ? "pool" : "alone"); return r; };
}
killedInEach(workers, () => new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" })).then((a) => { globalThis.answer = a; }, (e) => { globalThis.answer = String(e); });
