// The sums of a plan's passes, and their type.

import { sumsWide, widened } from "../derivatives/totals.ts";
import { type DType, scope } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Accumulator, Curvature } from "../structures/curvature.ts";
import type { Pass, SumOptions } from "../structures/structure.ts";
import { broughtHessian, rowOf } from "../structures/table.ts";
import type { Plan } from "./plan.ts";
import { viewOf } from "./positions.ts";

/** The passes of a plan. */
export function passesOf(plan: Plan): readonly Pass[] {
  return plan.kind === "hessian" ? broughtHessian().passes(plan) : rowOf(plan).passes(plan);
}

/** What a pass goes by, in steps. @param before what the pass before gave, or a basis */
export function* prepare(plan: Plan, pass: Pass, before: Curvature | undefined): Steps<Curvature | undefined> {
  if (pass.prepare === undefined) return undefined;
  return yield* pass.prepare(before, sumTypeOf(plan) === "float32" ? 2 ** -23 : 2 ** -52);
}

/** The accumulators of a pass, for that many columns at once; `prepared` is what it goes by. */
export function accumulatorsOf(plan: Plan, pass: Pass, prepared: Curvature | undefined) {
  return inType(plan, pass.begin(prepared));
}

/** The same for a dry run, whatever comes before. */
export function dryAccumulators(plan: Plan, pass: Pass): (columns: number) => Accumulator {
  return inType(plan, pass.dry);
}

/** Those of float64, where what arrives is copied to it. */
function inType(plan: Plan, begun: (options: SumOptions) => Accumulator): (columns: number) => Accumulator {
  return (columns) => {
    const options = optionsFor(plan, columns);
    const sums = begun(options);
    // A Hessian's sums push through the pass itself.
    if (options.dtype === plan.net.dtype || plan.kind === "hessian") return sums;
    const { siteList } = options.selection;
    return {
      ...sums,
      add: (backward, to, again, weights) => scope(() => sums.add(widened(backward, siteList), to, again, weights)),
    };
  };
}

/** Of few weights: what arrives at them is copied to float64 before anything is summed. */
function optionsFor(plan: Plan, columns: number): SumOptions {
  const { net, sharing } = plan;
  const selection = viewOf(plan)?.selection ?? plan.selection;
  const dtype = sumsWide(net.dtype, selection.size) ? "float64" : net.dtype;
  return {
    selection,
    columns,
    dtype,
    sumType: dtype === "float64" ? dtype : sumTypeOf(plan),
    sharing,
    parameters: net.parameters.data,
  };
}

/** The type of the factors' sums: a small σ magnifies what rounding leaves of the curvature. */
function sumTypeOf({ likelihood, net, selection }: Plan): DType {
  return !likelihood.hyper.any && !sumsWide(net.dtype, selection.size) ? net.dtype : "float64";
}
