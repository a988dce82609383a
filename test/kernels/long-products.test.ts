// Wide products by themselves, in Node 24 and later.

import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import {
  batchedMatmul,
  chain,
  connect,
  dense,
  kernels,
  laplace,
  randomNormal,
  relu,
  workers,
} from "../../src/index.ts";
import { useBuild } from "../../src/kernels/kernels.ts";
import { widenInTime } from "../../src/kernels/long-products.ts";
import { largeProducts } from "../../src/kernels/parallel.ts";

const able = Number(process.versions.node.split(".")[0]) >= 24 && process.arch === "x64";
const { build } = kernels.info();

afterEach(() => {
  largeProducts.tell = undefined;
  useBuild(build);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe.skipIf(!able)("where V8 fuses operations", () => {
  const matrix = (seed: number) => randomNormal([512, 512], { seed, dtype: "float32" });
  const [a, b] = [matrix(1), matrix(2)];
  const product = () => batchedMatmul(a, b).data;

  test("half a second of large products, and some turns of the event loop, bring them, to the same bits", async () => {
    const before = product().slice();
    widenInTime();
    for (let i = 0; i < 60; i++) product();
    await turn();
    expect(kernels.info().build).toBe("relaxed");
    const pair = (i: number) => batchedMatmul(matrix(i), matrix(i + 1)).data;
    const narrow = [3, 5].map(pair);
    // 2³³ multiplications are 64 of these products; the other kernel is compiled well by then, which is not known to be so.
    for (let i = 0; i < 200 && largeProducts.tell !== undefined; i++) product();
    await wait(1000);
    // It is used only where it is faster, which a machine that does other things may hide.
    if (kernels.info().build === "relaxed") kernels.useWideSimd();
    expect(kernels.info().build).toBe("wide");
    expect(product()).toEqual(before);
    expect([3, 5].map(pair)).toEqual(narrow);
  });

  test("threads that share products change to them and back, and leave their room to those that come", async () => {
    const { threads } = kernels.info();
    kernels.setThreads(2);
    const before = product().slice();
    await wait(100);
    const bytes: number[] = [];
    for (let i = 0; i < 6; i++) {
      for (const wanted of [true, false]) {
        kernels.useWideSimd(wanted);
        for (let k = 0; k < 3; k++) expect(product()).toEqual(before);
        await wait(50);
        expect(product()).toEqual(before);
      }
      expect(kernels.info().build).toBe("relaxed");
      bytes.push(kernels.info().memoryBytes);
    }
    // Some come before those that go have left: for both the memory may grow once, sooner or later, and no more.
    expect(new Set(bytes).size).toBeLessThanOrEqual(2);
    kernels.setThreads(threads);
  });

  test("whoever forbids them while they are compared has none", async () => {
    const before = product().slice();
    widenInTime();
    for (let i = 0; i < 200 && largeProducts.tell !== undefined; i++) product();
    await wait(5);
    kernels.useWideSimd(false);
    await wait(500);
    expect(kernels.info().build).toBe("relaxed");
    expect(product()).toEqual(before);
  });

  test("workers get them from whoever has them", async () => {
    const net = chain({ inputs: 3, seed: 1 }, dense(16, relu), dense(1));
    const data = { x: randomNormal([64, 3], { seed: 4 }), y: randomNormal([64, 1], { seed: 5 }) };
    const la = laplace(net, { likelihood: "regression", structure: "full", checks: false });
    const alone = await la.fit(data);
    const worker = new Worker(new URL("../../src/worker.ts", import.meta.url));
    const on = workers({ count: 2, make: () => worker });
    const remote = await connect(worker);
    expect((await remote.kernelInfo()).build).toBe("relaxed");
    kernels.useWideSimd();
    const held = { on: data, steps: 200, onWarning: () => {} };
    const [here, there] = [alone.optimizePrior(held), await alone.optimizePriorAsync({ ...held, workers: on })];
    expect(there.priorPrecision.data).toEqual(here.priorPrecision.data);
    expect((await remote.kernelInfo()).build).toBe("wide");
    on.close();
  });
});

test("the environment, and runtimes that lack it, forbid it", () => {
  const before = process.env.LAPLACE_WIDE_SIMD;
  process.env.LAPLACE_WIDE_SIMD = "0";
  widenInTime();
  expect(largeProducts.tell).toBeUndefined();
  if (before === undefined) delete process.env.LAPLACE_WIDE_SIMD;
  else process.env.LAPLACE_WIDE_SIMD = before;
  widenInTime();
  expect(largeProducts.tell !== undefined).toBe(able);
  kernels.useWideSimd(false);
  expect(largeProducts.tell).toBeUndefined();
});
