// Jackknife+ and CV+: intervals that hold a level whatever the model, from the models of a cross-validation.

import { type ArrayLike, asArray, NDArray, shapeText } from "../array/ndarray.ts";
import { checkBoolean, ShapeError, ValueError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";
import { checkParts, conformalQuantile, type MeanAndVariance, readLevel } from "./conformal.ts";
import { checkVariance, readNumbers } from "./metric-inputs.ts";
import type { IntervalOptions } from "./regression.ts";

/** The options of `foldIntervals`. */
export interface FoldIntervalOptions extends IntervalOptions {
  /** Whether residuals are divided by the predicted deviation, so that intervals widen with it (default true). */
  scaled?: boolean;
}

/** What `foldIntervals` gives. */
export interface FoldIntervals {
  /** The lower bounds, shaped as a prediction's mean; −∞ if there are too few data. */
  readonly lower: NDArray;
  /** The upper bounds, shaped as a prediction's mean; ∞ if there are too few data. */
  readonly upper: NDArray;
}

/** The fold of each sample, [n] integers from 0 to K − 1. @throws ShapeError, ValueError */
function readFolds(where: string, given: ArrayLike, samples: number, folds: number): Int32Array {
  const { shape, size, data } = asArray(given);
  if (size !== samples || shape[0] !== samples) {
    throw new ShapeError(
      `${where}: expected folds of shape [${samples}], one for each sample, got ${shapeText(shape)}.`,
    );
  }
  return Int32Array.from(data, (fold: number, i: number) => {
    if (Number.isInteger(fold) && fold >= 0 && fold < folds) return fold;
    throw new ValueError(
      `${where}: fold ${fold} of sample ${i} is not an integer from 0 to ${folds - 1}; there are predictions of ${folds} models.`,
    );
  });
}

/**
 * CV+ intervals, and with a fold for each sample jackknife+ intervals (Barber, Candès, Ramdas & Tibshirani, 2021). All
 * n samples serve for training and for calibration. Sample i was predicted by the model of its own fold k(i), which never
 * saw it, with the residual r_i = |y_i − m_i| / s_i. A new target lies between the ⌊(n + 1)(1 − level)⌋-th smallest of
 * m_k(i)(x) − r_i s_k(i)(x), and the ⌈(n + 1) level⌉-th smallest of m_k(i)(x) + r_i s_k(i)(x). With `scaled: false`, s is 1,
 * as in the paper; scaled scores keep its proof (Gupta, Kuchibhotla & Ramdas, 2022).
 *
 * If the samples and the new one are exchangeable, and the training does not look at their order, an interval holds its
 * target with a probability of at least 1 − 2α, α = 1 − level, for jackknife+; for CV+ with K folds of n / K samples each, of at
 * least 1 − 2α − min(2 (1 − 1/K) / (n/K + 1), (1 − K/n) / (K + 1)). In practice it is about `level`. It holds on average over
 * training sets and inputs, and for each output by itself.
 *
 * `foldIntervals({ ...heldOut, targets: y, fold }, models.map((posterior) => posterior.predict(xNew)))`
 * @param heldOut mean, variance and targets of the n samples, [n] or [n, C] each, and each one's fold, [n] from 0
 * @param predictions mean and variance at the new inputs by the model of each fold, K times [N] or [N, C]
 * @throws ShapeError, ValueError; OptionError for a level outside (0, 1)
 */
export function foldIntervals(
  heldOut: MeanAndVariance & { readonly targets: ArrayLike; readonly fold: ArrayLike },
  predictions: readonly MeanAndVariance[],
  options: FoldIntervalOptions = {},
): FoldIntervals {
  const where = "foldIntervals";
  const level = readLevel(where, options, ["scaled"]);
  const { scaled = true } = options;
  checkBoolean(where, "scaled", scaled);
  checkParts(where, { heldOut });
  if (!Array.isArray(predictions) || predictions.length === 0) {
    throw new ValueError(
      `${where}: expected an array of predictions, one for each fold's model, got ${valueText(predictions)}.`,
    );
  }
  const { mean, variance, targets } = heldOut;
  const { outputs, samples, columns } = readNumbers(where, { mean, variance, targets });
  const fold = readFolds(where, heldOut.fold, samples, predictions.length);
  const models = predictions.map((prediction, k) => {
    checkParts(where, { [`predictions[${k}]`]: prediction });
    const read = readNumbers(where, { mean: prediction.mean, variance: prediction.variance });
    checkVariance(where, read.columns[1], scaled);
    return read;
  });
  const [{ shape, samples: inputs }] = models;
  models.forEach((model, k) => {
    if (model.outputs === outputs && model.samples === inputs) return;
    throw new ShapeError(
      `${where}: expected predictions of ${inputs} samples with ${outputs} outputs from every model, got shape ${shapeText(model.shape)} from model ${k}.`,
    );
  });
  const [m, v, y] = columns;
  checkVariance(where, v, scaled);
  const deviation = (of: FloatArray, i: number) => (scaled ? Math.sqrt(of[i]) : 1);
  const residuals = Float64Array.from(y, (target: number, i: number) => Math.abs(target - m[i]) / deviation(v, i));
  const bound = (sign: number) =>
    Float64Array.from({ length: inputs * outputs }, (_, at) => {
      const ends = Float64Array.from(fold, (k, i) => {
        const [center, spread] = models[k].columns;
        return sign * center[at] + residuals[i * outputs + (at % outputs)] * deviation(spread, at);
      });
      return sign * conformalQuantile(ends, level);
    });
  return { lower: new NDArray(bound(-1), shape), upper: new NDArray(bound(1), shape) };
}
