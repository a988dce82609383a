// Assumptions of a Laplace approximation, checked at the fit, and of sums of fits.

import { curvatureOptionNames, type Summary } from "../curvature/accumulate.ts";
import type { Selection } from "../curvature/selection.ts";
import { Sketch } from "../curvature/sketch.ts";
import { ValueError } from "../errors.ts";
import type { Fitted } from "./evidence.ts";
import type { PosteriorParts } from "./posterior.ts";

/** The names of the options of `laplace`. */
export const laplaceOptionNames: readonly string[] = [
  "likelihood",
  "priorPrecision",
  "priorMean",
  "temperature",
  "damping",
  "checks",
  "memoryBudget",
  "onWarning",
  ...curvatureOptionNames,
];

/** The share of the samples' gradients that may be left when they are summed. */
const STATIONARY = 0.1;
/** A mean gradient that could not change the mean loss by more than this, were the weights twice as large, is none. */
const NEGLIGIBLE = 1e-4;

/** How far a fit is from a stationary point of its loss. */
export interface Stationarity {
  /** Whether it is near enough. */
  readonly near: boolean;
  /** The norm of the mean gradient, of a `Sketch`. */
  readonly gradientNorm: number;
  /** The share of the samples' gradients that neither cancel nor are a prior's pull. */
  readonly share: number;
}

/**
 * Whether a loss is near a stationary point. At a minimum the samples' gradients cancel, up to the pull of a prior towards
 * 0, whose strength is not known yet: so the part of the summed gradient that a prior of some precision explains does not
 * count.
 */
export function stationarity(
  selection: Selection,
  { gradient, gradientNorms, examples }: Fitted,
  weights: Float64Array,
): Stationarity {
  const theta = new Sketch(selection).of(weights);
  const delta = Math.max(0, -dot(gradient, theta) / (dot(theta, theta) || 1));
  const size = Math.sqrt(dot(theta, theta));
  for (let i = 0; i < theta.length; i++) theta[i] = gradient[i] + delta * theta[i];
  const rest = Math.sqrt(dot(theta, theta));
  const near = !(rest > STATIONARY * gradientNorms) || rest * Math.max(size, 1) <= NEGLIGIBLE * examples;
  return { near, gradientNorm: Math.sqrt(dot(gradient, gradient)) / examples, share: rest / (gradientNorms || 1) };
}

/** A warning where the loss is not near a stationary point, or undefined. */
export function stationarityWarning({ curvature, ...fitted }: Summary, weights: Float64Array): string | undefined {
  const { near, gradientNorm, share } = stationarity(curvature.selection, fitted, weights);
  if (near) return undefined;
  return `The loss is not near a stationary point: its mean gradient has the norm ${gradientNorm.toPrecision(3)}, and ${Math.round(100 * share)} % of the samples' gradients do not cancel. A Laplace approximation is around a minimum: train longer, or with a smaller learning rate at the end. (checks: false turns this off.)`;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** @throws ValueError unless two fits were of the same loss at the same parameters; structures and weights check themselves */
export function checkAdd(ours: PosteriorParts, theirs: PosteriorParts): void {
  const refuse = (reason: string): never => {
    throw new ValueError(`merge: ${reason}.`);
  };
  if (ours.theta.length !== theirs.theta.length || !ours.theta.every((x, i) => x === theirs.theta[i])) {
    refuse("the posteriors were fitted at different parameters of the network");
  }
  if (ours.likelihood.name !== theirs.likelihood.name) refuse("the likelihoods differ");
  if (ours.plan.kind === "monteCarlo" && theirs.plan.kind === "monteCarlo" && ours.plan.seed === theirs.plan.seed) {
    refuse(
      "both drew their targets from the same seed, so that their errors would add; give each fit a seed of its own",
    );
  }
  const outputs = ours.plan.net.graph.output.size;
  // At unit noise, a Gaussian's variances of the outputs are the squares of their noises' ratios.
  const [a, b] = [ours, theirs].map(({ likelihood }) => likelihood.targetAt(new Float64Array(outputs), outputs, 1));
  if (ours.likelihood.noise !== undefined && !a.variance.every((x, i) => Math.abs(x - b.variance[i]) <= 1e-9 * x)) {
    refuse("the ratios of the outputs' noises differ");
  }
  if (ours.plan.kind !== theirs.plan.kind) refuse(`a "${theirs.plan.kind}" does not add to a "${ours.plan.kind}"`);
  if (ours.curvature.structure === "kronecker" && ours.plan.sharing !== theirs.plan.sharing) {
    refuse(`factors of "${theirs.plan.sharing}" do not add to those of "${ours.plan.sharing}"`);
  }
}
