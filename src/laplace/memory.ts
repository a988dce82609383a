// What a fit will need, before it starts.

import {
  accumulatorOf,
  type CurvatureOptions,
  columnCount,
  curvatureOptionNames,
  type Plan,
  readPlan,
} from "../curvature/accumulate.ts";
import { type Structure, structures } from "../curvature/curvature.ts";
import { checkNumber, checkOptions, MemoryBudgetError } from "../errors.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/read.ts";
import type { Network } from "../network/network.ts";
import { partSize } from "../network/parts.ts";
import { bytesText } from "../network/summary.ts";

/** Bytes that a fit and the factorisation of its posterior need at their peak, and of what. */
export interface MemoryEstimate {
  /** The peak. */
  readonly bytes: number;
  /** Of the running sums, in the kernels' memory. */
  readonly sums: number;
  /** Of a part of the data on its way through the network. */
  readonly part: number;
  /** Of the curvature, which the posterior keeps. */
  readonly curvature: number;
  /** Of the factorisation, of which a part is kept. */
  readonly factorisation: number;
}

/** What the curvature holds in float64, by structure. */
function curvatureNumbers({ selection }: Plan, structure: Structure): { kept: number; factor: number } {
  const s = selection.size;
  if (structure === "full") return { kept: s * s, factor: 3 * s * s };
  if (structure === "diagonal") return { kept: s, factor: s };
  let [kept, factor] = [0, 0];
  for (const { parameter, role, size } of selection.parameters) {
    const [outputs, inputs] = [parameter.shape[0], role === "weight" ? parameter.shape[1] : 0];
    kept += outputs ** 2 + inputs ** 2;
    factor += outputs ** 2 + inputs ** 2 + 2 * size;
  }
  return { kept: structure === "ekfac" ? 2 * kept + s : kept, factor };
}

/** The estimate for a plan and that many examples. */
export function estimate(plan: Plan, structure: Structure, examples: number): MemoryEstimate {
  const { net } = plan;
  const bytes = bytesPerElement(net.dtype);
  const first = structure === "ekfac" ? "kronecker" : structure;
  const accumulator = accumulatorOf(plan, first);
  const columns = columnCount(plan);
  const nodes = net.graph.nodes.reduce((total, node) => total + node.size, 0);
  const perExample = nodes * (4 + 2 * columns) + accumulator.perExample;
  const { kept, factor } = curvatureNumbers(plan, structure);
  const sums = (accumulator.length + net.parameterCount) * bytes;
  const part = Math.min(examples, partSize(perExample, net.dtype)) * perExample * bytes + net.parameterCount * bytes;
  const [curvature, factorisation] = [8 * kept, 8 * factor];
  return {
    bytes: Math.max(sums + part, sums + curvature, curvature + factorisation),
    sums,
    part,
    curvature,
    factorisation,
  };
}

/**
 * What `laplace(net, options).fit(data)` and its posterior's first use will need, in bytes, without running anything.
 * @param options as for `laplace`: likelihood, structure, weights, curvature and what belongs to them; and the number of
 *   `examples` (default: as many as pass through the network at once, about 32 MiB)
 * @throws OptionError, ShapeError
 */
export function estimateMemory(
  net: Network,
  options: CurvatureOptions & { readonly likelihood: Likelihood | Task; readonly examples?: number },
): MemoryEstimate {
  checkOptions("estimateMemory", options, ["likelihood", "examples", ...curvatureOptionNames]);
  const { likelihood, examples = Number.POSITIVE_INFINITY, ...rest } = options;
  const plan = readPlan("estimateMemory", net, likelihood, rest);
  return estimate(plan, plan.structure, examples);
}

/** @throws MemoryBudgetError with the bytes, and the structures that would fit */
export function checkMemory(where: string, plan: Plan, budget: number): void {
  if (budget !== Number.POSITIVE_INFINITY) checkNumber(where, "memoryBudget", budget, 0);
  const needed = (structure: Structure) => {
    const { sums, curvature, factorisation } = estimate(plan, structure, 0);
    return Math.max(sums + curvature, curvature + factorisation);
  };
  const bytes = needed(plan.structure);
  if (bytes <= budget) return;
  const fitting = structures.filter(
    (structure) =>
      (plan.selection.whole || structure === "full" || structure === "diagonal") && needed(structure) <= budget,
  );
  const instead =
    fitting.length === 0
      ? "No structure fits over these weights; choose fewer (weights)."
      : `Structures that fit: ${fitting.map((structure) => `"${structure}" (${bytesText(needed(structure))})`).join(", ")}.`;
  throw new MemoryBudgetError(
    `${where}: the structure "${plan.structure}" over ${plan.selection.size} weights needs ${bytesText(bytes)} (${bytes} bytes), the memory budget is ${bytesText(budget)}. ${instead} Or raise the option memoryBudget.`,
    bytes,
    budget,
  );
}
