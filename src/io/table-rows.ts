// What a posterior says of rows of inputs, in one pass through the network.

import { NDArray } from "../array/ndarray.ts";
import { portableExp } from "../array/portable.ts";
import type { ExamplesReport, Steps } from "../kernels/steps.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { eachFunction, type FunctionPart, place } from "../prediction/functions.ts";
import { labelLogs } from "../prediction/log-probabilities.ts";
import { type Approximation, predict } from "../prediction/prediction.ts";
import type { RowPredictions } from "./table-draws.ts";

/** Draws of the linearised network; 64 of them place a share within a few hundredths. */
export const DRAWS = 64;
/** Those of each of several posteriors, whose shares are averaged. */
export const drawsOf = (posteriors: number): number => Math.max(8, Math.ceil(DRAWS / posteriors));
/** The most variance of noise that depends on the row, in that of the target: far away it would grow beyond all numbers. */
const MOST_NOISE = 100;
/** As `predict` has them. */
const SAMPLES = { samples: 100, seed: 0 };

/** How rows are predicted. */
export interface RowOptions {
  readonly approximation: Approximation;
  /** Whether the function's variance of classes has that of the level of logits, which softmax ignores, in it. */
  readonly level: boolean;
  /** Draws for what the weights leave open of classes (default 64); with 0 that is NaN. */
  readonly samples?: number;
}

/** Of numbers. @param x [rows, inputs] */
export function* numberRows(
  posterior: Posterior,
  x: NDArray,
  { approximation }: RowOptions,
): Steps<RowPredictions, ExamplesReport> {
  const predicted = yield* predict("predict", posterior, x, { approximation });
  const [mean, variance, all] = [predicted.mean, predicted.variance, predicted.functionVariance].map(({ data }) =>
    Float64Array.from(data),
  );
  // Where the noise depends on the row, the second output is the logarithm of its variance.
  const outputs = all.length / mean.length;
  const functionVariance = outputs === 1 ? all : mean.map((_, i) => all[i * outputs]);
  if (outputs > 1)
    for (let i = 0; i < mean.length; i++) variance[i] = Math.min(variance[i], functionVariance[i] + MOST_NOISE);
  const epistemic = variance.map((v, i) => functionVariance[i] / v);
  return { mean, variance, logs: new Float64Array(0), functionVariance, epistemic };
}

/** Of counts: the Gaussian of the log rate. @param x [rows, inputs] */
export function* countRows(
  posterior: Posterior,
  x: NDArray,
  { approximation }: RowOptions,
): Steps<RowPredictions, ExamplesReport> {
  const { functionMean, functionVariance } = yield* predict("predict", posterior, x, { approximation });
  const [mean, variance] = [functionMean, functionVariance].map(({ data }) => Float64Array.from(data));
  return {
    mean,
    variance,
    logs: new Float64Array(0),
    functionVariance: variance.slice(),
    epistemic: new Float64Array(mean.length).fill(1),
  };
}

/** Of classes: one logit for two of them. @param x [rows, inputs] */
export function* classRows(
  posterior: Posterior,
  x: NDArray,
  { approximation, level, samples = DRAWS }: RowOptions,
): Steps<RowPredictions, ExamplesReport> {
  const { likelihood, net } = posterior;
  const [rows] = x.shape;
  const outputs = net.graph.output.size;
  const classes = outputs === 1 ? 2 : outputs;
  const [p, logs] = [new Float64Array(rows * outputs), new Float64Array(rows * classes)];
  const functionVariance = new Float64Array(rows);
  const epistemic = new Float64Array(rows).fill(Number.NaN);
  const drawn = approximation === "network";
  const joint = !drawn && likelihood.needs(approximation) === "covariance";
  const memoryBudget = Number.POSITIVE_INFINITY;
  const needs = outputs === 1 ? "variance" : "covariance";
  const visit = (part: FunctionPart) => {
    for (let i = 0; i < part.batch; i++) {
      functionVariance[part.first + i] = spreadOf(part.variance, part.covariance, i, outputs, level);
    }
    if (samples > 0) {
      const found = likelihood.uncertainty(part, { samples, seed: 0 });
      found.total.forEach((total, i) => {
        const open = found.epistemic?.[i] ?? Math.max(total - found.aleatoric[i], 0);
        epistemic[part.first + i] = total > 0 ? open / total : 0;
      });
    }
    if (drawn) return;
    const seen = joint ? part : { ...part, covariance: undefined };
    place(part, likelihood.target(approximation, seen, SAMPLES).mean, p);
    const found = likelihood.logProbabilities?.(approximation, seen, SAMPLES) ?? new Float64Array(0);
    if (outputs === 1) logs.set(found, 2 * part.first);
    else place(part, found, logs);
  };
  yield* eachFunction("predict", posterior, x, { needs, memoryBudget }, visit);
  if (drawn) {
    p.set((yield* predict("predict", posterior, x, { approximation })).mean.data);
    logs.set((yield* labelLogs("logProbabilities", posterior, x, { approximation })).data);
  }
  // 1 − p would lose the digits of the rarer class.
  const mean = outputs === 1 ? logs.map((log, i) => (i % 2 === 1 ? p[i >> 1] : portableExp(log))) : p;
  return { mean, variance: new Float64Array(0), logs, functionVariance, epistemic };
}

/** The variance of row i's logits, summed: of their differences to their mean, tr Σ − 1ᵀΣ1 / C, or of the logits themselves. */
function spreadOf(
  variance: Float64Array,
  covariance: Float64Array | undefined,
  i: number,
  outputs: number,
  level: boolean,
): number {
  let total = 0;
  for (let c = 0; c < outputs; c++) total += variance[i * outputs + c];
  if (level || covariance === undefined) return total;
  let all = 0;
  for (let k = i * outputs ** 2; k < (i + 1) * outputs ** 2; k++) all += covariance[k];
  return Math.max(0, total - all / outputs);
}

/** Inputs as an array [rows, inputs]. */
export function inputsOf(x: Float64Array, width: number): NDArray {
  return new NDArray(x, [x.length / width, width]);
}
