// Predictions of labels with their logarithms, which metrics take: a probability may round to 1 or to 0; and densities of rows.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { checkBytes, newFloats, OptionError } from "../errors.ts";
import type { ExamplesReport, Steps } from "../kernels/steps.ts";
import type { Rows } from "../likelihood/likelihood.ts";
import { LogMean } from "../likelihood/logit-draws.ts";
import { eachFunction, place } from "./functions.ts";
import type { Linearised } from "./linearised.ts";
import { eachNetworkPart, type PredictOptions, readPredictOptions } from "./prediction.ts";

/** What is known of labels. */
export interface LabelPrediction {
  /** The mean of the target, as `predict` has it, [B, ...outputs]. */
  readonly mean: NDArray;
  /** The logarithms of the probabilities: of classes like the outputs, of binary labels those of 0 and 1, [B, ...outputs, 2]. */
  readonly logs: NDArray;
}

/** The logarithms alone, which take half of the time where links look at covariances. @throws as `predictLabels` */
export function* labelLogs(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
): Steps<NDArray, ExamplesReport> {
  return (yield* predictLabels(where, posterior, x, options, undefined, false)).logs;
}

/**
 * @param before how many others are before the inputs in messages
 * @param means whether the mean is worked out (default true); NaN elsewhere
 * @throws OptionError for a likelihood without labels, besides what `predict` throws
 */
export function* predictLabels(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
  before?: number,
  means = true,
): Steps<LabelPrediction, ExamplesReport> {
  const { likelihood, net } = posterior;
  const { approximation, memoryBudget, ...draw } = readPredictOptions(where, likelihood, options);
  const logsOf = likelihood.logProbabilities?.bind(likelihood);
  if (logsOf === undefined) {
    throw new OptionError(`${where}: a ${likelihood.name} likelihood has no probabilities of labels.`);
  }
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const block = likelihood.group(net.outputShape).size;
  const shape = [inputs.shape[0], ...net.outputShape];
  // Of one output, both labels.
  const each = block === 1 ? 2 : 1;
  const logShape = each === 2 ? [...shape, 2] : shape;
  checkBytes(where, logShape, memoryBudget, "Fewer inputs at once need less.");
  const [mean, logs] = [newFloats(where, shape), newFloats(where, logShape)];
  if (!means) mean.fill(Number.NaN);
  if (approximation === "network") {
    yield* eachNetworkPart(where, posterior, inputs, { ...draw, memoryBudget }, (start, size) => {
      const [average, sum, none] = [new LogMean(size * each), new Float64Array(size), new Float64Array(size)];
      let count = 0;
      const add = (f: Float64Array) => {
        count++;
        const at = { batch: size / outputs, outputs, mean: f, variance: none, block };
        average.add(logsOf("plugin", at, draw));
        likelihood.targetAt(f, net.outputShape).mean.forEach((p, i) => {
          sum[i] += p;
        });
      };
      const finish = () => {
        // Divided once: a sum of terms up to 1 is at most their number, in floating point too.
        mean.set(
          sum.map((total) => total / count),
          start,
        );
        logs.set(average.finish(), start * each);
      };
      return { add, finish };
    });
  } else {
    const needs = likelihood.needs(approximation);
    yield* eachFunction(where, posterior, inputs, { needs, memoryBudget, before }, (part) => {
      if (means) place(part, likelihood.target(approximation, part, draw).mean, mean);
      const found = logsOf(approximation, part, draw);
      // Outputs that stand each for itself come in whole rows.
      if (each === 2) logs.set(found, 2 * part.first * part.width);
      else place(part, found, logs);
    });
  }
  return { mean: new NDArray(mean, shape), logs: new NDArray(logs, logShape) };
}

/**
 * The log densities of targets under predictions, of a likelihood of rows, [B, rows]: of drawn networks that of their mixture.
 * @param y targets as the likelihood reads them, [B, ...outputs]
 */
export function* predictDensities(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  y: NDArray,
  options: PredictOptions,
  before?: number,
): Steps<NDArray, ExamplesReport> {
  const { likelihood, net } = posterior;
  const { approximation, memoryBudget, ...draw } = readPredictOptions(where, likelihood, options);
  const rows = rowsOf(posterior);
  const { size } = likelihood.group(net.outputShape);
  const inputs = net.readInputs(where, x);
  const each = net.graph.output.size / size;
  const logs = newFloats(where, [inputs.shape[0], each]);
  /** Targets of so many rows from one on, `by` apart. */
  const targetsOf = (first: number, count: number, by: number) =>
    Float64Array.from({ length: count * rows.numbers }, (_, i) => {
      const row = first + Math.floor(i / rows.numbers) * by;
      return y.data[row * size + (i % rows.numbers)];
    });
  if (approximation === "network") {
    yield* eachNetworkPart(where, posterior, inputs, { ...draw, memoryBudget }, (start, length) => {
      const targets = targetsOf(start / size, length / size, 1);
      const [average, none] = [new LogMean(length / size), new Float64Array(length)];
      const add = (mean: Float64Array) =>
        average.add(rows.logDensities(targets, { batch: 1, outputs: length, mean, variance: none }));
      return { add, finish: () => logs.set(average.finish(Number.POSITIVE_INFINITY), start / size) };
    });
  } else {
    const needs = likelihood.needs(approximation);
    yield* eachFunction(where, posterior, inputs, { needs, memoryBudget, before }, (part) => {
      const { batch, first, width, offset, outputs } = part;
      // Groups come one by one, or all of a row.
      const targets = targetsOf(
        (first * width + offset) / size,
        (batch * outputs) / size,
        outputs === size ? width / size : 1,
      );
      place(part, rows.logDensities(targets, part), logs);
    });
  }
  return new NDArray(logs, [inputs.shape[0], each]);
}

/** Of a likelihood of rows, [B, rows]: the sum of the function's variances, and tr(ΛV), V its covariance. */
export function* rowInformation(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
): Steps<{ readonly spread: NDArray; readonly information: NDArray }, ExamplesReport> {
  const { likelihood, net } = posterior;
  const rows = rowsOf(posterior);
  const shape = [inputs.shape[0], net.graph.output.size / likelihood.group(net.outputShape).size];
  const [spread, information] = [0, 1].map(() => newFloats(where, shape));
  yield* eachFunction(
    where,
    posterior,
    inputs,
    { needs: "covariance", memoryBudget: Number.POSITIVE_INFINITY },
    (part) => {
      const { batch, outputs, variance } = part;
      const sums = Float64Array.from({ length: batch }, (_, i) =>
        variance.subarray(i * outputs, (i + 1) * outputs).reduce((a, b) => a + b, 0),
      );
      place(part, sums, spread);
      place(part, rows.informations(part), information);
    },
  );
  return { spread: new NDArray(spread, shape), information: new NDArray(information, shape) };
}

function rowsOf({ likelihood: { rows, name } }: Linearised): Rows {
  if (rows === undefined) throw new OptionError(`A ${name} likelihood has no rows.`);
  return rows;
}
