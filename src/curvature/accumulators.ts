// The sums of a plan's passes, and their type.

import { sumsWide, widened, widenedNumbers } from "../derivatives/totals.ts";
import { type DType, scope } from "../kernels/memory.ts";
import type { Accumulator, Curvature, SumNumbers } from "../structures/curvature.ts";
import type { Selection } from "../structures/selection.ts";
import type { Pass, SumOptions } from "../structures/structure.ts";
import { rowOf } from "../structures/table.ts";
import type { Plan } from "./plan.ts";
import { viewOf } from "./positions.ts";

/** The passes of a plan. */
export function passesOf(plan: Plan): readonly Pass[] {
  return rowOf(plan).passes(plan.basis !== undefined);
}

/** The accumulators of a pass, for that many columns at once; `before` is what the pass before gave, or a basis. */
export function accumulatorsOf(
  plan: Plan,
  pass: Pass,
  before: Curvature | undefined,
): (columns: number) => Accumulator {
  const begun = pass.begin(before, sumTypeOf(plan) === "float32" ? 2 ** -23 : 2 ** -52);
  return (columns) => {
    const options = optionsFor(plan, columns);
    const sums = begun(options);
    if (options.dtype === plan.net.dtype) return sums;
    const { selection } = options;
    return {
      ...sums,
      ...wideNumbers(selection, columns, sums),
      add: (backward, to, again) => scope(() => sums.add(widened(backward, selection.siteList), to, again)),
    };
  };
}

/** Numbers that the sums of a pass need, whatever came before. */
export function sumNumbers(plan: Plan, pass: Pass, columns: number): SumNumbers {
  const options = optionsFor(plan, columns);
  const numbers = pass.numbers(options);
  return options.dtype === plan.net.dtype
    ? numbers
    : { ...numbers, ...wideNumbers(options.selection, columns, numbers) };
}

/** Of few weights: what arrives at them is copied to float64 before anything is summed. */
function optionsFor(plan: Plan, columns: number): SumOptions {
  const { net, sharing } = plan;
  const selection = viewOf(plan)?.selection ?? plan.selection;
  const dtype = sumsWide(net.dtype, selection.size) ? "float64" : net.dtype;
  return { selection, columns, dtype, sumType: dtype === "float64" ? dtype : sumTypeOf(plan), sharing };
}

/** What sums of float64 need in numbers of float32. */
function wideNumbers(
  selection: Selection,
  columns: number,
  { scratch, perPart }: Pick<Accumulator, "scratch" | "perPart">,
): Pick<Accumulator, "scratch" | "perPart"> {
  const copies = widenedNumbers(selection.graph, selection.siteList, columns);
  return { scratch: (batch) => batch * copies + 2 * scratch(batch), perPart: 2 * perPart };
}

/** The type of the factors' sums: a small noise magnifies what rounding leaves of the curvature. */
function sumTypeOf({ likelihood, net, selection }: Plan): DType {
  return likelihood.noise === undefined && !sumsWide(net.dtype, selection.size) ? net.dtype : "float64";
}
