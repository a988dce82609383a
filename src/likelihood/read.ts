// Likelihoods by the names of the tasks.

import { checkNumber, OptionError } from "../errors.ts";
import type { Network } from "../network/network.ts";
import { bernoulli } from "./bernoulli.ts";
import { categorical } from "./categorical.ts";
import { gaussian } from "./gaussian.ts";
import type { Likelihood } from "./likelihood.ts";
import { poisson } from "./poisson.ts";

/**
 * A task, which stands for its likelihood: gaussian() on means, categorical() on logits (bernoulli() where there is one),
 * bernoulli() on logits, poisson() on logarithms of rates.
 */
export type Task = "regression" | "classification" | "binary" | "count";

/** A likelihood from a task's name or as it is, checked against the network. @throws OptionError, ShapeError */
export function readLikelihood(where: string, likelihood: Likelihood | Task, net: Network): Likelihood {
  const result = typeof likelihood === "string" ? named(where, likelihood, net) : likelihood;
  if (typeof result?.root !== "function") {
    throw new OptionError(
      `${where}: the likelihood must be gaussian(), categorical(), bernoulli(), poisson() or a task's name.`,
    );
  }
  result.checkNetwork(where, net);
  return result;
}

function named(where: string, task: Task, net: Network): Likelihood {
  if (task === "regression") return gaussian();
  if (task === "classification") return net.graph.output.size === 1 ? bernoulli() : categorical();
  if (task === "binary") return bernoulli();
  if (task === "count") return poisson();
  const list = '"regression", "classification", "binary" or "count"';
  throw new OptionError(`${where}: the likelihood must be ${list}, not "${String(task)}".`);
}

/** A likelihood with another noise. @throws OptionError where it has none, or for one that is not positive */
export function withNoise(where: string, likelihood: Likelihood, noise: number): Likelihood {
  if (likelihood.withNoise === undefined)
    throw new OptionError(`${where}: a ${likelihood.name} likelihood has no noise.`);
  checkNumber(where, "noise", noise, 0, true);
  return likelihood.withNoise(noise);
}
