// What goes by its name: functions, and objects made of functions, stand in messages and files as names and options, of which the
// other side makes them anew (`by-name.ts`).

import { ValueError, valueText } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Loss } from "../losses/losses.ts";
import type { EvidenceRule } from "../training/evidence-options.ts";
import type { Minimiser } from "../training/minimiser.ts";
import type { Optimizer } from "../training/optimisers.ts";
import type { VariationalOptimizer } from "../training/variational.ts";
import { mark } from "./values.ts";

/** What stands for a function, or an object made of functions. @throws ValueError where nothing does */
export function standByName(where: string, value: object, name: string): unknown {
  const what = name === "" ? "an argument" : name;
  const { root, step, begin, minimise, learn } = value as Partial<
    Likelihood & Optimizer & VariationalOptimizer & Minimiser & EvidenceRule
  >;
  if (typeof root === "function") {
    const { name, entry, hyper } = value as Likelihood;
    const known = Object.entries({ ...entry, ...hyper?.entry, apart: hyper?.apart }).filter(
      ([, one]) => one !== undefined && one !== false,
    );
    return mark("likelihood", { entry: { name, ...Object.fromEntries(known) } });
  }
  if ([step, begin, minimise, learn].some((one) => typeof one === "function")) {
    const { name, options } = value as Optimizer | VariationalOptimizer | Minimiser | EvidenceRule;
    if (options !== undefined) return mark("optimizer", { name, options });
  }
  const { rule, madeOf } = value as Partial<Loss> & {
    readonly madeOf?: { readonly name: string; readonly options: object };
  };
  if (rule?.name !== undefined) return mark("loss", { name: rule.name, options: rule.entry });
  if (madeOf !== undefined) return mark("schedule", madeOf);
  if (typeof value === "function" || typeof step === "function") {
    throw new ValueError(
      `${where}: ${what} is a function, or made of functions, and those do not go to a worker. A likelihood or a primitive of your own does, by its name: the file of the worker, which imports "laplace-ts/worker", defines it too.`,
    );
  }
  throw new ValueError(
    `${where}: ${what} is ${valueText(value)}, which cannot go to a worker. Posteriors and fits go as bytes, as in remote.loadPosterior(savePosterior(posterior)); the rest as numbers, texts, arrays and plain objects.`,
  );
}
