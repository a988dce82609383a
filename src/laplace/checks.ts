// Assumptions of a Laplace approximation, checked at the fit, and of sums of fits.

import { type CurvatureKind, curvatureOptionNames, type Plan, type Summary } from "../curvature/accumulate.ts";
import { mergeApart, weightedSum } from "../curvature/outputs.ts";
import { Sketch } from "../curvature/sketch.ts";
import { ValueError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type Curvature, sum } from "../structures/curvature.ts";
import type { Selection } from "../structures/selection.ts";
import { rowOf } from "../structures/table.ts";
import type { Fitted } from "./evidence.ts";
import { ofOutput } from "./findings.ts";
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

/** The share of the samples' gradients that may be left when they are summed. */
const STATIONARY = 0.1;
/**
 * A mean gradient that could not change the mean loss by more than this, were the weights twice as large, is none. In nats; of a
 * Gaussian in variances of its residuals, because its loss has the unit of the targets.
 */
const NEGLIGIBLE = 1e-4;
/** Residuals below this share of the function's own size (squared) are none, and no measure. */
const NO_RESIDUAL = 1e-6;

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
 * @param unit of the loss, see `lossUnit`
 */
function stationarity(
  selection: Selection,
  { gradient, gradientNorms, examples }: Fitted,
  weights: Float64Array,
  unit: number,
): Stationarity {
  return judge(gradient, new Sketch(selection).of(weights), { norms: gradientNorms, examples, unit });
}

function judge(
  gradient: Float64Array,
  theta: Float64Array,
  { norms, examples, unit }: { readonly norms: number; readonly examples: number; readonly unit: number },
): Stationarity {
  const delta = Math.max(0, -dot(gradient, theta) / (dot(theta, theta) || 1));
  const size = Math.sqrt(dot(theta, theta));
  const left = gradient.map((slope, i) => slope + delta * theta[i]);
  const rest = Math.sqrt(dot(left, left));
  const near = !(rest > STATIONARY * norms) || rest * size <= NEGLIGIBLE * examples * unit;
  return { near, gradientNorm: Math.sqrt(dot(gradient, gradient)) / examples, share: rest / (norms || 1) };
}

/** What a mean loss is measured by: nats are 1, a Gaussian's squares the mean squared residual. */
function lossUnit(
  curvature: Curvature,
  { examples, loss, losses, apart }: Fitted,
  weights: Float64Array,
  likelihood: Likelihood,
): number {
  if (likelihood.noise === undefined || losses === undefined) return 1;
  // Apart, the fit was at unit noise, whatever was tuned since.
  const fitted = apart === undefined ? loss : losses.reduce((total, one) => total + one, 0);
  const whole = apart === undefined ? curvature : weightedSum(apart, new Float64Array(apart.length).fill(1));
  const diagonal = whole.diagonal().data;
  const change = weights.reduce((total, w, i) => total + w * w * diagonal[i], 0);
  return Math.max(2 * fitted, NO_RESIDUAL * change) / (examples * losses.length);
}

/** What a fit found, and of what. */
interface Found extends Pick<PosteriorParts, "likelihood" | "curvature" | "fitted"> {
  readonly kind: CurvatureKind;
}

/**
 * Whether a fit is near a stationary point of its loss, and each output by itself where that can be told. `output`: the one
 * that is not, though all together are.
 */
export function minimumOf(found: Found, weights: Float64Array): Stationarity & { readonly output?: number } {
  const { curvature, fitted, likelihood } = found;
  const unit = lossUnit(curvature, fitted, weights, likelihood);
  const all = stationarity(curvature.selection, fitted, weights, unit);
  return (all.near && farOutput(found, weights)) || all;
}

/**
 * Of outputs in units of their own, one may be all that the sum of their gradients shows. The weights that only one output
 * sees, those of a dense last layer, tell of each. The norms of its samples' gradients are not kept, but a bound of their sum
 * is: Σ |r_n| ‖a_n‖ ≤ √(Σ r_n² Σ ‖a_n‖²), r the residual and Σ ‖a_n‖² the curvature of these weights.
 */
function farOutput({ curvature, fitted, likelihood, kind }: Found, weights: Float64Array) {
  const { losses, apart, examples, gradient } = fitted;
  const { selection } = curvature;
  const { graph } = selection;
  const { site, size: outputs } = graph.output;
  if (losses === undefined || outputs === 1 || kind === "empiricalFisher") return undefined;
  if (site?.kind !== "linear" || site.outputs !== outputs || site.transposed || graph.uses.get(site)?.length !== 1) {
    return undefined;
  }
  const sketch = new Sketch(selection);
  const theta = sketch.of(weights);
  const last = selection.parameters.filter(
    ({ parameter, chosen }) => chosen === undefined && (parameter === site.weight || parameter === site.bias),
  );
  for (let c = 0; c < outputs; c++) {
    const diagonal = (apart?.[c] ?? curvature).diagonal().data;
    let [squares, change] = [0, 0];
    const [slopes, own]: number[][] = [[], []];
    for (const { parameter, at, size } of last) {
      const row = size / outputs;
      for (let i = at + c * row; i < at + (c + 1) * row; i++) {
        squares += diagonal[i];
        change += weights[i] ** 2 * diagonal[i];
      }
      const width = parameter === site.weight ? sketch.width(site) : 1;
      for (let i = at + c * width; i < at + (c + 1) * width; i++) {
        slopes.push(gradient[i]);
        own.push(theta[i]);
      }
    }
    // Apart, the fit was at unit noise; otherwise gradients and curvature are in units of the noises' ratios.
    const ratio = apart === undefined ? (likelihood.ratios?.[c] ?? 1) : 1;
    const unit = Math.max(2 * losses[c], NO_RESIDUAL * change * ratio ** 2) / examples;
    const one = judge(
      Float64Array.from(slopes, (slope) => slope * ratio ** 2),
      Float64Array.from(own),
      {
        norms: ratio * Math.sqrt(2 * losses[c] * squares),
        examples,
        unit,
      },
    );
    if (!one.near) return { ...one, output: c };
  }
  return undefined;
}

/** A warning where the loss is not near a stationary point, or undefined. */
export function stationarityWarning(
  { curvature, ...fitted }: Summary,
  weights: Float64Array,
  { likelihood, kind }: Plan,
): string | undefined {
  const { near, gradientNorm, share, output } = minimumOf({ curvature, fitted, likelihood, kind }, weights);
  if (near) return undefined;
  return `The loss${ofOutput(output)} is not near a stationary point: its mean gradient has the norm ${gradientNorm.toPrecision(3)}, and ${Math.round(100 * share)} % of the samples' gradients do not cancel. A Laplace approximation is around a minimum: train longer, or with a smaller learning rate at the end. (checks: false turns this off.)`;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** A likelihood's name and options, but for noise, whose ratios are compared by themselves. */
function kindOf({ name, entry }: Likelihood): string {
  return JSON.stringify([name, { ...entry, noise: undefined, ratios: undefined }]);
}

/** @throws ValueError unless two fits were of the same loss at the same parameters; structures and weights check themselves */
export function checkAdd(ours: PosteriorParts, theirs: PosteriorParts): void {
  const refuse = (reason: string): never => {
    throw new ValueError(`merge: ${reason}.`);
  };
  if (ours.theta.length !== theirs.theta.length || !ours.theta.every((x, i) => x === theirs.theta[i])) {
    refuse("the posteriors were fitted at different parameters of the network");
  }
  const [mine, others] = [ours, theirs].map(({ plan }) => plan.net.buffers.data);
  if (mine.length !== others.length || !mine.every((x, i) => x === others[i])) {
    refuse("the posteriors were fitted at different running statistics of the network");
  }
  if (kindOf(ours.likelihood) !== kindOf(theirs.likelihood)) refuse("the likelihoods differ");
  if (ours.plan.kind === "monteCarlo" && theirs.plan.kind === "monteCarlo" && ours.plan.seed === theirs.plan.seed) {
    refuse(
      "both drew their targets from the same seed, so that their errors would add; give each fit a seed of its own",
    );
  }
  const { size, shape } = ours.plan.net.graph.output;
  // At unit noise, a Gaussian's variances of the outputs are the squares of their noises' ratios.
  const [a, b] = [ours, theirs].map(({ likelihood }) => likelihood.targetAt(new Float64Array(size), shape, 1));
  const free = ours.fitted.apart !== undefined && theirs.fitted.apart !== undefined;
  if (
    !free &&
    ours.likelihood.noise !== undefined &&
    !a.variance.every((x, i) => Math.abs(x - b.variance[i]) <= 1e-9 * x)
  ) {
    refuse("the ratios of the outputs' noises differ");
  }
  if (ours.plan.kind !== theirs.plan.kind) refuse(`a "${theirs.plan.kind}" does not add to a "${ours.plan.kind}"`);
  if (rowOf(ours.curvature).agree.includes("sharing") && ours.plan.sharing !== theirs.plan.sharing) {
    refuse(`factors of "${theirs.plan.sharing}" do not add to those of "${ours.plan.sharing}"`);
  }
}

/** What two fits that add are together: at the noise of the first. */
export function merged(
  ours: PosteriorParts,
  theirs: PosteriorParts,
): Pick<PosteriorParts, "curvature" | "fitted" | "tuning"> {
  const [a, b] = [ours.fitted, theirs.fitted];
  const { ratios } = ours.likelihood;
  const apart = mergeApart(a.apart, b.apart);
  const losses = a.losses !== undefined && b.losses !== undefined ? sum(a.losses, b.losses) : undefined;
  // Of curvatures that are kept apart, the others may be at other ratios of the noises.
  const weights = apart?.map((_, c) => (ratios?.[c] ?? 1) ** -2);
  return {
    curvature:
      apart === undefined || weights === undefined
        ? ours.curvature.merge(theirs.curvature)
        : weightedSum(apart, weights),
    tuning: undefined,
    fitted: {
      examples: a.examples + b.examples,
      loss:
        weights === undefined || losses === undefined
          ? a.loss + b.loss
          : losses.reduce((total, one, c) => total + weights[c] * one, 0),
      losses,
      apart,
      constant: a.constant + b.constant,
      gradient: a.gradient.map((x, i) => x + b.gradient[i]),
      gradientNorms: a.gradientNorms + b.gradientNorms,
    },
  };
}
