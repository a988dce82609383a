// The structure "lowRank" beyond 1024 weights where the data's length is known and their rows are few: against the Gram matrix of those.

import { expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  dense,
  eigh,
  estimateMemory,
  gaussian,
  jacobian,
  type LowRank,
  laplace,
  loadPosterior,
  perSampleGradients,
  randomNormal,
  savePosterior,
  tanh,
} from "../../src/index.ts";

type DType = "float32" | "float64";

const make = (outputs = 2, dtype: DType = "float64") =>
  chain({ inputs: 18, seed: 3, dtype }, dense(52, tanh), dense(outputs));
const inputs = (n: number, seed = 1) => randomNormal([n, 18], { seed });
const dataOf = (n: number, seed = 1) => ({ x: inputs(n, seed), y: randomNormal([n, 2], { seed: seed + 1 }) });
const rank = 10;
const lowRank = { structure: "lowRank", rank } as const;
const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

/** Largest first, from the Gram matrix of the rows. */
function spectrum(net: ReturnType<typeof make>, data: ReturnType<typeof dataOf>, curvature: "ggn" | "empiricalFisher") {
  const { data: numbers } =
    curvature === "ggn" ? jacobian(net, data.x) : perSampleGradients(net, gaussian(), data, { reduction: "sum" });
  const width = net.parameterCount;
  const rows = Array.from({ length: numbers.length / width }, (_, i) => numbers.subarray(i * width, (i + 1) * width));
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += a[i] * b[i];
    return sum;
  };
  const gram = rows.map((a) => rows.map((b) => dot(a, b)));
  return Array.from(eigh(gram, { vectors: false }).values.data).reverse();
}

function near(found: ArrayLike<number>, due: ArrayLike<number>, tolerance: number) {
  const largest = Array.from(due).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  expect(found).toBeAllClose(due, { relative: 0, absolute: tolerance * largest });
}

function checkPairs({ values, leftOut }: LowRank, due: readonly number[], tolerance: number) {
  near(values.data, due.slice(0, values.size), tolerance);
  expect(Math.abs(leftOut - (1 - sumOf(due.slice(0, values.size)) / sumOf(due)))).toBeLessThan(tolerance);
}

test.each([
  ["ggn", 40],
  ["empiricalFisher", 70],
] as const)("of %s it keeps the largest eigenvalues exactly", (curvature, n) => {
  const [net, data] = [make(), dataOf(n)];
  const due = spectrum(net, data, curvature);
  const of = (k: number) => curvatureOf(net, gaussian(), data, { structure: "lowRank", rank: k, curvature });
  const few = of(rank).lowRank();
  expect(few.values.size).toBe(rank);
  checkPairs(few, due, 1e-12);
});

test("in float32 it is that of the same rows", () => {
  const [net, data] = [make(2, "float32"), dataOf(40)];
  checkPairs(curvatureOf(net, gaussian(), data, lowRank).lowRank(), spectrum(net, data, "ggn"), 1e-6);
});

test("exact fits add to one that is exact, in files too, and with one that is not to what both have", async () => {
  const net = make();
  const options = { likelihood: gaussian({ noise: 0.5 }), ...lowRank, checks: false } as const;
  const { x, y } = dataOf(60);
  const part = (first: number, end: number) => ({
    x: array(x.data.subarray(18 * first, 18 * end), { shape: [end - first, 18] }),
    y: array(y.data.subarray(2 * first, 2 * end), { shape: [end - first, 2] }),
  });
  const fit = (data: object) => laplace(net, options).fit(data as never);
  const due = spectrum(net, { x, y }, "ggn");
  const [a, b, c] = [await fit(part(0, 30)), await fit(part(30, 40)), await fit(part(40, 60))];
  const merged = a.merge(b).merge(c);
  checkPairs(merged.curvature.lowRank(), due, 1e-12);
  checkPairs(
    loadPosterior(savePosterior(c))
      .merge(b)
      .merge(loadPosterior(savePosterior(a)))
      .curvature.lowRank(),
    due,
    1e-12,
  );
  expect(merged.evidence().logMarginalLikelihood).toBeCloseTo(
    (await fit({ x, y })).evidence().logMarginalLikelihood,
    9,
  );
  // Of what comes once only: the products that both have are those of all data that come so.
  const once = (data: object) => fit([data].values());
  const [left, whole] = [a.merge(await once(part(30, 60))), await once({ x, y })].map(({ curvature }) =>
    curvature.lowRank(),
  );
  near(left.values.data, whole.values.data, 1e-9);
  expect(left.leftOut).toBeCloseTo(whole.leftOut, 9);
});

test("where they do not fit into the budget the share that is left out is more; estimateMemory knows the rows", () => {
  const [net, data] = [make(), dataOf(40)];
  const leftOut = (memoryBudget: number) =>
    curvatureOf(net, gaussian(), data, { ...lowRank, memoryBudget }).lowRank().leftOut;
  expect(leftOut(2e6)).toBeGreaterThan(leftOut(1e8) + 1e-3);
  const bytes = (examples?: number) =>
    estimateMemory(net, { likelihood: "regression", ...lowRank, ...(examples && { examples }) }).curvature;
  expect(bytes(300)).toBe(8 * (620 * net.parameterCount + 1));
  expect(bytes(600)).toBe(8 * (70 * net.parameterCount + 1));
  expect(bytes()).toBe(bytes(600));
});
