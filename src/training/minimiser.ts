// What minimises a loss over all data by itself, where an optimiser steps along gradients of batches.

import { array } from "../array/ndarray.ts";
import { NonFiniteLossError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import type { LossRule } from "../losses/losses.ts";
import { Network } from "../network/network.ts";
import type { TargetedBatch } from "../network/run.ts";
import type { EvidenceOptions, EvidencePlan } from "./evidence-options.ts";
import type { EpochReport, TrainingResult } from "./results.ts";

/** A training as a minimiser gets it: options after all checks. */
export interface Problem {
  /** Its free parameters are to be changed, after each step that is taken. */
  readonly net: Network;
  readonly rule: LossRule;
  /** All examples, in the network's type. */
  readonly data: TargetedBatch;
  /** Most steps. */
  readonly epochs: number;
  readonly weightDecay: number;
  readonly evidence: EvidencePlan | undefined;
}

/** Made by `gaussNewton()`: the option `optimizer` of `train`. */
export interface Minimiser {
  readonly name: string;
  /** The options that it was made with: it is made again of them elsewhere. */
  readonly options: object;
  /** Most steps, if `epochs` does not say. */
  readonly epochs: number;
  /** Reads the option `evidence`: programs without a minimiser do not load what does. @throws OptionError */
  readEvidence(options: EvidenceOptions): EvidencePlan;
  /** @throws OptionError for a problem that it is not for; NonFiniteLossError at a start whose loss is not finite */
  minimise(problem: Problem): Steps<TrainingResult, EpochReport>;
}

export const isMinimiser = (value: unknown): value is Minimiser =>
  typeof (value as Partial<Minimiser> | undefined)?.minimise === "function";

/** A copy of a network in float64: its minimum is the same whatever the network's type. */
export function inFloat64({ graph, parameters, frozen, buffers }: Network): Network {
  const wide = (values: ArrayLike<number>) => array(Array.from(values), { dtype: "float64" });
  return new Network(graph, wide(parameters.data), frozen, wide(buffers.data));
}

/** The error of a loss that is not a number at the start. */
export const notFinite = (loss: number): NonFiniteLossError =>
  new NonFiniteLossError(
    `train: the loss is ${loss} at the beginning. Likely causes: inputs or targets of very different size (standardise them), or an activation that overflows, such as exp.`,
    1,
    1,
  );
