// What an earlier posterior knows, as the next one's prior.

import type { Plan } from "../curvature/plan.ts";
import { OptionError } from "../errors.ts";
import { atOnce } from "../kernels/steps.ts";
import { factorOf } from "../posterior/evidence.ts";
import { refuseSandwich } from "../posterior/outer-products.ts";
import { refuseSwag } from "../posterior/swag.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { Prior, type PriorMatrix } from "../structures/prior.ts";
import { addsPriors, priorOfPrecision } from "../structures/prior-matrix.ts";
import type { Selection } from "../structures/selection.ts";

/** Makes the prior of a selection. @throws OptionError, ShapeError, ValueError */
export type Source = (where: string, selection: Selection) => Prior;

/** Makes the prior of a plan. @throws as the source; OptionError for a plan of another structure */
export type OverPlan = (where: string, plan: Pick<Plan, "selection" | "structure">) => Prior;

export const overPlan =
  (make: Source): OverPlan =>
  (where, { selection, structure }) => {
    const prior = make(where, selection);
    const own = prior.matrix?.curvature.structure;
    if (own === structure) return prior;
    throw new OptionError(
      `${where}: this prior is for the structure "${own}", not "${structure}": it adds to a curvature.`,
    );
  };

/** The prior that has a posterior's mean and precision. */
export function ofPosterior(where: string, posterior: WeightGaussian, scale = 1): Source {
  const { parts, curvature, selection, theta } = posterior;
  refuseSwag(where, parts);
  refuseSandwich(where, parts);
  if (!addsPriors(curvature)) {
    throw new OptionError(
      `${where}: the posterior must be of the structure "full", "diagonal" or "kronecker", not "${curvature.structure}"; gaussianPrior(posterior.precision()) is the same precision as a matrix, for the structure "full".`,
    );
  }
  let matrix: PriorMatrix | undefined;
  return (who, others) => {
    if (!others.equals(selection)) throw new OptionError(`${who}: the prior is a posterior over other weights.`);
    const { prior, likelihood, temperature, damping } = parts;
    const h = factorOf(likelihood, temperature);
    matrix ??= atOnce(priorOfPrecision(curvature, { precision: () => posterior.factorised, h, prior, damping }));
    return new Prior(others, Float64Array.of(scale), selection.take(theta), matrix);
  };
}
