// Split conformal prediction: intervals and sets that hold their level whatever the model, from held-out data.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkBoolean, checkChoice, checkOptions, ShapeError, ValueError } from "../errors.ts";
import { checkLevel, checkVariance, readLabels, readNumbers, readProbabilities } from "./metric-inputs.ts";
import type { IntervalOptions } from "./regression.ts";

/** The level of intervals or sets, 0.9 by default; `others` are the options that stand beside it. @throws OptionError */
export function readLevel(where: string, options: IntervalOptions, others: readonly string[] = []): number {
  checkOptions(where, options, ["level", ...others]);
  const { level = 0.9 } = options;
  checkLevel(where, level);
  return level;
}

/** The ⌈(n + 1) level⌉-th smallest of n scores, which it sorts; infinite where that is beyond the last. */
export function conformalQuantile(scores: Float64Array, level: number): number {
  // A product such as 100 · 0.55 = 55.00000000000001 must not round up to 56.
  const rank = Math.ceil((scores.length + 1) * level * (1 - 1e-13));
  return rank > scores.length ? Number.POSITIVE_INFINITY : scores.sort()[rank - 1];
}

/** Refuses what has no arrays. @throws ValueError */
export function checkParts(where: string, parts: Readonly<Record<string, unknown>>): void {
  for (const [name, part] of Object.entries(parts)) {
    if (part !== null && typeof part === "object") continue;
    throw new ValueError(`${where}: ${name} must be an object with its arrays, not ${String(part)}.`);
  }
}

/** Means and variances, such as `predict` gives. */
export interface MeanAndVariance {
  /** [N] or [N, C] */
  readonly mean: ArrayLike;
  /** The same, positive. */
  readonly variance: ArrayLike;
}

/** What `conformalIntervals` gives. */
export interface ConformalIntervals {
  /** The lower bounds, shaped as the prediction's mean. */
  readonly lower: NDArray;
  /** The upper bounds, shaped as the prediction's mean. */
  readonly upper: NDArray;
  /** Half an interval's width in predicted standard deviations, for each output, [C]; infinite if there are too few data. */
  readonly quantile: NDArray;
}

/**
 * Split conformal intervals m ± q σ (Lei et al., 2018, with residuals divided by the predicted σ): q is the
 * ⌈(n + 1) level⌉-th smallest |y − m| / σ of n calibration samples, for each output by itself. If those and the new
 * sample are exchangeable, and the model was not trained on them, an interval holds its target with a probability of at
 * least `level`, and of at most level + 1/(n + 1) if no scores tie. This holds on average over calibration sets and
 * inputs, not for each input; several outputs hold one by one, not together. With n < level / (1 − level) samples the
 * intervals are infinite.
 *
 * `conformalIntervals({ ...posterior.predict(x), targets: y }, posterior.predict(xNew), { level: 0.9 })`
 * @param calibration mean, variance and targets of n held-out samples, [n] or [n, C] each
 * @param prediction mean and variance at the new inputs, [N] or [N, C]
 * @throws ShapeError, ValueError; OptionError for a level outside (0, 1)
 */
export function conformalIntervals(
  calibration: MeanAndVariance & { readonly targets: ArrayLike },
  prediction: MeanAndVariance,
  options: IntervalOptions = {},
): ConformalIntervals {
  const where = "conformalIntervals";
  const level = readLevel(where, options);
  checkParts(where, { calibration, prediction });
  const held = readNumbers(where, {
    mean: calibration.mean,
    variance: calibration.variance,
    targets: calibration.targets,
  });
  const next = readNumbers(where, { mean: prediction.mean, variance: prediction.variance });
  const { outputs, samples } = held;
  if (next.outputs !== outputs) {
    throw new ShapeError(
      `${where}: the calibration has ${outputs} outputs, but the prediction ${next.outputs}; they must agree.`,
    );
  }
  const [m, v, y] = held.columns;
  checkVariance(where, v, true);
  const quantile = Float64Array.from({ length: outputs }, (_, c) => {
    const scores = Float64Array.from({ length: samples }, (_, n) => {
      const i = n * outputs + c;
      return Math.abs(y[i] - m[i]) / Math.sqrt(v[i]);
    });
    return conformalQuantile(scores, level);
  });
  const [mean, variance] = next.columns;
  checkVariance(where, variance, true);
  const bound = (sign: number) =>
    new NDArray(
      Float64Array.from(mean, (center: number, i: number) => {
        return center + sign * quantile[i % outputs] * Math.sqrt(variance[i]);
      }),
      next.shape,
    );
  return { lower: bound(-1), upper: bound(1), quantile: new NDArray(quantile, [outputs]) };
}

/** The options of `conformalSets`. */
export interface ConformalSetOptions extends IntervalOptions {
  /** What a label's score is: "lac" (default) for the smallest sets, "aps" for sets that adapt to each sample. */
  score?: "lac" | "aps";
  /**
   * Of "aps": whether a label's own probability counts by a random share (default true), without which sets are larger than
   * the level asks.
   */
  randomized?: boolean;
  /** Of "aps": the seed of the random shares (default 0). */
  seed?: number;
}

/** What `conformalSets` gives. */
export interface ConformalSets {
  /** The labels in the set of each new sample, ascending; a set may be empty. */
  readonly sets: readonly (readonly number[])[];
  /**
   * Of "lac": the probability a label needs to be in a set; −∞, hence all labels, if there are too few data. Of "aps": the
   * probability that the labels before it may take; ∞ if there are too few data.
   */
  readonly threshold: number;
}

/** How much probability the labels before this one have, those with more of it first, then this label's own share. */
function adaptiveScore(row: Float64Array, label: number, share: number): number {
  let before = 0;
  for (let c = 0; c < row.length; c++)
    if (row[c] > row[label] || (row[c] === row[label] && c < label)) before += row[c];
  return before + share * row[label];
}

/**
 * Split conformal sets of labels: those whose score is at most q, the ⌈(n + 1) level⌉-th smallest score of the labels of
 * n calibration samples. Under the conditions of `conformalIntervals` a set holds the label with a probability of at least
 * `level`, on average over samples.
 *
 * - "lac", the least ambiguous classifier (Sadinle, Lei & Wasserman, 2019): 1 − p. Of all methods it has the smallest sets
 *   on average, if the probabilities are right; sets of hard samples hold their label less often than those of easy ones.
 * - "aps", adaptive prediction sets (Romano, Sesia & Candès, 2020): the probability of all labels that have more, and a
 *   random share of the label's own. Sets grow where the model is unsure, and hold their level more evenly; the bounds are the
 *   same (their theorem 1), on average over the shares, too.
 *
 * With either, sets may be empty.
 *
 * `conformalSets({ probabilities: posterior.predict(x).mean, labels: y }, posterior.predict(xNew).mean)`
 * @param calibration probabilities [n, C] (or [n] of label 1) and labels [n] of held-out samples
 * @param probabilities [N, C] (or [N]) at the new inputs
 * @throws ShapeError, ValueError; OptionError for a level outside (0, 1), or another score
 */
export function conformalSets(
  calibration: { readonly probabilities: ArrayLike; readonly labels: ArrayLike },
  probabilities: ArrayLike,
  options: ConformalSetOptions = {},
): ConformalSets {
  const where = "conformalSets";
  const level = readLevel(where, options, ["score", "randomized", "seed"]);
  const { score = "lac", randomized = true, seed = 0 } = options;
  checkChoice(where, "score", score, ["lac", "aps"]);
  checkBoolean(where, "randomized", randomized);
  checkParts(where, { calibration });
  const { samples, classes, p } = readProbabilities(where, calibration.probabilities);
  const labels = readLabels(where, calibration.labels, samples, classes);
  const next = readProbabilities(where, probabilities);
  if (next.classes !== classes) {
    throw new ShapeError(`${where}: the calibration has ${classes} classes, but the prediction ${next.classes}.`);
  }
  const random = new Random(seed);
  const adaptive = score === "aps";
  const share = () => (adaptive && randomized ? random.uniform() : 1);
  // −p in place of 1 − p keeps the digits of small probabilities, so that they do not tie.
  const scoreOf = (row: Float64Array, label: number, u: number) =>
    adaptive ? adaptiveScore(row, label, u) : -row[label];
  const rowOf = (of: Float64Array, i: number) => of.subarray(i * classes, (i + 1) * classes);
  const scores = Float64Array.from(labels, (label, i) => scoreOf(rowOf(p, i), label, share()));
  const quantile = conformalQuantile(scores, level);
  const sets = Array.from({ length: next.samples }, (_, i) => {
    const row = rowOf(next.p, i);
    const u = share(); // One share for all labels of a sample, so that labels enter in the order of their probabilities.
    return Array.from(row.keys()).filter((c) => scoreOf(row, c, u) <= quantile);
  });
  return { sets, threshold: adaptive ? quantile : -quantile };
}
