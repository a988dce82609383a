// A worker as a process of its own, told what to do by its first argument; it prints what happens, a line of JSON each.
import { work } from "laplace-ts-cluster";

const options = JSON.parse(process.argv[2]);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await work({
  ...options,
  signal: stop.signal,
  onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
});
process.exit(0);
