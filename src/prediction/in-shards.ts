// Predictions in shards: rows stand each for itself, so neither how they are cut nor who predicts them changes a bit.

import type { ArrayLike, NDArray } from "../array/ndarray.ts";
import type { DataShard } from "../curvature/accumulate.ts";
import { LEAST_WORK, MOST_NUMBERS, shardsOf } from "../curvature/shards.ts";
import { batchesOf, type Data, SameWeights } from "../data/batches.ts";
import { readDataset } from "../data/dataset.ts";
import { type ExamplesReport, oneStep, reporting, reportingExamples, type Steps } from "../kernels/steps.ts";
import type { Batch } from "../network/run.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { type Executor, type Shards, type ShardTask, shared } from "../shards/executor.ts";
import { rowOf } from "../structures/table.ts";
import { cutFor, routeOf, wholeRoute } from "./cuts.ts";
import type { Linearised } from "./linearised.ts";
import { predictLabels } from "./log-probabilities.ts";
import { type Beside, joined } from "./predict-all.ts";
import {
  type Prediction,
  type PredictOptions,
  predict,
  predicted,
  readPrediction,
  readPredictOptions,
  withVariance,
} from "./prediction.ts";

/** What shards of rows have in common. */
export interface RowsOf {
  readonly where: string;
  readonly posterior: Linearised;
  readonly options: PredictOptions;
}

/** What is asked of rows, arrays of as many by their names. @param first the number of the first of them in messages */
export type Ask<Found extends object> = (of: RowsOf, batch: Batch, first: number) => Steps<Found, ExamplesReport>;

/** Asks of each batch of a shard. */
export type RowsTask<Found extends object> = ShardTask<RowsOf, DataShard<Batch>, readonly Found[]>;

/** The task of that name. */
export const rowsTask = <Found extends object>(name: string, ask: Ask<Found>): RowsTask<Found> => ({
  name,
  *begin(of) {
    return function* ({ start, batches }) {
      const found: Found[] = [];
      let done = 0;
      for (const batch of batches) {
        const before = done;
        const steps = ask(of, batch, start + before);
        found.push(yield* reporting(steps, (report) => report && before + report.examples));
        done += batch.inputs.shape[0];
      }
      return found;
    };
  },
});

/** What a row is worth besides its multiplications, and each number of it that is sent. */
const [ROW_WORK, WORK_PER_NUMBER] = [2 ** 13, 2 ** 5];

/** How many rows are a shard: a power of 2, or Infinity for a posterior that is too large to be sent. */
export function lengthOfRows(posterior: Linearised, options: PredictOptions): number {
  const { net, likelihood, selection } = posterior;
  let numbers = 0;
  const { curvature } = posterior as unknown as WeightGaussian;
  rowOf(curvature).write(curvature, (_, values) => {
    numbers += values.length;
  });
  if (numbers > MOST_NUMBERS) return Number.POSITIVE_INFINITY;
  const { approximation, samples } = readPredictOptions("predict", likelihood, options);
  const { input, output } = net.graph;
  const work =
    approximation === "network"
      ? samples * cutFor(posterior, wholeRoute(output.size), "network").work
      : cutFor(posterior, routeOf(net, selection, likelihood), likelihood.needs(approximation)).work;
  const row = work + ROW_WORK + WORK_PER_NUMBER * (input.size + 4 * output.size);
  return 2 ** Math.max(0, Math.ceil(Math.log2(LEAST_WORK / row)));
}

/** What comes of all batches, one after the other, by an executor. */
export function* inShards<Found extends object>(
  task: RowsTask<Found>,
  of: RowsOf,
  batches: Iterable<Batch>,
  length: number,
  on: Executor,
): Steps<Found, ExamplesReport> {
  const found: (readonly Found[])[] = [];
  const shards: Shards<RowsOf, DataShard<Batch>, (typeof found)[number]> = {
    where: of.where,
    task,
    prepare: () => oneStep(() => of),
    jobs: shardsOf(batches, length),
    take: (place, rows) => {
      found[place] = rows;
    },
  };
  yield* reportingExamples(shared(shards, on));
  return joined(of.where, found.flat());
}

/** What comes of all data, by an executor, beside their targets, and the weights if there are any. */
export function* predictAllOn<Found extends object>(
  task: RowsTask<Found>,
  of: RowsOf,
  data: Data,
  on: Executor,
  length = lengthOfRows(of.posterior, of.options),
): Steps<Found & Beside, ExamplesReport> {
  const { where } = of;
  const alike = new SameWeights(where);
  const beside: Beside[] = [];
  const batches = function* (): Generator<Batch> {
    for (const batch of batchesOf(where, data)) {
      const { x, y, ...read } = readDataset(where, batch);
      const weights = alike.of({ x, y, ...read });
      beside.push({ targets: y, ...(weights !== undefined && { weights }) });
      yield { inputs: x, targets: y };
    }
  };
  const found = yield* inShards(task, of, batches(), length, on);
  return { ...found, ...joined(where, beside) };
}

/** The values of `predict`. */
export const predictTask = rowsTask("predict", function* ({ where, posterior, options }, { inputs }, first) {
  return (yield* predicted(where, posterior, readPrediction(where, posterior, inputs, options), first)) as Prediction;
});

/** See `Posterior.predictAsync`. */
export function* predictOn(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
  on: Executor | undefined,
): Steps<Prediction, ExamplesReport> {
  if (on === undefined) return yield* predict(where, posterior, x, options);
  const { inputs } = readPrediction(where, posterior, x, options);
  const length = lengthOfRows(posterior, options);
  if (inputs.shape[0] <= length) return yield* predict(where, posterior, inputs, options);
  const all = yield* inShards(predictTask, { where, posterior, options }, [{ inputs }], length, on);
  return withVariance(where, posterior, inputs, all);
}

/** Labels' probabilities, and the logarithms of these. */
export const labelsTask = rowsTask("labels", function* ({ where, posterior, options }, { inputs }, first) {
  const { mean, logs } = yield* predictLabels(where, posterior, inputs, options, first);
  return { mean, logs };
});

/** See `Posterior.logProbabilitiesAsync`. */
export function* logProbabilitiesOn(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
  on: Executor | undefined,
): Steps<NDArray, ExamplesReport> {
  const length = on === undefined ? Number.POSITIVE_INFINITY : lengthOfRows(posterior, options);
  const inputs = posterior.net.readInputs(where, x);
  if (on === undefined || inputs.shape[0] <= length) return (yield* predictLabels(where, posterior, x, options)).logs;
  return (yield* inShards(labelsTask, { where, posterior, options }, [{ inputs }], length, on)).logs;
}
