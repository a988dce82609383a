// Where predictive uncertainty comes from: from the weights, or from the data themselves.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { checkBytes, checkInteger, checkOptions, newFloats, readBudget } from "../errors.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import { labelShape } from "../losses/classes.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { eachFunction } from "../prediction/functions.ts";
import type { Linearised } from "../prediction/linearised.ts";
import { rowInformation } from "../prediction/log-probabilities.ts";
import { functionMoments } from "../prediction/prediction.ts";
import { auroc } from "./classification.ts";

/** Options of what looks at the parts of uncertainty. Only classes are drawn for. */
export interface UncertaintyOptions {
  /** Draws of the logits of classes (default 200). */
  samples?: number | undefined;
  /** Seed of those draws (default 0). */
  seed?: number | undefined;
  /** Bytes that an array of the result may need, or the covariances of one input's classes on their way (default 1 GiB). */
  memoryBudget?: number | undefined;
}

/** Predictive uncertainty and its parts, epistemic + aleatoric = total; [B, ...outputs], of classes [B, ...labels]. */
export interface Uncertainty {
  /** Variance of the target; of classes and binary labels the entropy of the label, in nats. */
  readonly total: NDArray;
  /** What would be left if the weights were known: noise. */
  readonly aleatoric: NDArray;
  /** What the weights leave open: what more data would take away. */
  readonly epistemic: NDArray;
  /** epistemic / total, from 0 to 1; 0 where there is no uncertainty. */
  readonly share: NDArray;
}

function check(where: string, posterior: Linearised, options: UncertaintyOptions) {
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["samples", "seed", "memoryBudget"]);
  const { samples = 200, seed = 0 } = options;
  checkInteger(where, "samples", samples, 1);
  checkInteger(where, "seed", seed, 0);
  return { samples, seed, memoryBudget: readBudget(where, options.memoryBudget) };
}

/**
 * The predictive uncertainty at each input, in parts, under the linearised network. Variances of a regression and of counts
 * go by the law of total variance: Var y = Var E[y | f] + E Var[y | f], of a regression functionVariance + σ². Labels go by
 * entropies: H[E p] = I + E H[p], where I is the mutual information of label and weights (Houlsby et al., 2011,
 * arXiv:1112.5745; Depeweg et al., 2018, arXiv:1710.07283). Those of binary labels are integrals to 1e-12; those of classes
 * are means over draws of the logits, the same for a seed.
 * @param x [B, ...inputs] @throws ShapeError, ValueError for bad inputs; OptionError
 */
export function uncertainty(posterior: Linearised, x: ArrayLike, options: UncertaintyOptions = {}): Uncertainty {
  return atOnce(uncertaintySteps("uncertainty", posterior, x, options));
}

/** `uncertainty` in bursts, with turns of the event loop between them. @throws as `uncertainty`; the signal's reason */
export async function uncertaintyAsync(
  posterior: Linearised,
  x: ArrayLike,
  options: InBursts<UncertaintyOptions> = {},
): Promise<Uncertainty> {
  return asynchronously("uncertainty", options, (rest) => uncertaintySteps("uncertainty", posterior, x, rest));
}

/** The steps of `uncertainty`. */
export function* uncertaintySteps(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: UncertaintyOptions,
): Steps<Uncertainty, ExamplesReport> {
  const { memoryBudget, ...draw } = check(where, posterior, options);
  const { likelihood, net } = posterior;
  const inputs = net.readInputs(where, x);
  const classes = likelihood.targets === "classes";
  const { rows } = likelihood;
  const rest = classes
    ? labelShape(net.outputShape, likelihood.classAxis)
    : (rows?.targetShape(net.outputShape) ?? net.outputShape);
  const shape = [inputs.shape[0], ...rest];
  checkBytes(where, shape, memoryBudget, "Fewer inputs at once need less.");
  if (classes) {
    const { size } = likelihood.group(net.outputShape);
    checkBytes(where, [draw.samples, size], memoryBudget, "Fewer samples need less.");
  }
  const [total, aleatoric, epistemic, share] = [0, 1, 2, 3].map(() => newFloats(where, shape));
  const needs = classes || rows !== undefined ? "covariance" : "variance";
  yield* eachFunction(where, posterior, inputs, { needs, memoryBudget }, (part) => {
    const put = (i: number, sum: number, noise: number, open = Math.max(sum - noise, 0)) => {
      total[i] = sum;
      aleatoric[i] = noise;
      epistemic[i] = open;
      // Of rates above every float64 number, their variance is all: it goes with the square.
      if (sum === Number.POSITIVE_INFINITY) share[i] = open === sum ? 1 : 0;
      else share[i] = sum > 0 ? open / sum : 0;
    };
    const { outputs, first, width, offset, step } = part;
    const found = likelihood.uncertainty(part, draw);
    // Of classes one number for each group, of rows those of a target, otherwise one for each output.
    const each = found.total.length / part.batch;
    const start = classes && step !== 1 ? offset : (offset * each) / outputs;
    for (let i = 0; i < found.total.length; i++) {
      const at = ((first + Math.floor(i / each)) * width * each) / outputs + start + (i % each);
      put(at, found.total[i], found.aleatoric[i], found.epistemic?.[i]);
    }
  });
  const shaped = (values: Float64Array) => new NDArray(values, shape);
  return { total: shaped(total), aleatoric: shaped(aleatoric), epistemic: shaped(epistemic), share: shaped(share) };
}

/**
 * How much the weights leave open at each input, in one number, to tell inputs like the training data from others: for
 * classes and binary labels the mutual information of label and weights, in nats, summed over labels; for a
 * regression the variance of the function in units of the noise, Σ_c v_c / σ_c²; for counts the variance of the log rate,
 * Σ_c v_c; for a likelihood of rows tr(ΛV).
 * @param x [B, ...inputs] @returns [B], at least 0 @throws ShapeError, ValueError for bad inputs; OptionError
 */
export function epistemicScore(posterior: Linearised, x: ArrayLike, options: UncertaintyOptions = {}): NDArray {
  return atOnce(score("epistemicScore", posterior, x, options));
}

/** `epistemicScore` in bursts. @throws as `epistemicScore`; the signal's reason */
export async function epistemicScoreAsync(
  posterior: Linearised,
  x: ArrayLike,
  options: InBursts<UncertaintyOptions> = {},
): Promise<NDArray> {
  return asynchronously("epistemicScore", options, (rest) => score("epistemicScore", posterior, x, rest));
}

function* score(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: UncertaintyOptions,
): Steps<NDArray, ExamplesReport> {
  check(where, posterior, options);
  const labelled = posterior.likelihood.targets !== "numbers";
  const inputs = posterior.net.readInputs(where, x);
  const values = labelled
    ? (yield* uncertaintySteps(where, posterior, x, options)).epistemic.data
    : posterior.likelihood.rows === undefined
      ? yield* functionMoments(where, posterior, inputs, "variance")
      : (yield* rowInformation(where, posterior, inputs)).information.data;
  const { hyper } = posterior.likelihood;
  const [batch] = inputs.shape;
  const each = values.length / batch;
  const result = Float64Array.from({ length: batch }, (_, b) => {
    let sum = 0;
    for (let c = 0; c < each; c++) sum += values[b * each + c] / hyper.of(c) ** 2;
    return sum;
  });
  return new NDArray(result, [batch]);
}

/**
 * How well a posterior's uncertainty about its weights tells inputs that are not like the training data from held-out ones that
 * are: the area under the ROC curve of `epistemicScore`, the probability that it is higher for an outside input than for
 * an inside one (Hendrycks & Gimpel, 2017, arXiv:1610.02136, with that score). 1 tells them apart, ½ is a guess.
 * @param inside [N, ...inputs], held out @param outside [M, ...inputs], of another distribution
 * @throws ShapeError, ValueError for bad inputs; OptionError
 */
export function outOfDistributionAuroc(
  posterior: Linearised,
  inside: ArrayLike,
  outside: ArrayLike,
  options: UncertaintyOptions = {},
): number {
  return atOnce(separation(posterior, inside, outside, options));
}

/** `outOfDistributionAuroc` in bursts. @throws as `outOfDistributionAuroc`; the signal's reason */
export async function outOfDistributionAurocAsync(
  posterior: Linearised,
  inside: ArrayLike,
  outside: ArrayLike,
  options: InBursts<UncertaintyOptions> = {},
): Promise<number> {
  return asynchronously("outOfDistributionAuroc", options, (rest) => separation(posterior, inside, outside, rest));
}

function* separation(
  posterior: Linearised,
  inside: ArrayLike,
  outside: ArrayLike,
  options: UncertaintyOptions,
): Steps<number, ExamplesReport> {
  const where = "outOfDistributionAuroc";
  const a = (yield* score(where, posterior, inside, options)).data;
  const b = (yield* score(where, posterior, outside, options)).data;
  const labels = new Float64Array(a.length + b.length).fill(1, a.length);
  const scores = new Float64Array(labels.length);
  scores.set(a);
  scores.set(b, a.length);
  return auroc(scores, labels);
}
