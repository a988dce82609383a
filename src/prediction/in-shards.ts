// Predictions in shards: rows stand each for itself, so neither how they are cut nor who predicts them changes a bit.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { DataShard } from "../curvature/accumulate.ts";
import { LEAST_WORK, MOST_NUMBERS, shardsOf } from "../curvature/shards.ts";
import type { Data } from "../data/batches.ts";
import { checkBytes } from "../errors.ts";
import { atOnce, type ExamplesReport, oneStep, reporting, reportingExamples, type Steps } from "../kernels/steps.ts";
import type { Batch } from "../network/run.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { type Executor, type Shards, type ShardTask, shared } from "../shards/executor.ts";
import { dryPrecision, rowOf } from "../structures/table.ts";
import { functionBytes, routeOf, wholeRoute } from "./cuts.ts";
import type { Linearised } from "./linearised.ts";
import { labelLogs, predictLabels } from "./log-probabilities.ts";
import { type Beside, joined, readBatches } from "./predict-all.ts";
import { FEWER, type Prediction, type PredictOptions, predict, readPredictOptions } from "./prediction.ts";

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
/** Rows of the dry run. */
const MEASURED = 64;

/** Lengths that were found, by posteriors and what is asked of them. */
const lengths = new WeakMap<Linearised, Map<string, number>>();

/** How many rows are a shard: a power of 2, or Infinity for a posterior that is too large to be sent. */
export function lengthOfRows(posterior: Linearised, options: PredictOptions, where = "predict"): number {
  const { approximation, samples } = readPredictOptions(where, posterior.likelihood, options);
  const known = lengths.get(posterior) ?? new Map<string, number>();
  lengths.set(posterior, known);
  const key = `${approximation} ${samples}`;
  const length = known.get(key) ?? measuredLength(posterior, options);
  known.set(key, length);
  return length;
}

function measuredLength(posterior: Linearised, options: PredictOptions): number {
  const { net, likelihood, selection, structure } = posterior;
  let numbers = 0;
  const { curvature } = posterior as unknown as WeightGaussian;
  // What keeps its data stays where they are.
  if (rowOf(curvature).attach !== undefined) return Number.POSITIVE_INFINITY;
  rowOf(curvature).write(curvature, (_, values) => {
    numbers += values.length;
  });
  if (numbers > MOST_NUMBERS) return Number.POSITIVE_INFINITY;
  const { approximation, samples } = readPredictOptions("predict", likelihood, options);
  const { input, output } = net.graph;
  const isDrawn = approximation === "network";
  const route = isDrawn ? wholeRoute(output.size) : routeOf(net, selection, likelihood);
  const asked = approximation === "network" ? approximation : likelihood.needs(approximation);
  const { precision } = dryPrecision(structure, selection);
  const { work, count } = functionBytes(posterior, route, asked, MEASURED, precision);
  const row = ((isDrawn ? samples : 1) * work) / count + ROW_WORK + WORK_PER_NUMBER * (input.size + 4 * output.size);
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

/** What the task of that name gives of all data, by an executor, beside their targets, and the weights if there are any. */
export function* predictAllOn<Found extends object>(
  name: string,
  ask: Ask<Found>,
  of: RowsOf,
  data: Data,
  on: Executor,
  length = lengthOfRows(of.posterior, of.options, of.where),
): Steps<Found & Beside, ExamplesReport> {
  const { where } = of;
  const all: Beside[] = [];
  const found = yield* inShards(rowsTask(name, ask), of, keptBeside(where, data, all), length, on);
  return { ...found, ...joined(where, all) };
}

/** The batches of data; what goes beside them is added to a list. */
function* keptBeside(where: string, data: Data, all: Beside[]): Generator<Batch> {
  for (const { read, beside } of readBatches(where, data)) {
    all.push(beside);
    yield { inputs: read.x, targets: read.y };
  }
}

/** Whether an approximation looks at the functions' variance: where it does not, that is computed where it is read. */
function isWithoutVariance({ likelihood }: Linearised, options: PredictOptions): boolean {
  const { approximation } = readPredictOptions("predict", likelihood, options);
  return approximation !== "network" && likelihood.needs(approximation) === "mean";
}

/** The values of `predict`. */
export const predictTask = rowsTask("predict", function* ({ where, posterior, options }, { inputs }, first) {
  const found = yield* predict(where, posterior, inputs, options, first);
  const { mean, variance, functionMean } = found;
  const known = { mean, variance, functionMean };
  return (isWithoutVariance(posterior, options) ? known : found) as Prediction;
});

/** See `Posterior.predictAsync`. */
export function* predictOn(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
  on: Executor,
): Steps<Prediction, ExamplesReport> {
  const { net, likelihood } = posterior;
  const { memoryBudget } = readPredictOptions(where, likelihood, options);
  const inputs = net.readInputs(where, x);
  const length = lengthOfRows(posterior, options, where);
  if (inputs.shape[0] <= length) return yield* predict(where, posterior, inputs, options);
  checkBytes(where, [inputs.shape[0], ...net.outputShape], memoryBudget, FEWER);
  const found = yield* inShards(predictTask, { where, posterior, options }, [{ inputs }], length, on);
  if (!isWithoutVariance(posterior, options)) return found;
  const kept = new NDArray(inputs.data.slice(), inputs.shape);
  let late: NDArray | undefined;
  return {
    ...found,
    get functionVariance() {
      late ??= atOnce(predict(where, posterior, kept, options)).functionVariance;
      return late;
    },
  };
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
  on: Executor,
): Steps<NDArray, ExamplesReport> {
  const length = lengthOfRows(posterior, options, where);
  const inputs = posterior.net.readInputs(where, x);
  if (inputs.shape[0] <= length) return yield* labelLogs(where, posterior, inputs, options);
  return (yield* inShards(labelsTask, { where, posterior, options }, [{ inputs }], length, on)).logs;
}
