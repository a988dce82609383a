// What a posterior says of weights and functions, end to end, against plain definitions.

import { describe, expect, test } from "vitest";
import {
  adam,
  array,
  chain,
  cholesky,
  curvatureOf,
  type DType,
  dense,
  gaussian,
  type LaplaceOptions,
  laplace,
  mse,
  Random,
  randomNormal,
  type Structure,
  scaleShift,
  tanh,
  train,
  vjp,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const structures: Structure[] = ["full", "diagonal", "kronecker", "ekfac"];

const x = randomNormal([20, 2], { seed: 1 });
const y = randomNormal([20, 2], { seed: 2 });
const network = (dtype: DType = "float64") => chain({ inputs: 2, dtype, seed: 3 }, dense(4, tanh), dense(2));
const fit = (options: Partial<LaplaceOptions> = {}) =>
  laplace(network(), { likelihood: gaussian({ noise: 0.5 }), checks: false, priorPrecision: 2, ...options }).fit({
    x,
    y,
  });

/** log N(w; μ, P⁻¹) by elimination without pivots, as in a textbook. */
function logDensity(w: readonly number[], mean: ArrayLike<number>, precision: ArrayLike<number>): number {
  const n = w.length;
  const a = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => precision[i * n + j]));
  const d = w.map((entry, i) => entry - mean[i]);
  let form = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) form += d[i] * a[i][j] * d[j];
  let logDet = 0;
  for (let i = 0; i < n; i++) {
    logDet += Math.log(a[i][i]);
    for (let r = i + 1; r < n; r++) {
      const factor = a[r][i] / a[i][i];
      for (let c = i; c < n; c++) a[r][c] -= factor * a[i][c];
    }
  }
  return 0.5 * (logDet - n * Math.log(2 * Math.PI) - form);
}

describe.each(structures)("%s", (structure) => {
  test("logProb is the density of a multivariate normal, of one vector and of rows", async () => {
    for (const options of [{ structure }, { structure, weights: "lastLayer" as const, priorPrecision: [1, 3] }]) {
      const posterior = await fit(options);
      const rows = Array.from({ length: 3 }, (_, i) =>
        Array.from(posterior.mean.data, (m, j) => m + 0.3 * Math.sin(1 + i * 7 + j)),
      );
      const precision = posterior.precision().data;
      const due = rows.map((row) => logDensity(row, posterior.mean.data, precision));
      const found = posterior.logProb(rows);
      expect(found.shape).toEqual([3]);
      expect(found.data).toBeAllClose(due, { relative: 1e-10 });
      const single = posterior.logProb(rows[1]);
      expect(single.shape).toEqual([]);
      expect([single.item()]).toBeAllClose([due[1]], { relative: 1e-10 });
      // The mean is the mode.
      expect(posterior.logProb(posterior.mean).item()).toBeGreaterThan(Math.max(...due));
    }
  });

  test("precision and covariance are inverses, and the variance is the covariance's diagonal", async () => {
    const posterior = await fit({ structure });
    const n = posterior.size;
    const [p, c] = [posterior.precision().data, posterior.covariance().data];
    const product = Array.from({ length: n * n }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += p[Math.floor(i / n) * n + k] * c[k * n + (i % n)];
      return sum;
    });
    const identity = product.map((_, i) => (i % (n + 1) === 0 ? 1 : 0));
    expect(product).toBeAllClose(identity, { absolute: 1e-10 });
    const diagonal = Array.from({ length: n }, (_, i) => c[i * (n + 1)]);
    expect(posterior.variance().data).toBeAllClose(diagonal, { relative: 1e-10 });
  });

  test("functionSamples have the mean and the joint covariance of the linearised network", async () => {
    const posterior = await fit({ structure });
    const points = x.data.slice(0, 6);
    const at = array(points, { shape: [3, 2] });
    const n = 20_000;
    const draws = posterior.functionSamples(at, n, { seed: 4 });
    expect(draws.shape).toEqual([n, 3, 2]);
    const mean = posterior.net.forward(at).data;
    const joint = posterior.functionCovariance(at, { joint: true }).data;
    for (let i = 0; i < 6; i++) {
      const deviations = Array.from({ length: n }, (_, s) => draws.data[s * 6 + i] - mean[i]);
      const average = deviations.reduce((sum, d) => sum + d, 0) / n;
      expect(Math.abs(average)).toBeLessThan(5 * Math.sqrt(joint[i * 7] / n));
      for (let j = 0; j < 6; j++) {
        let sum = 0;
        for (let s = 0; s < n; s++) sum += (draws.data[s * 6 + j] - mean[j]) * deviations[s];
        // The variance of a product of two normal numbers: V_ii V_jj + V_ij².
        const error = Math.sqrt((joint[i * 7] * joint[j * 7] + joint[i * 6 + j] ** 2) / n);
        expect(Math.abs(sum / n - joint[i * 6 + j])).toBeLessThan(5 * error);
      }
    }
    expect(posterior.functionSamples(at, 2, { seed: 4 }).data).toEqual(draws.data.slice(0, 12));
    expect(posterior.functionSamples(at, 2, { seed: 5 }).data).not.toEqual(draws.data.slice(0, 12));
    expect(posterior.functionSamples(at, 0).shape).toEqual([0, 3, 2]);
    expect(memoryUse().inUse).toBe(0);
  });

  test("draws that share a base noise are right at each input, and one function of it everywhere", async () => {
    const posterior = await fit({ structure });
    const at = array(x.data.slice(0, 6), { shape: [3, 2] });
    const n = 400;
    const draws = posterior.functionSamples(at, n, { seed: 4, shared: true });
    const [mean, covariance] = [posterior.net.forward(at), posterior.functionCovariance(at)];
    // ε of each draw, from the first input: L(x)⁻¹ (f − m) with L(x) of a 2 × 2 covariance.
    const noise = (s: number, b: number) => {
      const [v, c, w] = [covariance.at(b, 0, 0), covariance.at(b, 1, 0), covariance.at(b, 1, 1)];
      const first = (draws.at(s, b, 0) - mean.at(b, 0)) / Math.sqrt(v);
      const rest = Math.sqrt(w - c ** 2 / v);
      return [first, (draws.at(s, b, 1) - mean.at(b, 1) - (c / Math.sqrt(v)) * first) / rest];
    };
    for (let s = 0; s < n; s++) {
      for (const b of [1, 2]) expect(noise(s, b)).toBeAllClose(noise(s, 0), { relative: 1e-6, absolute: 1e-6 });
    }
    const squares = Array.from({ length: n }, (_, s) => noise(s, 0)[0] ** 2);
    const average = squares.reduce((sum, e) => sum + e, 0) / n;
    expect(Math.abs(average - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    // Inputs one by one draw the same.
    expect(posterior.functionSamples(at.sub(1).reshape(1, 2), 3, { seed: 4, shared: true }).data).toBeAllClose(
      [0, 1, 2].flatMap((s) => [draws.at(s, 1, 0), draws.at(s, 1, 1)]),
      { relative: 1e-12 },
    );
    expect(posterior.functionSamples(at, 0, { shared: true }).shape).toEqual([0, 3, 2]);
    expect(memoryUse().inUse).toBe(0);
  });

  test("samples of weights have the posterior's covariance, and others stay as they are", async () => {
    const posterior = await fit({ structure, weights: "lastLayer" });
    const n = 20_000;
    const draws = posterior.sample(n, { seed: 9 });
    const { parameterCount, parameters } = posterior.net;
    expect(draws.shape).toEqual([n, parameterCount]);
    const { indices } = posterior;
    const fixed = Array.from(parameters.data.keys()).filter((i) => !indices.includes(i));
    for (const s of [0, n - 1]) for (const i of fixed) expect(draws.at(s, i)).toBe(parameters.data[i]);
    const covariance = posterior.covariance().data;
    const [mean, size] = [posterior.mean.data, posterior.size];
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let s = 0; s < n; s++) {
          const row = s * parameterCount;
          sum += (draws.data[row + indices[i]] - mean[i]) * (draws.data[row + indices[j]] - mean[j]);
        }
        const [vi, vj, vij] = [covariance[i * (size + 1)], covariance[j * (size + 1)], covariance[i * size + j]];
        expect(Math.abs(sum / n - vij)).toBeLessThan(5 * Math.sqrt((vi * vj + vij ** 2) / n));
      }
    }
    expect(posterior.sample(0).shape).toEqual([0, parameterCount]);
  });
});

test("a posterior says what it is", async () => {
  expect(`${await fit()}`).toBe(
    "Posterior(gaussian, full, 22 weights, 20 examples, prior precision 2.000, noise 0.5000)",
  );
  const labels = { x, y: Array.from({ length: 20 }, (_, i) => i % 2) };
  const options = { likelihood: "classification", structure: "kronecker", checks: false } as const;
  const classes = await laplace(network("float32"), { ...options, priorPrecision: [1, 2, 3, 4] }).fit(labels);
  expect(classes.toString()).toBe(
    "Posterior(categorical, kronecker, 22 weights, 20 examples, prior precision 4 numbers)",
  );
});

test("counts of a known rate: the posterior finds it, and knows how well", async () => {
  // log rate = 0.8 + 0.9 x₁ − 0.5 x₂, fitted by Newton's method.
  const truth = (a: number, b: number) => Math.exp(0.8 + 0.9 * a - 0.5 * b);
  const random = new Random(2);
  const inputs = randomNormal([400, 2], { seed: 5 });
  const rates = Array.from({ length: 400 }, (_, i) => truth(inputs.at(i, 0), inputs.at(i, 1)));
  const counts = rates.map((rate) => {
    let [k, product] = [0, random.uniform()];
    for (; product > Math.exp(-rate); k++) product *= random.uniform();
    return k;
  });
  const data = { x: inputs, y: array(counts) };
  const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(1));
  for (let step = 0; step < 12; step++) {
    const column = net.forward(inputs);
    column.data.forEach((logRate: number, i: number) => {
      column.data[i] = Math.exp(logRate) - counts[i];
    });
    const gradient = vjp(net, inputs, column).data;
    const hessian = curvatureOf(net, "count", data, { structure: "full" }).dense();
    net.setParameters(net.parameters.data.map((w, i) => w - cholesky(hessian).solve(gradient).data[i]));
  }
  const warnings: string[] = [];
  const fitted = await laplace(net, {
    likelihood: "count",
    priorPrecision: 1e-6,
    onWarning: (message) => warnings.push(message),
  }).fit(data);
  expect(warnings).toEqual([]);
  const logPmf = counts.map((k, i) => {
    const logRate = net.forward(inputs).data[i];
    let logFactorial = 0;
    for (let j = 2; j <= k; j++) logFactorial += Math.log(j);
    return k * logRate - Math.exp(logRate) - logFactorial;
  });
  const { logLikelihood } = fitted.evidence();
  expect([logLikelihood]).toBeAllClose([logPmf.reduce((sum, p) => sum + p, 0)], { relative: 1e-10 });

  const at = randomNormal([50, 2], { seed: 6 });
  const { mean, variance, functionMean, functionVariance } = fitted.predict(at);
  let outside = 0;
  for (let i = 0; i < 50; i++) {
    const [f, v, rate] = [functionMean.data[i], functionVariance.data[i], truth(at.at(i, 0), at.at(i, 1))];
    if (Math.abs(f - Math.log(rate)) > 2 * Math.sqrt(v)) outside++;
    expect(Math.abs(mean.data[i] / rate - 1)).toBeLessThan(0.25);
    expect([mean.data[i]]).toBeAllClose([Math.exp(f + v / 2)], { relative: 1e-12 });
    // A count varies more than a Poisson variable of known rate.
    expect(variance.data[i]).toBeGreaterThan(mean.data[i]);
  }
  expect(outside).toBeLessThan(15);
  const drawn = fitted.predict(at, { approximation: "network", samples: 4000 });
  expect(drawn.mean.data).toBeAllClose(mean.data, { relative: 0.02 });
});

test("noises of several outputs are outputs and targets scaled by hand", async () => {
  // Of geometric mean 1.
  const ratios = [0.25, 4];
  const net = network();
  const likelihood = gaussian({ noise: [0.25 * 0.3, 4 * 0.3] });
  const ours = (await laplace(net, { likelihood, structure: "full", checks: false }).fit({ x, y })).optimizePrior();
  // The same network, its outputs divided by the ratios in a layer that is not part of the posterior.
  const scaled = chain({ inputs: 2, dtype: "float64" }, dense(4, tanh), dense(2), scaleShift({ shift: false }));
  scaled.setParameters([...net.parameters.data, ...ratios.map((ratio) => 1 / ratio)]);
  scaled.freeze("2");
  const targets = array(
    y.data.map((t: number, i: number) => t / ratios[i % 2]),
    { shape: [20, 2] },
  );
  const options = { likelihood: gaussian({ noise: 0.3 }), structure: "full", checks: false } as const;
  const theirs = (await laplace(scaled, options).fit({ x, y: targets })).optimizePrior();
  const close = { relative: 1e-6 };
  expect([ours.logMarginalLikelihood()]).toBeAllClose([theirs.logMarginalLikelihood()], { relative: 1e-10 });
  expect(ours.priorPrecision.data).toBeAllClose(theirs.priorPrecision.data, close);
  const noise = theirs.noise?.data[0] as number;
  expect(ours.noise?.data).toBeAllClose(
    ratios.map((ratio) => ratio * noise),
    close,
  );
  const [a, b] = [ours.predict(x), theirs.predict(x)];
  expect(a.mean.data).toBeAllClose(
    b.mean.data.map((m, i) => m * ratios[i % 2]),
    close,
  );
  expect(a.variance.data).toBeAllClose(
    b.variance.data.map((v, i) => v * ratios[i % 2] ** 2),
    close,
  );
  expect(a.functionVariance.data).toBeAllClose(
    b.functionVariance.data.map((v, i) => v * ratios[i % 2] ** 2),
    close,
  );
});

test("two curves of unlike noise: intervals cover both", async () => {
  const random = new Random(8);
  const curves = (t: number) => [Math.sin(t), Math.cos(2 * t)];
  const noises = [0.1, 0.4];
  const draw = (n: number) => {
    const t = Array.from({ length: n }, () => 3 * random.uniform() - 1.5);
    return {
      x: t.map((one) => [one]),
      y: t.map((one) => curves(one).map((f, c) => f + noises[c] * random.normal())),
    };
  };
  const [data, held] = [draw(200), draw(500)];
  const net = chain({ inputs: 1, seed: 2 }, dense(16, tanh), dense(2));
  await train(net, data, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 200 });
  // The ratio of the noises is known, their size is tuned.
  const posterior = await laplace(net, { likelihood: gaussian({ noise: [1, 4] }), checks: false }).fit(data);
  const tuned = posterior.optimizePrior();
  expect(tuned.tuning?.converged).toBe(true);
  expect(tuned.noise?.data).toBeAllClose(noises, { relative: 0.15 });
  const { mean, variance } = tuned.predict(held.x);
  for (const c of [0, 1]) {
    const inside = held.y.filter((row, i) => Math.abs(row[c] - mean.at(i, c)) < 1.96 * Math.sqrt(variance.at(i, c)));
    expect(inside.length / 500).toBeGreaterThan(0.91);
    expect(inside.length / 500).toBeLessThan(0.985);
  }
});
