// What a likelihood must know. Its loss is the negative log density of a target given the network's outputs f, without
// constants and at hyperparameters of 1; sums run over the samples.

import type { NDArray } from "../array/ndarray.ts";
import type { Random } from "../array/random.ts";
import { LaplaceError, refuseJson } from "../errors.ts";
import { bytesPerElement, inMemory, type Pointer } from "../kernels/memory.ts";
import type { ClassAxis } from "../losses/classes.ts";
import type { LossRule } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import type { Outputs } from "../network/part-outputs.ts";
import type { Which } from "../network/run.ts";
import { endOf, labelOf } from "../network/summary.ts";
import type { HeadOf } from "./head.ts";
import type { Hyper } from "./hyper.ts";

/** What of a Gaussian over outputs is looked at: "variance" are those of the outputs, "covariance" those within groups. */
export type Needs = "mean" | "variance" | "covariance";

/** A Gaussian over the outputs of B examples: what a linearised posterior says of them. */
export interface FunctionDistribution {
  readonly batch: number;
  readonly outputs: number;
  /** [B, C] */
  readonly mean: Float64Array;
  /** [B, C]; zeros where only the mean is needed. */
  readonly variance: Float64Array;
  /** The covariances within the likelihood's groups of n outputs, [B, C/n, n, n], where they are needed. */
  readonly covariance?: Float64Array | undefined;
  /** n, the size of an output block; as `covariance` has it, or C, where it is left out. */
  readonly block?: number | undefined;
}

/** The outputs that one target depends on, for which Λ has a block: `size` of them, `step` apart. */
export interface OutputBlock {
  readonly size: number;
  readonly step: number;
}

/** Mean and variance of a target, for each output. Of classes, the means are the probabilities. */
export interface TargetDistribution {
  /** [B, C] */
  readonly mean: Float64Array;
  /** [B, C] */
  readonly variance: Float64Array;
}

/** What is predicted of one output: mean and variance of the target, and those of the function. */
export interface PredictedNumber {
  readonly mean: number;
  readonly variance: number;
  readonly functionMean: number;
  readonly functionVariance: number;
}

/**
 * Uncertainty of targets in parts: of numbers their variance, of labels and classes the entropy in nats, [B, C], of classes
 * [B, groups].
 */
export interface UncertaintyParts {
  readonly total: Float64Array;
  /** What is left once the function is known. */
  readonly aleatoric: Float64Array;
  /** The rest, where it is known to more digits than as a difference. */
  readonly epistemic?: Float64Array | undefined;
}

/** What predicts without looking at the inputs. */
export interface Baseline {
  /** How many numbers it takes from the targets of an output. */
  readonly numbers: number;
  /** What they are, in words. */
  readonly words: string;
  /** Fitted to the targets of one output: −log density of a target. */
  fit(targets: Float64Array): (target: number) => number;
}

/** What likelihoods of rows answer: of outputs of which several have a target together that is not a class. */
export interface Rows {
  /** T, the numbers of a target: those of a row's first outputs, the others are 0 where targets are shaped like outputs. */
  readonly numbers: number;
  /** The shape of targets, and of what is predicted of them, for outputs of that shape. */
  targetShape(shape: readonly number[]): readonly number[];
  /** log ∫ density(y; f) N(f; m, V) df of each row, for targets [rows, T]. */
  logDensities(targets: Float64Array, f: FunctionDistribution): Float64Array;
  /** tr(ΛV) of each row. */
  informations(f: FunctionDistribution): Float64Array;
  /** −log density of each of the targets [rows, T] under the one row of outputs that fits all of them best. */
  baseline(targets: Float64Array): Float64Array;
}

/** What a file says of a likelihood. */
export type LikelihoodEntry = Readonly<Record<string, unknown>>;

/** The stream of an example of a part, which lasts until the next one is asked for. */
export type Draws = (example: number) => Random;

/** How random approximations draw. */
export interface Draw {
  readonly samples: number;
  readonly seed: number;
}

/**
 * The kinds of likelihoods, by what is predicted: "normal", numbers with a normal distribution, of gaussian(), or "varying" ones, of
 * heteroscedastic(); other "numbers", of
 * poisson() and defineLikelihood(); "labels" 0 and 1, of bernoulli(); "classes", of categorical(). Types keep it, so that
 * `evaluate` gives the metrics of the likelihood that a posterior has.
 */
export type LikelihoodKind = "normal" | "varying" | "numbers" | "labels" | "classes";

/** What they say of their targets. */
interface Kinds {
  readonly normal: { readonly targets: "numbers"; readonly normal: true };
  readonly varying: { readonly targets: "numbers"; readonly normal: true };
  readonly numbers: { readonly targets: "numbers"; readonly normal: false };
  readonly labels: { readonly targets: "labels"; readonly normal: false };
  readonly classes: { readonly targets: "classes"; readonly normal: false };
}

/**
 * The density of a target given a network's outputs: made by gaussian(), categorical(), bernoulli(), poisson() or
 * defineLikelihood(). It is a loss too.
 */
export interface Likelihood<Kind extends LikelihoodKind = LikelihoodKind> extends LossRule {
  /**
   * What targets are: numbers, labels 0 and 1 of each output, or classes, one of a group of outputs. Metrics, findings and
   * uncertainty are those of numbers, or of probabilities.
   */
  readonly targets: Kinds[Kind]["targets"];
  /** Whether a target that is predicted is normal: its mean and variance say all, and intervals are theirs. */
  readonly normal: Kinds[Kind]["normal"];
  /** The numbers beside the outputs that are tuned: a Gaussian's noise. */
  readonly hyper: Hyper;
  /** Of counts: α of the variance rate + α rate², their log rate being the output. */
  readonly dispersion?: number | undefined;
  /** The axis of classes, where it was named. */
  readonly classAxis?: ClassAxis | undefined;
  /** The value of targets that are left out. */
  readonly ignoredLabel?: number | undefined;
  /** Refuses networks whose outputs are not what the likelihood takes. @throws LaplaceError, ShapeError */
  checkNetwork(where: string, net: Network): void;
  /** The groups of an example's outputs of that shape. */
  group(shape: readonly number[]): OutputBlock;
  /** The number K of columns of Λ^½ for an example's outputs of that shape. */
  rootColumns(shape: readonly number[]): number;
  /** Whether Λ is that at the data's own targets, not in the mean over targets. */
  readonly observed?: boolean | undefined;
  /** Writes some of the columns c_k with Σ_k c_k c_kᵀ = Λ = ∂²ℓ/∂f², [count, B, C]; of targets t. @throws ValueError */
  root(outputs: Outputs, which: Which, to: Pointer, t: Pointer): void;
  /**
   * Writes ∂²ℓ/∂f² at targets t times a tangent of the outputs, [B, C]; "root" where that is Λ, whatever the targets; missing where it
   * is not known.
   */
  readonly curve?: "root" | ((outputs: Outputs, t: Pointer, tangent: Pointer, to: Pointer) => void) | undefined;
  /** The last layers of networks behind which columns are known in closed form. */
  readonly head?: HeadOf | undefined;
  /** Writes ∂ℓ/∂f for targets drawn from the likelihood itself, [B, C]: its outer product has the mean Λ. */
  drawColumn(outputs: Outputs, draws: Draws, to: Pointer): void;
  /** Σ of what the loss leaves out of −log density and what depends on the targets only. */
  constant(targets: NDArray): number;
  /** Names of the approximations of `target`, the default first. */
  readonly links: readonly string[];
  /** What of the function's distribution an approximation looks at. */
  needs(link: string): Needs;
  /** The distribution of a target whose function value has this distribution. */
  target(link: string, f: FunctionDistribution, draw: Draw): TargetDistribution;
  /** The distribution of a target at fixed function values of examples whose outputs have that shape. */
  targetAt(f: Float64Array, shape: readonly number[]): TargetDistribution;
  /**
   * Of labels, the logarithms of their probabilities, also where those round to 1 or to 0: of classes [B, C], shaped like
   * the outputs; of binary labels those of 0 and of 1, [B, C, 2].
   */
  logProbabilities?(link: string, f: FunctionDistribution, draw: Draw): Float64Array;
  /** Of numbers: the log density of a target of output c under a prediction, all constants included. */
  logDensity?(target: number, predicted: PredictedNumber): number;
  /** Of targets that several outputs have together, and that are not classes. */
  readonly rows?: Rows | undefined;
  /** Λ of output c at a prediction, over σ_c²; of classes its diagonal without what they share; not of rows. */
  information(predicted: PredictedNumber, c: number): number;
  /** Where the uncertainty of targets is from. Of classes it looks at covariances. */
  uncertainty(f: FunctionDistribution, draw: Draw): UncertaintyParts;
  readonly baseline: Baseline;
  /** This likelihood with other hyperparameters: one number changes σ, a list all σ_c; undefined where it has none. */
  withHyper?(value: number | readonly number[]): Likelihood<Kind>;
  /** What a file says of it, besides its name and `hyper`; two likelihoods of one name that agree in it are the same, but for that. */
  readonly entry: LikelihoodEntry;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a likelihood, which is made of functions: make it again from its options";

/**
 * A likelihood that refuses to be copied in part. What it has of a loss's rule is named in the literal: spread before so many
 * others it would take a hundred times as long, and tuning makes a likelihood at each point.
 */
export function likelihoodOf<Kind extends LikelihoodKind>(likelihood: Likelihood<Kind>): Likelihood<Kind> {
  return refuseJson(likelihood, copies);
}

export function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Frequencies of labels; of `both` their absence counts too. */
export const frequencies = (both: boolean): Baseline => ({
  numbers: 1,
  words: "the frequencies of the labels",
  fit(targets) {
    const level = meanOf(targets);
    const [one, zero] = [Math.log(level), Math.log1p(-level)];
    // 0 log 0 = 0: soft targets and absent classes.
    const cross = (t: number, log: number) => (t === 0 ? 0 : -t * log);
    return (t) => cross(t, one) + (both ? cross(1 - t, zero) : 0);
  },
});

/** The groups of a likelihood whose outputs stand each for itself: of one output. */
export const alone = (): OutputBlock => ({ size: 1, step: 1 });

/**
 * Writes columns with one entry each, `entry` of an example's number and an output's: Λ^½ where Λ is diagonal.
 */
export function writeDiagonal(
  { kernels, dtype, batch, outputs }: Outputs,
  { first, count }: Which,
  to: Pointer,
  entry: (i: number, k: number) => number,
): void {
  kernels.fill(count * batch * outputs, 0, to);
  const start = to / bytesPerElement(dtype);
  inMemory(dtype, (memory) => {
    for (let column = 0; column < count; column++) {
      const k = first + column;
      for (let b = 0; b < batch; b++) memory[start + (column * batch + b) * outputs + k] = entry(b * outputs + k, k);
    }
  });
}

/** Mean and variance of a mixture: of targets whose distributions were given in turn. */
export class Mixture {
  #count = 0;
  readonly #sum: Float64Array;
  readonly #second: Float64Array;

  constructor(size: number) {
    this.#sum = new Float64Array(size);
    this.#second = new Float64Array(size);
  }

  add({ mean, variance }: TargetDistribution): void {
    this.#count++;
    const n = this.#count;
    for (let i = 0; i < mean.length; i++) {
      // Welford's update keeps the digits of a small variance around a large mean, and the mean among what was given.
      const before = mean[i] - this.#sum[i];
      if (!Number.isFinite(before)) {
        // What has overflowed stays infinite; two finite numbers far apart have a mean all the same.
        const finite = Number.isFinite(mean[i]) && Number.isFinite(this.#sum[i]);
        this.#sum[i] = finite ? this.#sum[i] + (mean[i] / n - this.#sum[i] / n) : this.#sum[i] + mean[i];
        this.#second[i] = Number.POSITIVE_INFINITY;
        continue;
      }
      this.#sum[i] += before / n;
      this.#second[i] += before * (mean[i] - this.#sum[i]) + variance[i];
    }
  }

  finish(): TargetDistribution {
    return { mean: this.#sum, variance: this.#second.map((sum) => sum / this.#count) };
  }
}

/** @throws LaplaceError for a network that ends in an activation which a likelihood applies itself */
export function refuseEnding(where: string, net: Network, activation: string, instead: string): void {
  if (labelOf(endOf(net.graph.output)) !== activation) return;
  throw new LaplaceError(`${where}: the network ends in ${activation}, ${instead} Leave the ${activation} out.`);
}

/** @throws LaplaceError for a network that ends in sigmoid, where a likelihood takes logits; softmax is refused before */
export function refuseSigmoid(where: string, net: Network): void {
  refuseEnding(
    where,
    net,
    "sigmoid",
    "but the likelihood takes logits: it turns them into probabilities itself, which is exact where those round to 0 or 1.",
  );
}
