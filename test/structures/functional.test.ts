// The structure "functional": against the reference values of the whole matrix, and the slow way to what some points see.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  categorical,
  chain,
  curvatureOf,
  type Data,
  DataLoader,
  type DType,
  dense,
  eigh,
  estimateMemory,
  FileError,
  gaussian,
  jacobian,
  type LaplaceOptions,
  laplace,
  loadFit,
  loadPosterior,
  type NDArray,
  OptionError,
  poisson,
  randomNormal,
  relu,
  ShapeError,
  saveFit,
  savePosterior,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { drawnPoints } from "../../src/structures/functional/drawn.ts";
import { readOracle, type Table } from "../laplace/oracles.ts";
import { seenBy, spanOf } from "../reference/functional.ts";
import { type Density, inverted, lambda, type Matrix, product, transposed } from "../reference/laplace.ts";

const rowsOf = ({ data, shape }: NDArray): Matrix => {
  const width = shape[shape.length - 1];
  return Array.from({ length: data.length / width }, (_, i) => Array.from(data.slice(i * width, (i + 1) * width)));
};

function expectNear(found: ArrayLike<number>, due: ArrayLike<number>, relative = 1e-8): void {
  const largest = Math.max(...Array.from(due, Math.abs));
  expect(found).toBeAllClose(due, { relative: 0, absolute: relative * largest });
}

const identity = (n: number): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, k) => Number(i === k)));

describe.each(["mlp_2_8_8_3_cls", "reg_3_10_2", "logreg_2_1_bernoulli"] as const)("the reference %s", (name) => {
  test("with all data as points it is the whole matrix, by the reference's values", async () => {
    const { net, data, oracle, task, test: x } = readOracle(name);
    for (const { hyper, full } of oracle.laplace) {
      if (full === undefined) continue;
      const posterior = await laplace(net, {
        likelihood: task === "regression" ? gaussian({ noise: hyper.sigmaNoise }) : task,
        structure: "functional",
        points: data.x,
        priorPrecision: hyper.priorPrecision,
        priorMean: hyper.priorMean,
        temperature: hyper.temperature,
        checks: false,
      }).fit(data);
      const { logDetPosterior, logMarginalLikelihood } = posterior.evidence();
      expect([logDetPosterior, logMarginalLikelihood]).toBeAllClose([full.logDetPosterior, full.logMarglik], {
        relative: 1e-9,
      });
      expectNear(posterior.evidenceGradient().logPriorPrecision.data, full.gradLogPriorPrecision.data, 1e-9);
      expectNear(posterior.variance().data, full.variance.data, 1e-9);
      expectNear(posterior.functionCovariance(x).data, full.predictive.fVar.data, 1e-9);
      if (full.jointCov !== undefined) {
        const first = array(x.data.subarray(0, (5 * x.size) / x.shape[0]), { shape: [5, ...x.shape.slice(1)] });
        expectNear(posterior.functionCovariance(first, { joint: true }).data, full.jointCov.data, 1e-9);
      }
    }
  });
});

/** laplace-torch's Gaussian process, whose Λ is cut to its diagonal: a section of the reference's values. */
interface GaussianProcess {
  readonly hyper: { readonly priorPrecision: number; readonly sigmaNoise: number };
  readonly fVar: Table;
  readonly fVarIndependentOutputs: Table;
}

describe.each([
  ["mlp_2_8_8_3_cls", { name: "categorical" }],
  ["reg_3_10_2", { name: "gaussian", noise: [1, 1] }],
  ["logreg_2_1_bernoulli", { name: "bernoulli" }],
] as const)("the reference's Gaussian process over functions: %s", (name, density) => {
  const { net, data, oracle, task, test: x } = readOracle(name);
  const { hyper, fVar, fVarIndependentOutputs } = (oracle as unknown as { readonly gp: GaussianProcess }).gp;
  const [rows, at] = [rowsOf(jacobian(net, data.x)), rowsOf(jacobian(net, x))];
  const [outputs, size] = [net.outputShape[0], net.parameterCount];
  const h = 1 / hyper.sigmaNoise ** 2;
  const values = rowsOf(net.forward(data.x));
  const targets =
    task === "classification"
      ? Array.from(data.y.data, (label) => values[0].map((_, c) => Number(c === label)))
      : rowsOf(array(data.y.data, { shape: [values.length, outputs] }));
  const lambdas = values.map((f, n) => lambda(density as Density, f, targets[n]));

  /** J* (h Σ_n J_nᵀ Λ_n J_n + δ)⁻¹ J*ᵀ over the outputs `of`, [N*, C, C]. */
  function dense(of: readonly number[], cut: boolean): number[] {
    const p = identity(size).map((row) => row.map((one) => one * hyper.priorPrecision));
    lambdas.forEach((each, n) => {
      for (const a of of) {
        for (const b of of) {
          const factor = h * (cut && a !== b ? 0 : each[a][b]);
          if (factor === 0) continue;
          const [left, right] = [rows[n * outputs + a], rows[n * outputs + b]];
          for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) p[i][j] += factor * left[i] * right[j];
        }
      }
    });
    const { inverse } = inverted(p);
    return Array.from({ length: at.length / outputs }, (_, n) => {
      const own = at.slice(n * outputs, (n + 1) * outputs);
      return product(product(own, inverse), transposed(own)).flat();
    }).flat();
  }

  test("its numbers are those of a Λ without what couples outputs, ours of the whole Λ", async () => {
    const all = Array.from({ length: outputs }, (_, c) => c);
    expectNear(dense(all, true), fVar.data, 1e-9);
    for (const c of all) {
      const own = dense([c], true).filter((_, i) => i % outputs ** 2 === c * (outputs + 1));
      const due = fVarIndependentOutputs.data.filter((_, i) => i % outputs ** 2 === c * (outputs + 1));
      expectNear(own, due, 1e-9);
    }
    const posterior = await laplace(net, {
      likelihood: task === "regression" ? gaussian({ noise: hyper.sigmaNoise }) : task,
      structure: "functional",
      points: data.x,
      priorPrecision: hyper.priorPrecision,
      checks: false,
    }).fit(data);
    const found = posterior.functionCovariance(x).data;
    expectNear(found, dense(all, false), 1e-9);
    // One output, and the outputs of a Gaussian, have nothing that couples them.
    if (task !== "classification") expectNear(found, fVar.data, 1e-9);
  });
});

const likelihoods = [
  { of: gaussian({ noise: 0.4 }), target: (i: number) => Math.sin(i), outputs: 2 },
  { of: poisson(), target: (i: number) => (7 * i) % 5, outputs: 2 },
  { of: categorical(), target: (i: number) => i % 3, outputs: 3 },
] as const;

describe("points that are not all of the data", () => {
  test("the curvature is what the directions of their functions see of it, whatever the prior", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          kind: fc.constantFrom(0, 1, 2),
          examples: fc.constantFrom(1, 5, 11),
          points: fc.constantFrom(1, 2, 5, 13),
          hidden: fc.constantFrom(1, 3, 4),
          rank: fc.constantFrom<(number | "auto")[]>("auto", 1, 3, 1000),
          lastLayer: fc.boolean(),
          perWeight: fc.boolean(),
          seed: fc.integer({ min: 1, max: 1000 }),
        }),
        async ({ kind, examples, points: count, hidden, rank, lastLayer, perWeight, seed }) => {
          const { of: likelihood, target, outputs } = likelihoods[kind];
          const net = chain(
            { inputs: 2, seed, dtype: "float64" },
            dense(hidden, tanh),
            dense(hidden, tanh),
            dense(outputs),
          );
          const x = randomNormal([examples, 2], { seed });
          const labels = Array.from({ length: examples * (kind === 2 ? 1 : outputs) }, (_, i) => target(i));
          const y = array(labels, { shape: kind === 2 ? [examples] : [examples, outputs] });
          const points = randomNormal([count, 2], { seed: seed + 1 });
          const weights = lastLayer ? "lastLayer" : "all";
          const h = rowsOf(curvatureOf(net, likelihood, { x, y }, { weights, structure: "full" }).dense());
          const size = h.length;
          const deltas = Array.from({ length: size }, (_, i) => (perWeight ? 0.5 + (i % 7) : 0.8));
          const posterior = await laplace(net, {
            ...{ likelihood, weights, structure: "functional", points, checks: false },
            rank,
            priorPrecision: perWeight ? deltas : 0.8,
          }).fit({ x, y });
          const j = rowsOf(jacobian(net, points)).map((row) =>
            Array.from(posterior.selection.indices(), (index) => row[index]),
          );
          const most = rank === "auto" ? size : Math.min(rank, size);
          // As many rows as weights are all directions.
          let basis = j.length >= size && most === size ? identity(size) : spanOf(j, 1e-6);
          if (most < basis.length) {
            const rank = most;
            const { values, vectors } = eigh(product(j, transposed(j)));
            const last = values.size - 1;
            basis = Array.from({ length: rank }, (_, i) => {
              const u = rowsOf(vectors).map((row) => row[last - i]);
              const v = product([u], j)[0];
              return v.map((entry) => entry / Math.sqrt(values.data[last - i]));
            });
            // Equal eigenvalues have no vectors of their own.
            const [next, kept] = [values.data[last - rank], values.data[last - rank + 1]];
            fc.pre(next < 0.999 * kept);
          }
          // Of directions that are hardly there, or that hardly see anything, little is known but rounding.
          for (const gram of [product(j, transposed(j)), product(product(basis, h), transposed(basis))]) {
            const { values } = eigh(gram);
            const parts = Array.from(values.data, (value) => Math.abs(value) / values.data[values.size - 1]);
            fc.pre(parts.every((part) => part < 1e-14 || part > 1e-6));
          }
          const within = seenBy(h, basis);
          const noise = kind === 0 ? 0.4 ** 2 : 1;
          const p = within.map((row, a) => row.map((entry, b) => entry / noise + (a === b ? deltas[a] : 0)));
          const { inverse, logDeterminant } = inverted(p);
          expectNear(posterior.curvature.dense().data, within.flat(), 1e-7);
          expectNear(posterior.precision().data, p.flat());
          expectNear(posterior.covariance().data, inverse.flat());
          expectNear([posterior.evidence().logDetPosterior], [logDeterminant]);
          const at = randomNormal([3, 2], { seed: seed + 2 });
          const rows = rowsOf(jacobian(net, at)).map((row) =>
            Array.from(posterior.selection.indices(), (index) => row[index]),
          );
          const all = product(product(rows, inverse), transposed(rows)).flat();
          expectNear(posterior.functionCovariance(at, { joint: true }).data, all);
          const trace = h.reduce((sum, row, i) => sum + row[i], 0);
          const kept = within.reduce((sum, row, i) => sum + row[i], 0);
          expect(posterior.curvature.lowRank().leftOut).toBeCloseTo(trace > 0 ? Math.max(0, 1 - kept / trace) : 0, 7);
          // The posterior's variance is never less than with all of the data.
          const exact = inverted(h.map((row, a) => row.map((v, b) => v / noise + (a === b ? deltas[a] : 0)))).inverse;
          Array.from(posterior.variance().data).forEach((v, i) => {
            expect(v).toBeGreaterThan(exact[i][i] - 1e-9);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  test("draws have the posterior's covariance", async () => {
    const { net, data } = small();
    const posterior = await laplace(net, options(randomNormal([3, 2], { seed: 6 }))).fit(data);
    const draws = rowsOf(posterior.sample(5000, { seed: 3 }));
    const due = rowsOf(posterior.covariance());
    const mean = Array.from(posterior.mean.data);
    const found = due.map((row, a) =>
      row.map((_, b) => draws.reduce((sum, draw) => sum + (draw[a] - mean[a]) * (draw[b] - mean[b]), 0) / draws.length),
    );
    due.forEach((row, a) => {
      row.forEach((value, b) => {
        const error = Math.sqrt((due[a][a] * due[b][b] + value ** 2) / draws.length);
        expect(Math.abs(found[a][b] - value)).toBeLessThan(6 * error);
      });
    });
  });
});

function small(dtype: DType = "float64") {
  const net = chain({ inputs: 2, seed: 4, dtype }, dense(6, relu), dense(3, tanh), dense(2));
  return { net, data: { x: randomNormal([9, 2], { seed: 1 }), y: randomNormal([9, 2], { seed: 2 }) } };
}

describe("points that are drawn from the data", () => {
  const { net, data } = small();
  const batches = (size: number) => new DataLoader(data, { batchSize: size });
  const drawn = (count: number, seed: number, from: Data = data) =>
    rowsOf(atOnce(drawnPoints("fit", net, from, count, seed)));

  test("are that many different examples, each as often as the others, whatever the batches", () => {
    const all = rowsOf(data.x).map(String);
    const seeds = 900;
    const times = new Map(all.map((row) => [row, 0]));
    for (let seed = 0; seed < seeds; seed++) {
      const rows = drawn(4, seed).map(String);
      expect(new Set(rows).size).toBe(4);
      for (const row of rows) times.set(row, (times.get(row) as number) + 1);
    }
    expect(times.size).toBe(9);
    const share = 4 / 9;
    for (const count of times.values()) {
      expect(Math.abs(count / seeds - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / seeds));
    }
    expect(drawn(4, 7, batches(2))).toEqual(drawn(4, 7));
    expect(drawn(4, 7)).not.toEqual(drawn(4, 8));
    expect(drawn(9, 1)).toEqual(rowsOf(data.x));
    expect(drawn(100, 1)).toEqual(rowsOf(data.x));
  });

  test("are the points of the posterior, by the seed; all of them are the whole matrix", async () => {
    const given = await laplace(net, options(array(drawn(3, 5)))).fit(data);
    const found = await laplace(net, options(3, { seed: 5 })).fit(batches(4));
    expectNear(found.curvature.dense().data, given.curvature.dense().data, 1e-12);
    expectNear(found.predict(data.x).variance.data, given.predict(data.x).variance.data);
    const read = loadPosterior(savePosterior(found));
    expect(read.predict(data.x)).toEqual(found.predict(data.x));
    const [most, full] = [
      await laplace(net, options(100)).fit(data),
      await laplace(net, options(undefined, { structure: "full" })).fit(data),
    ];
    expectNear(most.functionCovariance(data.x).data, full.functionCovariance(data.x).data);
    // The features with the largest eigenvalues among those of the points.
    const ranked = { rank: 2 } as const;
    const few = await laplace(net, options(3, { seed: 5, ...ranked })).fit(data);
    const due = await laplace(net, options(array(drawn(3, 5)), ranked)).fit(data);
    expectNear(few.curvature.dense().data, due.curvature.dense().data, 1e-12);
  });

  test("are counted before they are drawn, and refused where they cannot be", async () => {
    expect(estimateMemory(net, options(4)).bytes).toBe(estimateMemory(net, options(array(drawn(4, 0)))).bytes);
    expect(estimateMemory(net, options(8)).curvature).toBeGreaterThan(estimateMemory(net, options(2)).curvature);
    const once = batches(3)[Symbol.iterator]();
    await expect(laplace(net, options(2)).fit(once)).rejects.toThrow(/points are drawn from the data first/);
    for (const count of [0, 1.5, -2]) expect(() => laplace(net, options(count))).toThrow(OptionError);
    await expect(laplace(net, options(2)).fit({ x: [[1]], y: [[1, 2]] })).rejects.toThrow(ShapeError);
  });
});

const options = (points: LaplaceOptions["points"], more: Partial<LaplaceOptions> = {}): LaplaceOptions => ({
  likelihood: gaussian({ noise: 0.5 }),
  structure: "functional",
  points,
  checks: false,
  ...more,
});

describe("around a fit", () => {
  const { net, data } = small();
  const points = randomNormal([4, 2], { seed: 8 });

  test("files of posteriors and of fits have it to the bit", async () => {
    const la = laplace(net, options(points));
    const posterior = await la.fit(data);
    const read = loadPosterior(savePosterior(posterior));
    expect(read.predict(data.x)).toEqual(posterior.predict(data.x));
    expect(read.evidence()).toEqual(posterior.evidence());
    const bytes = saveFit(await la.sum(data));
    expect(la.posterior(loadFit(bytes)).predict(data.x)).toEqual(posterior.predict(data.x));
    expect(() => loadPosterior(savePosterior(posterior).slice(0, -8))).toThrow(FileError);
  });

  test("shards add to one pass; those of other points do not", async () => {
    const la = laplace(net, options(points));
    const part = (first: number, end: number) => ({
      x: array(rowsOf(data.x).slice(first, end)),
      y: array(rowsOf(data.y).slice(first, end)),
    });
    const whole = await la.sum(data);
    const [one, two] = [await la.sum(part(0, 4)), await la.sum(part(4, 9), { first: 4 })];
    expectNear(one.merge(two).curvature.dense().data, whole.curvature.dense().data, 1e-12);
    expectNear(one.scale(2).curvature.dense().data, one.merge(one).curvature.dense().data, 1e-12);
    const other = await laplace(net, options(data.x, { rank: 8 })).sum(data);
    expect(() => whole.merge(other)).toThrow(ValueError);
    expect(() => whole.merge(other)).toThrow(/of other points/);
  });

  test("tuning finds the evidence's maximum, as the whole matrix does with all points", async () => {
    const [ours, full] = [
      await laplace(net, options(data.x)).fit(data),
      await laplace(net, options(undefined, { structure: "full" })).fit(data),
    ];
    const [a, b] = [ours.optimizePrior(), full.optimizePrior()];
    expect(a.logMarginalLikelihood()).toBeCloseTo(b.logMarginalLikelihood(), 6);
    expectNear(a.priorPrecision.data, b.priorPrecision.data, 1e-4);
  });

  test("a network of float32 is near that of float64", async () => {
    const single = small("float32");
    single.net.setParameters(net.parameters);
    const [ours, exact] = [
      await laplace(single.net, options(points)).fit(data),
      await laplace(net, options(points)).fit(data),
    ];
    expectNear(ours.predict(data.x).variance.data, exact.predict(data.x).variance.data, 1e-4);
  });

  test("a layer that the data do not reach, and points that are one and the same", async () => {
    const dead = chain({ inputs: 2, seed: 4, dtype: "float64" }, dense(3, relu, { bias: false }), dense(1));
    dead.setParameters(Array.from({ length: dead.parameterCount }, (_, i) => (i < 6 ? -1 : 0.5)));
    const [x, y] = [
      array([
        [1, 1],
        [2, 1],
      ]),
      array([[1], [2]]),
    ]; // prettier-ignore
    const same = array([
      [1, 1],
      [1, 1],
      [1, 1],
    ]); // prettier-ignore
    const ours = await laplace(dead, options(same)).fit({ x, y });
    expect(ours.curvature.lowRank().values.size).toBe(1);
    const full = await laplace(dead, options(undefined, { structure: "full" })).fit({ x, y });
    expectNear(ours.predict(x).variance.data, full.predict(x).variance.data);
  });

  test("what is missing or does not fit is said", () => {
    expect(() => laplace(net, options(undefined))).toThrow(OptionError);
    expect(() => laplace(net, options(undefined))).toThrow(/needs points: inputs \[M, \.\.\.\]/);
    expect(() => laplace(net, options([[1, 2, 3]]))).toThrow(ShapeError);
    expect(() => laplace(net, options([[1, Number.NaN]]))).toThrow(ValueError);
    expect(() => laplace(net, options(points, { rank: 0 }))).toThrow(OptionError);
    expect(() => laplace(net, options(points, { curvature: "hessian" }))).toThrow(/"hessian"/);
  });
});
