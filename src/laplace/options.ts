// The options of `laplace`.

import type { ArrayLike } from "../array/ndarray.ts";
import { type CurvatureOptions, curvatureOptionNames } from "../curvature/plan.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/tasks.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import type { GaussianPrior } from "./gaussian-prior.ts";

/** Options of `laplace`; all but the likelihood have defaults. */
export interface LaplaceOptions<Given extends Likelihood | Task = Likelihood | Task> extends CurvatureOptions {
  /** The density of a target given the outputs: a task's name, or gaussian(), categorical(), bernoulli(), poisson(). */
  likelihood: Given;
  /**
   * δ of the prior, 1 / variance: one number (default 1), one for each selected parameter array, or one for each weight [S],
   * which "kronecker" and "ekfac" do not take. Several are in the order in which `weights` names parameters or positions.
   */
  priorPrecision?: ArrayLike | undefined;
  /** μ₀ of the prior: one number (default 0), one for each parameter, or one for each weight [S], in the same order. */
  priorMean?: ArrayLike | undefined;
  /**
   * A prior of any precision in the place of these two: an earlier posterior, or `gaussianPrior` of one, of a matrix [S, S] or of Kronecker
   * factors. Then `priorPrecision` is its scale, which `with` changes and `optimizePrior` tunes.
   */
  prior?: GaussianPrior | WeightGaussian | undefined;
  /** T of P = H/(σ² T) + P₀ (default 1); below 1 the posterior is narrower. */
  temperature?: number | undefined;
  /** Whether Kronecker factors are damped one by one, (√h B + √δ) ⊗ (√h A + √δ) (Ritter et al. 2018; default false). */
  damping?: boolean | undefined;
  /**
   * Whether negative eigenvalues of the curvature "hessian" are set to 0, of "diagonal" its negative entries (default false: they are
   * an error where the prior does not make up for them). `clipped` of the posterior says how many.
   */
  clip?: boolean | undefined;
  /**
   * Whether `fit` looks if the network is near a minimum of its loss, and warns if not (default true). Bad options, data and
   * networks are refused all the same.
   */
  checks?: boolean | undefined;
  /** Bytes that the curvature and its factorisation may need (default 1 GiB). */
  memoryBudget?: number | undefined;
  /** Called with each warning (default: console.warn). */
  onWarning?: ((message: string) => void) | undefined;
}

/** The names of the options of `laplace`. */
export const laplaceOptionNames: readonly string[] = [
  "likelihood",
  "priorPrecision",
  "priorMean",
  "prior",
  "temperature",
  "damping",
  "clip",
  "checks",
  "memoryBudget",
  "onWarning",
  ...curvatureOptionNames,
];

/** What to write instead of options that belong to something else. */
export const optionsElsewhere: Readonly<Record<string, string>> = {
  noise: "likelihood: gaussian({ noise })",
  sigma_noise: "likelihood: gaussian({ noise })",
  classAxis: "likelihood: categorical({ classAxis })",
  ignoredLabel: "likelihood: categorical({ ignoredLabel })",
  approximation: "it as an option of predict: predict(x, { approximation })",
  epochs: "it as an option of train",
  priorStructure: "it as an option of optimizePrior",
  hessian_structure: "structure",
  subset_of_weights: "weights",
};
