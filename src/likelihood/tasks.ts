// Likelihoods by the names of the tasks.

import { OptionError } from "../errors.ts";
import type { Network } from "../network/network.ts";
import { bernoulli } from "./bernoulli.ts";
import { categorical } from "./categorical.ts";
import { checkLikelihood } from "./check.ts";
import { gaussian } from "./gaussian.ts";
import type { Likelihood } from "./likelihood.ts";
import { poisson } from "./poisson.ts";

/**
 * A task, which stands for its likelihood: gaussian() on means, categorical() on logits (bernoulli() where there is one),
 * bernoulli() on logits, poisson() on logarithms of rates.
 */
export type Task = "regression" | "classification" | "binary" | "count";

/** The kind of a likelihood, or of the one that a task stands for; of "classification" one of two, by the number of outputs. */
export type KindOf<Given> =
  Given extends Likelihood<infer Kind>
    ? Kind
    : Given extends Task
      ? { regression: "normal"; classification: "classes" | "labels"; binary: "labels"; count: "numbers" }[Given]
      : never;

/** A likelihood from a task's name or as it is, checked against the network. @throws OptionError, ShapeError */
export function readLikelihood(where: string, likelihood: Likelihood | Task, net: Network): Likelihood {
  return checkLikelihood(where, typeof likelihood === "string" ? named(where, likelihood, net) : likelihood, net);
}

const [gaussianMeant, bernoulliMeant, categoricalMeant, poissonMeant] = [
  { task: "regression", make: "gaussian()" },
  { task: "binary", make: "bernoulli()" },
  { task: "classification", make: "categorical()" },
  { task: "count", make: "poisson()" },
];

/** What other names of likelihoods mean here. */
const synonyms: Readonly<Record<string, typeof gaussianMeant>> = {
  __proto__: null as never,
  gaussian: gaussianMeant,
  normal: gaussianMeant,
  mse: gaussianMeant,
  bernoulli: bernoulliMeant,
  binomial: bernoulliMeant,
  logistic: bernoulliMeant,
  binarycrossentropy: bernoulliMeant,
  categorical: categoricalMeant,
  multinomial: categoricalMeant,
  softmax: categoricalMeant,
  classes: categoricalMeant,
  multiclass: categoricalMeant,
  crossentropy: categoricalMeant,
  poisson: poissonMeant,
  counts: poissonMeant,
};

/** Those of tasks, made once. */
const made = new Map<() => Likelihood, Likelihood>();

function named(where: string, task: Task, net: Network): Likelihood {
  const the = (make: () => Likelihood) => {
    const likelihood = made.get(make) ?? make();
    made.set(make, likelihood);
    return likelihood;
  };
  if (task === "regression") return the(gaussian);
  if (task === "classification") return the(net.graph.output.size === 1 ? bernoulli : categorical);
  if (task === "binary") return the(bernoulli);
  if (task === "count") return the(poisson);
  const list = '"regression", "classification", "binary" or "count"';
  const meant = synonyms[String(task).toLowerCase()];
  const hint = meant === undefined ? "" : ` That is "${meant.task}", or ${meant.make} without quotes.`;
  throw new OptionError(`${where}: the likelihood must be ${list}, not "${String(task)}".${hint}`);
}
