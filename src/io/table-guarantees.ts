// Intervals and sets of a table's model that hold their level whatever the model: from the scores of rows that models of it have not
// seen, one model (split conformal prediction) or one for each fold of a cross-validation (CV+; Barber, Candès, Ramdas & Tibshirani 2021).

import { type ArrayLike, asArray, NDArray } from "../array/ndarray.ts";
import { fromScale, onScale } from "../data/target-scales.ts";
import { checkOptions, ValueError, valueText } from "../errors.ts";
import { checkLevel } from "../evaluation/metric-inputs.ts";
import { checkScores, type TableGuarantee } from "./table-guarantee-files.ts";
import type { TablePrediction } from "./table-models.ts";

/** What `tableRegions` gives: of numbers bounds, of classes sets. */
export interface TableRegions {
  /** Numbers: the lower bound of each row, −∞ where there are too few scores, [rows]. */
  readonly lower?: Float64Array;
  /** Numbers: the upper bound of each row, ∞ where there are too few scores, [rows]. */
  readonly upper?: Float64Array;
  /** Classes: the positions of the classes in the set of each row, ascending; never empty. */
  readonly sets?: readonly (readonly number[])[];
}

/** Refuses what is not a prediction of a table's rows. @throws ValueError */
function checkPrediction(where: string, prediction: TablePrediction): void {
  const { rows, probabilities, logProbabilities, parts, mean, sd } = prediction ?? {};
  const ofClasses = (own: unknown) => own instanceof NDArray && own.rank === 2 && own.shape[0] === rows;
  const ofNumbers = (own: unknown) => own instanceof Float64Array && own.length === rows;
  const counts = parts?.[0]?.dispersion !== undefined;
  const known =
    probabilities === undefined
      ? Array.isArray(parts) &&
        parts.length > 0 &&
        (!counts || [mean, sd].every(ofNumbers)) &&
        parts.every((part) => typeof part?.weight === "number" && [part.mean, part.sd].every(ofNumbers))
      : [probabilities, logProbabilities].every(ofClasses) && probabilities.size === logProbabilities?.size;
  if (!known)
    throw new ValueError(
      `${where}: expected predictions of a table's rows, such as a TableModel's predict gives, got ${valueText(prediction)}.`,
    );
}

/** The centre and the deviation of row i, on the scale on which residuals are taken, and that scale. */
interface Center {
  readonly mean: (i: number) => number;
  readonly sd: (i: number) => number;
  readonly to: (y: number) => number;
  readonly from: (t: number) => number;
}

/** Of numbers on the scale on which they are normal, of counts in their own units. */
function centerOf({ parts = [], mean, sd }: TablePrediction): Center {
  const [{ scale, dispersion }] = parts;
  const same = (t: number) => t;
  if (dispersion !== undefined) return { mean: (i) => mean?.[i] ?? 0, sd: (i) => sd?.[i] ?? 0, to: same, from: same };
  const center = (i: number) => parts.reduce((sum, part) => sum + part.weight * part.mean[i], 0);
  return {
    mean: center,
    sd: (i) => {
      const m = center(i);
      return Math.sqrt(parts.reduce((sum, part) => sum + part.weight * (part.sd[i] ** 2 + (part.mean[i] - m) ** 2), 0));
    },
    to: (y) => onScale(scale, y),
    from: (t) => fromScale(scale, t),
  };
}

/**
 * A number from 0 to 1 that is as good as random, of a row's probabilities alone: so the score is a function of the row, and the same
 * row has the same set wherever it stands. Of each logarithm 12 bits of the mantissa count, which runtimes agree in.
 */
function shareOf(logs: Float32Array): number {
  const words = new Uint32Array(logs.buffer, logs.byteOffset, logs.length);
  let h = 0x9e3779b9;
  for (const word of words) {
    h = Math.imul(h ^ ((word + 0x400) >>> 11), 0x85ebca6b);
    h ^= h >>> 13;
  }
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** The scores of all classes of row i: the probability of all that have more, and a share of its own (Romano, Sesia & Candès 2020). */
function adaptiveScores({ probabilities, logProbabilities }: TablePrediction, i: number): Float64Array {
  const p = probabilities as NDArray;
  const classes = p.shape[1];
  const row = p.data.subarray(i * classes, (i + 1) * classes);
  const share = shareOf(Float32Array.from((logProbabilities as NDArray).data.subarray(i * classes, (i + 1) * classes)));
  const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
  const scores = new Float64Array(classes);
  let before = 0;
  for (const c of order) {
    scores[c] = before + share * row[c];
    before += row[c];
  }
  return scores;
}

/**
 * How unlike its prediction each target is, [rows]: of numbers |t − m| / s with mean m and deviation s, on the scale on which the target
 * was learned; of classes the probability of the classes that have more, and a share of its own, which the row's probabilities say.
 * @param truth [rows], numbers in the target's units or positions of classes @throws ValueError for another number of rows, or what is not a prediction
 */
export function tableConformity(prediction: TablePrediction, truth: ArrayLike): Float64Array {
  const where = "tableConformity";
  checkPrediction(where, prediction);
  const { size, data } = asArray(truth);
  const { rows, probabilities } = prediction;
  if (size !== rows) throw new ValueError(`${where}: expected the truth of ${rows} rows, got that of ${size}.`);
  if (probabilities !== undefined) {
    return Float64Array.from(data, (label: number, i: number) => {
      const score = adaptiveScores(prediction, i)[label];
      if (score === undefined) throw new ValueError(`${where}: ${label} of row ${i} is not the position of a class.`);
      return score;
    });
  }
  const { mean, sd, to } = centerOf(prediction);
  return Float64Array.from(data, (y: number, i: number) => {
    const t = to(y);
    // What the scale does not know is as far as can be.
    return Number.isNaN(t) ? Number.POSITIVE_INFINITY : t === mean(i) ? 0 : Math.abs(t - mean(i)) / sd(i);
  });
}

/**
 * Intervals of numbers, or sets of classes, of new rows, which hold the target with a probability of at least `level` (α = 1 − level) for
 * one model; for K models of folds of m rows each, n = K m, of at least 1 − 2α − min(2 (1 − 1/K) / (m + 1), (1 − K/n) / (K + 1)), in practice
 * about `level`. It holds on average over rows, if new rows and those of the scores are exchangeable, and no model was made with the help
 * of the rows of its own scores. With fewer than level / (1 − level) scores, intervals are infinite and sets have all classes.
 *
 * Numbers: Barber, Candès, Ramdas & Tibshirani 2021 with residuals in predicted deviations (Gupta, Kuchibhotla & Ramdas 2022); counts
 * have whole bounds. Classes: adaptive sets (Romano, Sesia & Candès 2020), and the most probable class where a set would be empty.
 *
 * `tableRegions(guarantee, guarantee.models.map((model) => model.predict(rows)))`
 * @param predictions of the same rows by each of the models @throws ValueError, OptionError
 */
export function tableRegions(
  guarantee: TableGuarantee<unknown>,
  predictions: readonly TablePrediction[],
  options: { readonly level?: number | undefined } = {},
): TableRegions {
  const where = "tableRegions";
  checkOptions(where, options, ["level"]);
  const { level = 0.9 } = options;
  checkLevel(where, level);
  checkScores(where, guarantee);
  const { scores } = guarantee;
  if (!Array.isArray(predictions) || predictions.length !== scores.length)
    throw new ValueError(`${where}: expected predictions by ${scores.length} models, got ${valueText(predictions)}.`);
  for (const one of predictions) checkPrediction(where, one);
  const [{ rows, probabilities }] = predictions;
  const classes = probabilities?.shape[1];
  if (predictions.some((one) => one.rows !== rows || one.probabilities?.shape[1] !== classes))
    throw new ValueError(`${where}: the predictions are not of the same rows, or not of the same classes.`);
  const sorted = scores.map((own) => own.slice().sort());
  const count = sorted.reduce((sum, { length }) => sum + length, 0);
  // A product such as 100 · 0.55 = 55.00000000000001 must not round up to 56.
  const rank = Math.ceil((count + 1) * level * (1 - 1e-13));
  if (probabilities !== undefined) return { sets: setsOf(sorted, rank, predictions) };
  const centers = predictions.map(centerOf);
  const whole = predictions[0].parts?.[0].dispersion !== undefined;
  const bound = (side: -1 | 1) =>
    Float64Array.from({ length: rows }, (_, i) => side * endOf(sorted, centers, i, side, count - rank));
  const [lower, upper] = [bound(-1), bound(1)];
  if (!whole) return { lower, upper };
  // A count is whole, and not below 0: what lies between whole bounds within loses none.
  return { lower: lower.map((x) => Math.max(0, Math.ceil(x - 1e-9))), upper: upper.map((x) => Math.floor(x + 1e-9)) };
}

/**
 * The end that `above` of the ends of all scores exceed, of `side` times what is predicted: of each model the ends grow with its scores,
 * so the largest are taken off, one after the other.
 */
function endOf(
  sorted: readonly Float64Array[],
  centers: readonly Center[],
  i: number,
  side: -1 | 1,
  above: number,
): number {
  if (above < 0) return Number.POSITIVE_INFINITY;
  const at = sorted.map(({ length }) => length - 1);
  const own = centers.map(({ mean, sd }) => [mean(i), sd(i)] as const);
  const end = (k: number) => {
    if (at[k] < 0) return Number.NEGATIVE_INFINITY;
    const score = sorted[k][at[k]];
    const [mean, sd] = own[k];
    return score === Number.POSITIVE_INFINITY ? score : side * centers[k].from(mean + side * score * sd);
  };
  // With one model it is the score itself that is looked up.
  if (sorted.length === 1) {
    at[0] -= above;
    return end(0);
  }
  const ends = sorted.map((_, k) => end(k));
  for (let taken = 0; ; taken++) {
    let most = 0;
    for (let k = 1; k < ends.length; k++) if (ends[k] > ends[most]) most = k;
    if (taken === above) return ends[most];
    at[most]--;
    ends[most] = end(most);
  }
}

/** How many numbers, which ascend, are below another. */
function below(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A class is in where fewer than `rank` scores are below its own, each model's scores against what that model says. */
function setsOf(sorted: readonly Float64Array[], rank: number, predictions: readonly TablePrediction[]): number[][] {
  return Array.from({ length: predictions[0].rows }, (_, i) => {
    const all = predictions.map((one) => adaptiveScores(one, i));
    const smaller = Array.from(all[0], (_, c) => all.reduce((sum, own, k) => sum + below(sorted[k], own[c]), 0));
    const found = smaller.flatMap((few, c) => (few < rank ? [c] : []));
    return found.length > 0 ? found : [smaller.indexOf(Math.min(...smaller))];
  });
}
