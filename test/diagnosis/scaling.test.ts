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

describe("diagnose names columns that are far from 0 beside their spread, or nearly equal", () => {
  type Make = (r: Random, i: number) => number[];
  const fitted = async (make: Make, dtype: "float32" | "float64", structure: Structure = "full", count = 200) => {
    const r = new Random(5);
    const x = Array.from({ length: count }, (_, i) => make(r, i));
    const net = chain({ inputs: x[0].length, seed: 1, dtype }, dense(3, tanh), dense(1));
    const options = { likelihood: "regression", structure, checks: false } as const;
    const y = x.map(([a]) => [a % 2]);
    return laplace(net, options).fit({ x, y });
  };
  const ours = ["inputs-of-different-size", "inputs-far-from-zero", "inputs-nearly-equal"];
  const found = async (...given: Parameters<typeof fitted>) =>
    (await fitted(...given)).diagnose().findings.filter(({ code }) => ours.includes(code));
  const codes = async (...given: Parameters<typeof fitted>) => (await found(...given)).map(({ code }) => code);
  const n = (r: Random) => r.normal();

  test.each(["full", "diagonal", "kronecker", "ekfac"] as const)("%s", async (structure) => {
    const far: Make = (r) => [n(r), 1.7e9 + 3600 * n(r), n(r)];
    const [finding] = await found(far, "float32", structure);
    expect(finding.code).toBe("inputs-far-from-zero");
    expect(finding.message).toMatch(
      /^Column 1 of the inputs \(counted from 0\) lies around 1700000000 with a standard/,
    );
    expect(finding.measured.times / (1.7e9 / 3600)).toBeCloseTo(1, 0);
    const twins: Make = (r) => {
      const a = n(r);
      return [n(r), a, 3 - 2 * a + 2e-5 * n(r)];
    };
    const [alike] = await found(twins, "float32", structure);
    expect(alike).toMatchObject({ code: "inputs-nearly-equal", measured: { first: 1, second: 2 } });
    expect(alike.measured.times / 1e5).toBeCloseTo(1, 0);
    // What is beyond one type is not beyond the other.
    expect(await codes(twins, "float64", structure)).toEqual([]);
  });

  test("of float64 only from where its squares lose all digits", async () => {
    expect(await codes((r) => [n(r), 1e9 + n(r)], "float64")).toContain("inputs-far-from-zero");
    expect(await codes((r) => [n(r) * 1e6, 1e6 + n(r)], "float64")).toEqual([]);
    const pair =
      (size: number): Make =>
      (r) => {
        const a = n(r);
        return [a, a + size * n(r)];
      };
    expect(await codes(pair(1e-9), "float64")).toEqual(["inputs-nearly-equal"]);
    expect(await codes(pair(1e-6), "float64")).toEqual([]);
    expect(await codes(pair(1e-2), "float32")).toEqual([]);
  });

  test.each(["float32", "float64"] as const)("nothing is said of ordinary inputs, %s", async (dtype) => {
    const ordinary: Record<string, Make> = {
      standardised: (r) => [n(r), n(r), n(r)],
      years: (r) => [2000 + 10 * n(r), n(r)],
      "years and a temperature": (r) => [1990 + Math.floor(30 * r.uniform()), 15 + 8 * n(r)],
      constants: (r) => [1, n(r), 1e6, 0, -0.1],
      "constants and their rounding": (r, i) => [n(r), i % 2 === 0 ? 0.3 : 0.1 + 0.2],
      "one-hot columns": (r, i) => [i % 3 === 0 ? 1 : 0, i % 3 === 1 ? 1 : 0, i % 3 === 2 ? 1 : 0, n(r)],
      "rare marks": (r, i) => [i === 150 ? 1 : 0, i === 151 ? 1 : 0, i >= 150 && i < 152 ? 1 : 0, n(r)],
      "the same twice": (r) => Array(2).fill(n(r)),
      "the same in other units": (r) => {
        const celsius = 15 + 8 * n(r);
        return [celsius, 32 + 1.8 * celsius, 273.15 + celsius];
      },
      polynomials: (r) => {
        const a = n(r);
        return [a, a ** 2, a ** 3];
      },
    };
    for (const [name, make] of Object.entries(ordinary)) expect([name, await codes(make, dtype)]).toEqual([name, []]);
    expect(await codes((r) => [n(r), n(r)], dtype, "full", 3)).toEqual([]);
  });

  test("networks without a bias have none to mistake a column for", async () => {
    const x = Array.from({ length: 50 }, (_, i) => [1e6 + Math.sin(i)]);
    const net = chain({ inputs: 1 }, dense(1, undefined, { bias: false }));
    net.setParameters([1e-6]);
    const p = await laplace(net, { likelihood: "regression", checks: false }).fit({ x, y: x.map(() => 1) });
    expect(p.diagnose().findings.filter(({ code }) => ours.includes(code))).toEqual([]);
  });

  test("shards, batches and sequences are one set of inputs", async () => {
    const r = new Random(6);
    const x = Array.from({ length: 300 }, (_, i) => [1e9 + (i < 150 ? 0 : 5e5) + n(r), n(r)]);
    const y = x.map((_, i) => [i % 2]);
    const net = chain({ inputs: 2, seed: 1 }, dense(3, tanh), dense(1));
    const la = laplace(net, { likelihood: "regression", checks: false });
    const parts = [0, 100, 200].map((at) => ({ x: x.slice(at, at + 100), y: y.slice(at, at + 100) }));
    const sums = await Promise.all(parts.map((part) => la.sum(part)));
    const of = (p: Awaited<ReturnType<typeof la.fit>>) =>
      p.diagnose().findings.find(({ code }) => code === "inputs-far-from-zero")?.measured.times ?? 0;
    const due = of(await la.fit({ x, y }));
    expect(due / 4e3).toBeCloseTo(1, 1);
    expect(of(la.posterior(sums[0].merge(sums[1]).merge(sums[2]))) / due).toBeCloseTo(1, 6);
    expect(of(await la.fit(parts)) / due).toBeCloseTo(1, 6);
    const positions = chain({ inputs: [3, 2], seed: 1 }, dense(3, tanh), dense(1));
    const sequences = {
      x: Array.from({ length: 100 }, (_, i) => x.slice(3 * i, 3 * i + 3)),
      y: y.slice(0, 100).map((t) => Array(3).fill(t)),
    };
    const p = await laplace(positions, { likelihood: "regression", checks: false }).fit(sequences);
    expect(of(p) / due).toBeCloseTo(1, 6);
  });
});
