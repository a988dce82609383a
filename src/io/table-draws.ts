// Predictions of rows of which values are missing: mixtures over what these may have been.

import { portableLog } from "../array/portable.ts";
import type { TableEncoding } from "../data/encoding.ts";
import type { ExamplesReport, Steps } from "../kernels/steps.ts";
import { LogMean } from "../likelihood/logit-draws.ts";

/** What is predicted of rows. */
export interface RowPredictions {
  /** The mean of a number, [rows], or the probabilities of classes, [rows · classes]. */
  readonly mean: Float64Array;
  /** The variance of a number, [rows]; of classes empty. */
  readonly variance: Float64Array;
  /** The logarithms of the probabilities of classes, [rows · classes]; of numbers empty. */
  readonly logs: Float64Array;
  /** The variance of the function, summed over outputs, [rows]. */
  readonly functionVariance: Float64Array;
  /** The share of the uncertainty that the weights leave open, [rows]. */
  readonly epistemic: Float64Array;
}

/** Rows of inputs that are predicted at a time, where draws make them many. */
const MOST_INPUT_ROWS = 4096;

/**
 * Predicts rows, those with gaps as the even mixture over the encoding's draws. Its mean is the mean of theirs; its variance by
 * the law of total variance the mean of their variances and the variance of their means (Rubin, 1987, for multiple
 * imputation). What a missing value leaves open is not uncertainty of the weights: the function's variance is the mean of
 * theirs.
 * @param x [rows · inputs] @param gaps of each row, as `encode` gives them; empty where there are none
 */
export function* overDraws(
  encoding: TableEncoding,
  x: Float64Array,
  rows: number,
  gaps: readonly (readonly number[])[],
  predict: (inputs: Float64Array) => Steps<RowPredictions, ExamplesReport>,
): Steps<RowPredictions, ExamplesReport> {
  if (!gaps.some((places) => places.length > 0)) return yield* predict(x);
  const width = encoding.inputs.length;
  const parts: RowPredictions[] = [];
  for (let first = 0; first < rows; ) {
    const drawn: Float64Array[] = [];
    let count = 0;
    let last = first;
    while (last < rows && (count === 0 || count < MOST_INPUT_ROWS)) {
      const row = x.subarray(last * width, (last + 1) * width);
      const own = gaps[last].length > 0 ? encoding.draw(row, gaps[last]) : row;
      drawn.push(own);
      count += own.length / width;
      last++;
    }
    const inputs = new Float64Array(count * width);
    let at = 0;
    for (const own of drawn) {
      inputs.set(own, at);
      at += own.length;
    }
    parts.push(
      mixed(
        yield* predict(inputs),
        drawn.map((own) => own.length / width),
      ),
    );
    first = last;
  }
  return joined(parts);
}

/** The mixtures of successive groups of rows. */
function mixed(all: RowPredictions, groups: readonly number[]): RowPredictions {
  const total = groups.reduce((sum, count) => sum + count, 0);
  const classes = all.mean.length / total;
  const numbers = all.variance.length > 0;
  const mean = new Float64Array(groups.length * classes);
  const variance = new Float64Array(numbers ? groups.length : 0);
  const logs = new Float64Array(numbers ? 0 : groups.length * classes);
  const [functionVariance, epistemic] = [new Float64Array(groups.length), new Float64Array(groups.length)];
  let at = 0;
  groups.forEach((count, i) => {
    const own = mean.subarray(i * classes, (i + 1) * classes);
    if (count === 1) {
      own.set(all.mean.subarray(at * classes, (at + 1) * classes));
      if (numbers) variance[i] = all.variance[at];
      else logs.set(all.logs.subarray(at * classes, (at + 1) * classes), i * classes);
      [functionVariance[i], epistemic[i]] = [all.functionVariance[at], all.epistemic[at]];
      at++;
      return;
    }
    let open = 0;
    for (let k = at; k < at + count; k++) {
      const row = all.mean.subarray(k * classes, (k + 1) * classes);
      for (let c = 0; c < classes; c++) own[c] += row[c] / count;
      functionVariance[i] += all.functionVariance[k] / count;
      if (numbers) variance[i] += all.variance[k] / count;
      else open += (all.epistemic[k] * entropy(row)) / count;
    }
    if (numbers) {
      for (let k = at; k < at + count; k++) variance[i] += (all.mean[k] - own[0]) ** 2 / count;
      epistemic[i] = functionVariance[i] / variance[i];
    } else {
      const average = new LogMean(classes);
      for (let k = at; k < at + count; k++) average.add(all.logs.subarray(k * classes, (k + 1) * classes));
      logs.set(average.finish(), i * classes);
      const whole = entropy(own);
      epistemic[i] = whole > 0 ? Math.min(1, open / whole) : 0;
    }
    at += count;
  });
  return { mean, variance, logs, functionVariance, epistemic };
}

/** In nats. */
export function entropy(probabilities: Float64Array): number {
  let sum = 0;
  for (const p of probabilities) if (p > 0) sum -= p * portableLog(p);
  return sum;
}

function joined(parts: readonly RowPredictions[]): RowPredictions {
  const join = (pick: (part: RowPredictions) => Float64Array) => {
    const whole = new Float64Array(parts.reduce((sum, part) => sum + pick(part).length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(pick(part), at);
      at += pick(part).length;
    }
    return whole;
  };
  return {
    mean: join((part) => part.mean),
    variance: join((part) => part.variance),
    logs: join((part) => part.logs),
    functionVariance: join((part) => part.functionVariance),
    epistemic: join((part) => part.epistemic),
  };
}
