// What a fit made is let go of by the next minor collection: nothing old refers to it. A generator function that is made anew in each
// call does, as its hidden class lies among what is old: it keeps what the call has in reach until all of the heap is collected.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { chain, dense, laplace, NDArray, randomNormal, type Structure, tanh } from "../../src/index.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (options?: { type: "minor" }) => void;
const bytes = () => process.memoryUsage().arrayBuffers;

const net = chain({ inputs: 1, seed: 1 }, dense(50, tanh), dense(1));
const x = randomNormal([60, 1], { seed: 2 });
const y = new NDArray(x.data.map(Math.sin), [60, 1]);
const fit = (structure: Structure) =>
  laplace(net, { likelihood: "regression", structure, checks: false }).fit({ x, y });

/** The share of the bytes of arrays made by ten calls that minor collections leave. */
async function leftOf(call: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < 5; i++) await call();
  gc();
  gc();
  const before = bytes();
  for (let i = 0; i < 10; i++) await call();
  const made = bytes() - before;
  expect(made).toBeGreaterThan(20_000);
  for (let i = 0; i < 3; i++) gc({ type: "minor" });
  return (bytes() - before) / made;
}

test.each(["full", "kronecker", "diagonal", "ekfac", "kfoc"] as const)('of "%s"', async (structure) => {
  expect(await leftOf(() => fit(structure))).toBeLessThan(0.4);
  expect(await leftOf(async () => (await fit(structure)).optimizePrior({ steps: 5 }))).toBeLessThan(0.4);
  const posterior = await fit(structure);
  expect(await leftOf(async () => posterior.predict(x))).toBeLessThan(0.4);
});

test("what a generator function of a call's own reaches is not", async () => {
  const calls = async () => {
    const large = new Float64Array(10_000);
    const own = function* () {
      yield large.length;
    };
    return [...own()];
  };
  expect(await leftOf(calls)).toBeGreaterThan(0.8);
});
