// Predictions of rows that their model has not seen, pooled over the parts of a cross-validation, or of one held-out part.

import type { NDArray, Posterior, Steps, TableModel } from "laplace-ts";
import type { HeldOut } from "../report/data.ts";
import { inTurns } from "../turn.ts";
import { type Baseline, baselineMetrics, classMetrics, type Metrics, regressionMetrics } from "./metrics.ts";
import { type Numbers, partsOf } from "./numbers.ts";

/** A model, and the rows that were kept from it. */
export interface Part {
  readonly model: TableModel;
  readonly numbers: Numbers;
  /** Places of these rows among all. */
  readonly indices: readonly number[];
  /** Of the rows that the model was fitted to. */
  readonly baseline: Baseline;
  /** Rows of the fit that said when to stop. */
  readonly validation: number;
  /** The same model with another temperature of its posterior. */
  readonly at: (temperature: number) => Steps<TableModel>;
}

/**
 * Temperatures of a classifier's posterior: below 1 it is narrower. Still lower ones gain little on held-out rows, and take
 * away the doubt about rows that are unlike them.
 */
const TEMPERATURES = [1, 0.5, 0.25, 0.1, 0.05] as const;

/** −log p of the true class, row by row, at each temperature, in steps. */
export function* lossesByTemperature({ model, numbers }: Pick<Part, "model" | "numbers">): Steps<Float64Array[]> {
  const { approximation } = model;
  const losses: Float64Array[] = [];
  for (const temperature of TEMPERATURES) {
    const own = model.posterior.with({ temperature });
    losses.push(yield* lossesOf(own, numbers, approximation));
  }
  return losses;
}

/** −log p of the labels of rows, row by row, in steps. */
export function* lossesOf(
  posterior: Posterior,
  numbers: Numbers,
  approximation: TableModel["approximation"],
): Steps<Float64Array> {
  const losses = new Float64Array(numbers.rows);
  let at = 0;
  for (const part of partsOf(numbers, posterior)) {
    losses.set(labelLosses(posterior.logProbabilities(part.x, { approximation }), part.y), at);
    at += part.rows;
    yield;
  }
  return losses;
}

/** −log p of the labels, from logarithms of probabilities: [rows, classes], or [rows, 1, 2] of a single logit. */
function labelLosses(logs: NDArray, labels: NDArray): Float64Array {
  const classes = logs.shape[logs.shape.length - 1];
  return Float64Array.from(labels.data, (label: number, i: number) => -logs.data[i * classes + label]);
}

/**
 * The highest temperature whose loss is within a standard error of the best one's: 1 unless rows that were held out say
 * clearly that the posterior leaves too much doubt, as happens where classes hardly overlap.
 */
export function chooseTemperature(losses: readonly (readonly Float64Array[])[]): number {
  const pooled = TEMPERATURES.map((_, t) => losses.flatMap((part) => Array.from(part[t])));
  const total = pooled.map((values) => values.reduce((sum, value) => sum + value, 0));
  const best = total.indexOf(Math.min(...total));
  const n = pooled[0].length;
  const chosen = pooled.findIndex((values, t) => {
    const excess = (total[t] - total[best]) / n;
    let square = 0;
    for (let i = 0; i < n; i++) square += (values[i] - pooled[best][i] - excess) ** 2;
    return excess <= Math.sqrt(square) / n;
  });
  return TEMPERATURES[chosen];
}

/** Pooled predictions of held-out rows, by ascending place; metrics and the baseline's. */
export interface HeldOutRows extends Omit<HeldOut, "lines" | "rows"> {
  readonly indices: readonly number[];
  readonly metrics: Metrics;
  readonly baseline: Metrics;
}

function* predictPart({ model, numbers, indices, baseline }: Part): Steps<ReturnType<typeof predictRows>> {
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
  return indices.map((index, i) => {
    const shared = { index, baseline, epistemic: predicted.epistemic[i], far: predicted.far[i] };
    if (target.kind === "classes") {
      const probabilities = Array.from(predicted.probabilities?.sub(i).data ?? []);
      const logs = Array.from(predicted.logProbabilities?.sub(i).data ?? []);
      return { ...shared, truth: numbers.y.data[i], mean: predicted.predicted?.[i] ?? 0, probabilities, logs };
    }
    return {
      ...shared,
      truth: numbers.y.data[i] * target.sd + target.mean,
      mean: predicted.mean?.[i] ?? 0,
      sd: predicted.sd?.[i] ?? 0,
      functionSd: predicted.functionSd?.[i] ?? 0,
      lower: predicted.lower?.[i] ?? 0,
      upper: predicted.upper?.[i] ?? 0,
    };
  });
}

/** Predicts the rows of all parts. */
export async function predictHeldOut(parts: readonly Part[]): Promise<HeldOutRows> {
  const all = [];
  for (const part of parts) all.push(...(await inTurns(predictPart(part))));
  all.sort((a, b) => a.index - b.index);
  const truth = all.map((row) => row.truth);
  const mean = all.map((row) => row.mean);
  const shared = {
    indices: all.map(({ index }) => index),
    truth,
    mean,
    epistemic: all.map(({ epistemic }) => epistemic),
    far: all.map(({ far }) => far),
    baseline: baselineMetrics(
      all.map(({ baseline }) => baseline),
      truth,
    ),
  };
  if (all.every((row) => "probabilities" in row)) {
    const probabilities = all.map((row) => row.probabilities);
    const logs = all.map((row) => row.logs);
    return { ...shared, probabilities, metrics: classMetrics(probabilities, logs, truth) };
  }
  const numbers = all.filter((row) => "sd" in row);
  const sd = numbers.map((row) => row.sd);
  return {
    ...shared,
    sd,
    functionSd: numbers.map((row) => row.functionSd),
    lower: numbers.map((row) => row.lower),
    upper: numbers.map((row) => row.upper),
    metrics: regressionMetrics(mean, sd, truth),
  };
}
