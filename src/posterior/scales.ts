// What is large and small for a problem: numbers that tuning begins at and measures by. They change with the units of inputs
// and targets as the optimum does, so that nothing depends on the units.

import type { Prior } from "../structures/prior.ts";
import { MOST_LOG } from "./maximise.ts";
import type { Scales } from "./tuning.ts";

/** Targets that share a hyperparameter: all, or those of one output. */
export interface NoiseGroup {
  /** Their part of the curvature's diagonal at σ = 1, [S]. */
  readonly diagonal: Float64Array;
  /** Their loss at σ = 1: of a Gaussian half the sum of their squared residuals. */
  readonly loss: number;
  /** How many they are. */
  readonly count: number;
  /** σ now, which stays where nothing else is known. */
  readonly value: number;
  /** The σ that a loss of so many targets shows. */
  shownBy(loss: number, count: number): number;
}

const sumOf = (values: Float64Array) => values.reduce((sum, x) => sum + x, 0);

/**
 * The root of the mean squared residual; where there are none, e⁻³⁰ times the root of the mean squared change of the function
 * by all weights, θ − μ₀.
 */
function noiseOf({ diagonal, loss, count, value, shownBy }: NoiseGroup, squares: Float64Array): number {
  const change = Math.sqrt(sumOf(squares.map((d, i) => d * diagonal[i])) / count);
  const scale = Math.max(shownBy(loss, count), change * Math.exp(-MOST_LOG));
  return usable(scale) ? scale : value;
}

const usable = (x: number) => x > 0 && Number.isFinite(x);

/**
 * The scales of a prior and of noises. With c weights and a curvature of h λ for each, the evidence is stationary at δ ‖θ − μ₀‖² =
 * c h λ / (h λ + δ) (MacKay 1992): a quadratic equation, whose root this is, with the mean of the diagonal for λ.
 * @param squares (θ − μ₀)², [S]
 * @param h 1 / (σ² T) of noise that is not tuned; undefined where the groups' own take its place
 */
export function scalesOf(
  prior: Prior,
  squares: Float64Array,
  groups: readonly NoiseGroup[],
  temperature: number,
  h: number | undefined,
): Scales {
  const noise = h === undefined ? Float64Array.from(groups, (group) => noiseOf(group, squares)) : new Float64Array();
  const sizes = prior.sums(squares);
  const curvature = new Float64Array(sizes.length);
  groups.forEach(({ diagonal }, g) => {
    const factor = h ?? 1 / (noise[g] ** 2 * temperature);
    prior.sums(diagonal).forEach((sum, i) => {
      curvature[i] += factor * sum;
    });
  });
  const precision = prior.counts().map((count, i) => {
    const [free, known] = [count / sizes[i], curvature[i] / count];
    const both = (2 * free) / (1 + Math.sqrt(1 + (4 * free) / known));
    return [both, free, known].find(usable) ?? prior.precision[i];
  });
  return { precision, noise };
}
