// The noise of a table's model.

import type { TableModel } from "laplace-ts";

/** The standard deviation of the noise, in the target's units; undefined for classes. */
export function noiseOf({ encoding: { target }, posterior }: TableModel): number | undefined {
  const noise = posterior.noise?.data[0];
  return target.kind === "number" && noise !== undefined ? noise * target.sd : undefined;
}
