// Priors of any precision, matrices and earlier posteriors, against dense formulas and identities. The contract suite has such priors too.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  adam,
  bernoulli,
  categorical,
  chain,
  crossEntropy,
  dense,
  estimateMemory,
  gaussian,
  gaussianPrior,
  laplace,
  loadPosterior,
  mse,
  OptionError,
  Random,
  randomNormal,
  readSafetensors,
  ShapeError,
  savePosterior,
  sgd,
  tanh,
  train,
  ValueError,
} from "../../src/index.ts";
import * as mini from "../../src/mini.ts";
import * as small from "../../src/predict.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";
import { inverted, type Matrix, product, transposed } from "../reference/laplace.ts";
import { pair } from "../remote/pair.ts";

const near = { relative: 1e-8, absolute: 1e-10 };
const rowsOf = (flat: ArrayLike<number>, n: number): Matrix =>
  Array.from({ length: n }, (_, r) => Array.from(flat).slice(r * n, (r + 1) * n));

/** A random positive definite matrix. */
function matrixOf(n: number, seed: number): Matrix {
  const random = new Random(seed);
  const root = Array.from({ length: n }, () => Array.from({ length: n }, () => random.normal()));
  return product(root, transposed(root)).map((row, i) => row.map((x, j) => x / n + (i === j ? 0.3 : 0)));
}

const x = randomNormal([15, 2], { seed: 1 });
const inputs = randomNormal([3, 2], { seed: 5 });
const likelihoods = [
  { likelihood: gaussian({ noise: [0.5, 0.8] }), y: randomNormal([15, 2], { seed: 2 }) },
  { likelihood: gaussian(), y: randomNormal([15, 2], { seed: 2 }) },
  { likelihood: categorical(), y: Array.from({ length: 15 }, (_, i) => i % 2) },
  { likelihood: bernoulli(), y: Array.from({ length: 15 }, (_, i) => [i % 2, (i >> 1) % 2]) },
] as const;
const choices = ["all", "lastLayer", { indices: [20, 2, 9, 14] }, { parameters: ["1.bias", "0.weight"] }] as const;
const network = (seed: number, dtype: "float32" | "float64" = "float64") =>
  chain({ inputs: 2, dtype, seed }, dense(4, tanh), dense(2));

test("a matrix: P = h H + δ M, its evidence, predictions and draws, whatever the curvature", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 1e6 }),
      fc.constantFrom(...likelihoods),
      fc.constantFrom(...choices),
      fc.constantFrom("ggn", "hessian", "empiricalFisher"),
      fc.double({ min: 0.2, max: 30, noNaN: true }),
      async (seed, { likelihood, y }, weights, curvature, scale) => {
        const net = network(seed % 100);
        const options = { likelihood, weights, curvature, structure: "full", temperature: 1.3, checks: false } as const;
        const clip = curvature === "hessian";
        const usual = await laplace(net, { ...options, clip }).fit({ x, y });
        const n = usual.size;
        const m = matrixOf(n, seed);
        const mean = Array.from({ length: n }, (_, i) => Math.sin(i));
        const prior = gaussianPrior(m, { scale, mean });
        const posterior = laplace(net, { ...options, clip, prior }).posterior(usual.fit);
        // P of the usual prior, of precision 1, without it.
        const h = rowsOf(usual.precision().data, n).map((row, i) => row.map((v, j) => v - (i === j ? 1 : 0)));
        const due = h.map((row, i) => row.map((v, j) => v + scale * m[i][j]));
        const { inverse, logDeterminant } = inverted(due);
        expect(posterior.precision().data).toBeAllClose(due.flat(), near);
        expect(posterior.covariance().data).toBeAllClose(inverse.flat(), near);
        expect(posterior.variance().data).toBeAllClose(
          inverse.map((row, i) => row[i]),
          near,
        );
        const order = posterior.priorMean.data;
        expect(order).toBeAllClose(mean, { relative: 0 });
        const evidence = posterior.evidence();
        const ofPrior = inverted(m).logDeterminant + n * Math.log(scale);
        // The mean is in the order of the option, the matrix in that of the network.
        const named = posterior.parts.prior.mean;
        const d = Array.from(posterior.mean.data, (w, i) => w - named[i]);
        const scatter = scale * d.reduce((sum, a, i) => sum + a * m[i].reduce((all, v, j) => all + v * d[j], 0), 0);
        expect([evidence.logDetPosterior, evidence.logDetPrior, evidence.scatter]).toBeAllClose(
          [logDeterminant, ofPrior, scatter],
          near,
        );
        expect(evidence.logLikelihood).toBe(usual.evidence().logLikelihood);
        expect(evidence.logMarginalLikelihood).toBeCloseTo(
          evidence.logLikelihood - 0.5 * (logDeterminant - ofPrior + scatter),
          7,
        );
        const at = ([u, s]: readonly number[]) => [
          posterior
            .with({ priorPrecision: Math.exp(u), ...(likelihood.hyper.any && { noise: Math.exp(s) }) })
            .logMarginalLikelihood(),
        ];
        const logs = [Math.log(scale), Math.log(likelihood.hyper.value)];
        const [slopes] = finiteDifferences(at, logs, 2e-3);
        // Of noises that stand in ratios the logarithm of one moves all.
        const { logPriorPrecision, logNoise } = posterior.evidenceGradient();
        expect(logPriorPrecision.shape).toEqual([1]);
        expect(logPriorPrecision.data[0]).toBeCloseTo(slopes[0], 5);
        if (likelihood.hyper.any && !clip) expect(logNoise).toBeCloseTo(slopes[1], 4);
        // Draws and predictions are by the same covariance.
        const joint = posterior.functionCovariance(inputs, { joint: true }).data;
        expect(posterior.predict(inputs).functionVariance.data).toBeAllClose(
          Array.from({ length: 6 }, (_, i) => joint[i * 7]),
          near,
        );
        expect(posterior.sample(3, { seed: 4 }).shape).toEqual([3, net.parameterCount]);
        // A prior that is a multiple of 1 is the usual one.
        const one = m.map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
        const same = laplace(net, { ...options, clip, prior: gaussianPrior(one) }).posterior(usual.fit);
        expect(same.covariance().data).toBeAllClose(usual.covariance().data, near);
        expect(same.logMarginalLikelihood()).toBeCloseTo(usual.logMarginalLikelihood(), 7);
      },
    ),
    { numRuns: 25 },
  );
});

describe.each(["full", "diagonal"] as const)("%s: an earlier posterior", (structure) => {
  test("of a linear model says what all data say at once, weights and evidence", async () => {
    // Of independent inputs, each weight's own, so that the diagonal is the whole curvature.
    const design = (seed: number) =>
      structure === "full"
        ? randomNormal([12, 3], { seed }).data
        : Float64Array.from({ length: 36 }, (_, i) => (i % 3 === Math.floor(i / 3) % 3 ? 1 + (seed % 7) / 7 : 0));
    const likelihood = gaussian({ noise: 0.4 });
    const solved = async (data: { x: Matrix; y: number[][] }, given: object, pull: Matrix, shift: number[]) => {
      const net = chain({ inputs: 3, dtype: "float64" }, dense(1, undefined, { bias: false }));
      // (h XᵀX + P₀) w = h Xᵀy + P₀ μ₀
      const h = 1 / 0.4 ** 2;
      const gram = product(transposed(data.x), data.x).map((row, i) => row.map((v, j) => h * v + pull[i][j]));
      const right = product(transposed(data.x), data.y).map(([v], i) => [
        h * v + pull[i].reduce((sum, p, j) => sum + p * shift[j], 0),
      ]);
      net.setParameters(product(inverted(gram).inverse, right).flat());
      return laplace(net, { likelihood, structure, ...given, checks: false }).fit(data);
    };
    const part = (seed: number) => {
      const flat = design(seed);
      const rows = Array.from({ length: 12 }, (_, r) => Array.from(flat.slice(3 * r, 3 * r + 3), Number));
      const noise = randomNormal([12], { seed: seed + 50 }).data;
      return { x: rows, y: rows.map((row, i) => [row[0] - 2 * row[1] + 0.5 * row[2] + 0.3 * noise[i]]) };
    };
    const [a, b] = [part(3), part(9)];
    const unit = [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? 0.7 : 0)));
    const first = await solved(a, { priorPrecision: 0.7 }, unit, [0, 0, 0]);
    const second = await solved(b, { prior: first }, rowsOf(first.precision().data, 3), Array.from(first.mean.data));
    const all = await solved({ x: [...a.x, ...b.x], y: [...a.y, ...b.y] }, { priorPrecision: 0.7 }, unit, [0, 0, 0]);
    expect(second.mean.data).toBeAllClose(all.mean.data, near);
    expect(second.covariance().data).toBeAllClose(all.covariance().data, near);
    // p(a, b) = p(a) p(b | a)
    expect(first.logMarginalLikelihood() + second.logMarginalLikelihood()).toBeCloseTo(all.logMarginalLikelihood(), 8);
  });

  test("goes into files to the bit, into other structures not, and stays as it was", async () => {
    const data = { x, y: likelihoods[0].y };
    const net = network(3);
    const { likelihood } = likelihoods[0];
    const first = await laplace(net, { likelihood, structure, priorPrecision: 0.5, checks: false }).fit(data);
    const before = first.precision().data.slice();
    const approximation = laplace(net, { likelihood, structure, prior: first, checks: false });
    const next = await approximation.fit(data);
    expect(first.precision().data).toEqual(before);
    expect(next.priorMean.data).toEqual(first.mean.data);
    expect([...next.priorPrecision.data]).toEqual([1]);
    expect(String(next)).toMatch(/prior precision 1\.000 times a matrix/);
    const bytes = savePosterior(next);
    expect(readSafetensors(bytes).metadata["laplace-ts.format"]).toBe("3");
    const again = loadPosterior(bytes);
    expect(savePosterior(again)).toEqual(bytes);
    expect(again.evidence()).toEqual(next.evidence());
    expect(again.covariance()).toEqual(next.covariance());
    expect(again.with({ priorPrecision: 3 }).evidence()).toEqual(next.with({ priorPrecision: 3 }).evidence());
    // Tuned in bursts it is tuned as at once.
    const quiet = { onWarning: () => {} };
    const tuned = next.optimizePrior(quiet);
    expect(await next.optimizePriorAsync(quiet)).toEqual(tuned);
    expect(tuned.logMarginalLikelihood()).toBeGreaterThan(next.logMarginalLikelihood());
    expect(await next.evidenceAsync()).toEqual(next.evidence());
    expect(await next.evidenceGradientAsync()).toEqual(next.evidenceGradient());
    const scored = next.optimizePrior({ on: data, prior: true, noise: false, temperature: false, ...quiet });
    expect(scored.priorPrecision.shape).toEqual([1]);
    // Two shards, and both fits at once.
    const part = (first: number, end: number) => ({
      x: rows2(x.data).slice(first, end),
      y: rows2(data.y.data).slice(first, end),
    });
    const [one, two] = [await approximation.sum(part(0, 6)), await approximation.sum(part(6, 15))];
    expect(approximation.posterior(one.merge(two)).covariance().data).toBeAllClose(next.covariance().data, near);
    // In float32 it is the same posterior within its digits.
    const single = network(3, "float32");
    single.setParameters(net.parameters.data);
    const early = await laplace(single, { likelihood, structure, priorPrecision: 0.5, checks: false }).fit(data);
    const late = await laplace(single, { likelihood, structure, prior: early, checks: false }).fit(data);
    expect(late.covariance().data).toBeAllClose(next.covariance().data, { relative: 1e-3, absolute: 1e-5 });
    const other = structure === "full" ? "diagonal" : "full";
    expect(() => laplace(net, { likelihood, structure: other, prior: first })).toThrow(/for the structure/);
    expect(() => laplace(net, { likelihood, structure: "kronecker", prior: first })).toThrow(OptionError);
    expect(() => laplace(net, { likelihood, structure, weights: "lastLayer", prior: first })).toThrow(/other weights/);
    const value = structure === "full" ? small.full : small.diagonal;
    const read = () =>
      small.loadPosterior(bytes, { structures: [value], likelihoods: [small.gaussian], layers: small.layers });
    expect(read).toThrow(/has a prior/);
  });

  test("pulls as train says, in the unit of the loss", async () => {
    const data = { x, y: likelihoods[0].y, weights: Array.from({ length: 15 }, (_, i) => 1 + (i % 3)) };
    const classes = { x, y: likelihoods[2].y };
    const start = network(8);
    for (const [loss, likelihood, given, unit] of [
      // The sum of the weights is 30, of two outputs.
      [gaussian({ noise: 0.4 }), gaussian({ noise: 0.4 }), data, 0.4 ** 2 / 60],
      [mse, gaussian({ noise: 1 }), data, 2 / 60],
      [crossEntropy, categorical(), classes, 1 / 15],
    ] as const) {
      const earlier = await laplace(network(4), { likelihood, structure, priorPrecision: 2, checks: false }).fit(given);
      const step = async (more: object) => {
        const net = start.clone();
        const optimizer = sgd({ learningRate: 0.01 });
        const { history } = await train(net, given, { loss, optimizer, epochs: 1, batchSize: 15, ...more });
        return { moved: Array.from(start.parameters.data, (w, i) => (w - net.parameters.data[i]) / 0.01), history };
      };
      const [usual, pulled] = [await step({}), await step({ prior: gaussianPrior(earlier, { scale: 0.8 }) })];
      // ∂ of ½ (θ − μ)ᵀ P₀ (θ − μ), in the unit of the mean loss.
      const d = Array.from(start.parameters.data, (w, i) => w - earlier.mean.data[i]);
      const due = rowsOf(earlier.precision().data, earlier.size).map(
        (row) => 0.8 * unit * row.reduce((sum, v, j) => sum + v * d[j], 0),
      );
      expect(pulled.moved.map((v, i) => v - usual.moved[i])).toBeAllClose(due, { relative: 1e-7, absolute: 1e-9 });
      const penalty = 0.5 * due.reduce((sum, v, i) => sum + v * d[i], 0);
      expect(pulled.history[0].loss - usual.history[0].loss).toBeCloseTo(penalty, 9);
    }
  });

  test("at the minimum with an earlier posterior the fit does not warn; without it it does", async () => {
    const likelihood = gaussian({ noise: 0.3 });
    const turned = (sign: number) => ({ x, y: rows2(x.data).map(([a, b]) => [Math.sin(sign * 2 * a), b * sign]) });
    const net = network(5);
    const options = { loss: likelihood, optimizer: adam({ learningRate: 0.02 }), epochs: 1500, batchSize: 15 };
    await train(net, turned(1), { ...options, weightDecay: 0.001 });
    const first = await laplace(net, { likelihood, structure }).fit(turned(1));
    await train(net, turned(-1), { ...options, prior: gaussianPrior(first) });
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const next = await laplace(net, { likelihood, structure, prior: first, onWarning }).fit(turned(-1));
    expect(warnings).toEqual([]);
    expect(next.diagnose().findings.map(({ code }) => code)).not.toContain("not-at-minimum");
    await laplace(net, { likelihood, structure, onWarning }).fit(turned(-1));
    expect(warnings).toHaveLength(1);
  });

  test("goes to a worker by its handle", async () => {
    const remote = await pair();
    const net = network(3);
    const data = { x, y: likelihoods[0].y };
    const options = { likelihood: gaussian({ noise: 0.5 }), structure, checks: false } as const;
    const there = await remote.send(net);
    const first = await remote.laplace(there, options).fit(data);
    const next = await remote.laplace(there, { ...options, prior: first }).fit(data);
    const here = await laplace(net, { ...options, prior: await laplace(net, options).fit(data) }).fit(data);
    expect(await next.covariance()).toEqual(here.covariance());
    expect(await next.evidence()).toEqual(here.evidence());
    remote.close();
  });

  test("needs the memory that is said", () => {
    const net = chain({ inputs: 10, seed: 1 }, dense(20, tanh), dense(2));
    const n = net.parameterCount;
    const bytes = 8 * (structure === "full" ? n * n : n);
    const [without, withIt] = [undefined, gaussianPrior([[1]])].map((prior) =>
      estimateMemory(net, { likelihood: "regression", structure, prior, examples: 100, inputs: 5 }),
    );
    // The matrix is there from the fit on; P is kept beside the curvature.
    expect(withIt.phases.fit - without.phases.fit).toBeGreaterThanOrEqual(bytes);
    expect(withIt.phases.predict - without.phases.predict).toBe(2 * bytes);
  });
});

const rows2 = (flat: ArrayLike<number>): Matrix =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

test("what is not a prior is refused where it is given", async () => {
  const net = network(1);
  const data = { x, y: likelihoods[0].y };
  const n = net.parameterCount;
  const { likelihood } = likelihoods[0];
  const matrix = matrixOf(n, 1);
  const options = { likelihood, structure: "full" } as const;
  const fitted = await laplace(net, { ...options, checks: false }).fit(data);
  const make = (prior: never, more: object = {}) => laplace(net, { ...options, ...more, prior });
  for (const bad of [3, "full", matrix, {}, null, net, fitted.fit])
    expect(() => make(bad as never)).toThrow(OptionError);
  expect(() => make(fitted as never, { priorPrecision: 2 })).toThrow(/without priorPrecision/);
  expect(() => make(fitted as never, { priorMean: 2 })).toThrow(/priorMean/);
  expect(() => make(gaussianPrior(matrixOf(3, 1)) as never)).toThrow(ShapeError);
  expect(() => gaussianPrior([[1, 2]])).toThrow(ShapeError);
  expect(() =>
    gaussianPrior([
      [1, 2],
      [0, 1],
    ]),
  ).toThrow(/not symmetric/);
  expect(() => gaussianPrior([[Number.NaN]])).toThrow(ValueError);
  expect(() => gaussianPrior(matrix, { scale: 0 })).toThrow(OptionError);
  expect(() => gaussianPrior(fitted, { mean: 0 })).toThrow(OptionError);
  expect(() => gaussianPrior(fitted.sandwich(data))).toThrow(ValueError);
  expect(() => JSON.stringify(gaussianPrior(matrix))).toThrow(/do not copy/);
  // A matrix that is not positive definite is told before the data are gone through.
  const flat = matrix.map((row, i) => row.map((v, j) => (i === 4 && j === 4 ? -1 : v)));
  const never = () => {
    throw new Error("the data were asked for");
  };
  await expect(make(gaussianPrior(flat) as never).fit(never as never)).rejects.toThrow(/not positive definite/);
  const controller = new AbortController();
  controller.abort(new Error("stop"));
  await expect(make(fitted as never).fit(data, { signal: controller.signal })).rejects.toThrow("stop");
  const own = make(gaussianPrior(matrix) as never, { checks: false }).posterior(fitted.fit);
  expect(() => own.with({ priorPrecision: Array.from({ length: n }, () => 1) })).toThrow(OptionError);
  expect(() => own.optimizePrior({ priorStructure: "perWeight" })).toThrow(/"scalar"/);
  expect([...own.with({ priorMean: 2 }).priorMean.data]).toEqual(new Array(n).fill(2));
  const training = { loss: mse, epochs: 1 };
  for (const more of [{ prior: 3 }, { prior: fitted }, { prior: gaussianPrior(matrix), weightDecay: 1 }]) {
    await expect(train(net.clone(), data, { ...training, ...more } as never)).rejects.toThrow(OptionError);
  }
  const small = gaussianPrior(matrixOf(2, 1));
  await expect(train(net.clone(), data, { ...training, prior: small })).rejects.toThrow(ShapeError);
  const another = chain({ inputs: 2 }, dense(2));
  await expect(train(another, data, { ...training, prior: gaussianPrior(fitted) })).rejects.toThrow(/parameters/);
});

test("laplace-ts/mini takes one as a value, with the same numbers", async () => {
  const net = network(2);
  const data = { x, y: likelihoods[0].y };
  const prior = gaussianPrior(matrixOf(net.parameterCount, 3));
  const options = { likelihood: gaussian({ noise: 0.4 }), checks: false };
  const here = await laplace(net, { ...options, structure: "full", prior }).fit(data);
  const there = await mini.laplace(net, { ...options, structure: mini.full, prior }).fit(data);
  expect(mini.evidence(there)).toEqual(here.evidence());
  expect(mini.predict(there, inputs).variance).toEqual(here.predict(inputs).variance);
});
