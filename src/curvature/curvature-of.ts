// A curvature by itself, in one go.

import type { Data } from "../data/batches.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkBytes, checkOptions, readBudget } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/tasks.ts";
import type { Network } from "../network/network.ts";
import type { Curvature } from "../structures/curvature.ts";
import { checkTrained } from "../training/running.ts";
import { dryAccumulators, passesOf } from "./accumulators.ts";
import { type CurvatureOptions, curvatureOptionNames, type PlaceOptions, readPlace, readPlan } from "./plan.ts";
import { summarise } from "./rounds.ts";

/**
 * The curvature of a network's summed loss over data, at unit noise and the network's parameters: Σ_n JᵀΛJ or what the
 * options say, without a posterior. It is computed in one go. The memory budget holds for the curvature itself; what a fit
 * needs on its way says `estimateMemory`.
 * @param data { x, y }, or batches such as a DataLoader's
 * @returns a curvature over the S selected weights; `dense()` is [S, S]
 * @throws ShapeError, ValueError for bad data; OptionError for bad options; MemoryBudgetError; LaplaceError for a network
 *   that ends in softmax or sigmoid
 */
export function curvatureOf(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: CurvatureOptions & PlaceOptions & MemoryOptions = {},
): Curvature {
  checkOptions("curvatureOf", options, ["memoryBudget", "first", ...curvatureOptionNames]);
  const { memoryBudget: budget, first, ...rest } = options;
  const memoryBudget = readBudget("curvatureOf", budget);
  const plan = readPlan("curvatureOf", net, likelihood, rest);
  checkTrained("curvatureOf", net);
  const [length] = passesOf(plan).map((pass) => dryAccumulators(plan, pass)(1).length);
  checkBytes("curvatureOf", [length], memoryBudget, 'The structure "diagonal" needs least, as do fewer weights.');
  const steps = summarise("curvatureOf", plan, data, readPlace("curvatureOf", { first }));
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value.curvature;
  }
}
