// Where to evaluate a function next, whose best value is sought: scores of inputs, by mean and variance of the function there.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkChoice, checkNumber, checkOptions, newFloats, OptionError, valueText } from "../errors.ts";
import { checkVariance, readNumbers } from "../evaluation/metric-inputs.ts";
import { normalCdf, normalDensity } from "../evaluation/normal.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { inputGradientSteps } from "../prediction/input-gradients.ts";
import { checkOneOutput } from "./one-output.ts";

/** Options of `expectedImprovement`. */
export interface ImprovementOptions {
  /** Which value of the function is the best: the largest, or the smallest (default "max"). */
  readonly goal?: "max" | "min" | undefined;
  /** The best value so far, in the unit of the function. */
  readonly best: number;
}

/** Options of `upperConfidenceBound`. */
export interface BoundOptions {
  /** Which value of the function is the best: the largest, or the smallest (default "max"). */
  readonly goal?: "max" | "min" | undefined;
  /** κ, the standard deviations that are added to the mean (default 2). */
  readonly deviations?: number | undefined;
}

/** A score of a mean and a variance, and its derivatives in both. */
export type Rule = (mean: number, variance: number) => Scored;

/** What a rule gives. */
export interface Scored {
  readonly value: number;
  readonly inMean: number;
  readonly inVariance: number;
}

/** 1, or −1 where the smallest value is sought: values times that are to be large. @throws OptionError */
export function signOf(where: string, { goal = "max" }: BoundOptions): number {
  checkChoice(where, "goal", goal, ["max", "min"]);
  return goal === "max" ? 1 : -1;
}

/** @throws OptionError */
export function improvementRule(where: string, options: ImprovementOptions): Rule {
  const sign = signOf(where, options);
  const { best } = options;
  if (typeof best !== "number" || !Number.isFinite(best)) {
    throw new OptionError(`${where}: best must be the best value so far, a number, not ${valueText(best)}.`);
  }
  return (mean, variance) => {
    const ahead = sign * (mean - best);
    if (variance === 0) return { value: Math.max(ahead, 0), inMean: ahead > 0 ? sign : 0, inVariance: 0 };
    const sd = Math.sqrt(variance);
    const z = ahead / sd;
    const [share, density] = [normalCdf(z), normalDensity(z)];
    return { value: Math.max(0, ahead * share + sd * density), inMean: sign * share, inVariance: density / (2 * sd) };
  };
}

/** @throws OptionError */
export function boundRule(where: string, options: BoundOptions): Rule {
  const sign = signOf(where, options);
  const { deviations = 2 } = options;
  checkNumber(where, "deviations", deviations, 0, false);
  return (mean, variance) => {
    const sd = Math.sqrt(variance);
    // At a variance of 0 its slope is infinite, and what is known exactly has none to climb.
    const inVariance = sd === 0 ? 0 : deviations / (2 * sd);
    return { value: sign * mean + deviations * sd, inMean: sign, inVariance };
  };
}

function scores(where: string, rule: Rule, mean: ArrayLike, variance: ArrayLike): NDArray {
  const { columns, shape } = readNumbers(where, { mean, variance });
  const [m, v] = columns;
  checkVariance(where, v, false);
  const result = newFloats(where, shape);
  for (let i = 0; i < result.length; i++) result[i] = rule(m[i], v[i]).value;
  return new NDArray(result, shape);
}

/**
 * By how much the function is expected to be better than the best value so far, E max(f − best, 0) of a Gaussian f, for "min"
 * E max(best − f, 0): σ (z Φ(z) + φ(z)) with z = (mean − best) / σ (Mockus 1975; Jones, Schonlau & Welch 1998). The next input
 * to try is that with the highest.
 * @param mean the function's means, of any shape @param variance its variances, without noise, the same shape
 * @returns that shape, at least 0, in the unit of the function
 * @throws ShapeError for shapes that differ; ValueError for variances below 0; OptionError
 */
export function expectedImprovement(mean: ArrayLike, variance: ArrayLike, options: ImprovementOptions): NDArray {
  const where = "expectedImprovement";
  checkOptions(where, options, ["best", "goal"]);
  return scores(where, improvementRule(where, options), mean, variance);
}

/**
 * The upper end of what the function may be, mean + κ σ; for "min" the lower end with its sign changed, κ σ − mean, so that the next
 * input to try is that with the highest (Auer 2002; Srinivas et al. 2010, arXiv:0912.3995, with κ = √β).
 * @param mean the function's means, of any shape @param variance its variances, without noise, the same shape
 * @throws ShapeError for shapes that differ; ValueError for variances below 0; OptionError
 */
export function upperConfidenceBound(mean: ArrayLike, variance: ArrayLike, options: BoundOptions = {}): NDArray {
  const where = "upperConfidenceBound";
  checkOptions(where, options, ["deviations", "goal"]);
  return scores(where, boundRule(where, options), mean, variance);
}

/** Options of `acquisitionGradients`: which score, and its own. */
export type AcquisitionOptions = MemoryOptions &
  (
    | ({ readonly rule: "expectedImprovement" } & ImprovementOptions)
    | ({ readonly rule: "upperConfidenceBound" } & BoundOptions)
  );

/** Scores of inputs, and how they change with these. */
export interface AcquisitionGradients {
  /** [B] */
  readonly values: NDArray;
  /** [B, ...inputs] */
  readonly gradients: NDArray;
}

/**
 * `expectedImprovement` or `upperConfidenceBound` at inputs of a network with one output, and their derivatives in the inputs, by
 * which the best input can be climbed to from the best of some candidates.
 * @param x [B, ...inputs] @throws as `inputGradients`; OptionError for several outputs, or bad options
 */
export function acquisitionGradients(
  posterior: WeightGaussian,
  x: ArrayLike,
  options: AcquisitionOptions,
): AcquisitionGradients {
  return atOnce(gradients(posterior, x, options));
}

/** `acquisitionGradients` in bursts. @throws as `acquisitionGradients`; the signal's reason */
export async function acquisitionGradientsAsync(
  posterior: WeightGaussian,
  x: ArrayLike,
  options: InBursts<AcquisitionOptions>,
): Promise<AcquisitionGradients> {
  return asynchronously("acquisitionGradients", options, (rest) => gradients(posterior, x, rest as AcquisitionOptions));
}

function* gradients(
  posterior: WeightGaussian,
  x: ArrayLike,
  options: AcquisitionOptions,
): Steps<AcquisitionGradients, ExamplesReport> {
  const where = "acquisitionGradients";
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["rule", "best", "goal", "deviations", "memoryBudget"]);
  checkChoice(where, "rule", options.rule, ["expectedImprovement", "upperConfidenceBound"]);
  const rule =
    options.rule === "expectedImprovement"
      ? improvementRule(where, options)
      : boundRule(where, options as BoundOptions);
  checkOneOutput(where, posterior);
  const { memoryBudget } = options;
  const found = yield* inputGradientSteps(where, posterior, x, { memoryBudget });
  const [m, v] = [found.functionMean.data, found.functionVariance.data];
  const [slopes, bends] = [found.meanGradient.data, found.varianceGradient.data];
  const [batch, width] = [m.length, slopes.length / m.length];
  const [values, result] = [newFloats(where, [batch]), newFloats(where, [slopes.length])];
  for (let b = 0; b < batch; b++) {
    const { value, inMean, inVariance } = rule(m[b], v[b]);
    values[b] = value;
    for (let i = b * width; i < (b + 1) * width; i++) result[i] = inMean * slopes[i] + inVariance * bends[i];
  }
  return { values: new NDArray(values, [batch]), gradients: new NDArray(result, [batch, ...posterior.net.inputShape]) };
}
