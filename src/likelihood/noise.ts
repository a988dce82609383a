// A likelihood with another noise.

import { type ArrayLike, asArray, shapeText } from "../array/ndarray.ts";
import { checkNumber, OptionError, ShapeError, ValueError } from "../errors.ts";
import type { Likelihood } from "./likelihood.ts";

/**
 * A likelihood with other hyperparameters: a number, or one for each of several outputs, whose ratios are those it was made with
 * unless `any` will do.
 * @throws OptionError where it has none, or for one that is not positive; ShapeError, ValueError for several that do not fit
 */
export function withNoise(
  where: string,
  likelihood: Likelihood,
  noise: ArrayLike,
  outputs: number,
  any: boolean,
): Likelihood {
  const { hyper, withHyper: make } = likelihood;
  if (make === undefined) throw new OptionError(`${where}: a ${likelihood.name} likelihood has no noise.`);
  if (typeof noise === "number") {
    checkNumber(where, "noise", noise, 0, true);
    return make(noise);
  }
  const given = asArray(noise);
  if (given.rank !== 1 || given.size !== outputs) {
    throw new ShapeError(
      `${where}: noise must be one number, or one for each of the ${outputs} outputs, not of shape ${shapeText(given.shape)}.`,
    );
  }
  const values = Array.from(given.data);
  for (const sigma of values) checkNumber(where, "noise", sigma, 0, true);
  if (any) return make(values);
  const mean = Math.exp(values.reduce((sum, sigma) => sum + Math.log(sigma), 0) / outputs);
  if (values.some((sigma, c) => Math.abs(sigma / mean / hyper.ratio(c) - 1) > 1e-6)) {
    throw new ValueError(
      `${where}: the noises have other ratios than those of the fit (${(hyper.ratios ?? [1]).map((r) => r.toPrecision(4)).join(", ")}), which the curvature was computed with. Fit again with gaussian({ noise: [${values.join(", ")}] }).`,
    );
  }
  return make(mean);
}
