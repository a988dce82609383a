// The accumulator of each structure, and the type of its sums.

import { sumsWide, widened, widenedNumbers } from "../derivatives/totals.ts";
import { type DType, scope } from "../kernels/memory.ts";
import type { Accumulator, Structure } from "../structures/curvature.ts";
import { diagonalAccumulator } from "../structures/diagonal/sums.ts";
import type { EigenBlock } from "../structures/eigenblocks.ts";
import { EkfacCurvature } from "../structures/ekfac/curvature.ts";
import { ekfacAccumulator, ekfacNumbers } from "../structures/ekfac/sums.ts";
import { fullAccumulator } from "../structures/full/sums.ts";
import type { Sharing } from "../structures/kronecker/curvature.ts";
import { kroneckerAccumulator, sharesPositions, withExpanded } from "../structures/kronecker/sums.ts";
import type { Selection } from "../structures/selection.ts";
import type { Plan } from "./accumulate.ts";
import { viewOf } from "./positions.ts";

/** The accumulator of a structure, for that many columns at once. */
export function accumulatorOf(
  plan: Plan,
  structure: Structure,
  columns: number,
  basis?: readonly EigenBlock[],
): Accumulator {
  const selection = viewOf(plan)?.selection ?? plan.selection;
  if (!sumsWide(plan.net.dtype, selection.size)) {
    return accumulatorIn(plan, selection, plan.net.dtype, structure, columns, basis);
  }
  // Few weights: what arrives at them is copied to float64 before anything is summed.
  const wide = accumulatorIn(plan, selection, "float64", structure, columns, basis);
  const sites = [...selection.sites().keys()];
  return {
    ...wide,
    ...wideNumbers(selection, columns, wide),
    add: (backward, to, again) => scope(() => wide.add(widened(backward, sites), to, again)),
  };
}

/** Numbers that an accumulator needs, whatever the basis of "ekfac". */
export function sumNumbers(
  plan: Plan,
  structure: Structure,
  columns: number,
): Pick<Accumulator, "dtype" | "length" | "scratch" | "perPart"> {
  if (structure !== "ekfac") return accumulatorOf(plan, structure, columns);
  const selection = viewOf(plan)?.selection ?? plan.selection;
  const wide = sumsWide(plan.net.dtype, selection.size);
  const dtype = wide ? "float64" : plan.net.dtype;
  const numbers = ekfacNumbers(selection, columns, dtype);
  return { dtype, ...numbers, ...(wide ? wideNumbers(selection, columns, numbers) : {}) };
}

/** What sums of float64 need in numbers of float32. */
function wideNumbers(
  selection: Selection,
  columns: number,
  { scratch, perPart }: Pick<Accumulator, "scratch" | "perPart">,
): Pick<Accumulator, "scratch" | "perPart"> {
  const copies = widenedNumbers(selection.graph, selection.sites().keys(), columns);
  return { scratch: (batch) => batch * copies + 2 * scratch(batch), perPart: 2 * perPart };
}

/** The accumulator of what arrives in some type. */
function accumulatorIn(
  plan: Plan,
  selection: Selection,
  dtype: DType,
  structure: Structure,
  columns: number,
  basis: readonly EigenBlock[] | undefined,
): Accumulator {
  const { sharing } = plan;
  const sumType = dtype === "float64" ? dtype : sumTypeOf(plan);
  if (structure === "full") return fullAccumulator(selection, columns, dtype, sumType);
  if (structure === "diagonal") return diagonalAccumulator(selection, columns, dtype);
  if (basis !== undefined) return ekfacAccumulator(selection, columns, dtype, basis);
  const factors = (of: Sharing) => kroneckerAccumulator(selection, columns, dtype, sumType, of);
  // A basis for "ekfac" needs both, where they differ.
  const both = plan.structure === "ekfac" && sharing === "reduce" && sharesPositions(selection);
  return both ? withExpanded(factors("reduce"), factors("expand")) : factors(sharing);
}

/** The type of the factors' sums: a small noise magnifies what rounding leaves of the curvature. */
function sumTypeOf({ likelihood, net, selection }: Plan): DType {
  return likelihood.noise === undefined && !sumsWide(net.dtype, selection.size) ? net.dtype : "float64";
}

/** The eigenbasis that another curvature gives to "ekfac". */
export function basisOf(plan: Plan, from: NonNullable<Plan["basis"]>): readonly EigenBlock[] {
  if (from instanceof EkfacCurvature) return from.blocks;
  return from.basis(sumTypeOf(plan) === "float32" ? 2 ** -23 : 2 ** -52);
}
