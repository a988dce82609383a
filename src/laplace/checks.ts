// Assumptions of a Laplace approximation, checked at the fit.

import type { Summary } from "../curvature/accumulate.ts";

/** The share of the samples' gradients that may be left when they are summed. */
const STATIONARY = 0.1;

/**
 * A warning where the loss is not near a stationary point, or undefined. At a minimum the samples' gradients cancel, up
 * to the pull of a prior towards 0, whose strength is not known yet: so the part of the summed gradient that a prior of
 * some precision explains does not count.
 */
export function stationarityWarning(
  { gradient, gradientNorms, examples }: Summary,
  theta: Float64Array,
): string | undefined {
  let [along, square] = [0, 0];
  theta.forEach((weight, i) => {
    along -= gradient[i] * weight;
    square += weight * weight;
  });
  const delta = square === 0 ? 0 : Math.max(0, along / square);
  const rest = Math.hypot(...chunked(gradient.map((g, i) => g + delta * theta[i])));
  if (!(rest > STATIONARY * gradientNorms)) return undefined;
  const norm = Math.hypot(...chunked(gradient)) / examples;
  return `The loss is not near a stationary point: its mean gradient has the norm ${norm.toPrecision(3)}, and ${Math.round((100 * rest) / gradientNorms)} % of the samples' gradients do not cancel. A Laplace approximation is around a minimum: train longer, or with a smaller learning rate at the end. (checks: false turns this off.)`;
}

/** Norms of pieces, so that no call has too many arguments. */
function chunked(values: Float64Array): number[] {
  const norms: number[] = [];
  for (let i = 0; i < values.length; i += 1024) norms.push(Math.hypot(...values.subarray(i, i + 1024)));
  return norms;
}
