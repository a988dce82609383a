// Predictions of rows that their model has not seen, pooled over the folds of a cross-validation, or of one held-out share.

import { type Steps, type TableModel, tableScores } from "laplace-ts";
import { inTurns } from "../turn.ts";
import { type Baseline, baselineMetrics, classMetrics, type Metrics, scoredMetrics } from "./metrics.ts";
import { type Numbers, partsOf } from "./rows.ts";

/** A model, and the rows that were kept from it: a fold of a cross-validation, or the one held-out share. */
export interface Fold {
  readonly model: TableModel;
  readonly numbers: Numbers;
  /** Places of these rows among all. */
  readonly indices: readonly number[];
  /** Of the rows that the model was fitted to. */
  readonly baseline: Baseline;
  /** Rows of the fit that said when to stop. */
  readonly validation: number;
}

/** Predictions of the held-out rows. */
export interface HeldOut {
  /** Each row's line in the file, the header being line 1. */
  readonly lines: readonly number[];
  /** The cells as they were read, by column. */
  readonly rows: readonly Readonly<Record<string, string>>[];
  /** Target values; for classes, indices into `classes`. */
  readonly truth: readonly number[];
  /** Regression: predicted means. Classification: the predicted class. */
  readonly mean: readonly number[];
  /** Regression: standard deviation of a new target, noise included. */
  readonly sd?: readonly number[];
  /** Regression: of that, what the weights leave open. */
  readonly functionSd?: readonly number[];
  /** Regression: the 90 % interval of a new target. */
  readonly lower?: readonly number[];
  readonly upper?: readonly number[];
  /** Regression: residuals as normal deviates, where predictions are not normal (default: (truth − mean) / sd). */
  readonly z?: readonly number[];
  /** Classification: [row][class]. */
  readonly probabilities?: readonly (readonly number[])[];
  /** Share of the predictive uncertainty that is epistemic, between 0 and 1. */
  readonly epistemic: readonly number[];
  /** Whether the row is far from the training data. */
  readonly far: readonly boolean[];
}

/** Pooled predictions of held-out rows, by ascending place; metrics and the baseline's. */
export interface HeldOutRows extends Omit<HeldOut, "lines" | "rows"> {
  readonly indices: readonly number[];
  readonly metrics: Metrics;
  readonly baseline: Metrics;
  /** Regression: the probability of what is below the truth. */
  readonly below?: readonly number[];
}

function* predictFold({ model, numbers, indices, baseline }: Fold): Steps<ReturnType<typeof predictRows>> {
  const all: ReturnType<typeof predictRows> = [];
  for (const part of partsOf(numbers, model.posterior)) {
    all.push(...predictRows(model, part, indices.slice(all.length, all.length + part.rows), baseline));
    yield;
  }
  return all;
}

function predictRows(model: TableModel, numbers: Numbers, indices: readonly number[], baseline: Baseline) {
  const predicted = model.predictEncoded(numbers.x.data as Float64Array, numbers.unusual, numbers.gaps);
  const { target } = model.encoding;
  const truth = Array.from(numbers.y.data, (y: number) => model.encoding.ofTarget(y));
  const scores = target.kind === "number" ? tableScores(predicted, truth) : undefined;
  return indices.map((index, i) => {
    const weight = numbers.weights?.data[i];
    const shared = { index, baseline, weight, epistemic: predicted.epistemic[i], far: predicted.far[i] };
    if (target.kind === "classes") {
      const probabilities = Array.from(predicted.probabilities?.sub(i).data ?? []);
      const logs = Array.from(predicted.logProbabilities?.sub(i).data ?? []);
      return { ...shared, truth: truth[i], mean: predicted.predicted?.[i] ?? 0, probabilities, logs };
    }
    return {
      ...shared,
      truth: truth[i],
      mean: predicted.mean?.[i] ?? 0,
      sd: predicted.sd?.[i] ?? 0,
      functionSd: predicted.functionSd?.[i] ?? 0,
      lower: predicted.lower?.[i] ?? 0,
      upper: predicted.upper?.[i] ?? 0,
      negativeLogDensity: scores?.negativeLogDensity[i] ?? 0,
      crps: scores?.crps[i] ?? 0,
      below: scores?.below[i] ?? 0,
    };
  });
}

/** Predicts the rows of all folds. */
export async function predictHeldOut(folds: readonly Fold[]): Promise<HeldOutRows> {
  const all: ReturnType<typeof predictRows> = [];
  // One by one: as arguments, many rows overflow the stack.
  for (const fold of folds) for (const row of await inTurns(predictFold(fold))) all.push(row);
  all.sort((a, b) => a.index - b.index);
  const truth = all.map((row) => row.truth);
  const mean = all.map((row) => row.mean);
  const weights = all.every(({ weight }) => weight !== undefined) ? all.map(({ weight = 1 }) => weight) : undefined;
  const shared = {
    indices: all.map(({ index }) => index),
    truth,
    mean,
    epistemic: all.map(({ epistemic }) => epistemic),
    far: all.map(({ far }) => far),
    baseline: baselineMetrics(
      all.map(({ baseline }) => baseline),
      truth,
      weights,
    ),
  };
  if (all.every((row) => "probabilities" in row)) {
    const probabilities = all.map((row) => row.probabilities);
    const logs = all.map((row) => row.logs);
    return { ...shared, probabilities, metrics: classMetrics(probabilities, logs, truth, weights) };
  }
  const numbers = all.filter((row) => "sd" in row);
  const each = (pick: (row: (typeof numbers)[number]) => number) => numbers.map(pick);
  const [lower, upper, below] = [each((row) => row.lower), each((row) => row.upper), each((row) => row.below)];
  const [negativeLogDensity, crps] = [each((row) => row.negativeLogDensity), each((row) => row.crps)];
  return {
    ...shared,
    sd: each((row) => row.sd),
    functionSd: each((row) => row.functionSd),
    lower,
    upper,
    below,
    metrics: scoredMetrics({ mean, lower, upper, negativeLogDensity, crps, below }, truth, weights),
  };
}
