// The sandwich covariance against dense formulas, closed forms and repeated data.

import { expect, test } from "vitest";
import {
  bernoulli,
  type Curvature,
  chain,
  curvatureOf,
  dense,
  gaussian,
  jacobian,
  LaplaceError,
  laplace,
  OptionError,
  Random,
  randomNormal,
  savePosterior,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const product = (a: ArrayLike<number>, b: ArrayLike<number>, n: number) =>
  Float64Array.from({ length: n * n }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[Math.floor(at / n) * n + k] * b[k * n + (at % n)];
    return sum;
  });

test.each(["full", "diagonal"] as const)(
  "%s: covariance, variance, predictions and draws are P⁻¹ M P⁻¹",
  async (structure) => {
    for (const weights of ["all", "lastLayer", { indices: [2, 5, 9, 14] }] as const) {
      const net = chain({ inputs: 2, dtype: "float64", seed: 3 }, dense(4, tanh), dense(2));
      const data = {
        x: randomNormal([15, 2], { seed: 1 }),
        y: randomNormal([15, 2], { seed: 2 }),
        weights: Array.from({ length: 15 }, (_, i) => i % 3),
      };
      const likelihood = gaussian({ noise: [0.5, 0.8] });
      const options = { likelihood, structure, weights, priorPrecision: 0.7, temperature: 1.3, checks: false };
      const posterior = await laplace(net, options).fit(data);
      const robust = posterior.sandwich(data);
      const n = posterior.size;
      const outer: Curvature = curvatureOf(net, likelihood, data, { structure, weights, curvature: "empiricalFisher" });
      const inverse = posterior.covariance().data;
      const h = 1 / (likelihood.hyper.value ** 2 * 1.3);
      const due = product(product(inverse, outer.dense().data, n), inverse, n).map((x) => h * h * x);
      const near = { relative: 1e-9, absolute: 1e-12 };
      expect(robust.covariance().data).toBeAllClose(due, near);
      expect(robust.variance().data).toBeAllClose(
        Array.from({ length: n }, (_, i) => due[i * (n + 1)]),
        near,
      );
      const x = randomNormal([3, 2], { seed: 5 });
      const rows = jacobian(net, x).data;
      const places = [...posterior.selection.indices()];
      const [p, c] = [net.parameterCount, 2];
      const at = (b: number, o: number) => places.map((place) => rows[(b * c + o) * p + place]);
      const variances = Array.from({ length: 6 }, (_, i) => {
        const j = at(Math.floor(i / 2), i % 2);
        return j.reduce((sum, left, r) => sum + j.reduce((all, right, q) => all + left * due[r * n + q] * right, 0), 0);
      });
      expect(robust.predict(x).functionVariance.data).toBeAllClose(variances, near);
      const covariance = robust.functionCovariance(x).data;
      expect([covariance[0], covariance[3]]).toBeAllClose(variances.slice(0, 2), near);
      // Draws have this covariance.
      const draws = robust.sample(4000, { seed: 1 }).data;
      const mean = net.parameters.data;
      let sum = 0;
      for (let s = 0; s < 4000; s++)
        sum += (draws[s * p + places[0]] - mean[places[0]]) * (draws[s * p + places[1]] - mean[places[1]]);
      const error = Math.sqrt((due[0] * due[n + 1] + due[1] ** 2) / 4000);
      expect(Math.abs(sum / 4000 - due[1])).toBeLessThan(5 * error);
      expect((await posterior.sandwichAsync(data)).variance()).toEqual(robust.variance());
    }
    expect(memoryUse().inUse).toBe(0);
  },
);

test("of linear regression it is White's estimator, which knows the spread of slopes where noise grows", async () => {
  const random = new Random(4);
  const x = Array.from({ length: 40 }, (_, i) => -1 + i / 20);
  const noise = (at: number) => 0.1 + Math.abs(at);
  let [robust, usual, square, total] = [0, 0, 0, 0];
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    const y = x.map((at) => 2 * at + noise(at) * random.normal());
    const slope = x.reduce((sum, at, i) => sum + at * y[i], 0) / x.reduce((sum, at) => sum + at * at, 0);
    square += (slope - 2) ** 2 / rounds;
    total += (slope - 2) / rounds;
    if (round >= 20) continue;
    const net = chain({ inputs: 1, dtype: "float64" }, dense(1, undefined, { bias: false }));
    net.setParameters([slope]);
    const data = { x: x.map((at) => [at]), y: y.map((at) => [at]) };
    const residuals = y.map((at, i) => at - slope * x[i]);
    const level = Math.sqrt(residuals.reduce((sum, r) => sum + r * r, 0) / 39);
    const posterior = await laplace(net, {
      likelihood: gaussian({ noise: level }),
      structure: "full",
      priorPrecision: 1e-9,
    }).fit(data);
    const white =
      x.reduce((sum, at, i) => sum + (at * residuals[i]) ** 2, 0) / x.reduce((sum, at) => sum + at * at, 0) ** 2;
    const [found] = posterior.sandwich(data).variance().data;
    expect(found).toBeCloseTo(white, 8);
    robust += found / 20;
    usual += posterior.variance().data[0] / 20;
  }
  expect(total).toBeCloseTo(0, 1);
  // The spread over repeated data is 0.0254 here; the likelihood of equal noise says a third less.
  expect(robust / square).toBeGreaterThan(0.8);
  expect(robust / square).toBeLessThan(1.2);
  expect(usual / square).toBeLessThan(0.75);
});

test("what it does not have, and other data, are refused by name", async () => {
  const net = chain({ inputs: 2, dtype: "float64", seed: 3 }, dense(3, tanh), dense(1));
  const data = { x: randomNormal([9, 2], { seed: 1 }), y: Array.from({ length: 9 }, (_, i) => [i % 2]) };
  const fit = (structure: "full" | "kronecker") =>
    laplace(net, { likelihood: bernoulli(), structure, checks: false }).fit(data);
  const posterior = await fit("full");
  const robust = posterior.sandwich(data);
  for (const refused of [
    () => robust.evidence(),
    () => robust.logProb(robust.mean),
    () => robust.precision(),
    () => robust.optimizePrior(),
    () => robust.with({ priorPrecision: 2 }),
    () => robust.merge(posterior),
    () => robust.sandwich(data),
  ]) {
    expect(refused).toThrow(ValueError);
    expect(refused).toThrow("the posterior that it was made of");
  }
  expect(() => savePosterior(robust)).toThrow(LaplaceError);
  expect(() => posterior.sandwich({ x: randomNormal([9, 2], { seed: 2 }), y: data.y })).toThrow(
    "must be those of the fit",
  );
  const kronecker = await fit("kronecker");
  expect(() => kronecker.sandwich(data)).toThrow(OptionError);
});
