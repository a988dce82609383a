// What several posteriors of a table's model say together: the mixture of their distributions, its quantiles and its scores.
// Sums go in the posteriors' order, by functions that are equal to the bit in every runtime.

import { portableNormalCdf, portableNormalDensity } from "../array/portable.ts";
import { fromScale, momentsFromScale, type TargetScale } from "../data/target-scales.ts";
import { LogMean } from "../likelihood/logit-draws.ts";
import { entropy, type RowPredictions } from "./table-draws.ts";

/** A Gaussian of each row, of counts that of the log rate: one posterior's part of a mixture. */
export interface TablePart {
  /** Of its posterior; they sum to 1. */
  readonly weight: number;
  /** In the target's units, or on its scale where it has one, [rows]. */
  readonly mean: Float64Array;
  readonly sd: Float64Array;
  /** That on which the target is normal (default: its own units). */
  readonly scale?: TargetScale | undefined;
  /** Of counts: α of their variance rate + α rate², 0 where they are Poisson. */
  readonly dispersion?: number | undefined;
}

/**
 * Mean and deviation in the target's own units of a mixture of what is normal on a scale.
 * @param limits of each part's mean, where the mixture's median is not beyond them
 * @returns also the mean of each part
 */
export function inOwnUnits(
  parts: readonly TablePart[],
  scale: TargetScale,
  rows: number,
  [low, high]: readonly [number, number],
): { readonly mean: Float64Array; readonly sd: Float64Array; readonly means: readonly Float64Array[] } {
  const [mean, sd] = [new Float64Array(rows), new Float64Array(rows)];
  const means = parts.map(() => new Float64Array(rows));
  const within = new Float64Array(parts.length);
  for (let i = 0; i < rows; i++) {
    let beyond = false;
    for (let k = 0; k < parts.length; k++) {
      const [own, spread] = momentsFromScale(scale, parts[k].mean[i], parts[k].sd[i] ** 2);
      if (own < low || own > high) beyond = true;
      means[k][i] = own;
      within[k] = spread;
    }
    if (beyond) {
      const median = fromScale(scale, partsQuantile(parts, i, 0.5, 0));
      const [least, most] = [Math.min(low, median), Math.max(high, median)];
      for (const own of means) own[i] = Math.min(Math.max(own[i], least), most);
    }
    let [center, variance] = [0, 0];
    for (let k = 0; k < parts.length; k++) center += parts[k].weight * means[k][i];
    for (let k = 0; k < parts.length; k++) {
      variance += parts[k].weight * (within[k] + (means[k][i] - center) ** 2);
    }
    mean[i] = center;
    sd[i] = Math.sqrt(variance);
  }
  return { mean, sd, means };
}

/**
 * Predictions of the mixture. Of numbers, the variance is the mean of the posteriors' own and the variance of their means, also
 * that of the function; of classes probabilities are averaged, and what the weights leave open is the information between class and
 * weights, with which posterior it is among them. The function's variance of classes is the mean of the posteriors'.
 */
export function mixRows(all: readonly RowPredictions[], weights: ArrayLike<number>, rows: number): RowPredictions {
  const sum = (size: number, of: (one: RowPredictions, i: number) => number) =>
    Float64Array.from({ length: size }, (_, i) => {
      let total = 0;
      for (const [k, one] of all.entries()) total += weights[k] * of(one, i);
      return total;
    });
  const [first] = all;
  const mean = sum(first.mean.length, (one, i) => one.mean[i]);
  if (first.variance.length > 0) {
    const apart = (one: RowPredictions, i: number) => (one.mean[i] - mean[i]) ** 2;
    const variance = sum(rows, (one, i) => one.variance[i] + apart(one, i));
    const functionVariance = sum(rows, (one, i) => one.functionVariance[i] + apart(one, i));
    const epistemic = functionVariance.map((own, i) => own / variance[i]);
    return { mean, variance, logs: first.logs, functionVariance, epistemic };
  }
  const average = new LogMean(mean.length);
  for (const [k, { logs }] of all.entries()) if (weights[k] > 0) average.add(logs, weights[k]);
  const classes = mean.length / rows;
  const entropyOf = (p: Float64Array, i: number) => entropy(p.subarray(i * classes, (i + 1) * classes));
  const within = sum(rows, (one, i) => (1 - one.epistemic[i]) * entropyOf(one.mean, i));
  const epistemic = within.map((own, i) => {
    const whole = entropyOf(mean, i);
    return whole > 0 ? Math.min(1, Math.max(0, 1 - own / whole)) : 0;
  });
  const functionVariance = sum(rows, (one, i) => one.functionVariance[i]);
  return { mean, variance: first.variance, logs: average.finish(), functionVariance, epistemic };
}

/** Steps of the search for a quantile; two or three are enough, but where its density is 0. */
const MOST_STEPS = 200;
/** A step of so many of the least deviations is the last: its own error is of the third power. */
const LAST_STEP = 1e-5;
/** Steps are of third order where they differ no more than so from those of second. */
const MOST_BENT = 0.5;

/**
 * The number below which row i lies with probability p: Halley's steps from the quantile of a Gaussian with the mixture's moments, between
 * bounds, which halve where a step leaves them.
 * @param z the standard normal quantile of p
 */
export function partsQuantile(parts: readonly TablePart[], i: number, p: number, z: number): number {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [start, center, square, least] = [0, 0, 0, Number.POSITIVE_INFINITY];
  for (const { weight, mean, sd } of parts) {
    if (weight === 0) continue;
    const [m, s] = [mean[i], sd[i]];
    const own = m + z * s;
    if (own < low) low = own;
    if (own > high) high = own;
    if (s < least) least = s;
    start += weight * own;
    center += weight * m;
    square += weight * s * s;
  }
  if (!(low < high)) return start;
  for (const { weight, mean } of parts) square += weight * (mean[i] - center) ** 2;
  let x = center + z * Math.sqrt(square);
  for (let step = 0; step < MOST_STEPS && low < high; step++) {
    if (!(x > low && x < high)) x = low + (high - low) / 2;
    let [below, density, slope] = [-p, 0, 0];
    for (const { weight, mean, sd } of parts) {
      if (weight === 0) continue;
      const at = (x - mean[i]) / sd[i];
      const known = portableNormalDensity(at);
      const own = (weight / sd[i]) * known;
      below += weight * portableNormalCdf(at, known);
      density += own;
      slope -= (own * at) / sd[i];
    }
    if (below < 0) low = x;
    else high = x;
    const newton = below / density;
    const bent = (newton * slope) / (2 * density);
    const next = x - (Math.abs(bent) < MOST_BENT ? newton / (1 - bent) : newton);
    if (Math.abs(next - x) <= LAST_STEP * least) return next;
    x = next;
  }
  return low < high ? x : start;
}
