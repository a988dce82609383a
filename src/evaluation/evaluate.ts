// A posterior's predictions held against data, in one call.

import { type ArrayLike, asArray, NDArray, shapeText, zeros } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import { checkOptions, NotPositiveDefiniteError, ShapeError, ValueError } from "../errors.ts";
import { atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import { type Likelihood, type LikelihoodKind, meanOf } from "../likelihood/likelihood.ts";
import type { WeightOptions } from "../losses/losses.ts";
import type { Batch } from "../network/run.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import type { RowsOf } from "../prediction/in-shards.ts";
import type { Linearised } from "../prediction/linearised.ts";
import { predictDensities, predictLabels } from "../prediction/log-probabilities.ts";
import { predictAll } from "../prediction/predict-all.ts";
import { type PredictOptions, predict, predictOptionNames } from "../prediction/prediction.ts";
import { rowSharing } from "../prediction/sharing.ts";
import { type Executor, type OnExecutor, onExecutor } from "../shards/executor.ts";
import { accuracy, auroc, brierScore, expectedCalibrationError, logScore } from "./classification.ts";
import { negativeLogDensities } from "./densities.ts";
import { countedLabels, type Labelled } from "./labels.ts";
import { average, elementWeights } from "./metric-inputs.ts";
import type { Evaluation } from "./metrics.ts";
import {
  calibrationCurve,
  crps,
  gaussianNegativeLogLikelihood,
  intervalCoverage,
  meanAbsoluteError,
  rootMeanSquaredError,
  sharpness,
  sigmaScaling,
} from "./regression.ts";

/** Whether it is the error of a posterior that has no predictions, which makes it the worst candidate of a tuning. */
export const isWorst = (error: unknown) => error instanceof NotPositiveDefiniteError || error instanceof ValueError;

/** Options of `evaluate`: those of `predict`, and the level of intervals. */
export interface EvaluateOptions extends PredictOptions {
  /** The level of `intervalCoverage` and `intervalWidth`, between 0 and 1 (default 0.9). */
  readonly level?: number;
}

/**
 * Predicts the inputs of held-out data and holds the predictions against its targets: for a regression with the
 * Gaussian of the predicted mean and variance, for classes and binary labels with the probabilities, for counts with the
 * Poisson–log-normal mixture, for a likelihood of one's own with the mean of its density over the function's Gaussian. Labels of several outputs or positions are taken together, and those that the likelihood
 * ignores left out. Samples count by the `weights` of the data, if there are any; labels may be probabilities.
 * @param data { x, y }, or batches such as a DataLoader's; for classes y are labels, or rows of probabilities
 * @throws ShapeError, ValueError for what is not a posterior, or bad data; OptionError
 */
export function evaluate<Kind extends LikelihoodKind = LikelihoodKind>(
  posterior: Linearised<Kind>,
  data: Data,
  options: EvaluateOptions = {},
): Evaluation<Kind> {
  return atOnce(evaluating(posterior, data, options));
}

/** `evaluate` in steps. */
export function* evaluating<Kind extends LikelihoodKind>(
  posterior: Linearised<Kind>,
  data: Data,
  options: EvaluateOptions,
  on?: Executor,
): Steps<Evaluation<Kind>, ExamplesReport> {
  const where = "evaluate";
  checkOptions(where, options, ["level", ...predictOptionNames]);
  checkIsPosterior(where, "the first argument", posterior);
  const { level: _, ...predictOptions } = options;
  const of = { where, posterior, options: predictOptions };
  const sharing = rowSharing(on);
  const rows = yield* sharing === undefined
    ? predictAll(where, data, ({ x, y }, first) => predictedRows(of, { inputs: x, targets: y }, first))
    : sharing.predictAllOn("evaluate", predictedRows, of, data, on as Executor);
  return yield* evaluationOf<Kind>(where, posterior, rows, options);
}

/** What metrics look at, of some rows: what none of them does is not kept, nor computed. */
export function* predictedRows(
  { where, posterior, options }: RowsOf,
  { inputs: x, targets: y }: Batch,
  first: number,
): Steps<PredictedRows, ExamplesReport> {
  const { likelihood, net } = posterior;
  const { targets, normal, rows } = likelihood;
  if (targets !== "numbers") {
    const { mean, logs } = yield* predictLabels(where, posterior, x, options, first);
    return { mean, logs };
  }
  const prediction = yield* predict(where, posterior, x, options, first);
  const { mean, variance, functionMean } = prediction;
  if (normal) return { mean, variance };
  if (rows === undefined) {
    const functionVariance = options.approximation === "plugin" ? zeros(mean.shape) : prediction.functionVariance;
    return { mean, variance, functionMean, functionVariance };
  }
  const read = likelihood.readTargets(where, y as NDArray, [x.shape[0], ...net.outputShape], "float64");
  return { mean, variance, logs: yield* predictDensities(where, posterior, x, read, options, first) };
}

/** The metrics of what was predicted of data, and of each output. */
export function* evaluationOf<Kind extends LikelihoodKind>(
  where: string,
  { likelihood, net }: Linearised<Kind>,
  predicted: PredictedRows & { readonly targets: NDArray; readonly weights?: NDArray | undefined },
  options: EvaluateOptions,
): Steps<Evaluation<Kind>> {
  const { mean, variance = mean, functionMean = mean, functionVariance = mean, logs = mean } = predicted;
  const { targets: y, weights } = predicted;
  const { targets: kind, rows } = likelihood;
  const labelled = kind !== "numbers";
  const all = { mean, variance, y, functionMean, functionVariance, logs, weights };
  const metrics = (arrays: typeof all) => metricsOf(where, likelihood, arrays, options);
  const count = net.outputShape.length === 1 && rows === undefined ? net.outputShape[0] : 1;
  // Which metrics there are goes by the likelihood, as the type says.
  if (kind === "classes" || count === 1) return (yield* metrics(all)) as Evaluation<Kind>;
  const column = (array: NDArray, c: number) =>
    new NDArray(
      Float64Array.from({ length: mean.shape[0] }, (_, n) => array.data[n * count + c]),
      [mean.shape[0]],
    );
  const pairs = (c: number) =>
    new NDArray(
      Float64Array.from({ length: 2 * mean.shape[0] }, (_, i) => logs.data[2 * ((i >> 1) * count + c) + (i & 1)]),
      [mean.shape[0], 2],
    );
  const whole = yield* metrics(all);
  const ignored = (label: number) => label === likelihood.ignoredLabel;
  yield;
  const outputs: Partial<Evaluation>[] = [];
  for (let c = 0; c < count; c++) {
    const own = column(y, c);
    const arrays = {
      mean: column(mean, c),
      variance: column(variance, c),
      y: own,
      functionMean: column(all.functionMean, c),
      functionVariance: column(all.functionVariance, c),
      logs: labelled ? pairs(c) : mean,
      weights,
    };
    // Of one output, all labels may be left out.
    outputs.push(own.data.every(ignored) ? { samples: mean.shape[0], labels: 0 } : yield* metrics(arrays));
  }
  return { ...whole, outputs } as Evaluation as Evaluation<Kind>;
}

/**
 * `evaluate` in bursts, with turns of the event loop between them, or by workers: the same numbers.
 * @throws as `evaluate`; the signal's reason
 */
export async function evaluateAsync<Kind extends LikelihoodKind = LikelihoodKind>(
  posterior: Linearised<Kind>,
  data: Data,
  options: OnExecutor<InBursts<EvaluateOptions>> = {},
): Promise<Evaluation<Kind>> {
  return onExecutor("evaluate", options, (rest, on) => evaluating(posterior, data, rest, on));
}

/** What is kept of predicted rows. */
export interface PredictedRows {
  readonly mean: NDArray;
  readonly variance?: NDArray;
  readonly functionMean?: NDArray;
  readonly functionVariance?: NDArray;
  readonly logs?: NDArray;
}

/** Predictions of a target and of the function, and the targets. */
interface Predicted {
  readonly mean: NDArray;
  readonly variance: NDArray;
  readonly y: NDArray;
  readonly functionMean: NDArray;
  readonly functionVariance: NDArray;
  /** Of labels: the logarithms of their probabilities; of rows: of their densities. */
  readonly logs: NDArray;
  /** How much each sample counts, [N]. */
  readonly weights?: NDArray | undefined;
}

/** The metrics of predictions that are known. */
export function* metricsOf(
  where: string,
  likelihood: Likelihood,
  predicted: Predicted,
  options: EvaluateOptions,
): Steps<Evaluation> {
  const { mean, variance, y, logs, weights } = predicted;
  const { level = 0.9 } = options;
  const by = { weights };
  const [samples] = mean.shape;
  const { targets: kind, normal, classAxis, ignoredLabel } = likelihood;
  if (kind === "classes") {
    const layout = { classAxis, ignoredLabel, weights };
    const { probabilities } = countedLabels(where, mean, y, layout);
    return { samples, ...scores(probabilities, countedLabels(where, logs, y, layout), samples) };
  }
  if (kind === "labels") return { samples, ...ofBinaryLabels(where, logs, y, samples, { ignoredLabel, weights }) };
  // Rates of counts may be above every float64 number, and their errors with them; what scores log rates is finite.
  const overflow = !normal && mean.data.some((m: number) => m === Number.POSITIVE_INFINITY);
  const errors = overflow
    ? { rootMeanSquaredError: Number.POSITIVE_INFINITY, meanAbsoluteError: Number.POSITIVE_INFINITY }
    : {
        rootMeanSquaredError: rootMeanSquaredError(mean, y, by),
        meanAbsoluteError: meanAbsoluteError(mean, y, by),
      };
  if (!normal) {
    const negativeLogLikelihood =
      likelihood.rows === undefined
        ? ofDensities(where, likelihood, predicted)
        : average(logs.size, (i) => -logs.data[i], elementWeights(where, by, samples, logs.size));
    return { samples, negativeLogLikelihood, ...errors };
  }
  const negativeLogLikelihood = gaussianNegativeLogLikelihood(mean, variance, y, by);
  yield;
  const scored = { samples, negativeLogLikelihood, ...errors, crps: crps(mean, variance, y, by) };
  yield;
  const { intervalWidth } = sharpness(variance, { level, weights });
  const widths = { intervalCoverage: intervalCoverage(mean, variance, y, { level, weights }), intervalWidth };
  yield;
  const { miscalibrationArea } = calibrationCurve(mean, variance, y, by);
  yield;
  return { ...scored, ...widths, miscalibrationArea, sigmaScaling: sigmaScaling(mean, variance, y, by) };
}

/** The mean of −log density. */
function ofDensities(where: string, likelihood: Likelihood, predicted: Predicted): number {
  const { mean, variance, functionMean, functionVariance } = predicted;
  const y = likelihood.readTargets(where, predicted.y, mean.shape, "float64");
  const numbers = {
    mean: mean.data,
    variance: variance.data,
    functionMean: functionMean.data,
    functionVariance: functionVariance.data,
  };
  const densities = negativeLogDensities(likelihood, numbers, y.data);
  if (predicted.weights === undefined) return meanOf(densities);
  const weights = elementWeights(where, predicted, mean.shape[0], densities.length);
  return average(densities.length, (i) => densities[i], weights);
}

/** Scores from logarithms of probabilities, which keep their digits where those round to 0 or 1. */
function scores(probabilities: ArrayLike, counted: Labelled, samples: number) {
  const { labels, weights, count } = counted;
  const by = { weights };
  return {
    ...(count !== samples && { labels: count }),
    negativeLogLikelihood: logScore("evaluate", counted),
    accuracy: accuracy(probabilities, labels, by),
    brierScore: brierScore(probabilities, labels, by),
    expectedCalibrationError: expectedCalibrationError(probabilities, labels, by),
  };
}

function ofBinaryLabels(
  where: string,
  logs: NDArray,
  labels: NDArray,
  samples: number,
  { ignoredLabel, weights: own }: Pick<Likelihood, "ignoredLabel"> & WeightOptions,
) {
  if (logs.size !== 2 * labels.size) {
    const shapes = `${shapeText(labels.shape)}, but the predictions ${shapeText(logs.shape.slice(0, -1))}`;
    throw new ShapeError(`${where}: the targets have shape ${shapes}; they must agree.`);
  }
  const weights = elementWeights(where, { weights: own }, samples, labels.size);
  const counted = countedLabels(where, logs.reshape(-1, 2), labels.reshape(-1), { ignoredLabel, weights }, true);
  const [rows, y] = [asArray(counted.probabilities), asArray(counted.labels)];
  const both = y.data.some((label: number) => label === 0) && y.data.some((label: number) => label === 1);
  const most = Number.MAX_VALUE;
  // In the order of the probabilities, also of those that round to the same number.
  const odds = Float64Array.from({ length: rows.shape[0] }, (_, i) =>
    Math.min(Math.max(rows.data[2 * i + 1] - rows.data[2 * i], -most), most),
  );
  const p = new NDArray(Float64Array.from(rows.data, Math.exp), rows.shape);
  return { ...scores(p, counted, samples), ...(both && { auroc: auroc(odds, y, { weights: counted.weights }) }) };
}
