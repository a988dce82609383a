// The option `evidence` of `train`, read and checked.

import { checkBoolean, checkChoice, checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Pointer } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { LossRule } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import type { TargetedBatch } from "../network/run.ts";
import { type Structure, structures } from "../structures/curvature.ts";
import type { TrainingEvidence } from "./results.ts";

/**
 * Which weights share a prior precision: "all"; those of each parameter ("layers": a layer's weight and its bias apart); those
 * that leave one input in each dense layer on the inputs, and the other parameters ("inputs": automatic relevance
 * determination, MacKay 1994, Neal 1996); each weight for itself ("weights"); or lists of names of parameters or layers, what none of them names having
 * a precision for each parameter.
 */
export type WeightGroups = "all" | "layers" | "inputs" | "weights" | readonly (readonly string[])[];

/** Options of training by the evidence: prior and noise are learned with the weights (MacKay 1992; Immer et al. 2021). */
export interface EvidenceOptions {
  /** Which weights share a prior precision (default "layers"). */
  groups?: WeightGroups | undefined;
  /** That of the curvature (default "full" up to 1000 weights, else "kronecker"). */
  structure?: Structure | undefined;
  /** After how many steps prior and noise are moved again (default 1). */
  every?: number | undefined;
  /** Steps before the first time (default 4). */
  burnIn?: number | undefined;
  /** Whether the noise is learned too (default: where the likelihood has one). */
  noise?: boolean | undefined;
  /** The prior precision at the beginning (default 1). */
  priorPrecision?: number | undefined;
  /** An evidence is better by more than so many nats (default 0.001). */
  tolerance?: number | undefined;
  /**
   * Of `gaussNewton`: whether the weights go on to the minimum that belongs to the best prior and noise (default true). Without, training ends at
   * the weights of the greatest evidence: sooner, and, where a network has more weights than its data tell apart, before it fits noise.
   */
  settle?: boolean | undefined;
}

/** The options, those with a default of the optimiser's own still open. */
export interface EvidencePlan {
  readonly groups: WeightGroups;
  readonly structure: Structure | undefined;
  readonly every: number | undefined;
  readonly burnIn: number | undefined;
  readonly noise: boolean | undefined;
  readonly priorPrecision: number;
  readonly tolerance: number;
  readonly settle: boolean | undefined;
}

export const evidenceOptionNames: readonly string[] = [
  "groups",
  "structure",
  "every",
  "burnIn",
  "noise",
  "priorPrecision",
  "tolerance",
  "settle",
];

/** @throws OptionError */
export function readEvidence(options: EvidenceOptions, where = "train, evidence"): EvidencePlan {
  if (typeof (options as { learn?: unknown } | undefined)?.learn === "function") {
    throw new OptionError(
      `${where}: marginalLikelihood() is for optimisers that take steps; here are plain options, such as { groups: "layers" }.`,
    );
  }
  checkOptions(where, options, evidenceOptionNames);
  const { groups = "layers", structure, every, burnIn, noise, priorPrecision = 1, tolerance = 1e-3, settle } = options;
  if (typeof groups === "string") checkChoice(where, "groups", groups, ["all", "layers", "inputs", "weights"]);
  else if (!Array.isArray(groups) || !groups.every((list) => Array.isArray(list))) {
    throw new OptionError(
      `${where}: groups must be "all", "layers", "inputs", "weights" or lists of names, such as [["0.weight", "1.weight"]].`,
    );
  }
  if (structure !== undefined) checkChoice(where, "structure", structure, structures);
  if (every !== undefined) checkInteger(where, "every", every, 1);
  if (burnIn !== undefined) checkInteger(where, "burnIn", burnIn, 0);
  if (noise !== undefined) checkBoolean(where, "noise", noise);
  checkNumber(where, "priorPrecision", priorPrecision, 0, true);
  checkNumber(where, "tolerance", tolerance, 0, true);
  if (settle !== undefined) checkBoolean(where, "settle", settle);
  return { groups, structure, every, burnIn, noise, priorPrecision, tolerance, settle };
}

/** A training, as what learns beside it gets it. */
export interface Learned {
  readonly net: Network;
  readonly rule: LossRule;
  /** All examples, in the network's type. */
  readonly data: TargetedBatch;
}

/** What adds a penalty to the loss of one training. */
export interface PriorRule {
  readonly name: string;
  /** @throws OptionError for a problem that it is not for */
  learn(problem: Learned): Steps<EvidenceRun>;
}

/** Made by `marginalLikelihood()`: the option `evidence` of `train` for optimisers that take steps. */
export interface EvidenceRule extends PriorRule {
  /** The options that it was made with: it is made again of them elsewhere. */
  readonly options: object;
}

/** Prior and noise of one training. */
export interface EvidenceRun {
  /** The penalty of parameters, whose gradient it adds: in the kernels' memory. */
  add(kernels: Kernels, parameters: Pointer, gradient: Pointer): number;
  /** Comes after each epoch; after the last it gives the network its best weights, and says what was found. */
  after(epoch: number, epochs: number): Steps<TrainingEvidence | undefined>;
}
