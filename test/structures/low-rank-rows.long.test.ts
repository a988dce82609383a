// The structure "lowRank" beyond 1024 weights where the data's length is known: against whole matrices, and with more rows than are all kept.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  DataLoader,
  dense,
  eigh,
  gaussian,
  type LowRank,
  laplace,
  type NDArray,
  randomNormal,
  tanh,
} from "../../src/index.ts";

const make = (outputs = 2) => chain({ inputs: 18, seed: 3, dtype: "float64" }, dense(52, tanh), dense(outputs));
const inputs = (n: number, seed = 1) => randomNormal([n, 18], { seed });
const dataOf = (n: number, seed = 1) => ({ x: inputs(n, seed), y: randomNormal([n, 2], { seed: seed + 1 }) });
const rank = 10;
const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

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
] as const)("of %s the vectors are those of the matrix, and all of them where the rank allows", (curvature, n) => {
  const [net, data] = [make(), dataOf(n)];
  const of = (k: number) => curvatureOf(net, gaussian(), data, { structure: "lowRank", rank: k, curvature });
  const few = of(rank).lowRank();
  // The vectors are those of the matrix.
  const full = curvatureOf(net, gaussian(), data, { structure: "full", curvature });
  const products = full.times(few.vectors).data;
  near(
    products,
    few.vectors.data.map((x, i) => x * few.values.data[Math.floor(i / full.size)]),
    1e-11,
  );
  const most = of(80);
  expect(most.lowRank().leftOut).toBeLessThan(1e-13);
  near(most.dense().data, full.dense().data, 1e-13);
});

describe.each(["classification", "regression"] as const)("posteriors of %s", (likelihood) => {
  const n = 36;
  const net = make(3);
  const y =
    likelihood === "regression" ? randomNormal([n, 3], { seed: 2 }) : Array.from({ length: n }, (_, i) => i % 3);
  const common = { likelihood, priorPrecision: 0.3, checks: false } as const;
  test("evidence, variances, covariances and predictions are those of the whole matrix, whichever way the data come", async () => {
    const data = { x: inputs(n), y };
    const full = await laplace(net, { ...common, structure: "full" }).fit(data as never);
    const ours = await laplace(net, { ...common, structure: "lowRank", rank: 108 }).fit(data as never);
    expect(ours.curvature.lowRank().leftOut).toBeLessThan(1e-13);
    expect([ours.evidence().logMarginalLikelihood]).toBeAllClose([full.evidence().logMarginalLikelihood], {
      relative: 1e-11,
    });
    near(ours.variance().data, full.variance().data, 1e-11);
    const [a, b] = [ours, full].map((posterior) => posterior.functionCovariance(inputs(5, 9), { joint: true }).data);
    near(a, b, 1e-10);
    // Of a small rank, all ways of known length are exact.
    const small = laplace(net, { ...common, structure: "lowRank", rank: 3 });
    const due = Array.from(ours.curvature.lowRank().values.data);
    const loader = new DataLoader(data as never, { batchSize: 7, shuffle: true, seed: 2 });
    const part = (first: number, end: number) => ({
      x: array(inputs(n).data.subarray(18 * first, 18 * end), { shape: [end - first, 18] }),
      y: Array.isArray(y)
        ? y.slice(first, end)
        : array((y as NDArray).data.subarray(3 * first, 3 * end), { shape: [end - first, 3] }),
    });
    const { vectors } = ours.curvature.lowRank();
    const mu = due.map((l) => l / 0.3);
    for (const given of [data, [part(0, 11), part(11, n)], loader]) {
      const found = await small.fit(given as never);
      checkPairs(found.curvature.lowRank(), due, 1e-11);
      const logs = mu.slice(0, 3).map((m) => Math.log1p(m));
      const logDeterminant = sumOf(logs) + net.parameterCount * Math.log(0.3);
      expect([found.evidence().logDetPosterior]).toBeAllClose([logDeterminant], { relative: 1e-11 });
      const seen = (i: number) => sumOf([0, 1, 2].map((k) => (mu[k] / (1 + mu[k])) * vectors.at(k, i) ** 2));
      const variance = Float64Array.from({ length: net.parameterCount }, (_, i) => (1 - seen(i)) / 0.3);
      near(found.variance().data, variance, 1e-10);
    }
  });
});

test("where the rows are more than 1024 the sum keeps the directions of its parts, and says what it leaves out", () => {
  const net = make();
  const of = (data: ReturnType<typeof dataOf>) => curvatureOf(net, gaussian(), data, { structure: "lowRank", rank });
  const [p, q] = [dataOf(300), dataOf(300, 5)];
  const join = (a: NDArray, b: NDArray) => array(Float64Array.of(...a.data, ...b.data), { shape: [600, a.shape[1]] });
  const all = { x: join(p.x, q.x), y: join(p.y, q.y) };
  const matrix = curvatureOf(net, gaussian(), all, { structure: "full" }).dense();
  const due = Array.from(eigh(matrix, { vectors: false }).values.data).reverse();
  const best = 1 - sumOf(due.slice(0, rank)) / sumOf(due);
  const { leftOut } = of(p).merge(of(q)).lowRank();
  // 620 directions of 1200 rows of 1092 weights.
  expect(leftOut).toBeGreaterThan(best);
  expect(leftOut).toBeLessThan(best * 1.02);
  const once = curvatureOf(net, gaussian(), [all].values(), { structure: "lowRank", rank }).lowRank().leftOut;
  expect(once).toBeGreaterThan(leftOut);
});

describe("more rows than are all kept, of data that can be gone through again", () => {
  const net = make();
  const data = dataOf(600);
  const due = Array.from(
    eigh(curvatureOf(net, gaussian(), data, { structure: "full" }).dense(), { vectors: false }).values.data,
  ).reverse();
  const best = (k: number) => 1 - sumOf(due.slice(0, k)) / sumOf(due);

  // The spectrum is flat: the tenth eigenvalue is 0.56 of the first.
  test.each([
    [3, 1e-2, 2e-3],
    [10, 2e-3, 1e-3],
    [30, 1e-9, 1e-9],
    ["auto", 0.1, 1e-2],
  ] as const)("rank %s has the largest eigenvalues, and says what it leaves out", (rank, near, more) => {
    const found = curvatureOf(net, gaussian(), () => [data], { structure: "lowRank", rank }).lowRank();
    const k = found.values.size;
    expect(k).toBe(rank === "auto" ? 100 : rank);
    expect(found.values.data).toBeAllClose(due.slice(0, k), { relative: near });
    expect(found.leftOut).toBeGreaterThan(best(k) - 1e-9);
    expect(found.leftOut).toBeLessThan(best(k) * (1 + more));
    const { data: v } = found.vectors;
    const gram = Array.from({ length: k * k }, (_, at) => {
      const [i, j] = [Math.floor(at / k), at % k];
      return sumOf(
        v
          .subarray(i * net.parameterCount, (i + 1) * net.parameterCount)
          .map((x, p) => x * v[j * net.parameterCount + p]),
      );
    });
    expect(gram).toBeAllClose(
      gram.map((_, at) => Number(at % (k + 1) === 0)),
      { absolute: 1e-8 },
    );
  });

  test("the empirical Fisher, drawn targets and float32 alike; sums that are to be added are of one pass", async () => {
    for (const [curvature, dtype] of [
      ["empiricalFisher", "float64"],
      ["monteCarlo", "float64"],
      ["ggn", "float32"],
    ] as const) {
      const own = chain({ inputs: 18, seed: 3, dtype }, dense(52, tanh), dense(2));
      const many = curvature === "ggn" ? data : dataOf(1200);
      const of = (structure: "full" | "lowRank") =>
        curvatureOf(own, gaussian(), many, { structure, curvature, rank: 20 });
      const values = Array.from(eigh(of("full").dense(), { vectors: false }).values.data).reverse();
      const found = of("lowRank").lowRank();
      expect(found.leftOut).toBeLessThan((1 - sumOf(values.slice(0, 20)) / sumOf(values)) * 1.01);
    }
    const of = laplace(net, { likelihood: gaussian(), structure: "lowRank", rank, checks: false });
    const sum = (await of.sum(data)).curvature;
    const once = curvatureOf(net, gaussian(), [data].values(), { structure: "lowRank", rank });
    expect(sum.lowRank().leftOut).toBe(once.lowRank().leftOut);
  });
});
