// Networks of one number, of which there is a best.

import { OptionError } from "../errors.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";

/** @throws OptionError for a function of several values, of which none is the best */
export function checkOneOutput(where: string, { net }: WeightGaussian): void {
  const { size } = net.graph.output;
  if (size === 1) return;
  throw new OptionError(`${where}: the best input is that of one number, but the network has ${size} outputs.`);
}
