// What a fit made is let go of by the next minor collection: nothing old refers to it. A generator function that is made anew in each
// call does, as its hidden class lies among what is old: it keeps what the call has in reach until all of the heap is collected.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import {
  chain,
  dense,
  type Executor,
  evaluate,
  laplace,
  NDArray,
  randomNormal,
  type Structure,
  tanh,
  workers,
} from "../../src/index.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (options?: { type: "minor" }) => void;
const bytes = () => process.memoryUsage().arrayBuffers;

const net = chain({ inputs: 1, seed: 1 }, dense(50, tanh), dense(1));
const x = randomNormal([60, 1], { seed: 2 });
const y = new NDArray(x.data.map(Math.sin), [60, 1]);
const fit = (structure: Structure, on?: Executor) =>
  laplace(net, { likelihood: "regression", structure, checks: false }).fit({ x, y }, { on });

/** The shares of the bytes of arrays made by ten calls that minor collections leave, in four tries: V8 calls some of what lives old
 * when it collects or compiles amid the calls, and a try in which it collected all is not one. */
async function* sharesLeft(call: () => Promise<unknown>): AsyncGenerator<number> {
  for (let i = 0; i < 5; i++) await call();
  for (let tries = 0; tries < 4; tries++) {
    gc();
    gc();
    const before = bytes();
    for (let i = 0; i < 10; i++) await call();
    const made = bytes() - before;
    for (let i = 0; i < 3; i++) gc({ type: "minor" });
    if (made > 20_000) yield (bytes() - before) / made;
  }
}

async function leastLeft(call: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for await (const share of sharesLeft(call)) {
    least = Math.min(least, share);
    if (least < 0.2) break;
  }
  return least;
}

test.each(["full", "kronecker", "diagonal", "ekfac", "kfoc"] as const)('of "%s"', async (structure) => {
  expect(await leastLeft(() => fit(structure))).toBeLessThan(0.4);
  expect(await leastLeft(async () => (await fit(structure)).optimizePrior({ steps: 5 }))).toBeLessThan(0.4);
  const posterior = await fit(structure);
  expect(await leastLeft(async () => posterior.predict(x))).toBeLessThan(0.4);
});

test("by a pool, which has no part in it", async () => {
  const on = workers({ count: 2 });
  expect(await leastLeft(() => fit("full", on))).toBeLessThan(0.4);
  on.close();
});

test("of the scores of several outputs", async () => {
  const pair = chain({ inputs: 1, seed: 1 }, dense(5, tanh), dense(2));
  const data = { x: randomNormal([600, 1], { seed: 2 }), y: randomNormal([600, 2], { seed: 3 }) };
  const posterior = await laplace(pair, { likelihood: "regression", structure: "diagonal", checks: false }).fit(data);
  expect(await leastLeft(async () => evaluate(posterior, data))).toBeLessThan(0.2);
});

test("what a generator function of a call's own reaches is not", async () => {
  const calls = async () => {
    const large = new Float64Array(10_000);
    const own = function* () {
      yield large.length;
    };
    return [...own()];
  };
  let most = 0;
  for await (const share of sharesLeft(calls)) most = Math.max(most, share);
  expect(most).toBeGreaterThan(0.8);
});
