// Whether a fit is near a minimum of its loss, around which a Laplace approximation is one.

import { dot } from "../array/dot.ts";
import { weightedSum } from "../curvature/outputs-apart.ts";
import { sketchOf } from "../curvature/sketch.ts";
import { atOnce } from "../kernels/steps.ts";
import type { Fit } from "../posterior/fit.ts";
import type { Prior } from "../structures/prior.ts";
import type { Selection } from "../structures/selection.ts";
import { ofOutput } from "./findings.ts";

/** The share of the samples' gradients that may be left when they are summed. */
const STATIONARY = 0.1;
/**
 * A mean gradient that could not change the mean loss by more than this, were the weights twice as large, counts as none. In nats; of a
 * Gaussian in variances of its residuals, because its loss has the unit of the targets.
 */
const NEGLIGIBLE = 1e-4;
/** Residuals below this share of the function's own size (squared) count as none, and measure nothing. */
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
 * @param pull M (θ − μ₀) of a prior with a matrix, which goes another way
 * @param unit of the loss, see `lossUnit`: asked only where gradients are left, for it may need the curvature's diagonal
 */
function stationarity(
  selection: Selection,
  { gradient, gradientNorms, examples }: Fit,
  weights: Float64Array,
  pull: Float64Array | undefined,
  unit: () => number,
): Stationarity {
  const sketch = sketchOf(selection);
  return judge(gradient, sketch.of(weights), { norms: gradientNorms, examples, unit }, pull && sketch.of(pull));
}

function judge(
  gradient: Float64Array,
  theta: Float64Array,
  { norms, examples, unit }: { readonly norms: number; readonly examples: number; readonly unit: () => number },
  pull: Float64Array = theta,
): Stationarity {
  const delta = Math.max(0, -dot(gradient, pull) / (dot(pull, pull) || 1));
  const size = Math.sqrt(dot(theta, theta));
  const rest = Math.sqrt(squareOfSum(gradient, delta, pull));
  const near = !(rest > STATIONARY * norms) || rest * size <= NEGLIGIBLE * examples * unit();
  return { near, gradientNorm: Math.sqrt(dot(gradient, gradient)) / examples, share: rest / (norms || 1) };
}

/** ‖a + δ b‖² */
function squareOfSum(a: Float64Array, delta: number, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] + delta * b[i];
    sum += x * x;
  }
  return sum;
}

/** What a mean loss is measured by: nats are 1, a Gaussian's squares the mean squared residual. */
function lossUnit({ curvature, examples, loss, losses, apart }: Fit, weights: Float64Array): number {
  if (losses === undefined) return 1;
  // Apart, the fit was at unit noise, whatever was tuned since.
  const fitted = apart === undefined ? loss : losses.reduce((total, one) => total + one, 0);
  const whole = apart === undefined ? curvature : atOnce(weightedSum(apart, new Float64Array(apart.length).fill(1)));
  const diagonal = whole.diagonal().data;
  const change = weights.reduce((total, w, i) => total + w * w * diagonal[i], 0);
  return Math.max(2 * fitted, NO_RESIDUAL * change) / (examples * losses.length);
}

/**
 * Whether a fit is near a stationary point of its loss, and each output by itself where that can be told. `output`: the one
 * that is not, though all together are.
 */
export function minimumOf(fit: Fit, { matrix, mean }: Prior): Stationarity & { readonly output?: number } {
  const { selection } = fit.curvature;
  const weights = selection.take(fit.of.theta);
  const pull = matrix && atOnce(matrix.times(weights.map((x, i) => x - mean[i])));
  const all = stationarity(selection, fit, weights, pull, () => lossUnit(fit, weights));
  return (all.near && farOutput(fit, weights, pull)) || all;
}

/**
 * Of outputs in units of their own, one may be all that the sum of their gradients shows. The weights that only one output
 * sees, those of a dense last layer, tell of each. The norms of its samples' gradients are not kept, but a bound of their sum
 * is: Σ |r_n| ‖a_n‖ ≤ √(Σ r_n² Σ ‖a_n‖²), r the residual and Σ ‖a_n‖² the curvature of these weights.
 */
function farOutput(
  { of, curvature, losses, apart, examples, gradient }: Fit,
  weights: Float64Array,
  pull: Float64Array | undefined,
) {
  const { likelihood, kind } = of;
  const { selection } = curvature;
  const { graph } = selection;
  const { site, size: outputs } = graph.output;
  if (losses === undefined || !likelihood.normal || outputs === 1 || kind === "empiricalFisher") return undefined;
  if (site?.kind !== "linear" || site.outputs !== outputs || site.transposed || graph.uses.get(site)?.length !== 1) {
    return undefined;
  }
  const sketch = sketchOf(selection);
  const theta = sketch.of(weights);
  const pulled = sketch.of(pull ?? weights);
  const last = selection.parameters.filter(
    ({ parameter, chosen }) => chosen === undefined && (parameter === site.weight || parameter === site.bias),
  );
  for (let c = 0; c < outputs; c++) {
    const diagonal = (apart?.[c] ?? curvature).diagonal().data;
    let [squares, change] = [0, 0];
    const [slopes, own, pulls]: number[][] = [[], [], []];
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
        pulls.push(pulled[i]);
      }
    }
    // Apart, the fit was at unit noise; otherwise gradients and curvature are in units of the noises' ratios.
    const ratio = apart === undefined ? likelihood.hyper.ratio(c) : 1;
    const unit = () => Math.max(2 * losses[c], NO_RESIDUAL * change * ratio ** 2) / examples;
    const one = judge(
      Float64Array.from(slopes, (slope) => slope * ratio ** 2),
      Float64Array.from(own),
      {
        norms: ratio * Math.sqrt(2 * losses[c] * squares),
        examples,
        unit,
      },
      Float64Array.from(pulls),
    );
    if (!one.near) return { ...one, output: c };
  }
  return undefined;
}

/** A warning where the loss is not near a stationary point, or undefined. */
export function stationarityWarning(fit: Fit, prior: Prior): string | undefined {
  const { near, gradientNorm, share, output } = minimumOf(fit, prior);
  if (near) return undefined;
  return `The loss${ofOutput(output)} is not near a stationary point: its mean gradient has the norm ${gradientNorm.toPrecision(3)}, and ${Math.round(100 * share)} % of the samples' gradients do not cancel. A Laplace approximation is around a minimum: train longer, or with a smaller learning rate at the end. (checks: false turns this off.)`;
}
