import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import {
  chain,
  crossEntropy,
  dense,
  laplace,
  NDArray,
  Random,
  randomNormal,
  relu,
  syrk,
  train,
} from "../../src/index.ts";
import { dryBytes } from "../../src/kernels/dry-run.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import type * as inSteps from "../../src/linalg/in-steps.ts";
import { eigenbasis } from "../../src/structures/kronecker/eigenbasis.ts";
import { kernelPeakOf } from "../laplace/peak.ts";

/** How often vectors were made, but for dry runs. */
const made = vi.hoisted(() => ({ count: 0 }));
vi.mock("../../src/linalg/in-steps.ts", async (original) => {
  const own = await original<typeof inSteps>();
  const vectorsInSteps: typeof own.vectorsInSteps = (rest, n) => {
    if (dryBytes() === undefined) made.count++;
    return own.vectorsInSteps(rest, n);
  };
  return { ...own, vectorsInSteps };
});

/** Σ x xᵀ of so many vectors [n] whose entries of some places are 0. */
function gram(n: number, count: number, zero: readonly number[], seed: number): Float64Array {
  const x = randomNormal([n, count], { seed, dtype: "float64" });
  for (const i of zero) x.data.fill(0, i * count, (i + 1) * count);
  return syrk(x).data as Float64Array;
}

/** The largest error of V Vᵀ = 1 and V diag(values) Vᵀ = matrix, in plain loops. */
function errors(matrix: Float64Array, n: number, values: Float64Array, v: Float64Array): [number, number] {
  let [ofUnit, ofMatrix] = [0, 0];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let [one, all] = [0, 0];
      for (let k = 0; k < n; k++) {
        const product = v[i * n + k] * v[j * n + k];
        one += product;
        all += values[k] * product;
      }
      ofUnit = Math.max(ofUnit, Math.abs(one - (i === j ? 1 : 0)));
      ofMatrix = Math.max(ofMatrix, Math.abs(all - matrix[i * n + j]));
    }
  }
  return [ofUnit, ofMatrix];
}

describe("eigenbases of factors", () => {
  test("decompose matrices with rows of zeros, small and large, at any rank", () => {
    const cases = fc.record({
      n: fc.integer({ min: 1, max: 170 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      rank: fc.integer({ min: 1, max: 200 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(cases, ({ n, share, rank, seed }) => {
        const random = new Random(seed);
        const zero = Array.from({ length: n }, (_, i) => i).filter(() => random.uniform() < share);
        const matrix = gram(n, rank, zero, seed);
        const { values, vectors } = atOnce(eigenbasis(matrix, n, 2));
        const [ofUnit, ofMatrix] = errors(
          matrix.map((x) => 2 * x),
          n,
          values,
          vectors,
        );
        const largest = Math.max(1e-300, values[n - 1]);
        expect(ofUnit).toBeLessThan(1e-13 * n);
        expect(ofMatrix / largest).toBeLessThan(1e-13 * n);
        expect(values.every((x, i) => x >= 0 && (i === 0 || x >= values[i - 1]))).toBe(true);
        // What is 0 is so exactly.
        expect(values.subarray(0, zero.length).every((x) => x === 0)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test.each([1, 2, 7, 140])("a matrix [%i, %i] of zeros has unit vectors, and takes no memory of the kernels", (n) => {
    const held = kernelPeakOf(() => {
      const { values, vectors } = atOnce(eigenbasis(new Float64Array(n * n), n, 2));
      expect(values).toEqual(new Float64Array(n));
      expect(errors(new Float64Array(n * n), n, values, vectors)).toEqual([0, 0]);
    });
    expect(held).toBe(0);
  });

  test("a row with a 0 on the diagonal alone is not one of zeros", () => {
    const n = 3;
    const { values, vectors } = atOnce(eigenbasis(Float64Array.of(2, 0, 0, 0, 0, 1e-3, 0, 1e-3, 1), n, 1));
    expect(errors(Float64Array.of(2, 0, 0, 0, 0, 1e-3, 0, 1e-3, 1), n, values, vectors)[1]).toBeLessThan(2e-6);
    expect(vectors.filter((x) => x !== 0).length).toBe(5);
  });

  test("the evidence and its tuning do without vectors; predictions have them, once", async () => {
    const net = chain({ inputs: 150 }, dense(4, relu), dense(3));
    const x = randomNormal([60, 150], { seed: 1, dtype: "float32" });
    for (let i = 0; i < 60; i++) x.data.fill(0, i * 150, i * 150 + 10);
    const y = new NDArray(
      Float32Array.from({ length: 60 }, (_, i) => i % 3),
      [60],
    );
    await train(net, { x, y }, { loss: crossEntropy, epochs: 20 });
    const fitted = await laplace(net, { likelihood: "classification", structure: "kronecker", checks: false }).fit({
      x,
      y,
    });
    made.count = 0;
    const before = fitted.logMarginalLikelihood();
    const tuned = fitted.optimizePrior();
    expect(made.count).toBe(0);
    const first = tuned.predict(x).mean.data;
    expect(made.count).toBe(1);
    expect(tuned.predict(x).mean.data).toEqual(first);
    fitted.predict(x);
    expect(made.count).toBe(1);
    expect(fitted.logMarginalLikelihood()).toBe(before);
  });
});
