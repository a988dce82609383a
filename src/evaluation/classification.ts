// Metrics of predicted class probabilities. All take probabilities [N, C], or [N] or [N, 1] of label 1, and labels [N]; or
// with the options of `ClassOptions` probabilities at every position, and labels of which some are left out.

import { type ArrayLike, asArray, NDArray } from "../array/ndarray.ts";
import { checkChoice, checkInteger, checkOptions, newFloats, OptionError, ShapeError, ValueError } from "../errors.ts";
import type { ClassOptions } from "../losses/classes.ts";
import type { WeightOptions } from "../losses/losses.ts";
import { countedLabels, type Labelled } from "./labels.ts";
import { average, elementWeights, readLabels, readNumbers, readProbabilities } from "./metric-inputs.ts";

function read(where: string, probabilities: ArrayLike, labels: ArrayLike, options: ClassMetricOptions) {
  const counted = countedLabels(where, probabilities, labels, options);
  const given = readProbabilities(where, counted.probabilities);
  const { weights } = counted;
  return { ...given, labels: readLabels(where, counted.labels, given.samples, given.classes), weights };
}

/** Options of metrics of classes: which labels count, and how much each sample does. */
export interface ClassMetricOptions extends ClassOptions, WeightOptions {}

/**
 * The mean negative log likelihood of the labels, −1/N Σ log p_n(y_n), in nats. A proper scoring rule; infinite where a
 * label had the probability 0, hence of label 0 where that of label 1 was rounded to 1: `evaluate` and a posterior's
 * `logProbabilities` know the logits, and are exact there.
 * @param probabilities [N, C], or [N] or [N, 1] of label 1 @param labels [N], or rows [N, C] of probabilities
 * @throws ShapeError, ValueError for what are not probabilities or not labels, or numbers of them that differ
 */
export function negativeLogLikelihood(
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: ClassMetricOptions = {},
): number {
  const { samples, classes, p, labels: y, weights } = read("negativeLogLikelihood", probabilities, labels, options);
  return average(samples, (i) => -Math.log(p[i * classes + y[i]]), weights);
}

/** The mean negative log likelihood of labels from logarithms of their probabilities, [N, C], in their place. */
export function logScore(where: string, { probabilities: logs, labels, weights }: Labelled): number {
  const { data, shape } = asArray(logs);
  const [samples, classes] = shape;
  const y = readLabels(where, labels, samples, classes);
  return average(samples, (i) => -data[i * classes + y[i]], weights);
}

/**
 * The share of samples whose label has the largest probability; of classes that tie, the first is the predicted one.
 * @param probabilities [N, C], or [N] or [N, 1] of label 1 @param labels [N], or rows [N, C] of probabilities
 * @throws ShapeError, ValueError
 */
export function accuracy(probabilities: ArrayLike, labels: ArrayLike, options: ClassMetricOptions = {}): number {
  const { samples, classes, p, labels: y, weights } = read("accuracy", probabilities, labels, options);
  return average(samples, (i) => (largest(p, i, classes) === y[i] ? 1 : 0), weights);
}

/** The most probable class of sample i, the first of several. */
export function largest(p: Float64Array, i: number, classes: number): number {
  let best = 0;
  for (let c = 1; c < classes; c++) if (p[i * classes + c] > p[i * classes + best]) best = c;
  return best;
}

/**
 * The Brier score in its original form, the sum over all classes: 1/N Σ_n Σ_c (p_nc − 1{y_n = c})² (Brier, 1950), from 0
 * to 2. For two classes it is twice the form (p − y)² that looks at label 1 only. A proper scoring rule.
 * @param probabilities [N, C], or [N] or [N, 1] of label 1 @param labels [N], or rows [N, C] of probabilities
 * @throws ShapeError, ValueError
 */
export function brierScore(probabilities: ArrayLike, labels: ArrayLike, options: ClassMetricOptions = {}): number {
  const { samples, classes, p, labels: y, weights } = read("brierScore", probabilities, labels, options);
  const scoreOf = (i: number) => {
    const own = i * classes + y[i];
    let [sum, others] = [0, 0];
    for (let at = i * classes; at < (i + 1) * classes; at++) {
      if (at === own) continue;
      sum += p[at] ** 2;
      others += p[at];
    }
    // Where the others say the same as 1 − p within rounding, they have more digits of it.
    const rest = 1 - p[own];
    return sum + (Math.abs(rest - others) < 1e-15 * classes ? others : rest) ** 2;
  };
  return average(samples, scoreOf, weights);
}

/** Options of `reliabilityCurve`. */
export interface ReliabilityOptions extends ClassMetricOptions {
  /** The number of bins of equal width (default 15). */
  bins?: number;
  /** Looks at the probability of this label, instead of at the predicted class's. */
  label?: number;
}

/** How often predictions of each confidence are right; `bins` numbers each, NaN where a bin is empty. */
export interface ReliabilityCurve {
  /** The edges of the bins, 0 to 1, [bins + 1]; bin b is (edges[b], edges[b + 1]], the first with 0. */
  readonly edges: NDArray;
  /** The samples in each bin, or the sum of their weights, [bins]. */
  readonly count: NDArray;
  /** Their mean confidence, [bins]. */
  readonly confidence: NDArray;
  /** The share of them that have the label in question, [bins]. */
  readonly accuracy: NDArray;
}

/**
 * The reliability curve (DeGroot & Fienberg, 1983): samples sorted by confidence, the probability of the predicted class,
 * into bins of equal width (lo, hi], and how many of each were right. With `label: 1` and probabilities of label 1,
 * it is the calibration curve of a binary classifier over [0, 1]. Empty bins are NaN.
 * @param probabilities [N, C], or [N] or [N, 1] of label 1 @param labels [N], or rows [N, C] of probabilities
 * @throws ShapeError, ValueError; OptionError
 */
export function reliabilityCurve(
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: ReliabilityOptions = {},
): ReliabilityCurve {
  return curve("reliabilityCurve", probabilities, labels, options);
}

function curve(
  where: string,
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: ReliabilityOptions,
): ReliabilityCurve {
  checkOptions(where, options, ["bins", "label", "classAxis", "ignoredLabel", "weights"]);
  const { bins = 15, label, ...classOptions } = options;
  checkInteger(where, "bins", bins, 1);
  const { samples, classes, p, labels: y, weights } = read(where, probabilities, labels, classOptions);
  if (label !== undefined) {
    checkInteger(where, "label", label, 0);
    if (label >= classes) throw new OptionError(`${where}: label ${label} is not one of ${classes} classes.`);
  }
  const [count, confidence, right] = [0, 1, 2].map(() => newFloats(where, [bins]));
  for (let i = 0; i < samples; i++) {
    const of = label ?? largest(p, i, classes);
    const value = p[i * classes + of];
    const bin = binOf(value, bins);
    const weight = weights?.[i] ?? 1;
    count[bin] += weight;
    confidence[bin] += weight * value;
    if (y[i] === of) right[bin] += weight;
  }
  const mean = (sums: Float64Array) =>
    new NDArray(
      sums.map((sum, b) => sum / count[b]),
      [bins],
    );
  return {
    edges: new NDArray(
      Float64Array.from({ length: bins + 1 }, (_, b) => b / bins),
      [bins + 1],
    ),
    count: new NDArray(count, [bins]),
    confidence: mean(confidence),
    accuracy: mean(right),
  };
}

/** b with b / bins < value ≤ (b + 1) / bins; the product alone may round over an edge. */
function binOf(value: number, bins: number): number {
  let bin = Math.min(Math.max(Math.ceil(value * bins) - 1, 0), bins - 1);
  if (bin > 0 && value <= bin / bins) bin--;
  if (bin < bins - 1 && value > (bin + 1) / bins) bin++;
  return bin;
}

/** Options of `expectedCalibrationError`. */
export interface CalibrationErrorOptions extends ReliabilityOptions {
  /** How the bins' errors become one: "l1" (default), "l2" or "max". */
  norm?: "l1" | "l2" | "max";
}

/**
 * The expected calibration error (Naeini, Cooper & Hauskrecht, 2015; Guo et al., 2017): with the bins of
 * `reliabilityCurve` and w_b the share of samples in bin b, "l1" is Σ w_b |acc_b − conf_b|, "l2" the square root of
 * Σ w_b (acc_b − conf_b)², "max" the largest |acc_b − conf_b| of a bin that is not empty. No proper score: it depends on
 * the bins, and that of a perfectly calibrated model is above 0 by sampling error, of the order of √(bins / N).
 * @param probabilities [N, C], or [N] or [N, 1] of label 1 @param labels [N], or rows [N, C] of probabilities
 * @throws ShapeError, ValueError; OptionError
 */
export function expectedCalibrationError(
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: CalibrationErrorOptions = {},
): number {
  const where = "expectedCalibrationError";
  checkOptions(where, options, ["bins", "label", "norm", "classAxis", "ignoredLabel", "weights"]);
  const { norm = "l1", ...rest } = options;
  checkChoice(where, "norm", norm, ["l1", "l2", "max"]);
  const { count, confidence, accuracy: right } = curve(where, probabilities, labels, rest);
  let [samples, sum, worst] = [0, 0, 0];
  count.data.forEach((n: number, b: number) => {
    if (n === 0) return;
    const error = Math.abs(right.data[b] - confidence.data[b]);
    samples += n;
    sum += n * (norm === "l2" ? error ** 2 : error);
    worst = Math.max(worst, error);
  });
  if (norm === "max") return worst;
  return norm === "l2" ? Math.sqrt(sum / samples) : sum / samples;
}

/**
 * The area under the ROC curve: the probability that a sample of label 1 has a higher score than one of label 0, ties
 * counting half. It is the Mann–Whitney statistic from mid-ranks, (R₁ − n₁ (n₁ + 1) / 2) / (n₀ n₁) with R₁ the sum of
 * the ranks of label 1 (Hanley & McNeil, 1982). Scores need not be probabilities: only their order counts.
 * @param scores [N] or [N, 1], finite @param labels [N] or [N, 1], 0 or 1
 * @throws ShapeError, ValueError; also where one of the labels does not occur, since the area is undefined then
 */
export function auroc(scores: ArrayLike, labels: ArrayLike, options: WeightOptions = {}): number {
  const where = "auroc";
  checkOptions(where, options, ["weights"]);
  const {
    samples,
    outputs,
    columns: [s],
  } = readNumbers(where, { scores });
  if (outputs !== 1) throw new ShapeError(`${where}: scores must be [N], one number for each sample.`);
  const y = readLabels(where, labels, samples, 2);
  const weights = elementWeights(where, options, samples, samples);
  const order = Uint32Array.from({ length: samples }, (_, i) => i).sort((a, b) => s[a] - s[b]);
  // Weights of pairs whose sample of label 1 is the higher one, ties counting half.
  let [pairs, zeros, ones] = [0, 0, 0];
  for (let start = 0; start < samples; ) {
    const tied = [0, 0];
    let end = start;
    for (; end < samples && s[order[end]] === s[order[start]]; end++) tied[y[order[end]]] += weights?.[order[end]] ?? 1;
    pairs += tied[1] * (zeros + tied[0] / 2);
    zeros += tied[0];
    ones += tied[1];
    start = end;
  }
  if (ones === 0 || zeros === 0) {
    throw new ValueError(`${where}: all labels are ${ones === 0 ? 0 : 1}; the area needs samples of both.`);
  }
  return pairs / (ones * zeros);
}
