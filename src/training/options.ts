// The options of `train`, read and checked, and what it tells.

import type { DataLoader } from "../data/loader.ts";
import { checkBoolean, checkInteger, checkNumber, checkOptions, OptionError, ValueError } from "../errors.ts";
import { readBursts, type StopSignal } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Loss } from "../losses/losses.ts";
import type { Executor } from "../shards/executor.ts";
import type { EvidenceOptions, EvidencePlan, EvidenceRule, PriorRule } from "./evidence-options.ts";
import { isMinimiser, type Minimiser } from "./minimiser.ts";
import { adam, type Optimizer } from "./optimisers.ts";
import type { EpochReport } from "./results.ts";
import type { Schedule } from "./schedules.ts";
import type { VariationalOptimizer } from "./variational.ts";

/** Options of `train`. */
export interface TrainingOptions {
  /** What is minimised, its mean over the batch: a loss, or a likelihood such as poisson(). */
  loss: Loss | Likelihood;
  /**
   * How parameters move (default `adam()`; `ivon()` learns a distribution of them); or what minimises over all data by itself,
   * `gaussNewton()` or `lastLayerEvidence()`, which takes no batches.
   */
  optimizer?: Optimizer | VariationalOptimizer | Minimiser;
  /** Passes through the data (default 100); of `gaussNewton()` at most so many steps (default 1000), of `lastLayerEvidence()` too (default 60). */
  epochs?: number;
  /** Samples in a step (default 32; of a DataLoader its own). */
  batchSize?: number;
  /** w of the penalty ½ w ‖θ‖², added to the loss (default 0). For decoupled decay see `adamW`. */
  weightDecay?: number;
  /**
   * Learns prior precisions and the noise with the weights, by the evidence (default: none): `marginalLikelihood()` for optimisers that
   * take steps; options for `gaussNewton()`, and `lastLayerEvidence()`, which always does.
   */
  evidence?: EvidenceOptions | EvidenceRule | undefined;
  /**
   * `gaussianPrior(…)`: its penalty ½ (θ − μ₀)ᵀ P₀ (θ − μ₀) is added to the summed loss, or as much less to the mean that is minimised; of
   * optimisers that take steps. The loss's likelihood says the noise: with `mse` it is 1, so give gaussian({ noise }) as the loss.
   */
  prior?: PriorRule | undefined;
  /** What the learning rate is multiplied by, from step to step, such as `cosineDecay()` (default 1 always). */
  schedule?: Schedule;
  /** The largest norm ‖g‖ of a step's gradient over free parameters, without the penalty: longer ones are shortened to it (default: none). */
  clipNorm?: number;
  /** Whether each epoch has a new order (default true; of a DataLoader its own). */
  shuffle?: boolean;
  /** Seed of the order, and of what `dropout` drops (default 0). */
  seed?: number;
  /**
   * Who takes the gradients of the shards of a batch, such as `workers()`; the bits do not depend on it. Default: this thread, in Node with
   * others beside it where the call takes long. A batch that is little work is one shard, and so is one whose examples `batchNorm` mixes.
   */
  on?: Executor | undefined;
  /** Called after each epoch, with the network's parameters up to date; `progressBar()` makes one that prints. */
  onProgress?: ((report: EpochReport) => void) | undefined;
  /** Stops training between two steps; the network keeps what it has learned, and `train` throws the signal's reason. */
  signal?: StopSignal | undefined;
}

const optionNames = [
  "loss",
  "optimizer",
  "epochs",
  "batchSize",
  "weightDecay",
  "evidence",
  "prior",
  "schedule",
  "clipNorm",
  "shuffle",
  "seed",
  "on",
  "onProgress",
  "signal",
];

const optionsElsewhere = {
  learningRate: "optimizer: adam({ learningRate })",
  lr: "optimizer: adam({ learningRate })",
  momentum: "optimizer: sgd({ momentum })",
};

/** Options with their defaults. */
export interface TrainingPlan {
  readonly optimizer: Optimizer | VariationalOptimizer | Minimiser;
  /** A minimiser's own, or what learns beside an optimiser's steps. */
  readonly evidence: EvidencePlan | PriorRule | undefined;
  readonly epochs: number;
  readonly batchSize: number;
  readonly weightDecay: number;
  readonly schedule: Schedule | undefined;
  readonly clipNorm: number;
  readonly shuffle: boolean;
  readonly seed: number;
}

/** @param loader the data, if they are a DataLoader, whose batches and order they are @throws OptionError, ValueError */
export function readTrainingOptions(options: TrainingOptions, loader: DataLoader | undefined): TrainingPlan {
  checkOptions("train", options, optionNames, optionsElsewhere);
  const { optimizer = adam(), weightDecay = 0, seed = 0 } = options;
  const { epochs = isMinimiser(optimizer) ? optimizer.epochs : 100 } = options;
  const { schedule, clipNorm = Number.POSITIVE_INFINITY } = options;
  const { batchSize = loader?.batchSize ?? 32, shuffle = loader?.shuffle ?? true } = options;
  if (loader !== undefined && (batchSize !== loader.batchSize || shuffle !== loader.shuffle)) {
    throw new OptionError(
      "train: batchSize and shuffle are the DataLoader's; leave them out, or give its data (loader.data) instead of the loader.",
    );
  }
  checkInteger("train", "epochs", epochs, 0);
  checkInteger("train", "batchSize", batchSize, 1);
  checkNumber("train", "weightDecay", weightDecay, 0);
  if (options.clipNorm !== undefined) checkNumber("train", "clipNorm", clipNorm, 0, true);
  if (isMinimiser(optimizer)) {
    const taken = ["batchSize", "shuffle", "schedule", "clipNorm"] as const;
    const name = taken.find((one) => options[one] !== undefined);
    if (name !== undefined) {
      throw new OptionError(
        `train: ${optimizer.name}() takes all data at once, so ${name} says nothing; leave it out.`,
      );
    }
  } else if (typeof ((optimizer as Optimizer)?.step ?? (optimizer as VariationalOptimizer)?.begin) !== "function")
    throw new ValueError(
      `train: the optimizer must be adam() or another of the library's${typeof optimizer === "function" ? ", called, not the function itself" : ""}.`,
    );
  if (schedule !== undefined && typeof schedule !== "function") {
    throw new OptionError(
      `train: schedule must be a function of the step and of the number of steps, such as cosineDecay(), not ${typeof schedule}.`,
    );
  }
  checkBoolean("train", "shuffle", shuffle);
  checkInteger("train", "seed", seed, 0);
  readBursts("train", options);
  const given = options.evidence as Partial<EvidenceRule> & EvidenceOptions;
  const second = isMinimiser(optimizer);
  if (given !== undefined && !second && !given?.learn) {
    throw new OptionError(`train: evidence of ${optimizer.name}() must be marginalLikelihood().`);
  }
  const { prior } = options;
  const others = second || given !== undefined || options.weightDecay !== undefined;
  if (prior !== undefined && (others || typeof prior?.learn !== "function")) {
    throw new OptionError(
      "train: prior must be gaussianPrior(…), for an optimizer that takes steps, without evidence and weightDecay.",
    );
  }
  const evidence = second ? given && optimizer.readEvidence(given) : (prior ?? (given as EvidenceRule | undefined));
  if (given !== undefined && options.weightDecay !== undefined) {
    throw new OptionError("train: evidence learns the prior, so leave weightDecay out.");
  }
  return { optimizer, evidence, epochs, batchSize, weightDecay, schedule, clipNorm, shuffle, seed };
}
