// Where probabilities round to 0 or 1, and rates are above every float64 number: metrics are what they should be.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  brierScore,
  categorical,
  chain,
  crps,
  dense,
  evaluate,
  gaussianNegativeLogLikelihood,
  laplace,
  meanAbsoluteError,
  type Posterior,
  poissonNegativeLogLikelihood,
  Random,
  rootMeanSquaredError,
  uncertainty,
} from "../../src/index.ts";
import { binaryLogProbabilities, binaryPairs } from "../../src/likelihood/binary-links.ts";
import { logLogisticNormal } from "../../src/likelihood/integrals.ts";
import { Mixture } from "../../src/likelihood/likelihood.ts";
import { classLinks, classLogProbabilities, classProbabilities } from "../../src/likelihood/links.ts";
import { bisect, logIntegral } from "../reference/integrals.ts";

const draw = { samples: 100, seed: 1 };
const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });

/** log n!, as a sum. */
function logFactorial(n: number): number {
  let sum = 0;
  for (let i = 2; i <= n; i++) sum += Math.log(i);
  return sum;
}

async function binary(priorPrecision = 1e6) {
  const net = chain({ inputs: 1, dtype: "float64" }, dense(1));
  net.setParameters([1, 0]); // f(x) = x
  const data = { x: [[0], [1], [2]], y: [0, 1, 1] };
  return laplace(net, { likelihood: "binary", priorPrecision, checks: false }).fit(data);
}

async function twoLogits() {
  const net = chain({ inputs: 1, dtype: "float64" }, dense(2));
  net.setParameters([0, 1, 0, 0]);
  const data = { x: [[0], [1], [2]], y: [0, 1, 1] };
  return laplace(net, { likelihood: "classification", priorPrecision: 1e6, checks: false }).fit(data);
}

describe("labels", () => {
  // ../shared/faults/library/bernoulli-nll-infinite.mjs
  test("a confident mistake costs its logit, on either side and with two logits", async () => {
    const [one, two] = [await binary(), await twoLogits()];
    for (const size of [1, 36, 37, 40, 300, 800, 5000]) {
      const due = size + Math.log1p(Math.exp(-size));
      const nll = (posterior: Posterior<"labels" | "classes">, x: number, y: number) =>
        evaluate(posterior, { x: [[x]], y: [y] }, { approximation: "plugin" }).negativeLogLikelihood as number;
      expect(nll(one, size, 0)).toBeCloseTo(due, 10);
      expect(nll(one, -size, 1)).toBe(nll(one, size, 0));
      expect(nll(one, -size, 0)).toBe(nll(one, size, 1));
      expect(nll(one, size, 1) / Math.log1p(Math.exp(-size)) || 1).toBeCloseTo(1, 10);
      expect(nll(two, size, 0)).toBeCloseTo(due, 10);
      expect(nll(two, -size, 1)).toBeCloseTo(due, 10);
    }
  });

  test.each(["plugin", "probit", "quadrature", "monteCarlo", "network"] as const)(
    "%s is finite far out",
    async (approximation) => {
      const posterior = await binary(1);
      for (const [x, y] of [
        [3000, 0],
        [-3000, 1],
      ]) {
        const result = evaluate(posterior, { x: [[x]], y: [y] }, { approximation });
        expect(result.negativeLogLikelihood).toBeGreaterThan(0);
        expect(result.negativeLogLikelihood).toBeLessThan(3000.1);
      }
    },
  );

  test("variances come from both tails", async () => {
    const posterior = await binary();
    const { mean, variance } = posterior.predict([[40], [-40]], { approximation: "plugin" });
    expect(mean.at(0, 0)).toBe(1);
    expect(variance.at(0, 0) / Math.exp(-40)).toBeCloseTo(1, 12);
    expect(variance.at(0, 0)).toBe(variance.at(1, 0));
    const classes = (await twoLogits()).predict([[40]], { approximation: "plugin" });
    expect(classes.variance.at(0, 1) / Math.exp(-40)).toBeCloseTo(1, 10);
  });

  test("label 0 at f is label 1 at −f, to the bit", () => {
    fc.assert(
      fc.property(real(-900, 900), fc.oneof(real(0, 10), real(0, 1e6)), (m, v) => {
        for (const link of ["plugin", "probit", "quadrature"] as const) {
          const [a, b] = [m, -m].map((x) => binaryPairs(link, Float64Array.of(x), Float64Array.of(v), draw));
          expect(a.zero[0]).toBe(b.one[0]);
          expect(a.one[0]).toBe(b.zero[0]);
          const [p, q] = [m, -m].map((x) => binaryLogProbabilities(link, Float64Array.of(x), Float64Array.of(v), draw));
          expect([p[0], p[1]]).toEqual([q[1], q[0]]);
          expect(Math.exp(p[1])).toBeCloseTo(a.one[0], v > 1e4 ? 7 : 11);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("logarithms of the logistic-normal integral agree with a long sum", () => {
    for (const v of [1e-4, 0.5, 1, 4, 60, 1e4, 1e5]) {
      for (const m of [0, -0.5, -3, -40, -400, -3000]) {
        const g = (f: number) => (f < 0 ? f : 0) - Math.log1p(Math.exp(-Math.abs(f))) - (f - m) ** 2 / (2 * v);
        const at = bisect((f) => 1 / (1 + Math.exp(f)) - (f - m) / v, -1e6, 1e6);
        const p = 1 / (1 + Math.exp(-at));
        const due = logIntegral(g, at, 1 / Math.sqrt(p * (1 - p) + 1 / v)) - 0.5 * Math.log(2 * Math.PI * v);
        expect(logLogisticNormal(m, v) / due, `${m} ${v}`).toBeCloseTo(1, 10);
      }
    }
  });

  test.each(classLinks)("%s: probabilities from 0 to 1, variances from 0, and logarithms that are finite", (link) => {
    const random = new Random(2);
    for (let run = 0; run < 40; run++) {
      const n = 2 + (run % 4);
      const size = 10 ** (run % 5);
      const mean = Float64Array.from({ length: n }, () => size * random.normal());
      const covariance = new Float64Array(n * n);
      for (let k = 0; k < n; k++) covariance[k * (n + 1)] = random.uniform() * 3;
      const f = { batch: 1, outputs: n, mean, variance: mean, covariance };
      for (const samples of [1, 7, 100, 1000]) {
        const p = categorical().target(link, f, { samples, seed: run });
        for (const x of p.mean) expect(x >= 0 && x <= 1).toBe(true);
        for (const x of p.variance) expect(x >= 0 && x <= 0.25).toBe(true);
        const logs = classLogProbabilities(link, mean, covariance, 1, n, { samples, seed: run });
        const due = classProbabilities(link, mean, covariance, 1, n, { samples, seed: run });
        logs.forEach((log, k) => {
          expect(Number.isFinite(log) && log <= 0).toBe(true);
          if (due[k] > 1e-290) expect(Math.abs(log - Math.log(due[k]))).toBeLessThan(1e-9);
        });
        if (link !== "monteCarlo") break;
      }
    }
  });

  // ../shared/faults/library/monte-carlo-above-one.mjs
  test("averages over draws and networks stay from 0 to 1", async () => {
    const net = chain({ inputs: 1, dtype: "float64" }, dense(3));
    net.setParameters([1000, -1000, 0, 0, 0, 0]);
    const p = await laplace(net, { likelihood: "classification", checks: false }).fit({ x: [[1], [-1]], y: [0, 1] });
    for (const approximation of ["monteCarlo", "network"] as const) {
      for (const samples of [3, 100, 1000, 12345]) {
        const { mean, variance } = p.predict([[1]], { approximation, samples });
        for (const x of mean.data) expect(x >= 0 && x <= 1).toBe(true);
        for (const x of variance.data) expect(x >= 0 && x <= 0.25).toBe(true);
      }
    }
    const { total, aleatoric, epistemic } = uncertainty(p, [[1], [0]], { samples: 100 });
    for (const { data } of [total, aleatoric, epistemic]) for (const x of data) expect(x).toBeGreaterThanOrEqual(0);
  });

  test("Brier scores keep the digits of a small error", () => {
    const p = [[1, 1e-20]];
    expect(brierScore(p, [0]) / 2e-40).toBeCloseTo(1, 12);
    expect(brierScore([[0.7, 0.2, 0.1]], [0])).toBeCloseTo(0.14, 14);
  });
});

describe("counts", () => {
  test("the density agrees with a long sum, for variances of all sizes", () => {
    for (const v of [1e-6, 0.999, 1, 40, 1e4]) {
      for (const y of [0, 1, 19, 20, 1e4]) {
        for (const m of [-20, 0.3, 9]) {
          const g = (f: number) => y * f - Math.exp(f) - (f - m) ** 2 / (2 * v);
          const at = bisect((f) => y - Math.exp(f) - (f - m) / v, -1e9, 800);
          const width = 1 / Math.sqrt(Math.exp(at) + 1 / v);
          const due = logIntegral(g, at, width) - 0.5 * Math.log(2 * Math.PI * v) - logFactorial(y);
          const found = -poissonNegativeLogLikelihood([m], [v], [y]);
          // Of what is taken from each other in the long sum, y log y and log y!, rounding is left.
          expect(Math.abs(found - due), `${m} ${v} ${y}`).toBeLessThan(1e-10 * (1 + Math.abs(due)) + 1e-15 * y * 12);
        }
      }
    }
  });

  test("variances beyond all use: a step at 0, and steps that do not grow in number", () => {
    let steps = 0;
    const exp = Math.exp;
    Math.exp = (x) => {
      steps++;
      return exp(x);
    };
    try {
      for (const v of [1e6, 1e12, 1e100, 1e300]) {
        for (const y of [0, 1, 1e3, 1e6]) {
          steps = 0;
          const found = poissonNegativeLogLikelihood([0], [v], [y]);
          expect(steps).toBeLessThan(5000);
          // Of y > 0 the Gaussian is flat where the count is: 1/(y √(2πv)).
          const due = y === 0 ? Math.LN2 : Math.log(y) + 0.5 * Math.log(2 * Math.PI * v);
          expect(found / due).toBeCloseTo(1, v > 1e11 ? 5 : 2);
        }
      }
    } finally {
      Math.exp = exp;
    }
    // −log Φ(−m/√v), less what the width of the step adds: E log Exp(1) = −0.5772.
    const [m, s] = [30, 1e4];
    const due = Math.log(0.5 - ((m + 0.5772156649) / s) * 0.3989422804014327);
    expect(-poissonNegativeLogLikelihood([m], [s * s], [0])).toBeCloseTo(due, 8);
  });

  // ../shared/faults/library/poisson-all-zero-counts.mjs
  test("that are all 0 are evaluated: a finite likelihood, and errors that are infinite", async () => {
    const r = new Random(1);
    const data = { x: Array.from({ length: 30 }, () => [r.normal()]), y: Array(30).fill(0) };
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
    net.setParameters([0, -30]);
    const fitted = await laplace(net, { likelihood: "count", checks: false, priorPrecision: 8e-8 }).fit(data);
    const result = evaluate(fitted, data);
    expect(result.negativeLogLikelihood).toBeGreaterThan(0.6);
    expect(result.negativeLogLikelihood).toBeLessThan(0.7);
    expect(result.rootMeanSquaredError).toBe(Number.POSITIVE_INFINITY);
    expect(result.meanAbsoluteError).toBe(Number.POSITIVE_INFINITY);
    const { mean } = fitted.predict(data.x);
    expect(() => rootMeanSquaredError(mean, data.y)).toThrow(/overflowed where it was predicted/);
    expect(() => rootMeanSquaredError(mean, data.y)).not.toThrow(/missing value/);
    expect(() => fitted.diagnose(data)).not.toThrow();
  });

  test("rates that overflow are infinite, not NaN", async () => {
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
    net.setParameters([1, 0]);
    const q = await laplace(net, { likelihood: "count", checks: false }).fit({ x: [[1], [2], [3]], y: [2, 7, 20] });
    for (const approximation of ["exact", "plugin", "network"] as const) {
      const { mean, variance } = q.predict([[1000]], { approximation });
      expect(mean.at(0, 0)).toBe(Number.POSITIVE_INFINITY);
      expect(variance.at(0, 0)).toBe(Number.POSITIVE_INFINITY);
    }
    const known = await laplace(net, { likelihood: "count", checks: false, priorPrecision: 1e300 }).fit({
      x: [[1]],
      y: [2],
    });
    const { mean, variance } = known.predict([[500]]);
    expect(Number.isFinite(mean.at(0, 0))).toBe(true);
    expect(Number.isNaN(variance.at(0, 0))).toBe(false);
    expect(known.predict([[300]]).variance.at(0, 0) / Math.exp(300)).toBeCloseTo(1, 10);
  });
});

describe("mixtures", () => {
  test("keep what overflowed infinite, and stay among what was given", () => {
    const mix = (values: readonly number[]) => {
      const mixture = new Mixture(1);
      for (const value of values) mixture.add({ mean: Float64Array.of(value), variance: Float64Array.of(0) });
      const { mean, variance } = mixture.finish();
      return [mean[0], variance[0]];
    };
    const infinite = Number.POSITIVE_INFINITY;
    expect(mix([infinite, infinite, 1])).toEqual([infinite, infinite]);
    expect(mix([1, infinite, 2])).toEqual([infinite, infinite]);
    expect(mix([1e308, -1e308, 1e308, -1e308])[0]).toBeLessThan(1e308);
    fc.assert(
      fc.property(fc.array(real(0, 1), { minLength: 1, maxLength: 200 }), (values) => {
        const [mean, variance] = mix(values);
        expect(mean).toBeGreaterThanOrEqual(Math.min(...values));
        expect(mean).toBeLessThanOrEqual(Math.max(...values));
        expect(variance).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe("numbers", () => {
  test("errors and variances whose squares overflow or vanish", () => {
    for (const s of [1e-200, 1e-160, 1, 1e160, 1e200, 1e305]) {
      const [m, y] = [
        [0, 0],
        [3 * s, -4 * s],
      ];
      expect(rootMeanSquaredError(m, y) / s).toBeCloseTo(Math.sqrt(12.5), 10);
      expect(meanAbsoluteError(m, y) / s).toBeCloseTo(3.5, 10);
    }
    for (const s of [1e-150, 1, 1e150]) {
      const v = [s * s, s * s];
      const nll = gaussianNegativeLogLikelihood([0, 0], v, [3 * s, -4 * s]);
      expect(nll).toBeCloseTo(0.5 * (Math.log(2 * Math.PI) + 12.5) + Math.log(s), 9);
      expect(crps([0, 0], v, [3 * s, -4 * s]) / s).toBeCloseTo(crps([0, 0], [1, 1], [3, -4]), 9);
    }
    expect(meanAbsoluteError([0, 0], [1.5e308, 1.5e308])).toBe(1.5e308);
  });
});

test("the parts of a count's uncertainty where its rate is above or below every number", async () => {
  const net = chain({ inputs: 1, dtype: "float64" }, dense(1));
  net.setParameters([1, 0]);
  const data = { x: [[0], [1]], y: [[1], [2]] };
  const posterior = await laplace(net, { likelihood: "count", checks: false }).fit(data);
  for (const fit of [posterior, posterior.with({ priorPrecision: 1e9 })]) {
    const x = [[0], [300], [700], [720], [2000], [-700], [-2000]];
    const { total, aleatoric, epistemic, share } = uncertainty(fit, x);
    for (let i = 0; i < x.length; i++) {
      expect(total.data[i]).toBe(aleatoric.data[i] + epistemic.data[i]);
      expect(share.data[i]).toBeGreaterThanOrEqual(0);
      expect(share.data[i]).toBeLessThanOrEqual(1);
    }
    expect(share.data[4]).toBe(1);
  }
});
