// Likelihoods by the names of the tasks.

import { type ArrayLike, asArray, shapeText } from "../array/ndarray.ts";
import { checkNumber, OptionError, ShapeError, ValueError } from "../errors.ts";
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

/** The kind of a likelihood, or of the one that a task stands for; of "classification" one of two, by the number of outputs. */
export type KindOf<Given> =
  Given extends Likelihood<infer Kind>
    ? Kind
    : Given extends Task
      ? { regression: "normal"; classification: "classes" | "labels"; binary: "labels"; count: "numbers" }[Given]
      : never;

/** A likelihood from a task's name or as it is, checked against the network. @throws OptionError, ShapeError */
export function readLikelihood(where: string, likelihood: Likelihood | Task, net: Network): Likelihood {
  const result = typeof likelihood === "string" ? named(where, likelihood, net) : likelihood;
  if (typeof result?.root !== "function") {
    const call = typeof likelihood === "function" ? " It is a function: call it, as in gaussian()." : "";
    throw new OptionError(
      `${where}: the likelihood must be gaussian(), heteroscedastic(), categorical(), bernoulli(), poisson(), one of defineLikelihood or a task's name.${call}`,
    );
  }
  result.checkNetwork(where, net);
  return result;
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
