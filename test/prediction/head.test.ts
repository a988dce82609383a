// Variances at the last layer by its inputs, against columns that are pulled back, by which most covariances come; those of a whole
// matrix, which come by the layer's inputs as well, against rows of the Jacobian that are solved for, by which joint ones come.

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

/** A posterior of a last layer and two inputs, or one. */
async function lastLayer(dtype: DType, inputs: number, outputs: number, bias: boolean, priorPrecision: number) {
  const net = chain({ inputs: 3, seed: inputs, dtype }, dense(inputs, tanh), dense(outputs, undefined, { bias }));
  const x = randomNormal([12, 3], { seed: outputs, dtype });
  const y = zeros([12]);
  for (let i = 0; i < y.size; i++) y.data[i] = i % outputs;
  const options = { likelihood: "classification", weights: "lastLayer", priorPrecision, checks: false } as const;
  return await laplace(net, { ...options, structure: "full" }).fit({ x, y });
}

test("covariances of a whole matrix are those of rows of the Jacobian", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<DType>("float32", "float64"),
      // About one panel of columns, and several; outputs that end within one and at its end.
      fc.constantFrom([64, 4], [63, 4], [67, 5], [29, 9], [128, 3], [25, 11], [32, 8], [140, 4]),
      fc.boolean(),
      fc.constantFrom(0.02, 0.7, 30),
      fc.integer({ min: 1, max: 5 }),
      async (dtype, [inputs, outputs], bias, priorPrecision, batch) => {
        const posterior = await lastLayer(dtype, inputs, outputs, bias, priorPrecision);
        const x = randomNormal([batch, 3], { seed: 5, dtype });
        const own = posterior.functionCovariance(x);
        const joint = posterior.functionCovariance(x, { joint: true });
        const at = (b: number, c: number, d: number) =>
          joint.data[(b * outputs + c) * batch * outputs + b * outputs + d];
        for (let i = 0; i < own.size; i++) {
          const [b, c, d] = [Math.floor(i / outputs ** 2), Math.floor(i / outputs) % outputs, i % outputs];
          const scale = Math.sqrt(at(b, c, c) * at(b, d, d));
          expect(Math.abs(own.data[i] - at(b, c, d)) / scale).toBeLessThan(1e-12);
        }
      },
    ),
    { numRuns: 12 },
  );
});

test("where the prior is next to nothing, covariances of a whole matrix stay those of the rows", async () => {
  const posterior = await lastLayer("float64", 67, 4, true, 1e-9);
  const x = randomNormal([1, 3], { seed: 5 });
  const [own, joint] = [posterior.functionCovariance(x), posterior.functionCovariance(x, { joint: true })];
  const scale = Math.max(...joint.data);
  for (let i = 0; i < own.size; i++) expect(Math.abs(own.data[i] - joint.data[i]) / scale).toBeLessThan(1e-8);
});

test("covariances in bursts are to the bit those at once", async () => {
  const posterior = await lastLayer("float32", 140, 4, true, 0.7);
  const again = await lastLayer("float32", 140, 4, true, 0.7);
  const x = randomNormal([9, 3], { seed: 5, dtype: "float32" });
  const inBursts = await again.functionCovarianceAsync(x);
  expect(inBursts.data).toEqual(posterior.functionCovariance(x).data);
});
