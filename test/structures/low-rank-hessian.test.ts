// The structure "lowRank" of the exact Hessian, whose eigenvalues have either sign: against the whole matrix and its eigenpairs.

import { describe, expect, test } from "vitest";
import {
  array,
  bernoulli,
  categorical,
  chain,
  curvatureOf,
  curvatureProduct,
  DataLoader,
  dense,
  eigh,
  gaussian,
  heteroscedastic,
  IndefiniteHessianError,
  type Likelihood,
  laplace,
  loadFit,
  loadPosterior,
  type NDArray,
  poisson,
  Random,
  type Rank,
  randomNormal,
  saveFit,
  savePosterior,
  tanh,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const largest = (values: ArrayLike<number>) => Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const near = (found: { data: ArrayLike<number> }, due: { data: ArrayLike<number> }, relative = 1e-8) =>
  expect(found.data).toBeAllClose(due.data, { relative: 0, absolute: relative * largest(due.data) });
const norm = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));

const kinds: Record<string, readonly [Likelihood, (random: Random) => number | number[]]> = {
  gaussian: [gaussian({ noise: 0.8 }), (random) => [random.normal(), random.normal()]],
  "gaussian with a noise per output": [gaussian({ noise: [0.4, 2] }), (random) => [random.normal(), random.normal()]],
  categorical: [categorical(), (random) => random.integer(2)],
  bernoulli: [bernoulli(), (random) => [random.integer(2), random.uniform()]],
  poisson: [poisson(), (random) => [random.integer(4), random.integer(3)]],
  heteroscedastic: [heteroscedastic(), (random) => random.normal()],
};

describe.each(Object.entries(kinds))("%s, at full rank", (_, [likelihood, target]) => {
  const net = chain({ inputs: 2, seed: 4, dtype: "float64" }, dense(3, tanh), dense(3, tanh), dense(2));
  const random = new Random(5);
  const x = randomNormal([12, 2], { seed: 6, dtype: "float64" });
  const data = { x, y: array(Array.from({ length: 12 }, () => target(random))) };
  const n = net.parameterCount;

  test.each([false, true])("it is the whole matrix and its posterior (clip: %s)", async (clip) => {
    const common = { likelihood, curvature: "hessian", clip, checks: false } as const;
    const raised = 1 + 30 * largest(curvatureOf(net, likelihood, data, { curvature: "hessian" }).diagonal().data);
    const priorPrecision = clip ? 0.3 : raised;
    const whole = await laplace(net, { ...common, priorPrecision, structure: "full" }).fit(data);
    const ours = await laplace(net, { ...common, priorPrecision, structure: "lowRank", rank: n }).fit(data);
    near(ours.curvature.dense(), whole.curvature.dense());
    expect(ours.curvature.lowRank().leftOut).toBeLessThan(1e-7);
    expect(ours.clipped).toBe(whole.clipped);
    expect(whole.clipped > 0).toBe(clip);
    const perWeight = Array.from({ length: n }, (_, i) => priorPrecision * (1 + i / n));
    const perParameter = net.parameterTable.map((_: unknown, i: number) => priorPrecision * (1 + i));
    for (const given of [priorPrecision, perParameter, perWeight]) {
      const [a, b] = [ours, whole].map((one) => one.with({ priorPrecision: given }));
      near(a.precision(), b.precision());
      near(a.covariance(), b.covariance());
      near(a.variance(), b.variance());
      near(a.functionCovariance(x, { joint: true }), b.functionCovariance(x, { joint: true }));
      const [found, due] = [a, b].map((one) => one.evidence());
      expect([found.logMarginalLikelihood, found.logDetRatio]).toBeAllClose(
        [due.logMarginalLikelihood, due.logDetRatio],
        {
          relative: 1e-8,
        },
      );
      const [slope, expected] = [a, b].map((one) => one.evidenceGradient());
      near(slope.logPriorPrecision, expected.logPriorPrecision);
      if (expected.logNoise !== undefined) expect(slope.logNoise).toBeCloseTo(expected.logNoise, 8);
    }
    // Without clipping the evidence has no bound where the precision loses its definiteness.
    if (!clip) return;
    const tuned = [ours, whole].map((one) => one.optimizePrior({ onWarning: () => {} }).logMarginalLikelihood());
    expect(tuned[0]).toBeCloseTo(tuned[1], 5);
  });
});

const small = chain({ inputs: 2, dtype: "float64", seed: 2 }, dense(4, tanh), dense(1));
const few = { x: randomNormal([12, 2], { seed: 3 }), y: randomNormal([12, 1], { seed: 4 }) };
const fit = (options: object, data: Parameters<ReturnType<typeof laplace>["fit"]>[0] = few) =>
  laplace(small, {
    likelihood: gaussian({ noise: 1 }),
    curvature: "hessian",
    structure: "lowRank",
    checks: false,
    ...options,
  }).fit(data);

/** Eigenpairs of the whole matrix, largest by size first. */
function pairs(matrix: NDArray): readonly (readonly [number, readonly number[]])[] {
  const { values, vectors } = eigh(matrix);
  const n = values.size;
  return Array.from(
    values.data,
    (value, k) => [value, Array.from({ length: n }, (_, i) => vectors.data[i * n + k])] as const,
  ).sort(([a], [b]) => Math.abs(b) - Math.abs(a));
}

test("a rank keeps the eigenvalues that are largest by size, and says what it leaves out of the norm", () => {
  const of = (structure: "full" | "lowRank", rank?: Rank) =>
    curvatureOf(small, gaussian(), few, { structure, rank, curvature: "hessian" });
  const due = pairs(of("full").dense());
  const whole = norm(due.map(([value]) => value));
  expect(due.slice(0, 6).some(([value]) => value < 0)).toBe(true);
  const { values, vectors, leftOut } = of("lowRank", 6).lowRank();
  expect(values.data).toBeAllClose(
    due.slice(0, 6).map(([value]) => value),
    { relative: 1e-9 },
  );
  for (let k = 0; k < 6; k++) {
    const along = due[k][1].reduce((sum, x, i) => sum + x * vectors.data[k * small.parameterCount + i], 0);
    expect(Math.abs(along)).toBeCloseTo(1, 9);
  }
  expect(leftOut).toBeCloseTo(norm(due.slice(6).map(([value]) => value)) / whole, 9);
  const auto = of("lowRank").lowRank();
  expect(auto.leftOut).toBeLessThanOrEqual(0.01);
  expect(norm(due.slice(auto.values.size - 1).map(([value]) => value)) / whole).toBeGreaterThan(0.01);
});

test("one that is not positive definite is an error with the least eigenvalue; a larger prior, or clip, mends it", async () => {
  const posterior = await fit({ rank: 9, priorPrecision: 0.01 });
  const least = (matrix: NDArray) => eigh(matrix, { vectors: false }).values.data[0];
  const matrix = posterior.curvature.dense();
  const thrown = (of: typeof posterior) => {
    try {
      return of.evidence();
    } catch (error) {
      return error as IndefiniteHessianError;
    }
  };
  const plain = thrown(posterior);
  expect(plain).toBeInstanceOf(IndefiniteHessianError);
  expect((plain as IndefiniteHessianError).eigenvalue).toBeCloseTo(least(matrix) + 0.01, 10);
  expect(() => posterior.predict(few.x)).toThrow("is not positive definite");
  const n = posterior.size;
  for (const each of [Array.from({ length: n }, (_, i) => 0.01 + 0.1 * (i % 4)), [0.2, 0.1, 0.05, 0.01]]) {
    const error = thrown(posterior.with({ priorPrecision: each }));
    expect(error).toBeInstanceOf(IndefiniteHessianError);
    const delta = posterior.with({ priorPrecision: each });
    const spread =
      each.length === n ? each : delta.selection.parameters.flatMap(({ size }, i) => new Array(size).fill(each[i]));
    const due = matrix.data.map((value, i) => value + (i % (n + 1) === 0 ? spread[i / (n + 1)] : 0));
    expect((error as IndefiniteHessianError).eigenvalue).toBeCloseTo(least(array(due, { shape: [n, n] })), 10);
  }
  const raised = posterior.with({ priorPrecision: 0.02 - least(matrix) });
  expect(least(raised.precision())).toBeCloseTo(0.02, 10);
  expect(Number.isFinite(raised.logMarginalLikelihood())).toBe(true);

  const clipped = await fit({ rank: 9, priorPrecision: 0.01, clip: true });
  const kept = posterior.curvature.lowRank();
  expect(clipped.clipped).toBe(kept.values.data.filter((x) => x < 0).length);
  expect(clipped.clipped).toBeGreaterThan(0);
  expect(posterior.clipped).toBe(0);
  const due = new Float64Array(n * n);
  kept.values.data.forEach((value, k) => {
    for (let i = 0; i < n * n; i++)
      due[i] += Math.max(0, value) * kept.vectors.data[k * n + Math.floor(i / n)] * kept.vectors.data[k * n + (i % n)];
  });
  for (let i = 0; i < n; i++) due[i * n + i] += 0.01;
  near(clipped.precision(), { data: due }, 1e-10);
  const read = loadPosterior(savePosterior(clipped));
  expect(read.clipped).toBe(clipped.clipped);
  expect(read.logMarginalLikelihood()).toBe(clipped.logMarginalLikelihood());
  // Sums add before they are clipped.
  near(clipped.merge(read).curvature.dense(), { data: matrix.data.map((x) => 2 * x) }, 1e-12);
  expect(memoryUse().inUse).toBe(0);
});

describe("beyond 1024 weights, by products", () => {
  const net = chain({ inputs: 18, seed: 3, dtype: "float64" }, dense(50, tanh), dense(2));
  const rows = (n: number) => ({ x: randomNormal([n, 18], { seed: 1 }), y: randomNormal([n, 2], { seed: 2 }) });
  const data = rows(6);
  const options = { structure: "lowRank", curvature: "hessian" } as const;
  const ours = curvatureOf(net, gaussian(), data, { ...options, rank: 20 });
  const { values, vectors, leftOut } = ours.lowRank();

  test("the eigenpairs are those of the whole matrix, of both signs, and what is left out is told from some products", () => {
    const whole = curvatureOf(net, gaussian(), data, { structure: "full", curvature: "hessian" }).dense();
    const due = Array.from(eigh(whole, { vectors: false }).values.data).sort((a, b) => Math.abs(b) - Math.abs(a));
    expect(values.size).toBe(20);
    expect(values.data.some((x) => x < 0)).toBe(true);
    console.log(
      due.slice(0, 24),
      due[90],
      due[100],
      due[130],
      norm(due.slice(90)) / norm(due),
      [...values.data].map((x, i) => x - due[i]),
    );
    const best = norm(due.slice(20)) / norm(due);
    console.log(best, leftOut);
    for (let k = 0; k < 20; k += 4) {
      const v = vectors.data.slice(k * ours.size, (k + 1) * ours.size);
      const hv = curvatureProduct(net, gaussian(), data, v, { curvature: "hessian" }).data;
      console.log(k, values.data[k], norm(hv.map((x, i) => x - values.data[k] * v[i])));
    }
    const auto = curvatureOf(net, gaussian(), data, options).lowRank();
    console.log(auto.values.size, auto.leftOut, norm(due.slice(auto.values.size)) / norm(due));
  });
});
void DataLoader;
void loadFit;
void saveFit;
