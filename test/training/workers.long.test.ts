// Training by a pool of threads: the bits of one, whatever happens to them.

import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { train, type WorkerLike, workers } from "../../src/index.ts";
import { imageData, images, stopped, trained, trainings } from "./given.ts";

const own = new URL(import.meta.resolve("laplace-ts/worker"));
const started: Worker[] = [];
const make = () => {
  const worker = new Worker(own);
  started.push(worker);
  return worker as unknown as WorkerLike;
};
const alone = workers({ count: 1 });
const pools = [2, 3, 8].map((count) => workers({ count, make }));
afterAll(() => {
  for (const pool of pools) pool.close();
});

describe("by 1, 2, 3 and 8 threads", () => {
  test.each(Object.keys(trainings) as (keyof typeof trainings)[])("%s: the bits of one", async (name) => {
    const due = await trained(name, { on: alone });
    for (const on of pools) expect(await trained(name, { on })).toEqual(due);
  });
});

test("workers that are killed, as they start, at each step, and between two epochs, change nothing", async () => {
  const options = { epochs: 4, schedule: () => 1 };
  const due = await trained("Adam, float32", { ...options, on: alone });
  const on = workers({ count: 3, make });
  pools.push(on);
  const before = started.length;
  const first = trained("Adam, float32", { ...options, on });
  while (started.length === before) await new Promise(setImmediate);
  void started[before].terminate();
  expect(await first).toEqual(due);
  for (let at = 1; at < 8; at++) {
    // As the shards of the next batch are given out.
    const schedule = (step: number) => {
      if (step === at) void started[started.length - 1].terminate();
      return 1;
    };
    expect(await trained("Adam, float32", { ...options, on, schedule })).toEqual(due);
  }
  const onProgress = ({ epoch }: { epoch: number }) => {
    if (epoch === 2) for (const worker of started.slice(before)) void worker.terminate();
  };
  expect(await trained("Adam, float32", { ...options, on, onProgress })).toEqual(due);
});

test("an abort is heard, and what was learned is kept", async () => {
  const { net, reason, options, run } = stopped(pools[0]);
  await expect(run).rejects.toBe(reason);
  expect([...net.parameters.data]).not.toEqual([...images().parameters.data]);
  await train(net, imageData, { ...options, epochs: 1 });
});

test("a pool that is closed in the midst leaves the rest to this thread", async () => {
  const due = await trained("Adam, float32", { on: alone, epochs: 4 });
  const on = workers({ count: 2, make });
  const onProgress = ({ epoch }: { epoch: number }) => epoch === 2 && on.close();
  expect(await trained("Adam, float32", { on, epochs: 4, onProgress: onProgress as never })).toEqual(due);
});
