// Metrics of predicted counts.

import type { ArrayLike } from "../array/ndarray.ts";
import { ValueError } from "../errors.ts";
import { logCountDensity } from "../likelihood/poisson.ts";
import { checkVariance, readNumbers } from "./metric-inputs.ts";

/**
 * The mean negative log likelihood of counts whose log rate is Gaussian, −log ∫ Poisson(y; eᶠ) N(f; m, v) df, in nats: the
 * density of the Poisson–log-normal mixture (Aitchison & Ho, 1989), which is that of a linearised posterior's counts, to about
 * 1e-12 by quadrature. With v = 0 it is that of Poisson counts. A proper scoring rule; it averages over outputs too.
 *
 * `const { functionMean, functionVariance } = posterior.predict(x);`
 * @param functionMean m, [N] or [N, C] @param functionVariance v, the same, at least 0 @param counts the same
 * @throws ShapeError for shapes that differ, or no samples; ValueError for what is not a variance or not a count
 */
export function poissonNegativeLogLikelihood(
  functionMean: ArrayLike,
  functionVariance: ArrayLike,
  counts: ArrayLike,
): number {
  const where = "poissonNegativeLogLikelihood";
  const [m, v, y] = readNumbers(where, { functionMean, functionVariance, counts }).columns;
  checkVariance(where, v, false);
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    if (!Number.isInteger(y[i]) || y[i] < 0) {
      throw new ValueError(`${where}: ${y[i]} (element ${i}) is not a count: expected 0, 1, 2 and so on.`);
    }
    sum -= logCountDensity(y[i], m[i], v[i]);
  }
  return sum / y.length;
}
