// Inputs of very different size: variances, evidence and its derivatives against exact arithmetic, for every structure.

import { describe, expect, test } from "vitest";
import { chain, dense, gaussian, laplace, poisson, Random, type Structure, tanh } from "../../src/index.ts";
import { inverseForm, logDeterminant, precisionOf } from "../reference/rational.ts";

const rows = (scales: readonly number[], count: number) => {
  const r = new Random(3);
  return Array.from({ length: count }, () =>
    scales.map((s, i) => (i === 0 ? s * (1 + 0.1 * r.normal()) : s * r.normal())),
  );
};
const near = (value: number, due: number, tolerance = 1e-9) =>
  expect(Math.abs(value / due - 1), `${value} for ${due}`).toBeLessThan(tolerance);

const scalings = [
  [1e2, 1, 1],
  [1e5, 1, 1],
  [1e8, 1, 1],
  [1e10, 1, 1],
  [1, 1e-7, 1e7],
  [1e-9, 1e-9, 1],
  [1e9, 1e6, 1e3, 1, 1e-3],
];

describe.each(scalings.map((scales) => [scales] as const))("inputs of sizes %j", (scales) => {
  const inputs = scales.length;
  const x = rows(scales, 40);
  const y = x.map((row) => [row[1] / scales[1], row[0] / scales[0]]);
  const net = chain({ inputs, seed: 1, dtype: "float64" }, dense(2));
  net.setParameters(net.parameters.data.map((_, i) => (i < 2 * inputs ? 1 / scales[i % inputs] : 0)));
  // A prior that is nowhere lost beside the curvature, and one that is all but nothing.
  const delta = 2 ** -10;
  const h = 4;
  const at = scales.map((s) => 1.5 * s);
  const whole = precisionOf(
    x.map((row) => [...row, 1]),
    h,
    delta,
  );
  const weights = precisionOf(x, h, delta);
  const bias = precisionOf([...x.map(() => [1])], h, delta);
  const form = (structure: Structure) =>
    structure === "full" ? inverseForm(whole, [...at, 1]) : inverseForm(weights, at) + inverseForm(bias, [1]);
  const logDet = (structure: Structure) =>
    2 * (structure === "full" ? logDeterminant(whole) : logDeterminant(weights) + logDeterminant(bias));
  const fit = async (structure: Structure) =>
    laplace(net, { likelihood: gaussian({ noise: 0.5 }), structure, priorPrecision: delta, checks: false }).fit({
      x,
      y,
    });

  test.each(["full", "kronecker", "ekfac"] as const)("%s", async (structure) => {
    const posterior = await fit(structure);
    const exact = { variance: form(structure), logDet: logDet(structure) };
    near(posterior.predict([at]).functionVariance.at(0, 1), exact.variance);
    near(posterior.functionCovariance([at]).at(0, 0, 0), exact.variance);
    expect(posterior.evidence().logDetPosterior - exact.logDet).toBeCloseTo(0, 8);
    // One prior precision, and the same for each parameter or weight.
    const parameters = [delta, delta];
    const each = posterior.with({
      priorPrecision: structure === "full" ? Array(posterior.size).fill(delta) : parameters,
    });
    expect(each.evidence().logDetPosterior - exact.logDet).toBeCloseTo(0, 8);
    near(each.predict([at]).functionVariance.at(0, 1), exact.variance);
    // Derivatives of the exact log determinant: by both priors together.
    const sum = Float64Array.from(each.evidenceGradient().logPriorPrecision.data).reduce((a, b) => a + b, 0);
    near(sum, posterior.evidenceGradient().logPriorPrecision.data[0], 1e-6);
    // What the variances and draws of the weights say of the function.
    const one = posterior.variance().data;
    if (structure !== "full") near(one[2 * inputs], inverseForm(bias, [1]));
    for (let i = 0; i < inputs; i++) {
      const unit = [...scales, 1].map((_, j) => (j === i ? 1 : 0));
      const due = structure === "full" ? inverseForm(whole, unit) : inverseForm(weights, unit.slice(0, inputs));
      near(one[i], due);
    }
  });

  test("two fits added", async () => {
    const halves = [x.slice(0, 20), x.slice(20)].map((part, i) => ({
      x: part,
      y: i === 0 ? y.slice(0, 20) : y.slice(20),
    }));
    const options = { likelihood: gaussian({ noise: 0.5 }), priorPrecision: delta, checks: false } as const;
    for (const structure of ["full", "kronecker"] as const) {
      const [a, b] = await Promise.all(halves.map((half) => laplace(net, { ...options, structure }).fit(half)));
      expect(a.merge(b).evidence().logDetPosterior - logDet(structure)).toBeCloseTo(0, 8);
    }
  });
});

test("draws have the spread of the function where inputs differ in size", async () => {
  const x = rows([1e8, 1, 1], 200);
  const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(1));
  net.setParameters([1e-8, 1, -2, 0]);
  const y = x.map(([a, b, c]) => [a / 1e8 + b - 2 * c]);
  const at = [1e8, 2, 2];
  const options = { likelihood: gaussian({ noise: 0.5 }), structure: "kronecker", checks: false } as const;
  const posterior = await laplace(net, options).fit({ x, y });
  const variance = posterior.predict([at]).functionVariance.at(0, 0);
  const draws = posterior.sample(4000, { seed: 1 });
  const mean = posterior.predict([at]).functionMean.at(0, 0);
  let square = 0;
  for (let s = 0; s < 4000; s++) {
    const f = [...at, 1].reduce((sum, input, i) => sum + input * draws.at(s, i), 0);
    square += (f - mean) ** 2 / 4000;
  }
  near(square, variance, 0.1);
});

test("Poisson at a condition of 1e12, over hidden layers too", async () => {
  const x = rows([1e6, 1, 1], 60);
  const y = x.map((_, i) => [i % 3]);
  const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(2, tanh), dense(1));
  const values = Float64Array.from(net.parameters.data, (w, i) => (i < 6 && i % 3 === 0 ? w * 1e-6 : w));
  net.setParameters(values);
  // The same network on inputs of one size: the same function, whose precision differs by factors that are known.
  const scaled = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(2, tanh), dense(1));
  const factors = Float64Array.from(values, (_, i) => (i < 6 && i % 3 === 0 ? 2 ** 20 : 1));
  scaled.setParameters(values.map((w, i) => w * factors[i]));
  const small = x.map(([a, ...rest]) => [a / 2 ** 20, ...rest]);
  const delta = 0.01;
  const full = { likelihood: poisson(), structure: "full", checks: false } as const;
  const ours = await laplace(net, { ...full, priorPrecision: delta }).fit({ x, y });
  const theirs = await laplace(scaled, { ...full, priorPrecision: Array.from(factors, (f) => delta / f ** 2) }).fit({
    x: small,
    y,
  });
  const shift = factors.reduce((sum, f) => sum + 2 * Math.log(f), 0);
  expect(ours.evidence().logDetPosterior - shift - theirs.evidence().logDetPosterior).toBeCloseTo(0, 7);
  near(ours.logMarginalLikelihood(), theirs.logMarginalLikelihood(), 1e-9);
});

describe("diagnose names columns of very different size", () => {
  const found = async (scales: readonly number[], dtype: "float32" | "float64", structure: Structure) => {
    const x = rows(scales, 40);
    const net = chain({ inputs: scales.length, seed: 1, dtype }, dense(2, tanh), dense(1));
    const y = x.map((_, i) => [i % 3]);
    const posterior = await laplace(net, { likelihood: "regression", structure, checks: false }).fit({ x, y });
    return posterior.diagnose().findings.find(({ code }) => code === "inputs-of-different-size");
  };

  test.each(["full", "diagonal", "kronecker", "ekfac"] as const)("%s", async (structure) => {
    // Small enough that tanh does not saturate.
    const finding = await found([1e-2, 1e-11, 1e-3], "float64", structure);
    expect(finding?.message).toMatch(/^Column 0 of the inputs is about 1e\+9 times as large as column 1/);
    expect(finding?.measured).toMatchObject({ largest: 0, smallest: 1 });
    expect(finding?.measured.times).toBeGreaterThan(1e8);
    expect(await found([1e-1, 1e-7, 1e-3], "float64", structure)).toBeUndefined();
    expect(await found([1e-1, 1e-7, 1e-3], "float32", structure)).toBeDefined();
    expect(await found([3, 0.1, 1], "float32", structure)).toBeUndefined();
  });
});
