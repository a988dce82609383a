// Fits leave nothing behind: neither in the kernels' memory nor in JavaScript's heap.

import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

const script = `
  const { chain, dense, kernels, laplace, randomNormal, randomUniform, tanh } = await import("./dist/index.js");
  const net = chain({ inputs: 2 }, dense(8, tanh), dense(3));
  const x = randomNormal([40, 2], { seed: 1 });
  const y = randomUniform([40], { seed: 2 }).data.map((u) => Math.floor(3 * u));
  const structures = ["full", "diagonal", "kronecker", "ekfac"];
  const fit = async (i) => {
    const posterior = await laplace(net, { likelihood: "classification", structure: structures[i % 4], checks: false })
      .fit({ x, y });
    posterior.optimizePrior({ steps: 3 }).predict(x);
  };
  const heap = async () => {
    // One collection can leave buffers that are being freed on another thread.
    for (let k = 0; k < 4; k++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      globalThis.gc();
    }
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return { heap: heapUsed, buffers: external + arrayBuffers };
  };
  const before = kernels.info();
  for (let i = 0; i < 50; i++) await fit(i);
  const early = { ...kernels.info(), ...(await heap()) };
  for (let i = 50; i < 1000; i++) await fit(i);
  const late = { ...kernels.info(), ...(await heap()) };
  console.log(JSON.stringify({ before, early, late }));
`;

test("a thousand fits in a loop leave heap and kernels' memory as they were", () => {
  // A process of its own over the built library (vitest does not expose gc).
  const options = ["--expose-gc", "--input-type=module", "--eval", script];
  const { before, early, late } = JSON.parse(execFileSync(process.execPath, options, { encoding: "utf8" }));
  expect(late.bytesInUse).toBe(before.bytesInUse);
  expect(late.memoryBytes).toBe(early.memoryBytes);
  expect(late.heap - early.heap).toBeLessThan(2 * 2 ** 20);
  expect(late.buffers - early.buffers).toBeLessThan(2 * 2 ** 20);
}, 120_000);
