// Variances at the last layer by its inputs, against columns that are pulled back, by which covariances come.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  categorical,
  chain,
  type DType,
  dense,
  laplace,
  type NDArray,
  randomNormal,
  tanh,
  zeros,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import { storedStructures } from "../stored-structures.ts";

bringAll();

/** The diagonals of blocks [B, …, C, C] beside variances [B, …, C]: the largest difference, relative to the variance. */
function difference(variance: NDArray, covariance: NDArray): number {
  const width = variance.size / variance.shape[0];
  let worst = 0;
  for (let i = 0; i < variance.size; i++) {
    const [b, c] = [Math.floor(i / width), i % width];
    const own = covariance.data[(b * width + c) * width + c];
    worst = Math.max(worst, Math.abs(own - variance.data[i]) / own);
  }
  return worst;
}

async function compared(
  dtype: DType,
  structure: (typeof shapes)[number],
  [inputs, outputs, positions]: readonly number[],
  bias: boolean,
  priorPrecision: number,
): Promise<number> {
  const shape = positions > 1 ? [positions, 3] : [3];
  const net = chain({ inputs: shape, seed: inputs, dtype }, dense(inputs, tanh), dense(outputs, undefined, { bias }));
  const n = 12;
  const x = randomNormal([n, ...shape], { seed: outputs, dtype });
  const y = zeros([n, ...(positions > 1 ? [positions] : [])]);
  for (let i = 0; i < y.size; i++) y.data[i] = i % outputs;
  const likelihood = categorical(positions > 1 ? { classAxis: "last" } : {});
  const posterior = await laplace(net, {
    likelihood,
    structure,
    points: x,
    weights: "lastLayer",
    priorPrecision,
    checks: false,
  }).fit({ x, y });
  expect(posterior.size).toBeGreaterThanOrEqual(256);
  const some = randomNormal([2, ...shape], { seed: 5, dtype });
  const { functionVariance } = posterior.predict(some, { approximation: "probit" });
  return difference(functionVariance, posterior.functionCovariance(some));
}

const shapes = storedStructures;
/** Inputs of the last layer, outputs, positions. */
const sizes = fc.constantFrom([53, 5, 1], [131, 2, 1], [67, 4, 1], [23, 13, 1], [29, 9, 3]);

test("as columns that are pulled back, for every structure", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...shapes), sizes, fc.boolean(), async (structure, size, bias) => {
      expect(await compared("float64", structure, size, bias, 0.7)).toBeLessThan(1e-10);
    }),
    { numRuns: 8 },
  );
});

test("where the prior is next to nothing beside the data", async () => {
  expect(await compared("float64", "full", [67, 4, 1], true, 1e-9)).toBeLessThan(1e-8);
});
