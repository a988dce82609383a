// Where theory says what the numbers must be: structures that are equal, draws that agree in the mean, linear models.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  DataLoader,
  dense,
  gaussian,
  type LaplaceOptions,
  laplace,
  OptionError,
  Random,
  type Structure,
  tanh,
  ValueError,
} from "../../../src/index.ts";
import { inverted, type Matrix, product, transposed } from "../../reference/laplace.ts";
import { everyCase } from "../../setup.ts";
import { needsBasis } from "../../stored-structures.ts";
import { cases, fixtureOf, kinds, type Model, models, near, worldOf } from "./cases.ts";

const structures: readonly Structure[] = ["full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional"];

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  expect(actual).toBeAllClose(expected, near(expected, relative));
}

/** A target each for some examples. */
function targetsOf({ name, outputs }: Model, count: number) {
  const random = new Random(2);
  if (name.startsWith("categorical")) return array(Array.from({ length: count }, () => random.integer(outputs)));
  return array(
    Array.from({ length: count * outputs }, () => random.integer(2)),
    { shape: [count, outputs] },
  );
}

const inputsOf = (count: number, width: number) => {
  const random = new Random(9);
  return array(
    Array.from({ length: count * width }, () => random.normal()),
    { shape: [count, width] },
  );
};

describe.each(models.filter(({ shape }) => shape === undefined).map((model) => [model.name, model] as const))(
  "%s",
  (_, model) => {
    const { likelihood, outputs } = model;

    test.each(kinds)("%s of one example and one layer without bias: full = Kronecker = EKFAC", (curvature) => {
      const net = chain({ inputs: 4, dtype: "float64", seed: 3 }, dense(outputs, undefined, { bias: false }));
      const data = { x: inputsOf(1, 4), y: targetsOf(model, 1) };
      const [full, diagonal, kronecker, ekfac, kfoc] = structures.map((structure) =>
        curvatureOf(net, likelihood, data, { structure, curvature, points: data.x, seed: 1 }),
      );
      expectNear(kronecker.dense().data, full.dense().data, 1e-12);
      expectNear(ekfac.dense().data, full.dense().data, 1e-12);
      expectNear(kfoc.dense().data, full.dense().data, 1e-12);
      expectNear(diagonal.diagonal().data, full.diagonal().data, 1e-12);
      expect(Math.max(...full.dense().data)).toBeGreaterThan(0.01);
    });

    test.each(kinds)("%s of one example: Kronecker's blocks are those of the full matrix", (curvature) => {
      const { net, dataOf } = worldOf("plain", model);
      const [full, , kronecker] = structures.map((structure) =>
        curvatureOf(net, likelihood, dataOf([0]), { structure, curvature, points: dataOf([0]).x, seed: 1 }),
      );
      const n = full.size;
      const block = (i: number) => net.parameterTable.findIndex(({ offset, size }) => i >= offset && i < offset + size);
      const blocks = full
        .dense()
        .data.map((x: number, i: number) => (block(Math.floor(i / n)) === block(i % n) ? x : 0));
      expectNear(kronecker.dense().data, blocks, 1e-12);
    });

    test.each(kinds)("%s over a single weight: all structures are the same", async (curvature) => {
      const net = chain({ inputs: 1, dtype: "float64", seed: 3 }, dense(1, tanh, { bias: false }), dense(outputs));
      // Where a² is the same for all examples, its mean may leave the sum.
      const data = { x: [[1], [-1], [-1], [1], [1]], y: targetsOf(model, 5) };
      const weights = { parameters: ["0.weight"] };
      const posteriors = await Promise.all(
        structures.map((structure) =>
          laplace(net, {
            ...{ likelihood, structure, weights, curvature, seed: 1, checks: false, priorPrecision: 0.3 },
            points: data.x,
          }).fit(data),
        ),
      );
      const [full] = posteriors;
      expect(full.size).toBe(1);
      for (const posterior of posteriors) {
        const [ours, theirs] = [posterior, full].map((one) => Object.values(one.evidence()));
        expect(ours).toBeAllClose(theirs, { relative: 1e-12, absolute: 1e-12 });
        expectNear(posterior.covariance().data, full.covariance().data, 1e-12);
        expectNear(posterior.functionCovariance(data.x).data, full.functionCovariance(data.x).data, 1e-12);
        const [a, b] = [posterior, full].map((one) => one.optimizePrior().logMarginalLikelihood());
        expect([a]).toBeAllClose([b], { relative: 1e-9 });
      }
    });

    test.skipIf(model.many).each(["full", "kronecker"] as const)(
      "many Monte Carlo draws approach the GGN: %s",
      (structure) => {
        const { net, dataOf } = worldOf("plain", model);
        const data = dataOf([0, 1, 2, 3, 4]);
        const due = curvatureOf(net, likelihood, data, { structure }).dense().data;
        // Forty fits of a hundred draws: their spread tells the error of their mean.
        const fits = Array.from({ length: 40 }, (_, seed) => {
          const options = { structure, curvature: "monteCarlo", monteCarloSamples: 100, seed } as const;
          return curvatureOf(net, likelihood, data, options).dense().data;
        });
        const largest = Math.max(...due);
        due.forEach((x: number, i: number) => {
          const mean = fits.reduce((sum, fit) => sum + fit[i] / 40, 0);
          const error = Math.sqrt(fits.reduce((sum, fit) => sum + (fit[i] - mean) ** 2, 0) / (39 * 40));
          expect(Math.abs(mean - x), `entry ${i}`).toBeLessThanOrEqual(6 * error + 1e-9 * largest);
          expect(error).toBeLessThanOrEqual(0.05 * largest);
        });
      },
    );
  },
);

describe.runIf(everyCase)("100 000 draws", () => {
  const small = cases.filter((one) => one.kind === "ggn" && fixtureOf(one).indices().length <= 12);
  // One for every structure and every selection of weights.
  const chosen = small.filter(
    ({ structure, options }, i) =>
      small.findIndex((one) => one.structure === structure && same(one.options.weights, options.weights)) === i,
  );

  test("there is one of every structure", () => {
    expect(new Set(chosen.map(({ structure }) => structure)).size).toBe(structures.length);
  });

  for (const one of chosen) {
    test(`have the posterior's mean and covariance: ${one.name}`, async () => {
      const { posterior, indices } = fixtureOf(one);
      const fitted = await posterior();
      const [n, p, s] = [100_000, one.world.theta.length, indices().length];
      const draws = fitted.sample(n, { seed: 1 }).data;
      const picked = new Float64Array(n * s);
      for (let i = 0; i < n; i++) {
        for (let k = 0; k < s; k++) picked[i * s + k] = draws[i * p + indices()[k]] - one.world.theta[indices()[k]];
      }
      checkMoments(picked, n, s, fitted.covariance().data);
    });

    test(`of functions, 20 000, have J P⁻¹ Jᵀ: ${one.name}`, async () => {
      const fitted = await fixtureOf(one).posterior();
      const { x } = one.world;
      const due = fitted.functionCovariance(x, { joint: true });
      const n = 20_000;
      const size = due.shape[0];
      const mean = fitted.predict(x).functionMean.data;
      const draws = fitted.functionSamples(x, n, { seed: 1 }).data.map((f: number, i: number) => f - mean[i % size]);
      checkMoments(draws, n, size, due.data);
    });
  }
});

function same(a: unknown, b: unknown): boolean {
  const kind = (weights: unknown) => (typeof weights === "string" ? weights : Object.keys(weights as object)[0]);
  return kind(a) === kind(b);
}

/** Mean 0 and a covariance, within six standard errors. */
function checkMoments(draws: ArrayLike<number>, n: number, size: number, covariance: ArrayLike<number>): void {
  const means = new Float64Array(size);
  const products = new Float64Array(size * size);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < size; a++) {
      const x = draws[i * size + a];
      means[a] += x / n;
      for (let b = 0; b < size; b++) products[a * size + b] += (x * draws[i * size + b]) / n;
    }
  }
  for (let a = 0; a < size; a++) {
    const variance = covariance[a * (size + 1)];
    expect(Math.abs(means[a])).toBeLessThanOrEqual(6 * Math.sqrt(variance / n));
    for (let b = 0; b < size; b++) {
      const due = covariance[a * size + b];
      const error = Math.sqrt((variance * covariance[b * (size + 1)] + due ** 2) / n);
      expect(Math.abs(products[a * size + b] - due)).toBeLessThanOrEqual(6 * error);
    }
  }
}

test("of a linear model at its mode, evidence and predictions are exact", async () => {
  const [n, width, delta, noise] = [7, 3, 0.8, [0.4, 0.9]];
  const net = chain({ inputs: width, dtype: "float64" }, dense(2));
  const x = inputsOf(n + 2, width);
  const rows = Array.from({ length: n + 2 }, (_, i) => [...x.data.subarray(i * width, (i + 1) * width), 1]);
  const random = new Random(6);
  const y = Array.from({ length: n }, () => [random.normal(), random.normal()]);
  const kernel = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + (v * b[i]) / delta, 0);
  // The outputs are independent Gaussian processes with the kernel xᵀx'/δ.
  let evidence = 0;
  const theta = new Array<number>(2 * width + 2).fill(0);
  const variances: Matrix = [];
  for (const c of [0, 1]) {
    const train = rows.slice(0, n);
    const k = train.map((a, i) => train.map((b, j) => kernel(a, b) + (i === j ? noise[c] ** 2 : 0)));
    const { inverse, logDeterminant } = inverted(k);
    const target = y.map((row) => [row[c]]);
    const solved = product(inverse, target);
    evidence -= 0.5 * (product(transposed(target), solved)[0][0] + logDeterminant + n * Math.log(2 * Math.PI));
    const mode = product(transposed(train), solved).map(([w]) => w / delta);
    mode.forEach((w, i) => {
      theta[i < width ? c * width + i : 2 * width + c] = w;
    });
    variances.push(
      rows.slice(n).map((a) => {
        const cross = train.map((b) => [kernel(a, b)]);
        return kernel(a, a) - product(transposed(cross), product(inverse, cross))[0][0];
      }),
    );
  }
  net.setParameters(theta);
  const data = { x: array(x.data.slice(0, n * width), { shape: [n, width] }), y };
  const messages: string[] = [];
  const posterior = await laplace(net, {
    likelihood: gaussian({ noise }),
    priorPrecision: delta,
    onWarning: (message) => messages.push(message),
  }).fit(data);
  expect(messages).toEqual([]);
  expect([posterior.logMarginalLikelihood()]).toBeAllClose([evidence], { relative: 1e-12 });
  const tests = array(x.data.slice(n * width), { shape: [2, width] });
  expectNear(posterior.predict(tests).functionVariance.data, transposed(variances).flat(), 1e-9);
});

test("data given twice are the data at half the temperature", async () => {
  for (const one of cases.filter(({ kind, samples }) => kind !== "monteCarlo" && samples === 7)) {
    const { approximation, data, rows } = fixtureOf(one);
    const basis = needsBasis(one.structure) ? { basis: fixtureOf(one).curvature() } : {};
    const twice = await approximation(basis).fit(one.world.dataOf([...rows, ...rows]));
    const colder = await approximation({ ...basis, temperature: 0.5 }).fit(data);
    expectNear(twice.precision().data, colder.precision().data, 1e-12);
  }
});

describe("a fit", () => {
  const width = 5;
  const make = (seed: number) =>
    chain({ inputs: 3, dtype: "float64", seed }, dense(width, tanh), dense(width, tanh), dense(1));
  const x = inputsOf(41, 3);
  const data = { x, y: array(x.data.slice(0, 41), { shape: [41, 1] }) };

  test.each(structures)(
    "is at the parameters it began with, whoever changes the network meanwhile: %s",
    async (structure) => {
      const plan = (net: ReturnType<typeof make>) =>
        laplace(net, { likelihood: "regression", structure, points: x, checks: false });
      const net = make(1);
      const batches = new DataLoader(data, { batchSize: 1 });
      const due = await plan(make(1)).fit(batches);
      let reports = 0;
      const fitted = await plan(net).fit(batches, {
        onProgress: () => {
          if (++reports === 29) net.setParameters(make(2).parameters.data);
        },
      });
      expect(net.parameters.data).not.toEqual(make(1).parameters.data);
      expect(fitted.curvature.diagonal().data).toEqual(due.curvature.diagonal().data);
      expect(fitted.loss).toBe(due.loss);
      expect(fitted.mean.data).toEqual(due.mean.data);
    },
  );

  test("leaves frozen parameters out", async () => {
    const net = make(1).freeze("0", "1.bias");
    const parameters = ["1.weight", "2.weight", "2.bias"];
    for (const structure of structures) {
      const frozen = await laplace(net, { likelihood: "regression", structure, points: x, checks: false }).fit(data);
      const named = laplace(make(1), {
        ...{ likelihood: "regression", structure, points: x, checks: false },
        weights: { parameters },
      });
      const due = await named.fit(data);
      expect(frozen.indices).toEqual(due.indices);
      expect(frozen.curvature.dense().data).toEqual(due.curvature.dense().data);
      expect(frozen.sample(3).data).toEqual(due.sample(3).data);
      expect(() => laplace(net, { likelihood: "regression", weights: { parameters: ["0.bias"] } })).toThrow(
        OptionError,
      );
    }
  });

  test("adds to fits of the same loss at the same parameters only", async () => {
    const net = chain({ inputs: 3, dtype: "float64" }, dense(2, tanh), dense(2));
    const pairs = { x, y: array(x.data.slice(0, 82), { shape: [41, 2] }) };
    const fit = (options: Partial<LaplaceOptions> = {}, of = net) =>
      laplace(of, { likelihood: gaussian({ noise: [1, 2] }), structure: "kronecker", checks: false, ...options }).fit(
        pairs,
      );
    const first = await fit();
    // Ratios of noise matter; the noise itself, prior and temperature are the first's.
    const other = await fit({ likelihood: gaussian({ noise: [2, 4] }), priorPrecision: 3, temperature: 2 });
    const sum = first.merge(other);
    expect([sum.examples, sum.loss, sum.temperature]).toEqual([82, 2 * first.loss, 1]);
    expect(sum.noise?.data).toEqual(first.noise?.data);
    const moved = net.clone(net.parameters.data.map((w) => w + 0.1));
    for (const wrong of [
      fit({ likelihood: gaussian({ noise: [2, 1] }) }),
      fit({ likelihood: "regression" }),
      fit({ curvature: "empiricalFisher" }),
      fit({ sharing: "reduce" }),
      fit({ structure: "diagonal" }),
      fit({ weights: "lastLayer" }),
      fit({}, moved),
    ]) {
      const theirs = await wrong;
      expect(() => first.merge(theirs)).toThrow(ValueError);
    }
  });

  test("takes an EKFAC basis from another network with the same parameters, and no other", () => {
    const basis = curvatureOf(make(1), "regression", data, { structure: "kronecker" });
    const own = curvatureOf(make(1), "regression", data, { structure: "ekfac" });
    const found = curvatureOf(make(1), "regression", data, { structure: "ekfac", basis });
    expectNear(found.diagonal().data, own.diagonal().data, 1e-12);
    // As many parameters, in other shapes: 6 in either.
    const wide = chain({ inputs: 1, dtype: "float64" }, dense(3));
    const deep = chain({ inputs: 2, dtype: "float64" }, dense(2));
    const some = { x: [[1]], y: [[1, 2, 3]] };
    const other = curvatureOf(wide, "regression", some, { structure: "kronecker" });
    const wrong = () =>
      curvatureOf(deep, "regression", { x: [[1, 2]], y: [[1, 2]] }, { structure: "ekfac", basis: other });
    expect(wrong).toThrow(OptionError);
  });
});
