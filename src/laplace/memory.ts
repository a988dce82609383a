// What a fit will need, before it starts.

import { MOST_EXAMPLES, type Plan, partLength, partNumbers, readPlan } from "../curvature/accumulate.ts";
import { sumNumbers } from "../curvature/accumulators.ts";
import { outputsApart } from "../curvature/outputs.ts";
import { bytesText, checkInteger, checkOptions, MemoryBudgetError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import { nodeNumbers } from "../network/graph.ts";
import type { Network } from "../network/network.ts";
import { backwardNumbers } from "../network/passes.ts";
import { type Structure, structures } from "../structures/curvature.ts";
import { shapeOf } from "../structures/eigenblocks.ts";
import type { Pass } from "../structures/structure.ts";
import { table } from "../structures/table.ts";
import { laplaceOptionNames } from "./checks.ts";
import { columnsOf, routeOf } from "./functions.ts";
import type { LaplaceOptions } from "./laplace.ts";

/**
 * Bytes that a fit and its posterior's first use need at their peak, and of what. Counted are numbers in the kernels'
 * memory and arrays that are in use; first use are the evidence and the prediction for one input. Not counted are the
 * network, the data as they were given, copies of inputs that are not in the network's element type, what more inputs
 * need in a prediction, what the kernels' memory holds ready (it grows by a half at least), and garbage.
 */
export interface MemoryEstimate {
  /** The peak. */
  readonly bytes: number;
  /** Of the running sums. */
  readonly sums: number;
  /** Of a part of the data on its way through the network, the parameters among them. */
  readonly part: number;
  /** Of the curvature, which the posterior keeps. */
  readonly curvature: number;
  /** Of the factorisation at its peak; what is kept of it is less. */
  readonly factorisation: number;
}

const FLOAT64 = 8;

/** Bytes of the sums and of a part of the data, in a pass. */
function passBytes(plan: Plan, pass: Pass, apart: number, examples: number): { sums: number; part: number } {
  const { net } = plan;
  const bytes = bytesPerElement(net.dtype);
  const needsFor = (columns: number) => sumNumbers(plan, pass, columns);
  const numbers = partNumbers(plan, needsFor, apart);
  const needs = needsFor(numbers.columns);
  const count = Math.min(examples, partLength(numbers, net.dtype));
  // Targets of all examples are read at once.
  const targets = Number.isFinite(examples) ? examples * net.graph.output.size : 0;
  // Sums of float32 over many examples have totals of float64.
  const totals = net.dtype === "float64" || examples <= MOST_EXAMPLES ? 0 : FLOAT64;
  const curvature = bytesPerElement(needs.dtype) + (needs.dtype === "float64" ? 0 : totals);
  return {
    sums: apart * needs.length * curvature + net.parameterCount * (bytes + totals),
    part: (count * numbers.perExample + numbers.scratch(count) + numbers.perPart + targets) * bytes,
  };
}

/** Bytes that `eigh` needs besides its result, in the kernels' memory. */
function eighBytes(n: number): number {
  // The kernel counts in 32 bits; of large matrices only the squares matter.
  const workspace = n < 8192 ? kernelsFor("float64").eighWorkspace(n) : 3 * FLOAT64 * n * n;
  return FLOAT64 * (n * n + n) + workspace;
}

/** Kronecker factors, and their eigenbases: bytes that are kept, and the peak of decomposing them. */
function factorBytes({ selection }: Plan): { factors: number; bases: number; peak: number } {
  let [factors, bases, peak] = [0, 0, 0];
  for (const selected of selection.parameters) {
    const { groups, outputs, inputs } = shapeOf(selected);
    const weight = selected.role === "weight";
    const [b, a] = [FLOAT64 * groups * outputs ** 2, weight ? FLOAT64 * groups * inputs ** 2 : 0];
    factors += a + b;
    peak = Math.max(peak, bases + eighBytes(outputs) + b);
    // A is divided by its count first.
    if (weight) peak = Math.max(peak, bases + b + a + eighBytes(inputs) + a);
    bases += a + b + FLOAT64 * (selected.size + groups * (outputs + inputs));
  }
  return { factors, bases, peak };
}

/** Bytes of a prediction for one input, apart from a whole matrix. */
function predictionBytes({ net, selection, likelihood }: Plan, structure: Structure): number {
  const bytes = bytesPerElement(net.dtype);
  const { graph, parameterCount } = net;
  const route = routeOf(net, selection, likelihood);
  const columns = columnsOf({ net, selection, scratch: () => 0 }, route);
  const values = nodeNumbers(graph.nodes) + columns + backwardNumbers(graph, selection.reaches, columns);
  let [held, peak] = [0, 0];
  for (const selected of selection.parameters) {
    const { groups, outputs, inputs } = shapeOf(selected);
    const size = groups * outputs * inputs;
    const weight = selected.role === "weight";
    const bases = structure === "diagonal" ? 0 : groups * (outputs ** 2 + (weight ? inputs ** 2 : 0));
    // Inverses of the eigenvalues are kept; in float32, bases and inverses too. A vector's roots are made anew.
    held += FLOAT64 * size + (net.dtype === "float32" ? bytes * (bases + (weight ? size : 0)) : 0);
    peak = Math.max(peak, held + (bases + size) * bytes + (weight ? 0 : FLOAT64 * size));
  }
  return (parameterCount + values) * bytes + peak;
}

/** Bytes of the curvature, and of its factorisation and first use at their peak. */
function posteriorBytes(plan: Plan, structure: Structure): { curvature: number; factorisation: number } {
  const { selection, net } = plan;
  const s = selection.size;
  const vector = FLOAT64 * s;
  if (structure === "full") {
    const matrix = vector * s;
    // Eigenvalues for the evidence; then the factor, which a prediction copies into the kernels' memory.
    const rows =
      (2 * FLOAT64 + bytesPerElement(net.dtype)) *
      columnsOf({ net, selection, scratch: () => 0 }, routeOf(net, selection, plan.likelihood)) *
      s;
    const prediction = 2 * matrix + rows + net.parameterCount * bytesPerElement(net.dtype);
    return { curvature: matrix, factorisation: Math.max(eighBytes(s), vector + prediction) };
  }
  // The posterior's eigenvalues; the evidence needs a few vectors for a moment.
  const use = Math.max(3 * vector, predictionBytes(plan, structure));
  if (structure === "diagonal") return { curvature: vector, factorisation: 2 * vector + use };
  const { factors, bases, peak } = factorBytes(plan);
  if (structure === "ekfac") return { curvature: bases, factorisation: vector + use };
  return { curvature: factors, factorisation: Math.max(peak, bases + vector + use) };
}

/** The estimate for a plan and that many examples. */
export function estimate(plan: Plan, structure: Structure, examples: number): MemoryEstimate {
  const { net, selection } = plan;
  const vector = FLOAT64 * selection.size;
  // The parameters as they were, which the posterior keeps in float64, and the prior's mean.
  const kept = FLOAT64 * net.parameterCount + vector;
  const copy = net.parameterCount * bytesPerElement(net.dtype);
  const passes = table[structure].passes(plan.basis !== undefined);
  const last = passes[passes.length - 1];
  const apart = outputsApart(plan, sumNumbers(plan, last, 1).length);
  const { curvature: one, factorisation } = posteriorBytes(plan, structure);
  // The outputs' own curvatures, and their sum.
  const curvature = apart === 1 ? one : (apart + 1) * one;
  const { sums, part } = passBytes(plan, last, apart, examples);
  const peaks = [Math.max(sums + part, sums + curvature + vector)];
  if (passes.length > 1) {
    // The first pass, the decomposition of its factors, and the second while they are there.
    const first = passBytes(plan, passes[0], 1, examples);
    const { factors, bases, peak } = factorBytes(plan);
    peaks[0] += factors + bases + vector;
    peaks.push(Math.max(first.sums + first.part, first.sums + factors + vector), factors + vector + peak);
  }
  return {
    bytes: kept + Math.max(copy + Math.max(...peaks), vector + curvature + factorisation),
    sums,
    part,
    curvature,
    factorisation,
  };
}

/**
 * What `laplace(net, options).fit(data)` and its posterior's first use will need, in bytes, without running anything.
 * @param options as for `laplace`, and the number of `examples` (default: as many as pass through the network at once,
 *   about 32 MiB)
 * @throws OptionError, ShapeError
 */
export function estimateMemory(net: Network, options: LaplaceOptions & { readonly examples?: number }): MemoryEstimate {
  checkOptions("estimateMemory", options, ["examples", ...laplaceOptionNames]);
  const { likelihood, examples = Number.POSITIVE_INFINITY, ...rest } = options;
  if (examples !== Number.POSITIVE_INFINITY) checkInteger("estimateMemory", "examples", examples, 0);
  const plan = readPlan("estimateMemory", net, likelihood, rest);
  return estimate(plan, plan.structure, examples);
}

/** @throws MemoryBudgetError with the bytes, and the structures that would fit */
export function checkMemory(where: string, plan: Plan, budget: number): void {
  const needed = (structure: Structure) => estimate(plan, structure, 0).bytes;
  const bytes = needed(plan.structure);
  if (bytes <= budget) return;
  const fitting = structures.filter(
    (structure) => (plan.selection.whole || table[structure].takes.singleWeights) && needed(structure) <= budget,
  );
  const instead =
    fitting.length === 0
      ? "No structure fits over these weights; choose fewer (weights)."
      : `Structures that fit: ${fitting.map((structure) => `"${structure}" (${bytesText(needed(structure))})`).join(", ")}.`;
  throw new MemoryBudgetError(
    `${where}: the structure "${plan.structure}" over ${plan.selection.size} weights needs ${bytesText(bytes)} (${bytes} bytes), the memory budget is ${bytesText(budget)}. ${instead} Or raise the option memoryBudget of laplace.`,
    bytes,
    budget,
  );
}
