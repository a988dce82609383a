// Priors whose precision is a Kronecker product for each weight, factors and earlier posteriors, against dense formulas.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  categorical,
  chain,
  conv2d,
  convTranspose2d,
  dense,
  estimateMemory,
  flatten,
  gaussian,
  gaussianPrior,
  type KroneckerFactors,
  laplace,
  loadPosterior,
  type Network,
  OptionError,
  type Posterior,
  Random,
  randomNormal,
  ShapeError,
  savePosterior,
  sgd,
  tanh,
  train,
  ValueError,
} from "../../src/index.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";
import { inverted, kroneckerProduct, type Matrix, product, transposed } from "../reference/laplace.ts";
import { nearestKroneckerProduct } from "../reference/nearest-kronecker.ts";
import { pair } from "../remote/pair.ts";

const near = { relative: 1e-7, absolute: 1e-9 };
const rowsOf = (flat: ArrayLike<number>, n: number): Matrix =>
  Array.from({ length: n }, (_, r) => Array.from(flat).slice(r * n, (r + 1) * n));
const structure = "kronecker";

function matrixOf(n: number, random: Random): Matrix {
  const root = Array.from({ length: n }, () => Array.from({ length: n }, () => random.normal()));
  return product(root, transposed(root)).map((row, i) => row.map((x, j) => x / n + (i === j ? 0.3 : 0)));
}

const x = randomNormal([12, 2], { seed: 1, dtype: "float64" });
const y = randomNormal([12, 2], { seed: 2, dtype: "float64" });
const labels = Array.from({ length: 12 }, (_, i) => i % 2);
const images = randomNormal([12, 2, 3, 3], { seed: 3, dtype: "float64" });
const network = (seed: number, dtype: "float32" | "float64" = "float64") =>
  chain({ inputs: 2, dtype, seed }, dense(4, tanh), dense(2));
const convolutional = (seed: number) =>
  chain(
    { inputs: [2, 3, 3], dtype: "float64", seed },
    conv2d(4, 2, tanh, { groups: 2 }),
    convTranspose2d(2, 2),
    flatten,
    dense(2),
  );

/** Factors for the parameters of a fit, and the matrix that they stand for, block by block. */
function factorsFor({ curvature }: Posterior, random: Random): { factors: KroneckerFactors[]; matrix: Matrix } {
  const n = curvature.size;
  const matrix = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  let at = 0;
  const factors = curvature.factors().map(({ parameter, a, b }): KroneckerFactors => {
    const groups = b.rank === 3 ? b.shape[0] : 1;
    const draw = (side: typeof b) => Array.from({ length: groups }, () => matrixOf(side.shape[side.rank - 1], random));
    const [bs, as] = [draw(b), a && draw(a)];
    bs.forEach((one, g) => {
      const block = as === undefined ? one : kroneckerProduct(one, as[g]);
      block.forEach((row, i) => {
        row.forEach((value, j) => {
          matrix[at + i][at + j] = value;
        });
      });
      at += block.length;
    });
    const given = (all: Matrix[]) => (groups === 1 ? all[0] : (all as never));
    return { parameter, b: given(bs), a: as && given(as) };
  });
  return { factors, matrix };
}

test("factors: P = h B ⊗ A + δ N ⊗ K, its evidence, gradient, predictions, draws and densities", async () => {
  const cases = [
    { make: network, data: { x, y }, likelihood: gaussian({ noise: [0.5, 0.8] }), weights: "all" },
    { make: network, data: { x, y }, likelihood: gaussian(), weights: "lastLayer" },
    {
      make: network,
      data: { x, y: labels },
      likelihood: categorical(),
      weights: { parameters: ["1.bias", "0.weight"] },
    },
    { make: convolutional, data: { x: images, y: labels }, likelihood: categorical(), weights: "all" },
  ] as const;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 1e6 }),
      fc.constantFrom(...cases),
      fc.double({ min: 0.2, max: 30, noNaN: true }),
      async (seed, { make, data, likelihood, weights }, scale) => {
        const random = new Random(seed);
        const net: Network = make(seed % 100);
        const options = { likelihood, weights, structure, temperature: 1.3, checks: false } as const;
        const usual = await laplace(net, options).fit(data as never);
        const { factors, matrix } = factorsFor(usual, random);
        const n = usual.size;
        const mean = Array.from({ length: n }, (_, i) => Math.sin(i));
        const prior = gaussianPrior([...factors].reverse(), { scale, mean });
        const posterior = laplace(net, { ...options, prior }).posterior(usual.fit);
        const due = rowsOf(usual.precision().data, n).map((row, i) =>
          row.map((v, j) => v - (i === j ? 1 : 0) + scale * matrix[i][j]),
        );
        const { inverse, logDeterminant } = inverted(due);
        expect(posterior.precision().data).toBeAllClose(due.flat(), near);
        expect(posterior.covariance().data).toBeAllClose(inverse.flat(), near);
        expect(posterior.variance().data).toBeAllClose(
          inverse.map((row, i) => row[i]),
          near,
        );
        const evidence = posterior.evidence();
        const d = Array.from(posterior.mean.data, (w, i) => w - posterior.parts.prior.mean[i]);
        const form = (m: Matrix, v: readonly number[]) =>
          v.reduce((sum, a, i) => sum + a * m[i].reduce((all, b, j) => all + b * v[j], 0), 0);
        const ofPrior = inverted(matrix).logDeterminant + n * Math.log(scale);
        expect([evidence.logDetPosterior, evidence.logDetPrior, evidence.scatter]).toBeAllClose(
          [logDeterminant, ofPrior, scale * form(matrix, d)],
          near,
        );
        const at = ([u, s]: readonly number[]) => [
          posterior
            .with({ priorPrecision: Math.exp(u), ...(likelihood.hyper.any && { noise: Math.exp(s) }) })
            .logMarginalLikelihood(),
        ];
        const [slopes] = finiteDifferences(at, [Math.log(scale), Math.log(likelihood.hyper.value)], 2e-3);
        const { logPriorPrecision, logNoise } = posterior.evidenceGradient();
        expect(logPriorPrecision.data[0]).toBeCloseTo(slopes[0], 5);
        if (likelihood.hyper.any) expect(logNoise).toBeCloseTo(slopes[1], 4);
        // Predictions go by the covariance, and draws: standard normal numbers times a root of it.
        const joint = posterior.functionCovariance(data.x, { joint: true }).data;
        const width = Math.sqrt(joint.length);
        expect(posterior.predict(data.x).functionVariance.data).toBeAllClose(
          Array.from({ length: width }, (_, i) => joint[i * (width + 1)]),
          near,
        );
        const unit = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
        const steps = posterior.deviations(n, unit);
        let step = steps.next();
        while (!step.done) step = steps.next();
        const root = rowsOf(step.value, n);
        expect(product(transposed(root), root).flat()).toBeAllClose(inverse.flat(), near);
        const moved = Array.from({ length: n }, (_, i) => 0.1 * Math.cos(i));
        const away = [moved, moved.map(() => 0)].map((row) => row.map((v, i) => v + posterior.mean.data[i]));
        const middle = 0.5 * (logDeterminant - n * Math.log(2 * Math.PI));
        expect(posterior.logProb(away).data).toBeAllClose([middle - 0.5 * form(due, moved), middle], near);
      },
    ),
    { numRuns: 8 },
  );
});

test("an earlier posterior: its mean, and the product nearest to its precision, again and again", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 1e6 }),
      fc.boolean(),
      fc.double({ min: 0.5, max: 3, noNaN: true }),
      async (seed, images2, delta) => {
        const net: Network = (images2 ? convolutional : network)(seed % 100);
        const data = images2 ? { x: images, y: labels } : { x, y: labels };
        const options = { likelihood: categorical(), structure, checks: false } as const;
        let before = await laplace(net, { ...options, priorPrecision: delta }).fit(data);
        for (let task = 0; task < 2; task++) {
          const next = await laplace(net, { ...options, prior: before }).fit(data);
          const { matrix } = next.parts.prior;
          const [p, m] = [before.precision().data, matrix?.curvature.dense().data as Float64Array];
          for (const { at, size, groups, outputs, inputs } of blocksOf(before)) {
            const block = (of: ArrayLike<number>) =>
              Array.from({ length: size }, (_, i) =>
                Array.from({ length: size }, (_, j) => of[(at + i) * before.size + at + j]),
              );
            const [due, found] = [nearestKroneckerProduct(block(p), groups, outputs, inputs), block(m)];
            expect(found.flat()).toBeAllClose(due.flat(), { relative: 1e-5, absolute: 1e-6 });
          }
          expect(next.priorMean.data).toEqual(before.mean.data);
          before = next;
        }
      },
    ),
    { numRuns: 3 },
  );
  // What is a product already stays what it is.
  const options = { likelihood: gaussian({ noise: 0.4 }), structure, checks: false, damping: true } as const;
  const damped = await laplace(network(2), { ...options, priorPrecision: 0.3 }).fit({ x, y });
  const next = await laplace(network(2), { ...options, damping: false, prior: damped }).fit({ x, y });
  expect(next.parts.prior.matrix?.curvature.dense().data).toBeAllClose(damped.precision().data, near);
});

function blocksOf({ curvature, net }: Posterior) {
  let at = 0;
  return curvature.factors().map(({ parameter, b, a }) => {
    const groups = b.rank === 3 ? b.shape[0] : 1;
    const [outputs, inputs] = [b.shape[b.rank - 1], a === undefined ? 1 : a.shape[a.rank - 1]];
    const size = net.parameterTable.find(({ name }) => name === parameter)?.size as number;
    at += size;
    return { at: at - size, size, groups, outputs, inputs };
  });
}

test("goes into files to the bit, to workers and into float32, and is tuned in bursts as at once", async () => {
  const likelihood = gaussian();
  const options = { likelihood, structure, checks: false } as const;
  const net = network(3);
  const data = { x, y };
  const first = await laplace(net, { ...options, priorPrecision: 0.5 }).fit(data);
  const approximation = laplace(net, { ...options, prior: gaussianPrior(first, { scale: 0.7 }) });
  const next = await approximation.fit(data);
  expect([...next.priorPrecision.data]).toEqual([0.7]);
  const bytes = savePosterior(next);
  const again = loadPosterior(bytes);
  expect(savePosterior(again)).toEqual(bytes);
  expect(again.evidence()).toEqual(next.evidence());
  expect(again.covariance()).toEqual(next.covariance());
  const quiet = { onWarning: () => {} };
  const tuned = next.optimizePrior(quiet);
  expect(await next.optimizePriorAsync(quiet)).toEqual(tuned);
  expect(tuned.logMarginalLikelihood()).toBeGreaterThan(next.logMarginalLikelihood());
  // The noises of both outputs, each by itself.
  expect(tuned.noise).not.toBe(next.noise);
  const slopes = tuned.evidenceGradient().logPriorPrecision.data;
  if (tuned.tuning?.converged === true) expect(Math.abs(slopes[0])).toBeLessThan(1e-3);
  const part = (from: number, end: number) => ({
    x: Array.from({ length: end - from }, (_, i) => [x.at(from + i, 0), x.at(from + i, 1)]),
    y: Array.from({ length: end - from }, (_, i) => [y.at(from + i, 0), y.at(from + i, 1)]),
  });
  const [one, two] = [await approximation.sum(part(0, 5)), await approximation.sum(part(5, 12))];
  expect(approximation.posterior(one.merge(two)).covariance().data).toBeAllClose(next.covariance().data, near);
  const single = network(3, "float32");
  single.setParameters(net.parameters.data);
  const early = await laplace(single, { ...options, priorPrecision: 0.5 }).fit(data);
  const late = await laplace(single, { ...options, prior: gaussianPrior(early, { scale: 0.7 }) }).fit(data);
  expect(late.covariance().data).toBeAllClose(next.covariance().data, { relative: 1e-3, absolute: 1e-4 });
  const remote = await pair();
  const there = await remote.send(net);
  const before = await remote.laplace(there, options).fit(data);
  const after = await remote.laplace(there, { ...options, prior: before }).fit(data);
  const here = await laplace(net, { ...options, prior: await laplace(net, options).fit(data) }).fit(data);
  expect(await after.covariance()).toEqual(here.covariance());
  remote.close();
  const [without, withIt] = [undefined, gaussianPrior([[1]])].map((prior) =>
    estimateMemory(net, { likelihood, structure, prior, examples: 100, inputs: 5 }),
  );
  expect(withIt.bytes).toBeGreaterThan(without.bytes);
});

test("pulls as train says", async () => {
  const start = network(8);
  const data = { x, y: labels };
  const likelihood = categorical();
  const earlier = await laplace(network(4), { likelihood, structure, priorPrecision: 2, checks: false }).fit(data);
  const prior = gaussianPrior(earlier, { scale: 0.8 });
  const matrix = (await laplace(start, { likelihood, structure, prior, checks: false }).fit(data)).parts.prior.matrix;
  const step = async (more: object) => {
    const net = start.clone();
    await train(net, data, {
      loss: likelihood,
      optimizer: sgd({ learningRate: 0.01 }),
      epochs: 1,
      batchSize: 12,
      ...more,
    });
    return Array.from(start.parameters.data, (w, i) => (w - net.parameters.data[i]) / 0.01);
  };
  const [usual, pulled] = [await step({}), await step({ prior })];
  const d = Array.from(start.parameters.data, (w, i) => w - earlier.mean.data[i]);
  const due = rowsOf(matrix?.curvature.dense().data as Float64Array, d.length).map(
    (row) => (0.8 / 12) * row.reduce((sum, v, j) => sum + v * d[j], 0),
  );
  expect(pulled.map((v, i) => v - usual[i])).toBeAllClose(due, { relative: 1e-7, absolute: 1e-9 });
});

test("what is not factors of these parameters is refused by name", async () => {
  const net = network(1);
  const options = { likelihood: categorical(), structure, checks: false } as const;
  const data = { x, y: labels };
  const usual = await laplace(net, options).fit(data);
  const { factors } = factorsFor(usual, new Random(1));
  const make = (given: readonly unknown[], more: object = {}) =>
    laplace(net, { ...options, ...more, prior: gaussianPrior(given as KroneckerFactors[]) });
  const changed = (change: object) => factors.map((one, i) => (i === 0 ? { ...one, ...change } : one));
  expect(() => make(factors.slice(1))).toThrow(/"0.weight" has none/);
  expect(() => make([...factors, { parameter: "5.weight", b: [[1]] }])).toThrow(/"5.weight" is not among them/);
  expect(() => make([...factors, factors[0]])).toThrow(/factors twice/);
  expect(() => make(changed({ parameter: 3 }))).toThrow(/must be a name/);
  expect(() => make(changed({ a: undefined }))).toThrow(/is a weight/);
  expect(() => make(factors.map((one) => ({ ...one, a: [[1]] })))).toThrow(/is a vector|\[2, 2\]/);
  expect(() => make(changed({ b: [[1, 2]] }))).toThrow(ShapeError);
  expect(() =>
    make(
      changed({
        a: [
          [1, 2],
          [0, 1],
        ],
      }),
    ),
  ).toThrow(/factor a of "0.weight": the matrix is not symmetric/);
  expect(() =>
    make(
      changed({
        a: [
          [1, Number.NaN],
          [0, 1],
        ],
      }),
    ),
  ).toThrow(ValueError);
  expect(() => make(factors, { structure: "full" })).toThrow(/for the structure "kronecker"/);
  expect(() => make(factors, { structure: "ekfac" })).toThrow(OptionError);
  const never = () => {
    throw new Error("the data were asked for");
  };
  await expect(
    make(
      changed({
        a: [
          [1, 2],
          [2, 1],
        ],
      }),
    ).fit(never as never),
  ).rejects.toThrow(/not positive definite: that of "0.weight"/);
  const ekfac = await laplace(net, { ...options, structure: "ekfac" }).fit(data);
  expect(() => gaussianPrior(ekfac)).toThrow(/"full", "diagonal" or "kronecker"/);
  // They are as they were when they were given.
  const [first] = factors as [{ parameter: string; b: number[][] }];
  const prior = gaussianPrior(factors);
  const [before] = [
    laplace(net, { ...options, prior })
      .posterior(usual.fit)
      .precision().data,
  ];
  first.b[0][0] += 5;
  expect(
    laplace(net, { ...options, prior })
      .posterior(usual.fit)
      .precision().data,
  ).toEqual(before);
});
