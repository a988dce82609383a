// The noise of a table's model.

import type { TableModel } from "laplace-ts";

/** The standard deviation of the noise, in the target's units; undefined for classes. */
export function noiseOf({ encoding: { target }, posterior }: TableModel): number | undefined {
  const { hyper } = posterior.likelihood;
  return target.kind === "number" && hyper.any ? hyper.value * target.sd : undefined;
}
