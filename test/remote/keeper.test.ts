// What workers keep between runs goes by what it was as it was sent: a caller may change its arrays.

import { afterAll, expect, test } from "vitest";
import { readPlan } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
import { batchNorm, chain, dense, type Network, randomNormal, tanh, workers } from "../../src/index.ts";
import { inBursts } from "../../src/kernels/steps.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import type { Executor } from "../../src/shards/executor.ts";
import { bringAll } from "../../src/structures/all.ts";
import { within } from "./pair.ts";

bringAll();

const pool = workers({ count: 3, make: within });
afterAll(() => pool.close());

const data = { x: randomNormal([200, 3], { seed: 1 }), y: randomNormal([200, 2], { seed: 2 }) };

async function sums(net: Network, on?: Executor) {
  const plan = readPlan("fit", net, () => readLikelihood("fit", "regression", net), { structure: "diagonal" });
  const { loss, curvature } = await inBursts(summarise("fit", plan, data, { length: 2, on }));
  return [loss, ...curvature.diagonal().data];
}

test.each(["parameters", "buffers"] as const)(
  "a network whose %s were changed in place is sent again",
  async (what) => {
    const net = chain({ inputs: 3, seed: 5, dtype: "float64" }, dense(5, tanh), batchNorm(), dense(2));
    const first = await sums(net);
    expect(await sums(net, pool)).toEqual(first);
    const { data: numbers } = net[what];
    for (let i = 0; i < numbers.length; i++) numbers[i] = 1.5 * numbers[i] + 0.1;
    const alone = await sums(net);
    expect(alone).not.toEqual(first);
    expect(await sums(net, pool)).toEqual(alone);
    // Another one of these numbers, as a fit of it makes.
    expect(await sums(net.clone(), pool)).toEqual(alone);
    numbers.fill(0.5);
    expect(await sums(net.clone(), pool)).toEqual(await sums(net));
  },
);
