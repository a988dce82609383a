// The structure "lowRank": against the reference values, dense matrices, and the eigenvalues of all rows of the Jacobian.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  curvatureProduct,
  dense,
  eigh,
  gaussian,
  jacobian,
  type LowRank,
  laplace,
  loadPosterior,
  OptionError,
  type Rank,
  randomNormal,
  savePosterior,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { type Oracle, readOracle, type Section, type StructureSection, type Table } from "../laplace/oracles.ts";

interface LowRankSection {
  readonly rank: number;
  readonly eigenvalues: Table;
  readonly laplace: Section & { readonly full: StructureSection };
}

describe.each(["mlp_2_8_8_3_cls", "reg_3_10_2"] as const)("the reference %s", (name) => {
  test("eigenvalues, evidence with its gradient, variance, covariances and predictions", async () => {
    const { net, data, oracle, test: x } = readOracle(name);
    const { rank, eigenvalues, laplace: section } = (oracle as Oracle & { lowrank: LowRankSection }).lowrank;
    const { hyper, full: due } = section;
    const classes = name === "mlp_2_8_8_3_cls";
    const posterior = await laplace(net, {
      likelihood: classes ? "classification" : gaussian({ noise: hyper.sigmaNoise }),
      structure: "lowRank",
      rank,
      priorPrecision: hyper.priorPrecision,
      checks: false,
    }).fit(data);
    const near = (found: ArrayLike<number>, { data: values }: Table) => {
      const largest = Math.max(...values.map(Math.abs));
      expect(found).toBeAllClose(values, { relative: 1e-9, absolute: 1e-10 * largest });
    };
    near(posterior.curvature.lowRank().values.data, eigenvalues);
    const evidence = posterior.evidence();
    const { logDetPosterior, logMarginalLikelihood } = evidence;
    expect([logDetPosterior, logMarginalLikelihood]).toBeAllClose([due.logDetPosterior, due.logMarglik], {
      relative: 1e-9,
    });
    const gradient = posterior.evidenceGradient();
    near(gradient.logPriorPrecision.data, due.gradLogPriorPrecision);
    if (due.gradLogSigma !== undefined) {
      expect([gradient.logNoise as number]).toBeAllClose([due.gradLogSigma], { relative: 1e-9 });
    }
    near(posterior.variance().data, due.variance);
    near(posterior.functionCovariance(x).data, due.predictive.fVar);
    const first = array(x.data.subarray(0, (5 * x.size) / x.shape[0]), { shape: [5, ...x.shape.slice(1)] });
    near(posterior.functionCovariance(first, { joint: true }).data, due.jointCov as Table);
    // One number for each parameter takes the other way, of a Gram matrix: the same posterior.
    const many = posterior.with({
      priorPrecision: posterior.selection.parameters.map(() => hyper.priorPrecision as number),
    });
    near(many.variance().data, due.variance);
    near([sumOf(many.evidenceGradient().logPriorPrecision.data)], due.gradLogPriorPrecision);
    near(many.functionCovariance(x).data, due.predictive.fVar);
  });
});

const make = () => chain({ inputs: 18, seed: 3, dtype: "float64" }, dense(50, tanh), dense(2));
const dataOf = (n: number) => ({ x: randomNormal([n, 18], { seed: 1 }), y: randomNormal([n, 2], { seed: 2 }) });
const of = (n: number, rank?: Rank): LowRank =>
  curvatureOf(make(), gaussian(), dataOf(n), { structure: "lowRank", rank }).lowRank();
const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

/** The eigenvalues of J Jᵀ over all examples and outputs, largest first: those of the curvature at unit noise. */
function spectrum(n: number): number[] {
  const { data, size } = jacobian(make(), dataOf(n).x);
  const rows = 2 * n;
  const width = size / rows;
  const gram = Array.from({ length: rows }, (_, i) =>
    Array.from({ length: rows }, (_, j) => {
      let dot = 0;
      for (let p = 0; p < width; p++) dot += data[i * width + p] * data[j * width + p];
      return dot;
    }),
  );
  return Array.from(eigh(gram).values.data).reverse();
}

describe("beyond 1024 weights, from products with random directions", () => {
  test("a curvature of fewer rows than directions is found exactly", async () => {
    const [net, data] = [make(), dataOf(8)];
    const due = spectrum(8);
    const found = of(8, 30);
    expect(found.values.data).toBeAllClose(due.slice(0, found.values.size), {
      relative: 1e-9,
      absolute: 1e-9 * due[0],
    });
    expect(found.leftOut).toBeLessThan(1e-9);
    const curvature = curvatureOf(net, gaussian(), data, { structure: "lowRank", rank: 30 });
    const v = randomNormal([curvature.size], { seed: 4 });
    const product = curvatureProduct(net, gaussian(), data, v).data;
    expect(curvature.times(v).data).toBeAllClose(product, { relative: 0, absolute: 1e-9 * due[0] });
  });

  // In the mean (1 + k / (b − k − 1)) with b = 70 directions (Tropp et al. 2017, theorem 4.1); a space of five passes knows better.
  test.each([
    ["that come once", () => [dataOf(45)].values(), 10 / 59],
    ["that can be gone through again", () => () => [dataOf(45)], 1e-3],
  ])("of more rows and data %s, it leaves out little more than the best of its rank", (_, given, more) => {
    const due = spectrum(45);
    const trace = sumOf(due);
    const best = 1 - sumOf(due.slice(0, 10)) / trace;
    const { leftOut, values } = curvatureOf(make(), gaussian(), given(), { structure: "lowRank", rank: 10 }).lowRank();
    expect(values.size).toBe(10);
    expect(leftOut).toBeGreaterThan(best - 1e-9);
    expect(leftOut).toBeLessThan(best * (1 + more));
  });
});

test('"auto" is the least rank that leaves out at most a hundredth of the trace', () => {
  const [net, data] = [chain({ inputs: 18, seed: 3, dtype: "float64" }, dense(9, tanh), dense(2)), dataOf(40)];
  const full = eigh(curvatureOf(net, gaussian(), data, { structure: "full" }).dense(), { vectors: false }).values.data;
  const { values, leftOut } = curvatureOf(net, gaussian(), data, { structure: "lowRank" }).lowRank();
  const top = Array.from(full).reverse();
  expect(values.data).toBeAllClose(top.slice(0, values.size), { relative: 1e-9 });
  expect(leftOut).toBeLessThanOrEqual(0.01);
  expect(sumOf(top.slice(0, values.size - 1)) / sumOf(top)).toBeLessThan(0.99);
});

test("fits of shards add to that of all data, also where the rank leaves something out, and files keep it", async () => {
  const net = make();
  const { x, y } = dataOf(45);
  const options = { likelihood: gaussian({ noise: 0.5 }), structure: "lowRank", rank: 10, checks: false } as const;
  const whole = await laplace(net, options).fit({ x, y });
  const part = (first: number, count: number) => {
    const rows = (a: typeof x) =>
      array(a.data.subarray(first * a.shape[1], (first + count) * a.shape[1]), { shape: [count, a.shape[1]] });
    return laplace(net, options).fit({ x: rows(x), y: rows(y) });
  };
  const merged = (await part(0, 20)).merge(await part(20, 25));
  const [due, found] = [whole.evidence(), merged.evidence()];
  expect([found.logMarginalLikelihood]).toBeAllClose([due.logMarginalLikelihood], { relative: 1e-9 });
  const loaded = loadPosterior(savePosterior(whole));
  expect(loaded.evidence()).toEqual(due);
  expect(loaded.curvature.lowRank()).toEqual(whole.curvature.lowRank());
});

test("at full rank it is the whole matrix, and 10⁵ draws have its covariance", async () => {
  const net = chain({ inputs: 2, seed: 4, dtype: "float64" }, dense(3, tanh), dense(2));
  const data = { x: randomNormal([30, 2], { seed: 1 }), y: randomNormal([30, 2], { seed: 2 }) };
  const common = { likelihood: gaussian({ noise: 0.5 }), priorPrecision: 0.7, checks: false };
  const size = net.parameterCount;
  const [ours, full] = [
    await laplace(net, { ...common, structure: "lowRank", rank: size }).fit(data),
    await laplace(net, { ...common, structure: "full" }).fit(data),
  ];
  const near = (a: { data: ArrayLike<number> }, b: { data: ArrayLike<number> }) =>
    expect(a.data).toBeAllClose(b.data, { relative: 0, absolute: 1e-8 * Math.max(...Array.from(b.data, Math.abs)) });
  near(ours.curvature.dense(), full.curvature.dense());
  near(ours.covariance(), full.covariance());
  near(ours.precision(), full.precision());
  near(ours.functionCovariance(data.x, { joint: true }), full.functionCovariance(data.x, { joint: true }));
  expect(ours.logMarginalLikelihood()).toBeCloseTo(full.logMarginalLikelihood(), 8);
  const n = 100_000;
  const { data: draws } = ours.sample(n, { seed: 3 });
  const [mean, covariance] = [ours.mean.data, full.covariance().data];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let s = 0; s < n; s++) sum += (draws[s * size + i] - mean[i]) * (draws[s * size + j] - mean[j]);
      const [v, w, c] = [covariance[i * (size + 1)], covariance[j * (size + 1)], covariance[i * size + j]];
      expect(Math.abs(sum / n - c)).toBeLessThan(4.5 * Math.sqrt((v * w + c * c) / n));
    }
  }
});

test("what does not go together is refused", () => {
  const [net, data] = [make(), dataOf(4)];
  const curve = (options: object) => curvatureOf(net, gaussian(), data, options);
  expect(() => curve({ structure: "lowRank", rank: 0 })).toThrow(OptionError);
  expect(() => curve({ structure: "diagonal" }).lowRank()).toThrow(/only "lowRank" or "functional" has/);
  const [three, four] = [3, 4].map((rank) => curve({ structure: "lowRank", rank }));
  expect(() => three.merge(four)).toThrow(
    new ValueError("merge: a curvature of rank 4 does not add to one of rank 3."),
  );
});
