// Optimisers whose state is a distribution of the weights: gradients are taken at draws from it.

import type { NDArray } from "../array/ndarray.ts";
import type { Pointer } from "../kernels/memory.ts";
import type { LossRule } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import type { TargetedBatch } from "../network/run.ts";
import type { Optimizer } from "./optimisers.ts";

/** A training as such an optimiser gets it: options after all checks. */
export interface VariationalProblem {
  readonly net: Network;
  readonly rule: LossRule;
  /** All examples, in the network's type. */
  readonly data: TargetedBatch;
  /** Steps that the training will take. */
  readonly steps: number;
  readonly weightDecay: number;
  readonly seed: number;
  /** What learns the prior by the evidence, if that is asked for. */
  readonly evidence: object | undefined;
}

/** The Gaussian N(mean, diag(1 / precision)) of all parameters that a training ended with: plain data, for `ivonPosterior`. */
export interface VariationalState {
  /** m, [P]: the network's parameters at the end. */
  readonly mean: NDArray;
  /** 1 / σ², [P], float64. */
  readonly precision: NDArray;
  /** λ, by which the mean loss is the negative log likelihood of all data. */
  readonly effectiveSamples: number;
  /** The examples, or the sum of their weights. */
  readonly examples: number;
}

/** One training of it. */
export interface VariationalRun extends Optimizer {
  /** Writes a draw around the parameters into the state, which are in the kernels' memory; the gradient of the step is taken there. */
  draw(parameters: Pointer, state: readonly Pointer[]): Pointer;
  /** What the training ended with. */
  finish(): VariationalState;
}

/** Made by `ivon()`: the option `optimizer` of `train`. */
export interface VariationalOptimizer {
  readonly name: string;
  readonly learningRate: number;
  /** The options that it was made with: it is made again of them elsewhere. */
  readonly options: object;
  /** @throws OptionError for a problem that it is not for */
  begin(problem: VariationalProblem): VariationalRun;
}
