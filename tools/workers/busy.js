// In a page by import map: its long tasks while a worker does all phases.
import { connect } from "laplace-ts";
import { hashesOf, run } from "./phases.js";

const tasks = [];
new PerformanceObserver((list) =>
  tasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration }))),
).observe({ type: "longtask" });
const rest = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));
globalThis.go = async () => {
  const remote = await connect(new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" }));
  await rest(500);
  const begin = performance.now();
  const found = await run(remote);
  const end = performance.now();
  remote.close();
  // That the observer sees what is long.
  await rest(500);
  const control = performance.now();
  while (performance.now() - control < 150);
  await rest(500);
  const during = tasks.filter(({ startTime, duration }) => startTime + duration > begin && startTime < end);
  globalThis.answer = JSON.stringify({
    found: hashesOf(found),
    begun: found.begun,
    during,
    control: tasks.some(({ startTime }) => startTime >= control - 50),
  });
};
globalThis.loaded = true;
