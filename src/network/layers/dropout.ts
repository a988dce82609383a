// Dropout.

import { checkNumber, OptionError } from "../../errors.ts";
import { type Layer, requireTraced } from "../layers.ts";
import { dropout as primitive } from "../primitives/training.ts";

/**
 * Dropout (Srivastava et al. 2014): in `train`, each element becomes 0 with the probability `rate` and is divided by
 * 1 − rate otherwise, drawn anew in each step from the training's seed. Everywhere else (outputs, all other derivatives,
 * curvature, posteriors) it is x itself.
 * @param rate at least 0 and below 1
 * @throws OptionError
 */
export function dropout(rate: number): Layer {
  checkNumber("dropout", "rate", rate, 0);
  if (rate >= 1) throw new OptionError(`dropout: rate must be below 1, not ${rate}: nothing would be left.`);
  return (x) => {
    requireTraced("dropout", x);
    return x.trace.emit(primitive, [x], { rate });
  };
}
