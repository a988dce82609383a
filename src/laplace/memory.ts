// What a fit and its posterior's phases will need, before they start.

import { type Plan, partLength, partNumbers, readPlan } from "../curvature/accumulate.ts";
import { sumNumbers } from "../curvature/accumulators.ts";
import { outputsApart } from "../curvature/outputs.ts";
import { MOST_EXAMPLES } from "../curvature/sums.ts";
import { bytesText, checkInteger, checkOptions, MemoryBudgetError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";
import { type Structure, structures } from "../structures/curvature.ts";
import { shapeOf } from "../structures/eigenblocks.ts";
import { sharesPositions } from "../structures/kronecker/sums.ts";
import type { Pass } from "../structures/structure.ts";
import { table } from "../structures/table.ts";
import { laplaceOptionNames } from "./checks.ts";
import type { LaplaceOptions } from "./laplace.ts";
import { type Approximation, readPredictOptions } from "./prediction.ts";
import { type Asked, basesBytes, phaseBytes } from "./prediction-memory.ts";

/**
 * Bytes that a fit and the use of its posterior need at their peak, and of what. Counted are numbers in the kernels'
 * memory and arrays that are in use; first use are the evidence and the prediction for one input. Not counted are the
 * network, the data as they were given, copies of inputs that are not in the network's element type, what the kernels'
 * memory holds ready (it grows by a half at least), and garbage.
 */
export interface MemoryEstimate {
  /** The peak of the fit and its first use, or of all phases. */
  readonly bytes: number;
  /** Of the running sums. */
  readonly sums: number;
  /** Of a part of the data on its way through the network, the parameters among them. */
  readonly part: number;
  /** Of the curvature, which the posterior keeps. */
  readonly curvature: number;
  /** Of the factorisation at its peak; what is kept of it is less. */
  readonly factorisation: number;
  /** The peak of each phase, with what the posterior holds by then; the last three for `inputs` inputs. */
  readonly phases: {
    readonly fit: number;
    readonly predict: number;
    readonly evaluate: number;
    readonly diagnose: number;
  };
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

/** Bytes of the curvature, of its factorisation and first use at their peak, and of what is kept of these. */
function posteriorBytes(plan: Plan, structure: Structure): { curvature: number; factorisation: number; held: number } {
  const s = plan.selection.size;
  const vector = FLOAT64 * s;
  const { links } = plan.likelihood;
  const one = phaseBytes(plan, structure, { inputs: 1, approximation: links[0], samples: 1 }).predict;
  if (structure === "full") {
    const matrix = vector * s;
    // Eigenvalues for the evidence; then the factor, which a prediction copies into the kernels' memory.
    return { curvature: matrix, factorisation: Math.max(eighBytes(s), vector + matrix + one), held: vector + matrix };
  }
  // The posterior's eigenvalues; the evidence needs a few vectors for a moment.
  const inverses = basesBytes(plan, structure).held;
  const use = Math.max(3 * vector, inverses + one);
  const held = vector + inverses;
  if (structure === "diagonal") return { curvature: vector, factorisation: 2 * vector + use, held };
  const { factors, bases, peak } = factorBytes(plan);
  if (structure === "ekfac") return { curvature: bases, factorisation: vector + use, held };
  return { curvature: factors, factorisation: Math.max(peak, bases + vector + use), held: bases + held };
}

/** The estimate for a plan and that many examples. */
export function estimate(plan: Plan, structure: Structure, examples: number, asked?: Asked): MemoryEstimate {
  const { net, selection } = plan;
  const vector = FLOAT64 * selection.size;
  // The parameters as they were, which the posterior keeps in float64, and the prior's mean.
  const kept = FLOAT64 * net.parameterCount + vector;
  const copy = net.parameterCount * bytesPerElement(net.dtype);
  const passes = table[structure].passes(plan.basis !== undefined);
  const last = passes[passes.length - 1];
  const apart = outputsApart(plan, sumNumbers(plan, last, 1).length);
  const { curvature: one, factorisation, held } = posteriorBytes(plan, structure);
  // The outputs' own curvatures, and their sum.
  const curvature = apart === 1 ? one : (apart + 1) * one;
  const { sums, part } = passBytes(plan, last, apart, examples);
  const peaks = [Math.max(sums + part, sums + curvature + vector)];
  if (passes.length > 1) {
    // The first pass, the decomposition of its factors, and the second while they are there.
    const first = passBytes(plan, passes[0], 1, examples);
    const { factors: one, bases, peak } = factorBytes(plan);
    // Reduced factors come with the expanded ones, where they differ.
    const factors = plan.sharing === "reduce" && sharesPositions(selection) ? 2 * one : one;
    peaks[0] += factors + bases + vector;
    peaks.push(Math.max(first.sums + first.part, first.sums + factors + vector), factors + vector + peak);
  }
  const fit = kept + Math.max(copy + Math.max(...peaks), vector + curvature + factorisation);
  const first: Asked = { inputs: 1, approximation: plan.likelihood.links[0], samples: 1 };
  const { predict, evaluate, diagnose } = phaseBytes(plan, structure, asked ?? first);
  const posterior = kept + vector + curvature + held;
  const phases = {
    fit,
    predict: posterior + predict,
    evaluate: posterior + evaluate,
    diagnose: posterior + diagnose,
  };
  const bytes = asked === undefined ? fit : Math.max(...Object.values(phases));
  return { bytes, sums, part, curvature, factorisation, phases };
}

/** Options of `estimateMemory`: those of `laplace`, and how much there is to do. */
export interface EstimateOptions extends LaplaceOptions {
  /** Examples of the fit (default: as many as pass through the network at once, about 32 MiB). */
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
  const plan = readPlan(where, net, likelihood, rest);
  const how = readPredictOptions(where, plan.likelihood, { approximation, samples });
  const asked = inputs === undefined && approximation === undefined ? undefined : { inputs: inputs ?? 1, ...how };
  return estimate(plan, plan.structure, examples, asked);
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
