// The structure "lowRank" of the exact Hessian, whose eigenvalues have either sign: against the whole matrix and its eigenpairs.

import { describe, expect, test } from "vitest";
import {
  array,
  bernoulli,
  categorical,
  chain,
  curvatureOf,
  curvatureOperator,
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
  ValueError,
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

test("of some weights, weighted examples and batches it is that of the whole matrix", () => {
  const weights = { indices: [1, 4, 5, 9, 14] };
  const given = { ...few, weights: Array.from({ length: 12 }, (_, i) => 0.5 + (i % 3)) };
  const of = (structure: "full" | "lowRank", rank?: Rank) =>
    curvatureOf(small, gaussian(), given, { structure, rank, weights, curvature: "hessian" }).dense();
  near(of("lowRank", 5), of("full"), 1e-12);
  const batched = curvatureOf(small, gaussian(), new DataLoader(few, { batchSize: 5 }), {
    structure: "lowRank",
    curvature: "hessian",
    rank: 99,
  });
  near(
    batched.dense(),
    curvatureOf(small, gaussian(), few, { structure: "full", curvature: "hessian" }).dense(),
    1e-12,
  );
});

describe("beyond 1024 weights, by products", () => {
  const net = chain({ inputs: 100, seed: 3, dtype: "float64" }, dense(10, tanh), dense(2));
  const rows = (n: number) => ({ x: randomNormal([n, 100], { seed: 1 }), y: randomNormal([n, 2], { seed: 2 }) });
  const options = { structure: "lowRank", curvature: "hessian" } as const;
  const bySize = (values: ArrayLike<number>) => Array.from(values).sort((a, b) => Math.abs(b) - Math.abs(a));
  const times = (data: ReturnType<typeof rows>, v: ArrayLike<number>) =>
    curvatureProduct(net, gaussian(), data, Array.from(v), { curvature: "hessian" }).data;

  test("a Hessian of less rank than there are directions is found exactly, of both signs", () => {
    // Of one example it has a rank of no more than 10 units, their 20 weights to the outputs and 2 biases.
    const data = rows(1);
    const curvature = curvatureOf(net, gaussian(), data, { ...options, rank: 12 });
    const { values, vectors, leftOut } = curvature.lowRank();
    expect(values.data.some((x) => x < 0)).toBe(true);
    for (let k = 0; k < values.size; k++) {
      const v = vectors.data.slice(k * curvature.size, (k + 1) * curvature.size);
      const residual = times(data, v).map((x, i) => x - values.data[k] * v[i]);
      expect(norm(residual)).toBeLessThan(1e-9 * Math.abs(values.data[0]));
    }
    const all = curvatureOf(net, gaussian(), data, { ...options, rank: 32 });
    expect(all.lowRank().leftOut).toBeLessThan(1e-6);
    const due = norm(all.lowRank().values.data.slice(values.size)) / norm(all.lowRank().values.data);
    expect(leftOut).toBeCloseTo(due, 6);
    const v = randomNormal([curvature.size], { seed: 4, dtype: "float64" });
    near(all.times(v), { data: times(data, v.data) }, 1e-6);
  });

  test("of one whose eigenvalues fall slowly, it finds the largest of both signs, and tells what it leaves out", () => {
    const data = rows(12);
    const { values, leftOut } = curvatureOf(net, gaussian(), data, { ...options, rank: 9 }).lowRank();
    const operator = curvatureOperator(net, gaussian(), data, { curvature: "hessian" });
    const squares =
      norm(curvatureOf(net, gaussian(), data, { structure: "full", curvature: "hessian" }).dense().data) ** 2;
    for (const [which, sign] of [
      ["largest", 1],
      ["smallest", -1],
    ] as const) {
      const due = operator.eigenvalues(2, { which }).values.data.map((x) => sign * x);
      const found = bySize(values.data.map((x) => sign * x).filter((x) => x > 0)).slice(0, 2);
      expect(found.length).toBe(2);
      found.forEach((value, k) => {
        // Within a subspace eigenvalues lie further in (Cauchy).
        expect(value).toBeLessThan(due[k] * (1 + 1e-9));
        expect(value).toBeGreaterThan(0.99 * due[k]);
      });
    }
    // Of an eigenvector's Rayleigh quotient λ, ‖H − Σ λ v vᵀ‖² = ‖H‖² − Σ λ².
    const exact = Math.sqrt(1 - norm(values.data) ** 2 / squares);
    expect(Math.abs(leftOut - exact)).toBeLessThan(0.02);
    const auto = curvatureOf(net, gaussian(), data, options).lowRank();
    expect(auto.values.size).toBe(100);
    expect(auto.leftOut).toBeLessThan(leftOut);
  });

  test("posteriors: batches, files, clipping, and the evidence by its definition; fits of their own do not add", async () => {
    const data = rows(5);
    const approximation = (more: object = {}) =>
      laplace(net, {
        ...options,
        rank: 12,
        likelihood: gaussian({ noise: 1 }),
        priorPrecision: 150,
        checks: false,
        ...more,
      });
    const posterior = await approximation().fit(data);
    const { values, vectors } = posterior.curvature.lowRank();
    expect(values.data.some((x) => x < 0)).toBe(true);
    const due = Array.from(values.data).reduce((sum, x) => sum + Math.log1p(x / 150), posterior.size * Math.log(150));
    expect(posterior.evidence().logDetPosterior).toBeCloseTo(due, 8);
    const variance = posterior.variance().data;
    for (const i of [0, 700, 1031]) {
      let v = 1 / 150;
      values.data.forEach((x, k) => {
        v -= ((x / 150 / (1 + x / 150)) * vectors.data[k * posterior.size + i] ** 2) / 150;
      });
      expect(variance[i]).toBeCloseTo(v, 12);
    }
    const x = randomNormal([3, 100], { seed: 9 });
    const batched = await approximation().fit(new DataLoader(data, { batchSize: 2 }));
    near(batched.functionCovariance(x), posterior.functionCovariance(x));
    for (const one of [posterior, await approximation({ priorPrecision: 1, clip: true }).fit(data)]) {
      const read = loadPosterior(savePosterior(one));
      expect(read.evidence()).toEqual(one.evidence());
      expect(read.clipped).toBe(one.clipped);
      expect(read.curvature.lowRank()).toEqual(one.curvature.lowRank());
      expect(one.merge(read).curvature.lowRank().values.data[0]).toBeCloseTo(2 * values.data[0], 8);
    }
    const sums = await approximation().sum(data);
    expect(
      approximation()
        .posterior(loadFit(saveFit(sums)))
        .evidence(),
    ).toEqual(posterior.evidence());
    expect(() => posterior.with({ priorPrecision: 1 }).evidence()).toThrow(IndefiniteHessianError);
    const other = await approximation().fit(rows(4));
    expect(() => posterior.merge(other)).toThrow("fit all data at once");
    expect(() =>
      curvatureOf(net, gaussian(), data, { structure: "lowRank", rank: 12 }).merge(posterior.curvature),
    ).toThrow(ValueError);
    expect(memoryUse().inUse).toBe(0);
  });

  test("in float32 it is that of float64 to its digits", () => {
    const narrow = chain({ inputs: 100, dtype: "float32" }, dense(10, tanh), dense(2));
    narrow.setParameters(net.parameters);
    const [a, b] = [narrow, net].map((one) => curvatureOf(one, gaussian(), rows(2), { ...options, rank: 8 }).lowRank());
    near(a.values, b.values, 1e-4);
  });
});
