// Losses of rows that a model has not seen, and the scale of its uncertainty that they choose: of classes the temperature of
// the posterior, of numbers a factor of the noise's variance.

import {
  logProbabilitiesOf,
  type NDArray,
  type Posterior,
  type Steps,
  type TableModel,
  tableLogDensities,
} from "laplace-ts";
import { type Numbers, partsOf } from "../model/rows.ts";

/** Temperatures of a classifier's posterior, the highest first: below 1 it is narrower; above 0, so that uncertainty grows away from the data. */
const TEMPERATURES = [1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.005, 0.001, 0.0001] as const;
/** Factors of the variance of numbers, the nearest to 1 first. */
const FACTORS = [1, 0.9, 1.15, 0.8, 1.3, 0.7, 1.6, 0.6, 2, 0.5, 2.5, 0.4, 3.2, 0.3] as const;

/** The scales that are tried; the first is what the evidence chose, and the only one of counts, whose dispersion is their likelihood's. */
export const scalesOf = ({ encoding: { target } }: Pick<TableModel, "encoding">): readonly number[] =>
  target.kind === "classes" ? TEMPERATURES : target.counts ? [1] : FACTORS;

/** A posterior with this scale of its uncertainty: all variances of numbers, where no row says anything, too, as they are judged. */
export function scaled(posterior: Posterior, scale: number): Posterior {
  if (scale === 1) return posterior;
  const { any, value } = posterior.likelihood.hyper;
  if (!any) return posterior.with({ temperature: scale });
  const priorPrecision = posterior.priorPrecision.data.map((precision: number) => precision / scale);
  return posterior.with({ noise: value * Math.sqrt(scale), priorPrecision });
}

/** −log p of the targets of rows, in their own units, row by row, at each scale, in steps. */
export function* lossesByScale(model: TableModel, numbers: Numbers): Steps<Float64Array[]> {
  const { approximation, posterior, encoding } = model;
  if (encoding.target.kind === "classes") {
    const all = TEMPERATURES.map((temperature) => scaled(posterior, temperature));
    return yield* lossesOfEach(all, numbers, approximation);
  }
  const losses = scalesOf(model).map(() => new Float64Array(numbers.rows));
  let at = 0;
  // A noise that depends on the row has no factor: it is its network's.
  const factors = posterior.likelihood.hyper.any ? FACTORS : [1];
  for (const scale of losses.slice(factors.length)) scale.fill(Number.POSITIVE_INFINITY);
  for (const part of partsOf(numbers, posterior)) {
    const predicted = model.predictEncoded(part.x.data as Float64Array, part.unusual, part.gaps, false);
    const truth = Array.from(part.y.data, (y: number) => encoding.ofTarget(y));
    for (const [s, factor] of factors.entries()) {
      const parts = predicted.parts?.map((one) => ({ ...one, sd: one.sd.map((sd) => sd * Math.sqrt(factor)) }));
      const logs = tableLogDensities({ ...predicted, parts }, truth);
      losses[s].set(
        logs.map((log) => -log),
        at,
      );
    }
    at += part.rows;
    yield;
  }
  return losses;
}

/** −log p of the labels of rows, row by row, in steps. */
export function* lossesOf(
  posterior: Posterior,
  numbers: Numbers,
  approximation: TableModel["approximation"],
): Steps<Float64Array> {
  return (yield* lossesOfEach([posterior], numbers, approximation))[0];
}

/** The same by each of several posteriors of one fit. */
function* lossesOfEach(
  posteriors: readonly Posterior[],
  numbers: Numbers,
  approximation: TableModel["approximation"],
): Steps<Float64Array[]> {
  const losses = posteriors.map(() => new Float64Array(numbers.rows));
  let at = 0;
  for (const part of partsOf(numbers, posteriors[0])) {
    for (const [k, logs] of logProbabilitiesOf(posteriors, part.x, { approximation }).entries()) {
      losses[k].set(labelLosses(logs, part.y), at);
    }
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
