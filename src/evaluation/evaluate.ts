// A posterior's predictions held against data, in one call.

import { type NDArray, shapeText, zeros } from "../array/ndarray.ts";
import type { Data } from "../curvature/accumulate.ts";
import { checkOptions, ShapeError, ValueError } from "../errors.ts";
import { Posterior } from "../laplace/posterior.ts";
import { predictAll } from "../laplace/predicted.ts";
import type { PredictOptions } from "../laplace/prediction.ts";
import { accuracy, auroc, brierScore, expectedCalibrationError, negativeLogLikelihood } from "./classification.ts";
import { poissonNegativeLogLikelihood } from "./counts.ts";
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

/** Options of `evaluate`: those of `predict`, and the level of intervals. */
export interface EvaluateOptions extends PredictOptions {
  /** The level of `intervalCoverage` and `intervalWidth`, between 0 and 1 (default 0.9). */
  readonly level?: number;
}

/** What `evaluate` gives: the metrics that fit the likelihood, by the names of their functions; the others are absent. */
export interface Evaluation {
  /** The number of samples. */
  readonly samples: number;
  /**
   * Of labels, of Gaussian targets, or of counts: those go by the Gaussian over their log rates, which of the approximation
   * "network" has the mean and variance of the draws.
   */
  readonly negativeLogLikelihood?: number;
  /** Classes and binary labels. */
  readonly accuracy?: number;
  /** Classes and binary labels. */
  readonly brierScore?: number;
  /** Classes and binary labels: 15 bins, "l1". */
  readonly expectedCalibrationError?: number;
  /** Binary labels, if both occur. */
  readonly auroc?: number;
  /** Regression and counts. */
  readonly rootMeanSquaredError?: number;
  /** Regression and counts. */
  readonly meanAbsoluteError?: number;
  /** Regression. */
  readonly crps?: number;
  /** Regression. */
  readonly intervalCoverage?: number;
  /** Regression: the mean width of those intervals. */
  readonly intervalWidth?: number;
  /** Regression: of `calibrationCurve`. */
  readonly miscalibrationArea?: number;
  /** Regression. */
  readonly sigmaScaling?: number;
}

/**
 * Predicts the inputs of held-out data and holds the predictions against its targets: for a regression with the
 * Gaussian of the predicted mean and variance, for classes and binary labels with the probabilities, for counts with the
 * Poisson–log-normal mixture. Labels of several outputs are taken together.
 * @param data { x, y }, or batches such as a DataLoader's; for classes y are labels, or rows of one 1
 * @throws ShapeError, ValueError for what is no posterior, or bad data; OptionError
 */
export function evaluate(posterior: Posterior, data: Data, options: EvaluateOptions = {}): Evaluation {
  const where = "evaluate";
  checkOptions(where, options, ["level", "approximation", "samples", "seed"]);
  if (!(posterior instanceof Posterior)) {
    throw new ValueError(`${where}: the first argument must be a posterior, such as await laplace(…).fit(data) gives.`);
  }
  const { level = 0.9, ...predictOptions } = options;
  const predicted = predictAll(where, data, ({ x }) => ({ ...posterior.predict(x, predictOptions) }));
  const { mean, variance, targets: y } = predicted;
  const [samples] = mean.shape;
  const { name } = posterior.likelihood;
  if (name === "categorical") return { samples, ...ofLabels(mean, y) };
  if (name === "bernoulli") return { samples, ...ofBinaryLabels(where, mean, y) };
  const errors = { rootMeanSquaredError: rootMeanSquaredError(mean, y), meanAbsoluteError: meanAbsoluteError(mean, y) };
  if (name === "poisson") {
    const { functionMean, functionVariance } = predicted;
    const known = options.approximation === "plugin" ? zeros(functionVariance.shape) : functionVariance;
    return { samples, negativeLogLikelihood: poissonNegativeLogLikelihood(functionMean, known, y), ...errors };
  }
  if (name !== "gaussian") return { samples, ...errors };
  return {
    samples,
    negativeLogLikelihood: gaussianNegativeLogLikelihood(mean, variance, y),
    ...errors,
    crps: crps(mean, variance, y),
    intervalCoverage: intervalCoverage(mean, variance, y, { level }),
    intervalWidth: sharpness(variance, { level }).intervalWidth,
    miscalibrationArea: calibrationCurve(mean, variance, y).miscalibrationArea,
    sigmaScaling: sigmaScaling(mean, variance, y),
  };
}

function ofLabels(probabilities: NDArray, labels: NDArray) {
  return {
    negativeLogLikelihood: negativeLogLikelihood(probabilities, labels),
    accuracy: accuracy(probabilities, labels),
    brierScore: brierScore(probabilities, labels),
    expectedCalibrationError: expectedCalibrationError(probabilities, labels),
  };
}

function ofBinaryLabels(where: string, probabilities: NDArray, labels: NDArray) {
  if (probabilities.size !== labels.size) {
    const shapes = `${shapeText(labels.shape)}, but the predictions ${shapeText(probabilities.shape)}`;
    throw new ShapeError(`${where}: the targets have shape ${shapes}; they must agree.`);
  }
  const [p, y] = [probabilities.reshape(-1), labels.reshape(-1)];
  const both = y.data.some((label: number) => label === 0) && y.data.some((label: number) => label === 1);
  return { ...ofLabels(p, y), ...(both ? { auroc: auroc(p, y) } : {}) };
}
