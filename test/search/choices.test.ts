// Which inputs are chosen, against determinants of dense matrices, for every structure.

import { describe, expect, test } from "vitest";
import { studentT } from "../../examples/likelihoods.ts";
import {
  chain,
  cholesky,
  defineLikelihood,
  dense,
  gaussian,
  jacobian,
  laplace,
  mostInformative,
  mostInformativeAsync,
  type NDArray,
  OptionError,
  type Posterior,
  randomNormal,
  solver,
  tanh,
  thompsonChoice,
  thompsonChoiceAsync,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import { table } from "../../src/structures/table.ts";

bringAll();
const names = table().map(({ name }) => name);

const logDet = (matrix: number[][]) => cholesky(matrix).logDeterminant();

type Lambda = (f: number[]) => number[][];

/** What the labels of these inputs say of the weights: ½ log det(I + h Σ JᵀΛJ P⁻¹), by dense matrices. */
function gainOf(
  posterior: Posterior,
  x: NDArray,
  some: readonly number[],
  lambda: (f: number[]) => number[][],
): number {
  const j = jacobian(posterior.net, x);
  const f = posterior.net.forward(x);
  const [, outputs, size] = j.shape;
  const precision = posterior.precision();
  const before = Array.from({ length: size }, (_, a) => Array.from({ length: size }, (_, b) => precision.at(a, b)));
  const after = before.map((row) => [...row]);
  for (const i of some) {
    const l = lambda(Array.from({ length: outputs }, (_, c) => f.at(i, c)));
    for (let a = 0; a < size; a++) {
      for (let b = 0; b < size; b++) {
        for (let c = 0; c < outputs; c++) {
          for (let d = 0; d < outputs; d++) after[a][b] += l[c][d] * j.at(i, c, a) * j.at(i, d, b);
        }
      }
    }
  }
  return 0.5 * (logDet(after) - logDet(before));
}

const x = randomNormal([12, 2], { seed: 1 });
const pool = randomNormal([9, 2], { seed: 2 });

const softmaxInformation: Lambda = (f) => {
  const e = f.map((v) => Math.exp(v));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((p, i) => e.map((q, j) => (i === j ? p / sum : 0) - (p * q) / sum ** 2));
};

describe.each(names)("%s", (structure) => {
  test.each([
    ["numbers", 2, ((f) => f.map((_, i) => f.map((_, j) => (i === j ? 1 / 0.3 ** 2 : 0)))) as Lambda],
    ["classes", 3, softmaxInformation],
  ] as const)("mostInformative of %s is greedy in the determinant", async (kind, outputs, lambda) => {
    const net = chain({ inputs: 2, seed: 3, dtype: "float64" }, dense(3, tanh), dense(outputs));
    const numbers = kind === "numbers";
    const likelihood = numbers ? gaussian({ noise: 0.3 }) : ("classification" as const);
    const y = numbers ? randomNormal([12, outputs], { seed: 4 }) : Array.from({ length: 12 }, (_, i) => i % outputs);
    const posterior = (await laplace(net, {
      likelihood,
      structure,
      points: x,
      solver: solver({ tolerance: 1e-13 }),
      checks: false,
    }).fit({
      x,
      y,
    })) as Posterior;
    const { indices, gains } = mostInformative(posterior, pool, 4);
    expect(new Set(indices).size).toBe(4);
    let sum = 0;
    for (let s = 0; s < 4; s++) {
      const before = [...indices.slice(0, s)];
      const all = Array.from({ length: 9 }, (_, i) =>
        before.includes(i) ? Number.NEGATIVE_INFINITY : gainOf(posterior, pool, [...before, i], lambda),
      );
      const best = Math.max(...all);
      expect(all[indices[s]]).toBeCloseTo(best, 9);
      expect(gains.at(s)).toBeCloseTo(best - sum, 9);
      sum = best;
    }
    expect(await mostInformativeAsync(posterior, pool, 4)).toEqual({ indices, gains });
  });
});

const single = chain({ inputs: 2, seed: 5, dtype: "float64" }, dense(4, tanh), dense(1));
const one = await laplace(single, { likelihood: gaussian({ noise: 0.5 }), checks: false }).fit({
  x,
  y: randomNormal([12, 1], { seed: 6 }),
});

test("a number's gain is ½ log(1 + v / σ²), and one more of the same is worth less", () => {
  const { functionVariance } = one.predict(pool);
  const twice = [...Array(9).keys()].flatMap((i) => [[...pool.sub(i).data], [...pool.sub(i).data]]);
  const { indices, gains } = mostInformative(one, twice, 18);
  expect([...indices].sort((a, b) => a - b)).toEqual([...Array(18).keys()]);
  const best = Math.max(...(functionVariance as NDArray).data);
  expect(gains.at(0)).toBeCloseTo(0.5 * Math.log1p(best / 0.25), 10);
  // None but the first of a pair is among the first, as long as others say more.
  expect(Math.floor(indices[0] / 2)).not.toBe(Math.floor(indices[1] / 2));
  for (let s = 1; s < 18; s++) expect(gains.at(s)).toBeLessThanOrEqual(gains.at(s - 1) + 1e-12);
});

test("thompsonChoice takes the best of each draw, none twice", async () => {
  const draws = one.functionSamples(pool, 9, { seed: 7 });
  const found = thompsonChoice(one, pool, 9, { seed: 7 });
  expect([...found].sort()).toEqual([...Array(9).keys()]);
  const first = Array.from({ length: 9 }, (_, b) => draws.at(0, b, 0));
  expect(found[0]).toBe(first.indexOf(Math.max(...first)));
  expect(thompsonChoice(one, pool, 1, { seed: 7, goal: "min" })[0]).not.toBe(found[0]);
  expect(await thompsonChoiceAsync(one, pool, 9, { seed: 7 })).toEqual(found);
});

test("what does not fit is refused", async () => {
  expect(() => mostInformative(one, pool, 10)).toThrow(/n is 10, but there are 9 inputs/);
  expect(() => thompsonChoice(one, pool, 10)).toThrow(/n is 10, but there are 9 inputs/);
  expect(() => mostInformative(one, pool, 2, { memoryBudget: 100 })).toThrow(/memory budget/);
  const two = chain({ inputs: 2, seed: 1 }, dense(2));
  const several = await laplace(two, { likelihood: "regression", checks: false }).fit({ x, y: two.forward(x) });
  expect(() => thompsonChoice(several, pool, 1)).toThrow(OptionError);
  const observed = defineLikelihood("choicesObserved", () => ({
    ...studentT({ df: 4, scale: 1 }),
    curvature: "observed" as const,
    hessian: (f: number, y: number) => (5 * (4 - (y - f) ** 2)) / (4 + (y - f) ** 2) ** 2,
  }))();
  const own = await laplace(single, { likelihood: observed, checks: false }).fit({ x, y: single.forward(x) });
  expect(() => mostInformative(own, pool, 1)).toThrow(/only known targets have/);
});
