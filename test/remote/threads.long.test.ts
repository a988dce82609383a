// The worker's file on real threads of Node's: it computes as this thread does, ends, dies, and takes definitions of one's own.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import {
  chain,
  connect,
  defineLikelihood,
  dense,
  folds,
  LaplaceError,
  laplace,
  loadPosterior,
  mse,
  type Posterior,
  randomNormal,
  savePosterior,
  tanh,
  train,
} from "laplace-ts";
import { afterAll, describe, expect, test } from "vitest";
import { scaledNormal } from "./pair.ts";

const own = new URL(import.meta.resolve("laplace-ts/worker"));
// Within the repository, so that "laplace-ts" is found from there.
mkdirSync("build", { recursive: true });
const folder = mkdtempSync("build/remote-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): URL {
  const path = join(folder, name);
  writeFileSync(path, text);
  return pathToFileURL(path);
}

const data = { x: randomNormal([30, 1], { seed: 1 }), y: randomNormal([30, 1], { seed: 2 }) };
const net = chain({ inputs: 1, seed: 1 }, dense(4, tanh), dense(1));
const options = { likelihood: "regression", checks: false } as const;

test("a thread fits what this one fits, to the bit", async () => {
  const remote = await connect(new Worker(own));
  const there = await remote.laplace(await remote.send(net), options).fit(data);
  expect(await remote.savePosterior(there)).toEqual(savePosterior(await laplace(net, options).fit(data)));
  remote.close();
});

test("memory that is shared is not copied", async () => {
  const remote = await connect(new Worker(own));
  const there = await remote.send(net);
  const shared = new Float32Array(new SharedArrayBuffer(8));
  shared.set([0.25, 0.5]);
  const found = await there.forward({ data: shared, shape: [2, 1] });
  expect(found).toEqual(net.forward([[0.25], [0.5]]));
  remote.close();
});

test("two threads make the models of folds side by side, those of this thread to the bit", async () => {
  const training = { loss: mse, epochs: 20, batchSize: 8, seed: 3 };
  const make = (k: number) => chain({ inputs: 1, seed: k }, dense(4, tanh), dense(1));
  const due = await folds(data, 4, async (rest, k) => {
    const own = make(k);
    await train(own, rest, training);
    return laplace(own, options).fit(rest);
  });
  const free = await Promise.all([new Worker(own), new Worker(own)].map((worker) => connect(worker, { threads: 1 })));
  for (const remote of free) expect((await remote.kernelInfo()).threads).toBe(1);
  const all = [...free];
  const made = await folds(
    data,
    4,
    async (rest, k) => {
      const remote = free.pop() as (typeof all)[number];
      const there = await remote.send(make(k));
      await remote.train(there, rest, training);
      const bytes = await remote.savePosterior(await remote.laplace(there, options).fit(rest));
      free.push(remote);
      return loadPosterior(bytes);
    },
    { concurrency: 2 },
  );
  const bytesOf = (some: typeof made) => some.map(({ posterior }) => savePosterior(posterior as Posterior));
  expect(bytesOf(made)).toEqual(bytesOf(due));
  for (const remote of all) remote.close();
});

describe("the end", () => {
  test("of a connection: what waits is rejected, and what comes after", async () => {
    const worker = new Worker(own);
    const ended = new Promise((done) => worker.once("exit", done));
    const remote = await connect(worker);
    const there = await remote.send(net);
    const long = remote.train(there, data, { loss: mse, epochs: 1e9 });
    const short = there.summary();
    remote.close();
    remote.close();
    for (const call of await Promise.allSettled([long, short, there.summary(), remote.kernelInfo()])) {
      const { reason } = call as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(LaplaceError);
      expect(reason.message).toBe("The call to the worker has no answer: the connection was closed.");
    }
    await ended;
    there.dispose();
  });

  test.each([
    ["an error of other code", "setImmediate(() => { throw new RangeError('mine'); });", "the worker failed: mine."],
    ["process.exit", "setImmediate(() => process.exit(3));", "the worker has ended."],
  ])("of a worker by %s", async (_, code, why) => {
    const text = `import "laplace-ts/worker"; import { parentPort } from "node:worker_threads"; parentPort.on("message", (m) => { if (m === "die") ${code} });`;
    const worker = new Worker(file("dying.mjs", text));
    const remote = await connect(worker);
    const long = remote.train(await remote.send(net), data, { loss: mse, epochs: 1e9 });
    const refused = expect(long).rejects.toThrow(why);
    worker.postMessage("die");
    await refused;
    await expect(remote.kernelInfo()).rejects.toThrow(why);
  });

  test("of a worker that somebody ends", async () => {
    const worker = new Worker(own);
    const remote = await connect(worker);
    const long = remote.train(await remote.send(net), data, { loss: mse, epochs: 1e9 });
    const refused = expect(long).rejects.toThrow("has no answer: the worker has ended.");
    await worker.terminate();
    await refused;
  });

  test("before the beginning: a file that is not there, or throws", async () => {
    await expect(connect(new Worker(pathToFileURL(join(folder, "none.mjs"))))).rejects.toThrow(
      /worker failed: .*none\.mjs/,
    );
    await expect(connect(new Worker(file("throws.mjs", "throw new Error('at once');")))).rejects.toThrow("at once");
    await expect(connect(new Worker(file("other.mjs", "")))).rejects.toThrow("the worker has ended");
  });

  // Node waits for a call, and not for a worker that has nothing to do.
  test("of a program that closes nothing", { timeout: 60_000 }, () => {
    const program = file(
      "program.mjs",
      `import { Worker } from "node:worker_threads";
       import { connect } from "laplace-ts";
       const remote = await connect(new Worker(new URL(import.meta.resolve("laplace-ts/worker"))));
       remote.kernelInfo().then(({ threads }) => console.log(threads > 0));`,
    );
    expect(execFileSync(process.execPath, [program.pathname], { encoding: "utf8", timeout: 50_000 })).toBe("true\n");
  });
});

test("a likelihood of one's own is defined in a file of one's own, and others say so", async () => {
  const likelihood = defineLikelihood("threadsNormal", scaledNormal);
  const how = { ...options, likelihood: likelihood({ scale: 0.5 }) };
  const text = `import "laplace-ts/worker"; import { defineLikelihood } from "laplace-ts"; defineLikelihood("threadsNormal", ${scaledNormal});`;
  const remote = await connect(new Worker(file("own.mjs", text)));
  const there = await remote.laplace(await remote.send(net), how).fit(data);
  expect(await remote.savePosterior(there)).toEqual(savePosterior(await laplace(net, how).fit(data)));
  remote.close();

  const plain = await connect(new Worker(own));
  const refused = plain.laplace(await plain.send(net), how).fit(data);
  await expect(refused).rejects.toThrow(
    /^fit: the worker cannot make the likelihood\. .*one of your own imports "laplace-ts\/worker", and defines what is yours\.$/,
  );
  plain.close();
});

test("handles that nobody holds are forgotten by the worker", { timeout: 60_000 }, () => {
  const program = file(
    "garbage.mjs",
    `import { Worker } from "node:worker_threads";
     import { chain, connect, dense } from "laplace-ts";
     const remote = await connect(new Worker(new URL(import.meta.resolve("laplace-ts/worker"))));
     const net = chain({ inputs: 1000 }, dense(1000));
     // 4 MB each: 360 MB more if none were forgotten.
     let before;
     for (let i = 0; i < 100; i++) {
       if (i === 10) before = process.memoryUsage().rss;
       await remote.send(net);
       await new Promise((go) => setImmediate(go));
       gc();
     }
     await remote.kernelInfo();
     console.log(process.memoryUsage().rss - before < 150e6);
     remote.close();`,
  );
  const printed = execFileSync(process.execPath, ["--expose-gc", program.pathname], {
    encoding: "utf8",
    timeout: 50_000,
  });
  expect(printed).toBe("true\n");
});
