// In a page by import map.
import { chain, connect, dense, mse } from "laplace-ts";
import { abortAll } from "./aborts.js";

globalThis.go = async (names) => {
  const remote = await connect(new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" }));
  return JSON.stringify(await abortAll(remote, names));
};

// What a call says whose worker is ended by others.
globalThis.die = async () => {
  const worker = new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" });
  const remote = await connect(worker);
  const net = await remote.send(chain({ inputs: 1 }, dense(1)));
  const call = remote.train(net, { x: [[1]], y: [[1]] }, { loss: mse, epochs: 1e9 });
  worker.terminate();
  return call.catch(String);
};
globalThis.loaded = true;
