// A fit's sums over its examples, as a value: shards of data, workers and machines each give one, and they add.

import { isPromise } from "../array/entries.ts";
import type { Drawn, Summary } from "../curvature/accumulate.ts";
import { addSums, atRatios } from "../curvature/add.ts";
import type { InputSums } from "../curvature/input-sums.ts";
import { sharing } from "../curvature/outputs-apart.ts";
import type { CurvatureKind } from "../curvature/plan.ts";
import { checkNumber, refuseCopies, ValueError } from "../errors.ts";
import { atOnce, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import { type Curvature, multiple, type Sharing } from "../structures/curvature.ts";
import { rowOf } from "../structures/table.ts";

/** What a fit is of: sums add only where all of this is the same. */
export interface FitOf {
  readonly net: Network;
  /** The network's flat parameters at the fit, [P]. */
  readonly theta: Float64Array;
  readonly likelihood: Likelihood;
  readonly kind: CurvatureKind;
  readonly samples: number;
  readonly seed: number;
  readonly sharing: Sharing;
  /** Whether its eigenbases were given. */
  readonly basis: boolean;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a fit: saveFit(fit) makes bytes of it, which loadFit reads";

/**
 * Sums over the examples of a fit, at unit noise: the curvature, the loss and its gradient. `laplace(…).sum(data)` gives it,
 * `laplace(…).posterior(fit)` makes a posterior of it, `saveFit` bytes. Immutable.
 */
export class Fit implements Summary {
  /** @internal */
  readonly of: FitOf;
  /** The curvature of the summed loss. */
  readonly curvature: Curvature;
  /** N, the number of examples. */
  readonly examples: number;
  /** Σ_n ℓ_n, without constants. */
  readonly loss: number;
  /** @internal Of "monteCarlo": where its examples lie in the data, in order. */
  readonly drawn: readonly Drawn[] | undefined;
  /** @internal */
  readonly losses: Float64Array | undefined;
  /** @internal */
  readonly apart: readonly Curvature[] | undefined;
  /** Σ of what depends on the targets only. */
  readonly constant: number;
  /** @internal */
  readonly gradient: Float64Array;
  /** Σ_n ‖∂ℓ_n/∂θ‖ */
  readonly gradientNorms: number;
  /** @internal Not in files. */
  readonly inputs: InputSums | undefined;

  constructor(of: FitOf, sums: Summary) {
    this.of = of;
    this.curvature = sums.curvature;
    this.examples = sums.examples;
    this.loss = sums.loss;
    this.drawn = sums.drawn;
    this.losses = sums.losses;
    this.apart = sums.apart;
    this.constant = sums.constant;
    this.gradient = sums.gradient;
    this.gradientNorms = sums.gradientNorms;
    this.inputs = sums.inputs;
    refuseCopies(this, copies);
  }

  /**
   * The sums over the examples of both, of the same network with the same options. Fits of "monteCarlo" keep which places of the
   * data they drew at: those of both add to one pass's.
   * @throws ValueError for fits that do not add; for "monteCarlo" with the same draws twice
   */
  merge(other: Fit): Fit {
    checkIsFit("merge", other);
    checkAdd(this, other);
    return new Fit(this.of, addSums(this, other, this.of.likelihood));
  }

  /** A multiple of the sums, as though each example were there so many times. @throws OptionError unless the factor is positive */
  scale(factor: number): Fit {
    checkNumber("scale", "factor", factor, 0, true);
    const scaled = (one: Curvature) => one.scale(factor);
    return new Fit(this.of, {
      curvature: scaled(this.curvature),
      examples: factor * this.examples,
      loss: factor * this.loss,
      drawn: this.drawn,
      losses: this.losses && multiple(this.losses, factor),
      apart: this.apart && sharing(this.apart.map(scaled)),
      constant: factor * this.constant,
      gradient: multiple(this.gradient, factor),
      gradientNorms: factor * this.gradientNorms,
      inputs: this.inputs,
    });
  }

  /**
   * @internal The same at a likelihood's ratios of the noises: sums of what the outputs' own curvatures and losses are at unit
   * noise, where these are kept apart.
   */
  at(likelihood: Likelihood): Fit {
    return atOnce(this.going(likelihood));
  }

  /** @internal `at` in steps. */
  *going(likelihood: Likelihood): Steps<Fit> {
    const { apart, losses, of } = this;
    if (apart === undefined || losses === undefined) return this;
    const same = (_: Curvature, c: number) => likelihood.hyper.ratio(c) === of.likelihood.hyper.ratio(c);
    if (apart.every(same)) return this;
    return new Fit({ ...of, likelihood }, { ...this, ...(yield* atRatios(apart, losses, likelihood, this.loss)) });
  }

  /** A line of what this is. */
  toString(): string {
    const { curvature, examples, of } = this;
    return `Fit(${of.likelihood.name}, ${curvature.structure}, ${curvature.size} weights, ${examples} examples)`;
  }
}

/** @throws ValueError unless two fits were of the same loss at the same parameters; structures and weights check themselves */
function checkAdd(ours: Fit, theirs: Fit): void {
  checkSameOf("merge", ours.of, theirs.of, ours.apart !== undefined && theirs.apart !== undefined);
  const refuse = (reason: string): never => {
    throw new ValueError(`merge: ${reason}.`);
  };
  const [mine, others] = [ours.of, theirs.of];
  if (rowOf(ours.curvature).agree.includes("sharing") && mine.sharing !== others.sharing) {
    refuse(`factors of "${others.sharing}" do not add to those of "${mine.sharing}"`);
  }
}

/**
 * @param free whether the ratios of the noises may differ
 * @throws ValueError unless two fits are of the same loss at the same parameters
 */
export function checkSameOf(where: string, ours: FitOf, theirs: FitOf, free: boolean): void {
  const refuse = (reason: string): never => {
    throw new ValueError(`${where}: ${reason}.`);
  };
  if (ours.theta.length !== theirs.theta.length || !ours.theta.every((x, i) => x === theirs.theta[i])) {
    refuse("the two were fitted at different parameters of the network");
  }
  const [mine, others] = [ours, theirs].map(({ net }) => net.buffers.data);
  if (mine.length !== others.length || !mine.every((x, i) => x === others[i])) {
    refuse("the two were fitted at different running statistics of the network");
  }
  if (kindOf(ours.likelihood) !== kindOf(theirs.likelihood)) refuse("the likelihoods differ");
  const [a, b] = [ours, theirs].map(({ likelihood, net }) =>
    Array.from({ length: net.graph.output.size }, (_, c) => likelihood.hyper.ratio(c) ** 2),
  );
  if (!free && !a.every((x, c) => Math.abs(x - b[c]) <= 1e-9 * x)) refuse("the ratios of the outputs' noises differ");
  if (ours.kind !== theirs.kind) refuse(`a "${theirs.kind}" does not add to a "${ours.kind}"`);
}

/** A likelihood's name and options, but for hyperparameters, whose ratios are compared by themselves. */
function kindOf({ name, entry }: Likelihood): string {
  return JSON.stringify([name, entry]);
}

/** @throws ValueError for what is not a fit */
export function checkIsFit(where: string, value: unknown): asserts value is Fit {
  if (value instanceof Fit) return;
  const advice = isPromise(value) ? " It is a promise: write await before it." : "";
  throw new ValueError(`${where}: expected a fit, such as await laplace(…).sum(data) gives.${advice}`);
}
