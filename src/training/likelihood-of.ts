// The likelihood whose loss is a loss.

import { OptionError } from "../errors.ts";
import { bernoulli } from "../likelihood/bernoulli.ts";
import { categorical } from "../likelihood/categorical.ts";
import { gaussian } from "../likelihood/gaussian.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { LossRule } from "../losses/losses.ts";

/** The likelihood whose loss is a loss, and what its loss is multiplied by. @throws OptionError, naming who asks */
export function likelihoodOf(rule: LossRule, who: string): { readonly likelihood: Likelihood; readonly scale: number } {
  if ("root" in rule) return { likelihood: rule as Likelihood, scale: 1 };
  if (rule.name === "mse") return { likelihood: gaussian(), scale: 2 };
  if (rule.name === "crossEntropy") return { likelihood: categorical(rule.entry), scale: 1 };
  if (rule.name === "binaryCrossEntropy") return { likelihood: bernoulli(rule.entry), scale: 1 };
  throw new OptionError(`train: ${who} does not know the curvature of the loss "${rule.name}".`);
}
