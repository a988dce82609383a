// What a point keeps of its passes is what passes of their own give, to the bit: of small data and of larger, at once and in bursts that
// end at every step.

import { expect, test } from "vitest";
import { expansion } from "../../src/curvature/expansion.ts";
import { readPlan, withOwn } from "../../src/curvature/plan.ts";
import { pointsOf } from "../../src/curvature/point.ts";
import { productInSteps } from "../../src/curvature/products.ts";
import {
  add,
  categorical,
  chain,
  dense,
  elu,
  gaussian,
  type Likelihood,
  network,
  poisson,
  randomNormal,
  softplus,
  tanh,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { atOnce, inBursts, type Steps } from "../../src/kernels/steps.ts";
import { bringAll } from "../../src/structures/all.ts";
import { burstsOverAtOnce } from "../clock.ts";

bringAll();
burstsOverAtOnce();

const nets = {
  skip: () => network({ inputs: 3, dtype: "float64", seed: 1 }, (z) => add(dense(2)(dense(30, tanh)(z)), dense(2)(z))),
  deep: () => chain({ inputs: 3, dtype: "float64", seed: 2 }, dense(24, softplus), dense(6, elu), dense(2)),
};

const likelihoods: Readonly<Record<string, Likelihood>> = {
  gaussian: gaussian(),
  poisson: poisson(),
  categorical: categorical(),
};
const subjects = Object.keys(nets).flatMap((net) =>
  Object.keys(likelihoods).flatMap((name) => [30, 1500, 4000].map((examples) => [net, name, examples] as const)),
);

test.each(subjects)("%s, %s, %i examples", async (name, of, examples) => {
  const likelihood = likelihoods[of];
  const net = nets[name as keyof typeof nets]();
  const inputs = randomNormal([examples, 3], { seed: 3 });
  const targets = randomNormal([examples, 2], { seed: 4 });
  if (of !== "gaussian") for (let i = 0; i < targets.size; i++) targets.data[i] = i % 2 === 0 ? 1 : 0;
  const weights = randomNormal([examples], { seed: 5 });
  for (let i = 0; i < examples; i++) weights.data[i] **= 2;
  const batch = { inputs, targets, weights };
  const plan = (curvature: "ggn" | "hessian") =>
    withOwn(
      "test",
      readPlan("test", net, () => likelihood, { structure: "full", curvature }),
      {},
    );
  const [ggn, hessian] = [plan("ggn"), plan("hessian")];
  const directions = [6, 7].map((seed) => randomNormal([net.parameterCount], { seed }).data as Float64Array);

  const { loss, gradient, curvature } = atOnce(expansion("test", ggn, batch));
  const products = directions.map((v) => atOnce(productInSteps("test", hessian, [batch], v)));
  const expected = { loss, gradient, matrix: curvature.dense().data, products };

  function* asked(): Steps<typeof expected> {
    const point = yield* pointsOf("test", ggn, hessian, batch)();
    try {
      const products: Float64Array[] = [];
      for (const v of directions) products.push(yield* point.product(v));
      const { data } = (yield* point.curvature()).dense();
      return { loss: point.loss, gradient: yield* point.slope(), matrix: data, products };
    } finally {
      point.leave();
    }
  }
  const { inUse } = memoryUse();
  expect(atOnce(asked())).toEqual(expected);
  expect(memoryUse().inUse).toBe(inUse);
  expect(await inBursts(asked())).toEqual(expected);
  expect(memoryUse().inUse).toBe(inUse);
});
