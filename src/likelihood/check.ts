// A likelihood that was given, and the network that it is for.

import { OptionError } from "../errors.ts";
import type { Network } from "../network/network.ts";
import type { Likelihood } from "./likelihood.ts";

/** A likelihood, checked against the network. @throws OptionError, ShapeError */
export function checkLikelihood(where: string, likelihood: Likelihood, net: Network): Likelihood {
  if (typeof likelihood?.root !== "function") {
    const call = typeof likelihood === "function" ? " It is a function: call it, as in gaussian()." : "";
    throw new OptionError(
      `${where}: the likelihood must be gaussian(), heteroscedastic(), categorical(), bernoulli(), poisson(), one of defineLikelihood or a task's name.${call}`,
    );
  }
  likelihood.checkNetwork(where, net);
  return likelihood;
}
