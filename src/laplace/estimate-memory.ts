// `estimateMemory`: the estimate for options, before there is a fit.

import { inputSums } from "../curvature/input-sums.ts";
import { readPlan, withOwn } from "../curvature/plan.ts";
import { checkInteger, checkOptions } from "../errors.ts";
import { readLikelihood } from "../likelihood/tasks.ts";
import type { Network } from "../network/network.ts";
import { type Approximation, readPredictOptions } from "../prediction/prediction.ts";
import { bringAll } from "../structures/all.ts";
import { estimate, type MemoryEstimate } from "./memory-estimate.ts";
import { type LaplaceOptions, laplaceOptionNames } from "./options.ts";

/** Options of `estimateMemory`: those of `laplace`, and how much there is to do. */
export interface EstimateOptions extends LaplaceOptions {
  /** Examples of the fit (default: as many as pass through the network at once, 8 to 32 MiB). */
  readonly examples?: number | undefined;
  /** Inputs of one call of `predict`, `evaluate` or `diagnose` (default 1). */
  readonly inputs?: number | undefined;
  /** How they are predicted, as in `predict`. */
  readonly approximation?: Approximation | undefined;
  /** Draws of "network" (default 100). */
  readonly samples?: number | undefined;
}

/**
 * What `laplace(net, options).fit(data)` and the use of its posterior will need, in bytes, without running anything: `bytes`
 * of the fit and a first prediction, or of the most that any phase needs where `inputs` are given.
 * @throws OptionError, ShapeError
 */
export function estimateMemory(net: Network, options: EstimateOptions): MemoryEstimate {
  const where = "estimateMemory";
  checkOptions(where, options, ["examples", "inputs", "approximation", "samples", ...laplaceOptionNames]);
  const { likelihood, examples = Number.POSITIVE_INFINITY, inputs, approximation, samples, ...rest } = options;
  if (examples !== Number.POSITIVE_INFINITY) checkInteger(where, "examples", examples, 0);
  if (inputs !== undefined) checkInteger(where, "inputs", inputs, 0);
  bringAll();
  const read = readPlan(where, net, () => readLikelihood(where, likelihood, net), rest, inputSums);
  const own = withOwn(where, read, rest);
  const plan = own.withRows?.(own, examples) ?? own;
  const how = readPredictOptions(where, plan.likelihood, { approximation, samples });
  const asked = inputs === undefined && approximation === undefined ? undefined : { inputs: inputs ?? 1, ...how };
  return estimate(plan, plan.structure, examples, asked, options.prior !== undefined);
}
