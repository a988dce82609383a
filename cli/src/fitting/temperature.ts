// Losses of rows that a classifier's posterior has not seen, and the temperature of it that they choose.

import type { NDArray, Posterior, Steps, TableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Numbers, partsOf } from "../model/rows.ts";

/**
 * Temperatures of a classifier's posterior: below 1 it is narrower. Still lower ones gain little on held-out rows, and take
 * away the uncertainty about rows that are unlike them.
 */
const TEMPERATURES = [1, 0.5, 0.25, 0.1, 0.05] as const;

/** −log p of the true class, row by row, at each temperature, in steps. */
export function* lossesByTemperature({ model, numbers }: Pick<Fold, "model" | "numbers">): Steps<Float64Array[]> {
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
 * clearly that the posterior is too uncertain, as happens where classes hardly overlap.
 */
export function chooseTemperature(losses: readonly (readonly Float64Array[])[]): number {
  const pooled = TEMPERATURES.map((_, t) => losses.flatMap((fold) => Array.from(fold[t])));
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
