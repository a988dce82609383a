// What a training tells on its way and at its end.

import type { NDArray } from "../array/ndarray.ts";
import type { VariationalState } from "./variational.ts";

/** The state of training at the end of an epoch. */
export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** Epochs asked for. */
  readonly epochs: number;
  /**
   * The mean over the epoch's samples of the loss before each step, with the penalty ½ · weightDecay · ‖θ‖², or that of the
   * evidence's prior. Labels that are ignored do not count; 0 where all are. Of `gaussNewton`, whose epochs are steps, after the step; of `lastLayerEvidence`
   * minus the log evidence, for each example.
   */
  readonly loss: number;
}

/** What `train` gives. */
export interface TrainingResult {
  /** One entry for each epoch. */
  readonly history: readonly { readonly epoch: number; readonly loss: number }[];
  /** The number of steps taken. */
  readonly steps: number;
  /** Of what stops by itself, such as `gaussNewton`: whether it did, at a minimum, before its epochs were over. */
  readonly converged?: boolean;
  /** Of training by the evidence: what it found. */
  readonly evidence?: TrainingEvidence | undefined;
  /** Of `ivon()`: the Gaussian of the weights, for `ivonPosterior`. */
  readonly variational?: VariationalState | undefined;
}

/** What training by the evidence found: the prior and the noise, as options of `laplace` and of `gaussian` take them. */
export interface TrainingEvidence {
  /** log p(data) of the Laplace approximation at the weights, prior and noise that were found, in nats. */
  readonly logMarginalLikelihood: number;
  /** One number, one for each parameter, or one for each weight: the option `priorPrecision` of `laplace`. */
  readonly priorPrecision: NDArray;
  /** σ, where the likelihood has one. */
  readonly noise: number | undefined;
  /** The groups of weights that share a precision. */
  readonly groups: readonly WeightGroup[];
  /**
   * Of each input, [inputs], where it is asked for: how much its weights may vary, the sum of the prior variances 1/δ of their
   * groups; of `lastLayerEvidence` the squares of their scales. For inputs of one unit, such as standardised ones; near 0 where an input says nothing.
   */
  readonly relevance?: NDArray;
  /** The log marginal likelihood each time the prior was changed. */
  readonly history: readonly number[];
}

/** Weights that share a prior precision. */
export interface WeightGroup {
  /** The parameter's name, with the number of its input: "0.weight[:, 3]"; or those of several. */
  readonly name: string;
  /** How many weights it has. */
  readonly weights: number;
  /** δ, the precision of their prior. */
  readonly precision: number;
  /** γ = n − δ tr Σ: how many of them the data determine (MacKay 1992). */
  readonly effective: number;
}
