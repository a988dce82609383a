// The log marginal likelihood of the Laplace approximation (MacKay 1992), with its parts and gradients.

import type { NDArray } from "../array/ndarray.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Precision } from "../structures/precision.ts";
import { logDeterminantOf, type Prior } from "../structures/prior.ts";
import type { Fit } from "./fit.ts";

/** What the evidence is a function of, and its derivatives. */
export interface EvidencePoint {
  readonly likelihood: Likelihood;
  readonly fit: Pick<Fit, "examples" | "loss" | "constant">;
  /** C, the outputs of an example. */
  readonly outputs: number;
  readonly temperature: number;
  readonly prior: Prior;
  readonly precision: Precision;
  /** S, the number of weights. */
  readonly weights: number;
  /** ‖θ − μ₀‖² of the weights of each prior precision. */
  readonly distances: Float64Array;
}

/**
 * The log marginal likelihood of the data and what it is made of, in nats (MacKay 1992; Immer et al. 2021,
 * arXiv:2104.04975).
 */
export interface Evidence {
  /** log likelihood − ½ (log det P − log det P₀ + scatter) */
  readonly logMarginalLikelihood: number;
  /** log p(data | θ): −Σ ℓ / (σ² T), less what no temperature divides, for a Gaussian N C log(σ √(2π)). */
  readonly logLikelihood: number;
  /** log det P − log det P₀ */
  readonly logDetRatio: number;
  /** log det P */
  readonly logDetPosterior: number;
  /** log det P₀ */
  readonly logDetPrior: number;
  /** (θ − μ₀)ᵀ P₀ (θ − μ₀) */
  readonly scatter: number;
  /** Of the log marginal likelihood, where its determinant is an estimate, as of "operator"; undefined elsewhere. */
  readonly standardError?: number;
}

/** Exact derivatives of the log marginal likelihood. */
export interface EvidenceGradient<Kind extends LikelihoodKind = LikelihoodKind> {
  /** In log δ, shaped as `priorPrecision`. */
  readonly logPriorPrecision: NDArray;
  /** In log σ; undefined unless the likelihood is Gaussian. */
  readonly logNoise: Kind extends "normal" ? number : undefined;
}

/** h = 1 / (σ² T), the factor of curvature and loss. */
export function factorOf(likelihood: Likelihood, temperature: number): number {
  return 1 / (likelihood.hyper.value ** 2 * temperature);
}

/** The log likelihood of N examples with C outputs each. */
function logLikelihoodOf({ likelihood, fit, outputs, temperature }: EvidencePoint): number {
  const { examples, loss, constant } = fit;
  const normaliser = examples * outputs * likelihood.hyper.normaliser;
  return -factorOf(likelihood, temperature) * loss - normaliser - constant;
}

/** ‖θ − μ₀‖² of the weights of each prior precision; with a matrix M (θ − μ₀)ᵀ M (θ − μ₀). */
export function* distancesOf(prior: Prior, theta: Float64Array): Steps<Float64Array> {
  const { mean, matrix } = prior;
  const squares = new Float64Array(theta.length);
  for (let i = 0; i < theta.length; i++) squares[i] = theta[i] - mean[i];
  const pull = matrix === undefined ? squares : yield* matrix.times(squares);
  for (let i = 0; i < theta.length; i++) squares[i] *= pull[i];
  // What is asked for next is the determinant.
  if (matrix !== undefined) yield* matrix.prepare();
  return prior.sums(squares);
}

/** δ ‖θ − μ₀‖² of each prior precision. */
export function scatterOf(prior: Prior, distances: Float64Array): Float64Array {
  return distances.map((square, i) => prior.precision[i] * square);
}

/** The evidence at a prior and noise. */
export function evidenceOf(at: EvidencePoint): Evidence {
  const { prior, precision, distances } = at;
  const logLikelihood = logLikelihoodOf(at);
  const logDetPosterior = precision.logDeterminant;
  const logDetPrior = logDeterminantOf(prior);
  const scatter = scatterOf(prior, distances).reduce((sum, x) => sum + x, 0);
  const logDetRatio = logDetPosterior - logDetPrior;
  const logMarginalLikelihood = logLikelihood - 0.5 * (logDetRatio + scatter);
  const error = precision.logDeterminantError;
  return {
    logMarginalLikelihood,
    logLikelihood,
    logDetRatio,
    logDetPosterior,
    logDetPrior,
    scatter,
    ...(error !== undefined && { standardError: 0.5 * error }),
  };
}

/** Its derivatives in the logarithms of the prior precisions, and of the noise where there is one. */
export function evidenceGradientOf(at: EvidencePoint): {
  readonly logPriorPrecision: Float64Array;
  readonly logNoise: number | undefined;
} {
  const { likelihood, fit, outputs, temperature, prior, precision, weights, distances } = at;
  const ours = precision.logPriorGradient();
  const scatter = scatterOf(prior, distances);
  const logPriorPrecision = prior.counts().map((count, i) => -0.5 * (ours[i] - count + scatter[i]));
  if (!likelihood.hyper.any) return { logPriorPrecision, logNoise: undefined };
  // ∂ log det P / ∂ log h is what the prior's part leaves of S; h falls with σ².
  const curvaturePart = weights - ours.reduce((sum, x) => sum + x, 0);
  const logNoise = 2 * factorOf(likelihood, temperature) * fit.loss - fit.examples * outputs + curvaturePart;
  return { logPriorPrecision, logNoise };
}
