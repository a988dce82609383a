// IVON against algorithm 1 of Shen et al. 2024 with plain numbers, against the exact posterior of a linear model, and as a posterior.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  adam,
  categorical,
  chain,
  cosineDecay,
  crossEntropy,
  dense,
  evaluate,
  gaussian,
  gradient,
  type IvonOptions,
  ivon,
  ivonPosterior,
  laplace,
  loadPosterior,
  marginalLikelihood,
  mse,
  type Network,
  NonFiniteLossError,
  OptionError,
  type Posterior,
  Random,
  randomNormal,
  ShapeError,
  savePosterior,
  type TrainingOptions,
  tanh,
  train,
  twoMoons,
  ValueError,
} from "../../src/index.ts";
import { near } from "../reference/draw.ts";
import { ivonRule } from "../reference/optimisers.ts";

const likelihood = gaussian({ noise: 0.3 });

/** The stream from which `ivon` draws. */
const draws = (seed: number) => new Random().restart(Uint32Array.of(0x69766f6e, 0, 0, 0), seed);

describe("each step is that of the definition", () => {
  const [x, y] = [randomNormal([5, 2], { seed: 1 }), randomNormal([5, 2], { seed: 2 })];
  const cases = fc.record({
    dtype: fc.constantFrom("float64" as const, "float32" as const),
    batchSize: fc.integer({ min: 1, max: 5 }),
    weightDecay: fc.constantFrom(0, 0.2),
    weighted: fc.boolean(),
    clipNorm: fc.constantFrom(undefined, 0.5),
    scheduled: fc.boolean(),
    frozen: fc.boolean(),
    loss: fc.constantFrom("mse" as const, "gaussian" as const),
    seed: fc.nat({ max: 1000 }),
    options: fc.record(
      {
        learningRate: fc.constantFrom(0.05, 0.3),
        beta1: fc.constantFrom(0, 0.7),
        beta2: fc.constantFrom(0.5, 0.99),
        initialCurvature: fc.constantFrom(0.5, 2),
        priorPrecision: fc.constantFrom(0.1, 3),
        effectiveSamples: fc.constantFrom(4, 50),
      },
      { requiredKeys: [] },
    ),
  });
  test("with batches, weights, schedules, clipping and frozen layers, in both types", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const { dtype, batchSize, weightDecay, clipNorm, seed, options } = one;
        const make = (dtype: "float64" | "float32") => chain({ inputs: 2, seed: 3, dtype }, dense(3, tanh), dense(2));
        const [net, reference] = [make(dtype), make("float64")];
        reference.setParameters(net.parameters);
        if (one.frozen) net.freeze("0.bias");
        const still = (i: number) => one.frozen && i >= 6 && i < 9;
        const weights = one.weighted ? [1, 2, 0.5, 3, 1] : undefined;
        const loss = one.loss === "mse" ? mse : likelihood;
        const EPOCHS = 3;
        const steps = EPOCHS * Math.ceil(5 / batchSize);
        const schedule = (step: number, all: number) => 1 - (0.5 * step) / all;
        // −log p = λ (mean loss): both are means over examples and outputs, and mse is of noise 1 without a half.
        const total = weights === undefined ? 5 : 7.5;
        const lambda = options.effectiveSamples ?? 2 * total * (one.loss === "mse" ? 0.5 : 1 / 0.09);
        const rules = Array.from(reference.parameters.data, () =>
          ivonRule({
            rate: options.learningRate ?? 0.1,
            beta1: options.beta1 ?? 0.9,
            // The memory is a tenth of the steps, and those are few: ten.
            beta2: options.beta2 ?? 0.9,
            first: options.initialCurvature ?? 1,
            lambda,
            delta: weightDecay + (options.priorPrecision ?? 1) / lambda,
          }),
        );
        const random = draws(seed);
        for (let step = 1, start = 0; step <= steps; step++) {
          const rows = Array.from({ length: Math.min(batchSize, 5 - start) }, (_, i) => start + i);
          start = (start + batchSize) % 5 < batchSize && start + batchSize >= 5 ? 0 : start + batchSize;
          const batch = {
            x: rows.map((i) => [...x.sub(i).data]),
            y: rows.map((i) => [...y.sub(i).data]),
            ...(weights && { weights: rows.map((i) => weights[i]) }),
          };
          const m = [...reference.parameters.data];
          const theta = m.map((value, i) => (still(i) ? value : rules[i].draw(value, random.normal())));
          reference.setParameters(theta);
          let g = [...gradient(reference, loss, batch).data];
          const norm = Math.sqrt(g.reduce((sum, value, i) => sum + (still(i) ? 0 : value ** 2), 0));
          if (clipNorm !== undefined && norm > clipNorm) g = g.map((value) => (value * clipNorm) / norm);
          const factor = one.scheduled ? schedule(step, steps) : 1;
          reference.setParameters(
            m.map((value, i) => (still(i) ? value : rules[i].step(g[i], value, theta[i], factor))),
          );
        }
        const result = await train(
          net,
          { x, y, ...(weights && { weights }) },
          {
            ...{ loss, optimizer: ivon(options), epochs: EPOCHS, batchSize, weightDecay, shuffle: false, seed },
            ...(one.scheduled && { schedule }),
            ...(clipNorm && { clipNorm }),
          },
        );
        const { variational } = result;
        expect(variational?.effectiveSamples).toBeCloseTo(lambda, 9);
        // Long steps carry float32's rounding on from each gradient to the next: 6e-4 was seen once in thousands of runs.
        const close = near(reference.parameters.data, dtype, dtype === "float64" ? 0.1 : 30);
        expect(net.parameters.data).toBeAllClose(reference.parameters.data, close);
        expect(variational?.mean.data).toEqual(net.parameters.data);
        expect(variational?.examples).toBe(total);
        const free = (values: ArrayLike<number>) => Array.from(values).filter((_, i) => !still(i));
        const precision = free(rules.map((rule) => rule.precision()));
        expect(free(variational?.precision.data ?? [])).toBeAllClose(precision, {
          relative: dtype === "float64" ? 1e-9 : 2e-2,
        });
      }),
    );
  });
});

/** A linear model, with correlated inputs. */
function linear(rows = 64) {
  const random = new Random(4);
  const x = Array.from({ length: rows }, () => {
    const [a, b, c] = [random.normal(), random.normal(), random.normal()];
    return [a, 0.4 * a + b, 0.5 * c];
  });
  const y = x.map(([a, b, c]) => [a - 2 * b + 0.5 * c + 0.3 + 0.3 * random.normal()]);
  return { x, y };
}

describe("of a linear model with Gaussian noise", () => {
  // The variational optimum among diagonal Gaussians is the exact mean, and of the exact precision the diagonal (Bishop 2006, 10.1.2).
  test.each(["float64", "float32"] as const)(
    "mean and precision become those of the best diagonal Gaussian (%s)",
    async (dtype) => {
      const data = linear();
      const net = chain({ inputs: 3, seed: 1, dtype }, dense(1));
      const { variational } = await train(net, data, {
        ...{ loss: likelihood, optimizer: ivon({ priorPrecision: 5 }), epochs: 5000, batchSize: 16, seed: 2 },
        schedule: cosineDecay(),
      });
      // P = XᵀX / σ² + 5 I, m = P⁻¹ Xᵀ y / σ², by Gauss-Seidel.
      const rows = data.x.map((row) => [...row, 1]);
      const precision = Array.from({ length: 4 }, (_, i) =>
        Array.from({ length: 4 }, (_, j) => rows.reduce((sum, r) => sum + (r[i] * r[j]) / 0.09, i === j ? 5 : 0)),
      );
      const right = Array.from({ length: 4 }, (_, i) =>
        rows.reduce((sum, r, n) => sum + (r[i] * data.y[n][0]) / 0.09, 0),
      );
      const mean = [0, 0, 0, 0];
      for (let sweep = 0; sweep < 500; sweep++) {
        for (let i = 0; i < 4; i++) {
          const others = mean.reduce((sum, one, j) => sum + (j === i ? 0 : precision[i][j] * one), 0);
          mean[i] = (right[i] - others) / precision[i][i];
        }
      }
      const found = Array.from(variational?.precision.data ?? []);
      for (let i = 0; i < 4; i++) {
        const deviation = 1 / Math.sqrt(precision[i][i]);
        expect(Math.abs(found[i] / precision[i][i] - 1)).toBeLessThan(0.08);
        expect(Math.abs(net.parameters.data[i] - mean[i])).toBeLessThan(0.2 * deviation);
      }
    },
  );
});

const posteriorOf = async (net: Network, more: Partial<TrainingOptions> = {}, options: IvonOptions = {}) => {
  const data = linear();
  const loss = likelihood;
  const { variational } = await train(net, data, { loss, optimizer: ivon(options), epochs: 300, ...more });
  return { posterior: ivonPosterior(net, variational, { likelihood }), variational, data };
};
const make = (dtype: "float32" | "float64" = "float64") =>
  chain({ inputs: 3, seed: 1, dtype }, dense(4, tanh), dense(1));

describe("its posterior", () => {
  test("has the mean and the precision that were learned, predicts, draws, and goes into a file", async () => {
    const net = make();
    const { posterior, variational, data } = await posteriorOf(net);
    const precision = variational?.precision.data as Float64Array;
    const n = posterior.size;
    expect(posterior.structure).toBe("diagonal");
    expect(posterior.examples).toBe(64);
    expect(posterior.mean.data).toEqual(net.parameters.data);
    expect(posterior.variance().data).toBeAllClose(
      precision.map((one) => 1 / one),
      { relative: 1e-12 },
    );
    expect(posterior.precision().data.filter((_, i) => i % (n + 1) === 0)).toBeAllClose(precision, { relative: 1e-12 });
    const samples = posterior.sample(2000, { seed: 3 }).data;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let s = 0; s < 2000; s++) sum += (samples[s * n + i] - posterior.mean.data[i]) ** 2;
      expect(Math.abs((sum / 2000) * precision[i] - 1)).toBeLessThan(6 * Math.sqrt(2 / 2000));
    }
    // The linearised function's variance is Σ (∂f/∂θ)² / precision, and the target's has the noise besides.
    const { functionVariance, variance } = posterior.predict(data.x);
    const step = 1e-5;
    const moved = (i: number, by: number) => {
      const values = [...net.parameters.data];
      values[i] += by;
      return net.clone(values).forward(data.x).data;
    };
    const due = new Float64Array(64);
    for (let i = 0; i < n; i++) {
      const [up, down] = [moved(i, step), moved(i, -step)];
      for (let b = 0; b < 64; b++) due[b] += ((up[b] - down[b]) / (2 * step)) ** 2 / precision[i];
    }
    expect(functionVariance.data).toBeAllClose(due, { relative: 1e-6 });
    expect(variance.at(5, 0) - functionVariance.at(5, 0)).toBeCloseTo(0.09, 12);

    const read = loadPosterior(savePosterior(posterior));
    expect(read.covariance()).toEqual(posterior.covariance());
    expect(read.predict(data.x)).toEqual(posterior.predict(data.x));
    expect(read.sample(2, { seed: 3 })).toEqual(posterior.sample(2, { seed: 3 }));
    expect(savePosterior(read)).toEqual(savePosterior(posterior));
    // The network goes its own way.
    net.setParameters(net.parameters.data.map(() => 0));
    expect(posterior.predict(data.x)).toEqual(read.predict(data.x));
  });

  test.each(["float32", "float64"] as const)(
    "is the same by the same seed, and another by another (%s)",
    async (dtype) => {
      const by = async (seed: number) => {
        const { posterior } = await posteriorOf(make(dtype), { seed, epochs: 40 });
        return [posterior.mean.data, posterior.variance().data];
      };
      expect(await by(1)).toEqual(await by(1));
      expect(await by(1)).not.toEqual(await by(2));
    },
  );

  test("leaves frozen weights where they are, and lets some vary", async () => {
    const net = make().freeze("0");
    const before = net.parameters.data.slice(0, 16);
    const { posterior, variational } = await posteriorOf(net);
    expect(net.parameters.data.slice(0, 16)).toEqual(before);
    expect(posterior.size).toBe(5);
    const some = ivonPosterior(net, variational, { likelihood, weights: { indices: [17, 20] } });
    const variance = posterior.variance().data;
    expect([...some.variance().data]).toEqual([variance[1], variance[4]]);
    const { indices } = await laplace(net, {
      ...{ likelihood, structure: "full", checks: false },
      weights: { mostVariable: 2, of: posterior },
    }).fit(linear());
    const order = [0, 1, 2, 3, 4].sort((a, b) => variance[b] - variance[a]);
    expect([...indices]).toEqual(
      order
        .slice(0, 2)
        .map((i) => i + 16)
        .sort((a, b) => a - b),
    );
  });

  test("has intervals that cover what they say, where a network without uncertainty has not", async () => {
    const random = new Random(8);
    const draw = (rows: number) => {
      const x = Array.from({ length: rows }, () => [2 * random.uniform() - 1]);
      return { x, y: x.map(([one]) => [Math.sin(4 * one) + 0.3 * random.normal()]) };
    };
    const data = draw(40);
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(16, tanh), dense(1));
    const { variational } = await train(net, data, {
      ...{ loss: likelihood, optimizer: ivon(), epochs: 2000, batchSize: 20 },
      schedule: cosineDecay(),
    });
    const posterior = ivonPosterior(net, variational, { likelihood });
    const test = draw(4000);
    const { mean, variance, functionVariance } = posterior.predict(test.x);
    const within = (deviations: ArrayLike<number>) =>
      test.y.filter(([y], i) => Math.abs(y - mean.data[i]) < 1.6449 * deviations[i]).length / 4000;
    const covered = within(variance.data.map(Math.sqrt));
    expect(covered).toBeGreaterThan(0.87);
    expect(covered).toBeLessThan(0.93);
    // Without the weights' uncertainty intervals are too short.
    expect(within(variance.data.map((one, i) => Math.sqrt(one - functionVariance.data[i])))).toBeLessThan(
      covered - 0.01,
    );
  });

  test("of classes, has better probabilities than the network of the same weights trained without a prior", async () => {
    const [data, held] = [
      twoMoons({ samples: 30, seed: 1, noise: 0.3 }),
      twoMoons({ samples: 500, seed: 2, noise: 0.3 }),
    ];
    const make = () => chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(16, tanh), dense(2));
    const net = make();
    const options = { loss: crossEntropy, epochs: 600, batchSize: 10 };
    const { variational } = await train(net, data, { ...options, optimizer: ivon(), schedule: cosineDecay() });
    const posterior = ivonPosterior(net, variational, { likelihood: categorical() });
    const plain = make();
    await train(plain, data, { ...options, optimizer: adam({ learningRate: 0.02 }) });
    const { negativeLogLikelihood } = evaluate(posterior, held);
    const logits = plain.forward(held.x);
    expect(negativeLogLikelihood).toBeLessThan(crossEntropy(logits, held.y));
  });

  test("has no evidence, and its prior cannot be changed", async () => {
    const { posterior } = await posteriorOf(make(), { epochs: 3 });
    for (const call of [
      () => posterior.evidence(),
      () => posterior.optimizePrior(),
      () => posterior.with({ priorPrecision: 2 }),
      () => posterior.merge(posterior),
    ]) {
      expect(call).toThrow(ValueError);
      expect(call).toThrow(/neither a prior nor an evidence/);
    }
    const noisy: Posterior<"normal"> = posterior.with({ noise: 2 });
    expect(noisy.predict([[0, 0, 0]]).functionVariance).toEqual(posterior.predict([[0, 0, 0]]).functionVariance);
  });
});

describe("training by it", () => {
  test("tells of epochs with the means, and stops where it is told to", async () => {
    const net = make();
    const abort = new AbortController();
    let last: ArrayLike<number> = [];
    const training = train(net, linear(), {
      ...{ loss: likelihood, optimizer: ivon(), epochs: 20, signal: abort.signal },
      onProgress({ epoch }) {
        last = net.parameters.data.slice();
        if (epoch === 3) abort.abort(new Error("enough"));
      },
    });
    await expect(training).rejects.toThrow("enough");
    expect(net.parameters.data).toEqual(last);
    const { history } = await train(net, linear(), { loss: likelihood, optimizer: ivon(), epochs: 5 });
    expect(history.length).toBe(5);
    expect((await train(net, linear(), { loss: likelihood, epochs: 2 })).variational).toBeUndefined();
  });

  test("that comes to no number keeps the last means", async () => {
    const net = make("float32");
    const start = net.parameters.data.slice();
    const optimizer = ivon({ initialCurvature: 1e-50, priorPrecision: 1e-50, effectiveSamples: 1 });
    await expect(train(net, linear(), { loss: mse, optimizer, epochs: 5 })).rejects.toThrow(NonFiniteLossError);
    expect(net.parameters.data.every(Number.isFinite)).toBe(true);
    expect(net.parameters.data).toEqual(start);
  });

  test("with options that say nothing is refused before anything changes", async () => {
    for (const options of [
      { learningRate: 0 },
      { beta1: 1 },
      { beta2: -0.1 },
      { initialCurvature: 0 },
      { priorPrecision: 0 },
      { effectiveSamples: Number.NaN },
      { hessInit: 1 },
    ]) {
      expect(() => ivon(options as IvonOptions)).toThrow(OptionError);
    }
    const net = make();
    const start = net.parameters.data.slice();
    const evidence = marginalLikelihood();
    await expect(train(net, linear(), { loss: likelihood, optimizer: ivon(), evidence })).rejects.toThrow(
      /ivon\(\) has a prior of its own/,
    );
    expect(net.parameters.data).toEqual(start);
  });

  test("what is not a state, or is of another network, is refused", async () => {
    const { variational } = await posteriorOf(make(), { epochs: 1 });
    const { variational: none } = await train(make(), linear(), { loss: mse, epochs: 1 });
    expect(() => ivonPosterior(make(), none, { likelihood })).toThrow(/with the optimizer ivon\(\)/);
    const other = chain({ inputs: 3, seed: 1 }, dense(1));
    expect(() => ivonPosterior(other, variational, { likelihood })).toThrow(ShapeError);
    expect(() => ivonPosterior({} as never, variational, { likelihood })).toThrow(/ivonPosterior/);
  });
});
