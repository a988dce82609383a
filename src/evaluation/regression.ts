// Metrics of predicted means and variances, as of Gaussians. All average over all N C elements, those of a sample by its weight.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { checkInteger, checkOptions, newFloats } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";
import type { WeightOptions } from "../losses/losses.ts";
import { average, checkLevel, checkVariance, elementWeights, readNumbers } from "./metric-inputs.ts";
import { normalCdf, normalDensity, normalQuantile } from "./normal.ts";

/** Mean, variance and targets of N C elements, and their weights if there are any. */
function read(
  where: string,
  mean: ArrayLike,
  variance: ArrayLike,
  targets: ArrayLike,
  positive: boolean,
  options: WeightOptions,
) {
  const { columns, samples } = readNumbers(where, { mean, variance, targets });
  checkVariance(where, columns[1], positive);
  const weights = elementWeights(where, options, samples, columns[0].length);
  return { m: columns[0], v: columns[1], y: columns[2], weights };
}

/** Two arrays of N C elements, and their weights. */
function readErrors(where: string, mean: ArrayLike, targets: ArrayLike, options: WeightOptions) {
  checkOptions(where, options, ["weights"]);
  const { columns, samples } = readNumbers(where, { mean, targets });
  const weights = elementWeights(where, options, samples, columns[0].length);
  return { m: columns[0], y: columns[1], weights };
}

/**
 * The mean negative log density of the targets, ½ log(2π v) + (y − m)² / (2 v), in nats. A proper scoring rule; it averages
 * over outputs too, so times C it is that of a sample whose outputs are independent.
 * @param mean [N] or [N, C] @param variance the same, positive, with the noise @param targets the same
 * @throws ShapeError for shapes that differ, or no samples; ValueError for variances that are not positive
 */
export function gaussianNegativeLogLikelihood(
  mean: ArrayLike,
  variance: ArrayLike,
  targets: ArrayLike,
  options: WeightOptions = {},
): number {
  const where = "gaussianNegativeLogLikelihood";
  checkOptions(where, options, ["weights"]);
  const { m, v, y, weights } = read(where, mean, variance, targets, true, options);
  // Squares of deviations, not of errors: those may be above every float64 number where their ratio is not.
  const log = Math.log(2 * Math.PI);
  return 0.5 * average(m.length, (i) => log + Math.log(v[i]) + ((y[i] - m[i]) / Math.sqrt(v[i])) ** 2, weights);
}

/**
 * The root of the mean squared error, √(mean (y − m)²).
 * @param mean [N] or [N, C] @param targets the same @throws ShapeError, ValueError
 */
export function rootMeanSquaredError(mean: ArrayLike, targets: ArrayLike, options: WeightOptions = {}): number {
  const { m, y, weights } = readErrors("rootMeanSquaredError", mean, targets, options);
  let largest = 0;
  for (let i = 0; i < m.length; i++) largest = Math.max(largest, Math.abs(y[i] - m[i]));
  // In units of the largest where squares would leave the range of float64.
  const unit = largest > 1e150 || (largest > 0 && largest < 1e-150) ? largest : 1;
  return unit * Math.sqrt(average(m.length, (i) => ((y[i] - m[i]) / unit) ** 2, weights));
}

/**
 * The mean absolute error, mean |y − m|.
 * @param mean [N] or [N, C] @param targets the same @throws ShapeError, ValueError
 */
export function meanAbsoluteError(mean: ArrayLike, targets: ArrayLike, options: WeightOptions = {}): number {
  const { m, y, weights } = readErrors("meanAbsoluteError", mean, targets, options);
  return average(m.length, (i) => Math.abs(y[i] - m[i]), weights);
}

/**
 * The mean continuous ranked probability score ∫ (F(x) − 1{y ≤ x})² dx of Gaussians, in closed form: with z = (y − m) / σ,
 * σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery, 2007, eq. 21, with the sign of a loss). It has the unit of the
 * targets, and is the absolute error where the variance is 0. A proper scoring rule.
 * @param mean [N] or [N, C] @param variance the same, at least 0, with the noise @param targets the same
 * @throws ShapeError, ValueError
 */
export function crps(mean: ArrayLike, variance: ArrayLike, targets: ArrayLike, options: WeightOptions = {}): number {
  checkOptions("crps", options, ["weights"]);
  const { m, v, y, weights } = read("crps", mean, variance, targets, false, options);
  const scoreOf = (i: number) => {
    const error = Math.abs(y[i] - m[i]);
    const deviation = Math.sqrt(v[i]);
    const z = error === 0 ? 0 : error / deviation;
    return error * (2 * normalCdf(z) - 1) + deviation * (2 * normalDensity(z) - 1 / Math.sqrt(Math.PI));
  };
  return average(m.length, scoreOf, weights);
}

/** Options of what looks at central intervals. */
export interface IntervalOptions {
  /** The probability an interval is meant to hold, between 0 and 1 (default 0.9). */
  level?: number;
}

/** Options of metrics that look at central intervals: the level, and how much each sample counts. */
export interface IntervalMetricOptions extends IntervalOptions, WeightOptions {}

/** Φ⁻¹((1 + level) / 2): half the width of a central interval in standard deviations. */
function readHalfWidth(where: string, options: IntervalMetricOptions): number {
  checkOptions(where, options, ["level", "weights"]);
  const { level = 0.9 } = options;
  checkLevel(where, level);
  return normalQuantile((1 + level) / 2);
}

/**
 * The share of targets inside the central interval m ± Φ⁻¹((1 + level) / 2) σ, bounds included: near `level` if the
 * variances are right.
 * @param mean [N] or [N, C] @param variance the same, at least 0, with the noise @param targets the same
 * @throws ShapeError, ValueError; OptionError for a level outside (0, 1)
 */
export function intervalCoverage(
  mean: ArrayLike,
  variance: ArrayLike,
  targets: ArrayLike,
  options: IntervalMetricOptions = {},
): number {
  const where = "intervalCoverage";
  const half = readHalfWidth(where, options);
  const { m, v, y, weights } = read(where, mean, variance, targets, false, options);
  return shareWithin(half, m, v, y, weights);
}

/** The share of targets y within m ± half √v, bounds included. */
export function shareWithin(half: number, m: FloatArray, v: FloatArray, y: FloatArray, weights?: Float64Array): number {
  return average(m.length, (i) => (Math.abs(y[i] - m[i]) <= half * Math.sqrt(v[i]) ? 1 : 0), weights);
}

/** How narrow predictions are, whatever the targets: the smaller the better among calibrated ones. */
export interface Sharpness {
  /** The mean width of the central interval at the level. */
  readonly intervalWidth: number;
  /** The mean variance. */
  readonly variance: number;
}

/**
 * The sharpness of predictions (Gneiting, Balabdaoui & Raftery, 2007): the mean width of their central intervals,
 * 2 Φ⁻¹((1 + level) / 2) σ, and their mean variance.
 * @param variance [N] or [N, C], at least 0, with the noise
 * @throws ShapeError, ValueError; OptionError for a level outside (0, 1)
 */
export function sharpness(variance: ArrayLike, options: IntervalMetricOptions = {}): Sharpness {
  const where = "sharpness";
  const half = readHalfWidth(where, options);
  const {
    columns: [v],
    samples,
  } = readNumbers(where, { variance });
  checkVariance(where, v, false);
  const weights = elementWeights(where, options, samples, v.length);
  return {
    intervalWidth: average(v.length, (i) => 2 * half * Math.sqrt(v[i]), weights),
    variance: average(v.length, (i) => v[i], weights),
  };
}

/** Options of `calibrationCurve`. */
export interface CalibrationCurveOptions extends WeightOptions {
  /** The number of steps between the levels 0 and 1 (default 20, hence 21 levels). */
  bins?: number;
}

/** How often targets lie below the quantiles they should lie below. */
export interface CalibrationCurve {
  /** Nominal levels 0, 1/bins, …, 1, [bins + 1]. */
  readonly level: NDArray;
  /** The share of targets at or below the predicted quantile of each level, [bins + 1]. */
  readonly frequency: NDArray;
  /** The area between the curve, joined by straight lines, and the diagonal: 0 if calibrated, at most ½. */
  readonly miscalibrationArea: number;
}

/**
 * The calibration curve of a regression (Kuleshov, Fenner & Ermon, 2018): at each nominal level p the share of targets
 * with y ≤ m + Φ⁻¹(p) σ, and its miscalibration area. It is the diagonal if the predictions are calibrated on average;
 * variances that are too small bend it to an S that is above the diagonal on the left, a shifted mean to one side.
 * @param mean [N] or [N, C] @param variance the same, positive, with the noise @param targets the same
 * @throws ShapeError, ValueError; OptionError
 */
export function calibrationCurve(
  mean: ArrayLike,
  variance: ArrayLike,
  targets: ArrayLike,
  options: CalibrationCurveOptions = {},
): CalibrationCurve {
  const where = "calibrationCurve";
  checkOptions(where, options, ["bins", "weights"]);
  const { bins = 20 } = options;
  checkInteger(where, "bins", bins, 1);
  const { m, v, y, weights } = read(where, mean, variance, targets, true, options);
  const z = Float64Array.from(m, (_: number, i: number) => (y[i] - m[i]) / Math.sqrt(v[i]));
  const order = Uint32Array.from(z, (_, i) => i).sort((a, b) => z[a] - z[b]);
  const level = newFloats(where, [bins + 1]).map((_, j) => j / bins);
  const total = weights?.reduce((sum, weight) => sum + weight, 0) ?? z.length;
  let [next, below] = [0, 0];
  const frequency = level.map((p) => {
    const quantile = normalQuantile(p);
    for (; next < z.length && z[order[next]] <= quantile; next++) below += weights?.[order[next]] ?? 1;
    return below / total;
  });
  return {
    level: new NDArray(level, [bins + 1]),
    frequency: new NDArray(frequency, [bins + 1]),
    miscalibrationArea: areaToDiagonal(level, frequency),
  };
}

/** The area between a curve of straight lines and the diagonal, exactly: also where they cross between two levels. */
function areaToDiagonal(level: Float64Array, frequency: Float64Array): number {
  let area = 0;
  for (let j = 1; j < level.length; j++) {
    const [a, b] = [frequency[j - 1] - level[j - 1], frequency[j] - level[j]];
    const size = Math.abs(a) + Math.abs(b);
    const height = a * b >= 0 ? size / 2 : (a * a + b * b) / (2 * size);
    area += height * (level[j] - level[j - 1]);
  }
  return area;
}

/**
 * The factor s = √(mean (y − m)² / v) that makes standard deviations fit: of all factors it maximises the likelihood of
 * N(m, s² v) (Laves et al., 2020). Above 1 the predictions were too sure. Take it from data that were used neither for
 * training nor for the final evaluation. The code of LaplaceRedux.jl leaves out the square that its documentation has.
 * @param mean [N] or [N, C] @param variance the same, positive, with the noise @param targets the same
 * @throws ShapeError, ValueError
 */
export function sigmaScaling(
  mean: ArrayLike,
  variance: ArrayLike,
  targets: ArrayLike,
  options: WeightOptions = {},
): number {
  checkOptions("sigmaScaling", options, ["weights"]);
  const { m, v, y, weights } = read("sigmaScaling", mean, variance, targets, true, options);
  return Math.sqrt(average(m.length, (i) => ((y[i] - m[i]) / Math.sqrt(v[i])) ** 2, weights));
}
