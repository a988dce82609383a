// What a fit and its posterior's phases will need, before they start.

import { cutOfPass, passBytes } from "../curvature/accumulate.ts";
import { dryAccumulators, passesOf } from "../curvature/accumulators.ts";
import { outputsApart } from "../curvature/outputs-apart.ts";
import { once, type Plan } from "../curvature/plan.ts";
import { MOST_EXAMPLES } from "../curvature/sums.ts";
import { bytesText, MemoryBudgetError } from "../errors.ts";
import { dryRun } from "../kernels/dry-run.ts";
import { bytesPerElement, type DType } from "../kernels/memory.ts";
import type { Structure } from "../structures/curvature.ts";
import { type Pass, sizesOf } from "../structures/structure.ts";
import { broughtHessian, curvatureBytes, dryPrecision, rowNamed, table } from "../structures/table.ts";
import { type Asked, FLOAT64, phaseBytes } from "./phase-bytes.ts";

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
  /**
   * The peak of each phase, with what the posterior holds by then: of the fit itself; of the evidence, with the prediction for one
   * input; and the last three for `inputs` inputs.
   */
  readonly phases: {
    readonly fit: number;
    readonly evidence: number;
    readonly predict: number;
    readonly evaluate: number;
    readonly diagnose: number;
  };
}

/** Bytes of the sums and of a part of the data, in a pass, and what making a curvature of them takes. */
function bytesOfPass(
  plan: Plan,
  pass: Pass,
  apart: number,
  examples: number,
): { sums: number; part: number; finishing: number } {
  const { net } = plan;
  const bytes = bytesPerElement(net.dtype);
  const accumulatorFor = dryAccumulators(plan, pass);
  const planned = { plan, accumulatorFor, apart };
  const cut = examples === 0 ? undefined : cutOfPass(planned, examples);
  const { dtype, length, sums: summed = length, finishing: beside = 0 } = accumulatorFor(cut?.columns ?? 1);
  const finishing = FLOAT64 * beside;
  // Sums of float32 over many examples have totals of float64.
  const totals = (type: DType) => (type === "float64" || examples <= MOST_EXAMPLES ? 0 : FLOAT64);
  const held = apart * length * bytesPerElement(dtype) + net.parameterCount * bytes;
  const sums = held + apart * (apart > 1 ? length : summed) * totals(dtype) + net.parameterCount * totals(net.dtype);
  // Where no example passes, there is no part.
  if (cut === undefined) return { sums, part: (net.parameterCount + net.buffers.size) * bytes, finishing };
  const { peak } = passBytes(planned, cut, Math.min(examples, cut.length));
  // Targets of all examples are read at once.
  const targets = Number.isFinite(examples) ? examples * net.graph.output.size * bytes : 0;
  return { sums, part: peak - held + targets, finishing };
}

/** The estimate for a plan and that many examples. @param matrix whether the prior has one, of the curvature's size */
export function estimate(
  plan: Plan,
  structure: Structure,
  examples: number,
  asked?: Asked,
  matrix?: boolean,
): MemoryEstimate {
  const { net, selection } = plan;
  const vector = FLOAT64 * selection.size;
  const sizes = sizesOf(plan);
  const one = curvatureBytes(structure, selection, sizes);
  const ofPrior = matrix === true ? one : 0;
  // The parameters as they were, which the posterior keeps in float64, the prior's mean, and what is kept of the inputs.
  const kept = FLOAT64 * net.parameterCount + vector + (plan.inputs?.bytes(net.graph) ?? 0) + ofPrior;
  const copy = net.parameterCount * bytesPerElement(net.dtype);
  const passes = passesOf({ ...plan, structure });
  const last = passes[passes.length - 1];
  const apart = outputsApart({ ...plan, structure }, () => dryAccumulators(plan, last)(1).length);
  const first: Asked = { approximation: plan.likelihood.links[0], samples: 1, ...asked, inputs: 1 };
  const { precision, bytes: evidence } = dryPrecision(structure, selection, sizes);
  const used = phaseBytes(plan, precision, first);
  // The evidence takes the weights, and their distances to the prior's means.
  const factorisation = Math.max(evidence.all, evidence.kept + Math.max(2 * vector, used.predict));
  // The outputs' own curvatures, and their sum.
  // With a matrix of the prior the posterior keeps the sum of both.
  const curvature = (apart === 1 ? one : (apart + 1) * one) + ofPrior;
  const { sums, part, finishing } = bytesOfPass(plan, last, apart, examples);
  const peaks = [Math.max(sums + part, sums + curvature + vector + finishing)];
  if (passes.length > 1) {
    // The first pass, what becomes of its sums, and the second while both are there.
    const { sums, part, finishing } = bytesOfPass(plan, passes[0], 1, examples);
    const { length, made: numbers = length } = dryAccumulators(plan, passes[0])(1);
    const result = FLOAT64 * numbers;
    // Of many passes the last two results are compared.
    const left = passes.length > 2 ? 2 * result : result;
    for (const pass of new Set(passes.slice(1))) {
      const { kept: made, all } = dryRun(() => pass.dryBegin?.(selection));
      const own = bytesOfPass(plan, pass, pass === last ? apart : 1, examples);
      const kept = Math.max(own.sums + own.part, own.sums + curvature + vector);
      peaks.push(kept + left + made + vector, left + vector + all);
    }
    peaks.push(Math.max(sums + part, sums + left + vector + finishing));
  } else if (last.dryBegin !== undefined) {
    // What is there beside the sums, and what it is made of.
    const { columnSums, dry } = rowNamed(structure);
    const summed = columnSums(dry(selection, sizes)).reduce((all, { length }) => all + FLOAT64 * length, 0);
    peaks[0] = Math.max(peaks[0], sums + part + one - summed);
    peaks.push(vector + dryRun(() => last.dryBegin?.(selection)).all);
  }
  const fit = kept + copy + Math.max(...peaks);
  const { predict, evaluate, diagnose } = asked === undefined ? used : phaseBytes(plan, precision, asked);
  // What the first prediction kept is there from then on.
  const posterior = kept + vector + curvature + evidence.kept + (asked === undefined ? 0 : used.kept);
  const phases = {
    fit,
    evidence: kept + vector + curvature + factorisation,
    predict: posterior + predict,
    evaluate: posterior + evaluate,
    diagnose: posterior + diagnose(),
  };
  const bytes = Math.max(fit, phases.evidence, ...(asked === undefined ? [] : Object.values(phases)));
  return { bytes, sums, part, curvature, factorisation, phases };
}

/** @throws MemoryBudgetError with the bytes, and the structures that would fit */
export function checkMemory(where: string, plan: Plan, budget: number, matrix: boolean): void {
  const needed = (structure: Structure) =>
    once(
      structure === plan.structure ? plan : { ...plan, structure },
      `bytes ${matrix}`,
      () => estimate(plan, structure, 0, undefined, matrix).bytes,
    );
  const bytes = needed(plan.structure);
  if (bytes <= budget) return;
  const fitting = table()
    .filter(({ takes }) => plan.selection.whole || takes.singleWeights)
    .filter(({ options }) => plan.points !== undefined || !(options.includes("points") || options.includes("solver")))
    .filter(() => !matrix)
    .filter(({ name }) => (plan.kind !== "hessian" || broughtHessian().takes(name)) && needed(name) <= budget)
    .map(({ name }) => name);
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
