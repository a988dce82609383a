// Quantiles of what a table's model said of numbers, and its scores against what they were.

import { type ArrayLike, asArray } from "../array/ndarray.ts";
import { fromScale, inverseSlope, logSlope, onScale, type TargetScale } from "../data/target-scales.ts";
import { ValueError, valueText } from "../errors.ts";
import { mixtureCrps } from "../evaluation/gaussian-mixture.ts";
import { normalCdf, normalQuantile } from "../evaluation/normal.ts";
import { normalCdfByTable } from "../evaluation/normal-table.ts";
import { countQuantiles, countScores, logCountProbability } from "./table-counts.ts";
import { partsQuantile, type TablePart } from "./table-mixtures.ts";
import type { TablePrediction } from "./table-models.ts";

/** What `tableScores` gives of each row, in the target's units. */
export interface TableScores {
  /** −log of the density at the truth, of counts of its probability. */
  readonly negativeLogDensity: Float64Array;
  /** The continuous ranked probability score (Gneiting & Raftery 2007). */
  readonly crps: Float64Array;
  /** The probability of what is below the truth, evenly spread from 0 to 1 where predictions are calibrated. */
  readonly below: Float64Array;
}

type Values = ReturnType<typeof asArray>["data"];

function partsOf(where: string, prediction: TablePrediction): readonly TablePart[] {
  const parts = prediction?.parts;
  const known = ({ weight, mean, sd }: TablePart) =>
    typeof weight === "number" && [mean, sd].every((own) => own instanceof Float64Array && own.length === mean.length);
  if (Array.isArray(parts) && parts.length > 0 && parts.every((part) => known(part ?? {}))) return parts;
  throw new ValueError(
    `${where}: expected predictions of numbers, such as a TableModel's predict gives; those of classes have no quantiles.`,
  );
}

/**
 * The numbers below which targets lie with probability p, of counts the least that are not exceeded with it, [rows]: those of the mixture where a model has several posteriors.
 * `tableQuantiles(model.predict(rows), 0.95)`. @throws ValueError for predictions of classes, or p outside of (0, 1)
 */
export function tableQuantiles(prediction: TablePrediction, p: number): Float64Array {
  const where = "tableQuantiles";
  const parts = partsOf(where, prediction);
  if (!(typeof p === "number" && p > 0 && p < 1))
    throw new ValueError(`${where}: p must be between 0 and 1, not ${valueText(p)}.`);
  const z = normalQuantile(p);
  const [{ scale, mean, dispersion }] = parts;
  if (dispersion !== undefined) return Float64Array.from(mean, (_, i) => countQuantiles(parts, i, [p])[0]);
  return Float64Array.from(mean, (_, i) => fromScale(scale, partsQuantile(parts, i, p, z)));
}

/**
 * log of the density of each number under what was predicted, of counts of its probability, [rows], in the target's own units: what `tableScores` has with its sign
 * changed, by itself. @param truth [rows] @throws ValueError as `tableScores`
 */
export function tableLogDensities(prediction: TablePrediction, truth: ArrayLike): Float64Array {
  const where = "tableLogDensities";
  const parts = partsOf(where, prediction);
  return logDensities(parts, truthOf(where, parts, truth));
}

function truthOf(where: string, parts: readonly TablePart[], truth: ArrayLike): Values {
  const rows = parts[0].mean.length;
  const { size, data } = asArray(truth);
  if (size !== rows) throw new ValueError(`${where}: expected the truth of ${rows} rows, got that of ${size}.`);
  return data;
}

function logDensities(parts: readonly TablePart[], truth: Values): Float64Array {
  const [{ scale, dispersion }] = parts;
  if (dispersion !== undefined) return Float64Array.from(truth, (y, i) => logCountProbability(parts, i, y));
  return Float64Array.from(truth, (y, i) => {
    const t = onScale(scale, y);
    // Of no number on the scale there is a density.
    if (Number.isNaN(t)) return Number.NEGATIVE_INFINITY;
    const logs = parts.map(({ weight, mean, sd }) => {
      return Math.log(weight) - Math.log(sd[i]) - 0.5 * (Math.log(2 * Math.PI) + ((t - mean[i]) / sd[i]) ** 2);
    });
    const most = Math.max(...logs);
    return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0)) + logSlope(scale, y);
  });
}

/**
 * Pairs of intervals of Simpson's rule on each side of the truth, at least and at most, how long an interval may be in deviations of the
 * narrowest part, and deviations beyond which there is nothing.
 */
const [FEWEST_PAIRS, MOST_PAIRS, INTERVAL, BEYOND] = [4, 200, 0.15, 8.3];

/** ∫ (F(z) − 1{z ≥ y})² dz, on the scale, where dz is T⁻¹′(t) dt, by Simpson's rule on each side of y. */
function scaledCrps(parts: readonly TablePart[], scale: TargetScale, i: number, y: number): number {
  const at = onScale(scale, y);
  if (Number.isNaN(at)) return Number.POSITIVE_INFINITY;
  let [low, high, narrowest] = [at, at, Number.POSITIVE_INFINITY];
  for (const { mean, sd } of parts) {
    low = Math.min(low, mean[i] - BEYOND * sd[i]);
    high = Math.max(high, mean[i] + BEYOND * sd[i]);
    narrowest = Math.min(narrowest, sd[i]);
  }
  // The rule's own error is far above that of the table.
  const cdf = normalCdfByTable();
  const side = (end: number, above: number) => {
    const wanted = Math.ceil(Math.abs(end - at) / (2 * INTERVAL * narrowest));
    const intervals = 2 * Math.min(Math.max(wanted || 0, FEWEST_PAIRS), MOST_PAIRS);
    const h = (end - at) / intervals;
    let sum = 0;
    for (let k = 0; k <= intervals; k++) {
      const t = at + k * h;
      let below = -above;
      for (const { weight, mean, sd } of parts) below += weight * cdf((t - mean[i]) / sd[i]);
      const factor = k === 0 || k === intervals ? 1 : k % 2 === 1 ? 4 : 2;
      sum += factor * below * below * inverseSlope(scale, t);
    }
    return (sum * Math.abs(h)) / 3;
  };
  return side(low, 0) + side(high, 1);
}

/**
 * How well numbers were predicted, row by row.
 * @param truth [rows], in the target's units @throws ValueError for predictions of classes, or another number of rows
 */
export function tableScores(prediction: TablePrediction, truth: ArrayLike): TableScores {
  const where = "tableScores";
  const parts = partsOf(where, prediction);
  const y = truthOf(where, parts, truth);
  const [{ scale, dispersion }] = parts;
  const rows = y.length;
  const weights = parts.map(({ weight }) => weight);
  const each = (of: (i: number) => number) => Float64Array.from({ length: rows }, (_, i) => of(i));
  if (dispersion !== undefined) {
    const scores = Array.from(y, (own, i) => countScores(parts, i, own));
    return {
      negativeLogDensity: logDensities(parts, y).map((log) => -log),
      crps: each((i) => scores[i].crps),
      below: each((i) => scores[i].below),
    };
  }
  return {
    negativeLogDensity: logDensities(parts, y).map((log) => -log),
    crps: each((i) => {
      if (scale !== undefined) return scaledCrps(parts, scale, i, y[i]);
      const [means, deviations] = [parts.map(({ mean }) => mean[i]), parts.map(({ sd }) => sd[i])];
      return mixtureCrps({ weights, means, deviations }, y[i]);
    }),
    below: each((i) => {
      const t = onScale(scale, y[i]);
      if (Number.isNaN(t)) return 0;
      return parts.reduce((sum, { weight, mean, sd }) => sum + weight * normalCdf((t - mean[i]) / sd[i]), 0);
    }),
  };
}
