import { Worker } from "node:worker_threads";
import { keep, open } from "./many-workers.js";

const make = () => new Worker(new URL(import.meta.resolve("laplace-ts/worker")));
const used = async () => {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((go) => setTimeout(go, 200));
  }
  return process.memoryUsage().rss;
};
await open(20, make);
const before = await used();
await open(100, make);
const after = await used();
await keep(5, make);
console.log(JSON.stringify({ left: after - before, each: ((await used()) - after) / 5 }));
process.exit();
