// A curvature by itself.

import type { Data } from "../data/batches.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkBytes, checkOptions, readBudget } from "../errors.ts";
import {
  asynchronously,
  atOnce,
  type ExamplesReport,
  type InBursts,
  reportingExamples,
  type Steps,
} from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { readLikelihood, type Task } from "../likelihood/tasks.ts";
import type { Network } from "../network/network.ts";
import { checkTrained } from "../network/running.ts";
import { bringAll } from "../structures/all.ts";
import type { Curvature } from "../structures/curvature.ts";
import { dryAccumulators, passesOf } from "./accumulators.ts";
import {
  type CurvatureOptions,
  curvatureOptionNames,
  type PlaceOptions,
  readPlace,
  readPlan,
  withOwn,
} from "./plan.ts";
import { summarise } from "./rounds.ts";

/**
 * The curvature of a network's summed loss over data, at unit noise and the network's parameters: Σ_n JᵀΛJ or what the
 * options say, without a posterior. The memory budget holds for the curvature itself; what a fit
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
  return atOnce(curvatureSteps(net, likelihood, data, options));
}

/** `curvatureOf` in bursts, with turns of the event loop between them; progress in examples. @throws as `curvatureOf`; the signal's reason */
export async function curvatureOfAsync(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: InBursts<CurvatureOptions & PlaceOptions & MemoryOptions> = {},
): Promise<Curvature> {
  return asynchronously("curvatureOf", options, (rest) => curvatureSteps(net, likelihood, data, rest));
}

function* curvatureSteps(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: CurvatureOptions & PlaceOptions & MemoryOptions,
): Steps<Curvature, ExamplesReport> {
  checkOptions("curvatureOf", options, ["memoryBudget", "first", ...curvatureOptionNames]);
  const { memoryBudget: budget, first, ...rest } = options;
  const memoryBudget = readBudget("curvatureOf", budget);
  bringAll();
  const read = readPlan("curvatureOf", net, () => readLikelihood("curvatureOf", likelihood, net), rest);
  const plan = withOwn("curvatureOf", read, { ...rest, memoryBudget });
  checkTrained("curvatureOf", net);
  const [length] = passesOf(plan).map((pass) => dryAccumulators(plan, pass)(1).length);
  checkBytes("curvatureOf", [length], memoryBudget, 'The structure "diagonal" needs least, as do fewer weights.');
  const steps = summarise("curvatureOf", plan, data, { first: readPlace("curvatureOf", { first }) });
  return (yield* reportingExamples(steps)).curvature;
}
