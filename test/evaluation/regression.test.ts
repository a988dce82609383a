import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  calibrationCurve,
  crps,
  gaussianNegativeLogLikelihood,
  intervalCoverage,
  meanAbsoluteError,
  normalQuantile,
  OptionError,
  Random,
  rootMeanSquaredError,
  ShapeError,
  sharpness,
  sigmaScaling,
  ValueError,
} from "../../src/index.ts";
import * as reference from "../reference/evaluation.ts";

const [mean, variance, targets] = [
  [1, 2, -1, 0],
  [1, 4, 0.25, 9],
  [2, 2, 0, -6],
]; // z = 1, 0, 2, −2

const number = fc.double({ min: -5, max: 5, noNaN: true });
const spread = fc.double({ min: 0.05, max: 4, noNaN: true });
const samples = fc
  .array(fc.tuple(number, spread, number), { minLength: 1, maxLength: 20 })
  .map((rows) => ({ m: rows.map(([m]) => m), v: rows.map(([, v]) => v), y: rows.map(([, , y]) => y) }));

/** Means, variances and targets drawn from N(m, scale² v). */
function drawn(n: number, seed: number, scale = 1) {
  const random = new Random(seed);
  const m = Array.from({ length: n }, () => random.normal());
  const v = m.map(() => 0.1 + random.uniform());
  return { m, v, y: m.map((value, i) => value + scale * Math.sqrt(v[i]) * random.normal()) };
}

describe("by hand", () => {
  test("errors, likelihood, coverage, sharpness and scaling", () => {
    expect(rootMeanSquaredError(mean, targets)).toBeCloseTo(Math.sqrt((1 + 0 + 1 + 36) / 4), 14);
    expect(meanAbsoluteError(mean, targets)).toBe(2);
    const logs = 0.5 * (Math.log(1) + Math.log(4) + Math.log(0.25) + Math.log(9));
    expect(gaussianNegativeLogLikelihood(mean, variance, targets)).toBeCloseTo(
      (logs + 2 * Math.log(2 * Math.PI) + 0.5 * (1 + 0 + 4 + 4)) / 4,
      14,
    );
    // LaplaceRedux.jl without the square would give √((1/1 + 0/4 + 1/0.25 + 6/9) / 4).
    expect(sigmaScaling(mean, variance, targets)).toBe(1.5);
    // 90 %: |z| ≤ 1.645; 96 %: 2.054
    expect(intervalCoverage(mean, variance, targets)).toBe(0.5);
    expect(intervalCoverage(mean, variance, targets, { level: 0.96 })).toBe(1);
    const { intervalWidth, variance: meanVariance } = sharpness(variance, { level: 0.95 });
    expect(intervalWidth).toBeCloseTo((2 * 1.959963984540054 * (1 + 2 + 0.5 + 3)) / 4, 13);
    expect(meanVariance).toBe(14.25 / 4);
  });

  test("the calibration curve in four steps, and its area", () => {
    // Quantiles −∞, −0.674, 0, 0.674, ∞ of z = −2, 0, 1, 2.
    const curve = calibrationCurve(mean, variance, targets, { bins: 4 });
    expect(Array.from(curve.level.data)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(Array.from(curve.frequency.data)).toEqual([0, 0.25, 0.5, 0.5, 1]);
    expect(curve.miscalibrationArea).toBe(0.0625);
    // All targets far above: the curve is 0 up to the last level but one, from which it rises to 1.
    expect(calibrationCurve([0, 0], [1, 1], [50, 50], { bins: 1 }).miscalibrationArea).toBe(0);
    expect(calibrationCurve([0, 0], [1, 1], [50, 50], { bins: 1000 }).miscalibrationArea).toBeCloseTo(0.4995, 12);
  });

  test("the CRPS of a standard Gaussian at its mean is (√2 − 1)/√π, and at variance 0 the absolute error", () => {
    expect(crps([0], [1], [0])).toBeCloseTo((Math.SQRT2 - 1) / Math.sqrt(Math.PI), 15);
    expect(crps([3], [4], [3])).toBeCloseTo((2 * (Math.SQRT2 - 1)) / Math.sqrt(Math.PI), 15);
    expect(crps([1, 2], [0, 0], [3, 2])).toBe(1);
    expect(crps([0], [1], [100])).toBeCloseTo(100 - 1 / Math.sqrt(Math.PI), 12);
  });
});

describe("any Gaussians", () => {
  test("agree with plain loops", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 20 }), ({ m, v, y }, bins) => {
        expect([
          gaussianNegativeLogLikelihood(m, v, y),
          rootMeanSquaredError(m, y) ** 2,
          sigmaScaling(m, v, y) ** 2,
        ]).toBeAllClose(
          [
            -reference.meanOf(m.map((mu, i) => -0.5 * ((y[i] - mu) ** 2 / v[i] + Math.log(2 * Math.PI * v[i])))),
            reference.meanOf(m.map((mu, i) => (y[i] - mu) ** 2)),
            reference.meanOf(m.map((mu, i) => ((y[i] - mu) / Math.sqrt(v[i])) ** 2)),
          ],
          { relative: 1e-12, absolute: 1e-13 },
        );
        const { level, frequency, miscalibrationArea } = calibrationCurve(m, v, y, { bins });
        const cdf = m.map((mu, i) => 0.5 + 0.5 * reference.erf((y[i] - mu) / Math.sqrt(2 * v[i])));
        level.data.forEach((p: number, j: number) => {
          // Where F(y) equals a level to rounding, either side will do.
          const [less, more] = [-1e-9, 1e-9].map((by) => cdf.filter((F) => F <= p + by).length / m.length);
          if (j === 0) expect(frequency.data[j]).toBe(0);
          else if (j === bins) expect(frequency.data[j]).toBe(1);
          else expect(frequency.data[j] >= less && frequency.data[j] <= more).toBe(true);
        });
        const [a, b] = [Array.from(level.data), Array.from(frequency.data)];
        expect(Math.abs(miscalibrationArea - reference.areaBySampling(a, b, 2000))).toBeLessThan(1e-3);
      }),
    );
  });

  test("the CRPS is the integral of (F(x) − 1{y ≤ x})²", () => {
    fc.assert(
      fc.property(number, spread, number, (m, v, y) => {
        expect([crps([m], [v], [y])]).toBeAllClose([reference.crpsIntegral(m, v, y, 4000)], {
          relative: 1e-9,
          absolute: 1e-9,
        });
      }),
      { numRuns: 30 },
    );
  });

  test("CRPS and likelihood are proper: the true variance has the best score", () => {
    const { m, v, y } = drawn(20_000, 1);
    const scaled = (factor: number) => v.map((value) => factor * value);
    for (const score of [crps, gaussianNegativeLogLikelihood]) {
      for (const factor of [0.6, 1.6]) expect(score(m, scaled(factor), y)).toBeGreaterThan(score(m, v, y));
    }
  });

  test("of true distributions the curve is the diagonal, coverage the level, and the scaling 1", () => {
    const { m, v, y } = drawn(20_000, 2);
    // Kolmogorov: beyond 2 / √n once in 1500; the area is less than the largest distance.
    expect(calibrationCurve(m, v, y).miscalibrationArea).toBeLessThan(2 / Math.sqrt(20_000));
    for (const level of [0.5, 0.9, 0.99]) {
      const error = 4 * Math.sqrt((level * (1 - level)) / 20_000);
      expect(Math.abs(intervalCoverage(m, v, y, { level }) - level)).toBeLessThan(error);
    }
    expect(Math.abs(sigmaScaling(m, v, y) - 1)).toBeLessThan(4 / Math.sqrt(40_000));
  });

  test("the scaling finds the factor the deviations were off by, and maximises the likelihood", () => {
    const { m, v, y } = drawn(20_000, 3, 2);
    const s = sigmaScaling(m, v, y);
    expect(Math.abs(s - 2)).toBeLessThan(0.05);
    const likelihood = (factor: number) =>
      gaussianNegativeLogLikelihood(
        m,
        v.map((value) => value * factor ** 2),
        y,
      );
    expect(likelihood(s)).toBeLessThan(Math.min(likelihood(0.99 * s), likelihood(1.01 * s)));
    // Deviations half as large as they should be: an S that begins above the diagonal.
    const { level, frequency } = calibrationCurve(m, v, y);
    expect(frequency.data[2]).toBeGreaterThan(level.data[2] + 0.1);
    expect(frequency.data[18]).toBeLessThan(level.data[18] - 0.1);
  });

  test("sharpness and coverage use the same interval", () => {
    const half = normalQuantile(0.85);
    const width = sharpness([4], { level: 0.7 }).intervalWidth;
    expect(width).toBeCloseTo(4 * half, 14);
    expect(intervalCoverage([0], [4], [width / 2 - 1e-12], { level: 0.7 })).toBe(1);
    expect(intervalCoverage([0], [4], [width / 2 + 1e-12], { level: 0.7 })).toBe(0);
    expect(intervalCoverage([1, 1], [0, 0], [1, 2])).toBe(0.5);
  });

  test("shapes: [N] and [N, 1] are the same, outputs are averaged over", () => {
    const [m, v, y] = [mean, variance, targets].map((list) => array(list, { shape: [2, 2] }));
    for (const metric of [crps, gaussianNegativeLogLikelihood, sigmaScaling, intervalCoverage]) {
      const due = metric(mean, variance, targets);
      expect(metric(m, v, y)).toBe(due);
      expect(metric(array(mean, { shape: [4, 1] }), Float64Array.from(variance), targets)).toBe(due);
    }
    expect(rootMeanSquaredError(m, y)).toBe(rootMeanSquaredError(mean, targets));
  });
});

describe("refusals", () => {
  const three = { gaussianNegativeLogLikelihood, crps, intervalCoverage, calibrationCurve, sigmaScaling };
  const positive = ["gaussianNegativeLogLikelihood", "calibrationCurve", "sigmaScaling"];

  test.each(Object.entries(three))("%s", (name, metric) => {
    const refuse = (m: unknown, v: unknown, y: unknown, error: new (message: string) => Error, text: string) => {
      const call = () => metric(m as number[], v as number[], y as number[]);
      expect(call).toThrow(error);
      expect(call).toThrow(`${name}: ${text}`);
    };
    refuse([], [], [], ShapeError, "mean must have a first axis that counts samples, at least one");
    refuse(1, 1, 1, ShapeError, "mean must have a first axis");
    refuse([1, 2], [1, 2], [1], ShapeError, "mean has shape [2], but targets [1]; they must agree.");
    refuse([[1, 2]], [1, 2], [1, 2], ShapeError, "mean has shape [1, 2], but variance [2]");
    refuse([1, Number.NaN], [1, 1], [1, 1], ValueError, "mean has the value NaN at [1]");
    refuse([1], [Number.POSITIVE_INFINITY], [1], ValueError, "variance has the value Infinity");
    refuse([1], [1], [Number.NaN], ValueError, "targets has the value NaN");
    refuse([1], [-1e-9], [1], ValueError, "variance -1e-9 (element 0) is not");
    if (positive.includes(name)) refuse([1], [0], [1], ValueError, "variance 0 (element 0) is not positive");
    else expect(metric([1], [0], [1])).toBeGreaterThanOrEqual(0);
  });

  test("the others", () => {
    expect(() => rootMeanSquaredError([1], [1, 2])).toThrow(ShapeError);
    expect(() => meanAbsoluteError([], [])).toThrow(ShapeError);
    expect(() => meanAbsoluteError(["1"] as never, [1])).toThrow(ValueError);
    expect(() => sharpness([-1])).toThrow(ValueError);
    for (const level of [0, 1, 1.5, Number.NaN, "0.9"] as number[]) {
      expect(() => sharpness([1], { level })).toThrow(OptionError);
      expect(() => intervalCoverage([1], [1], [1], { level })).toThrow("level must be a number between 0 and 1");
    }
    expect(() => calibrationCurve([1], [1], [1], { bins: 0 })).toThrow(OptionError);
    expect(() => intervalCoverage([1], [1], [1], { levels: 0.5 } as object)).toThrow(OptionError);
  });
});
