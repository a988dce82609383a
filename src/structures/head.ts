// The last layer by itself. Where all selected weights are its own, a row of the Jacobian is e_c ⊗ a, with a the layer's inputs: the
// variances of all outputs come of a and the blocks of the covariance, and no column is pulled back.

import { isPlain } from "../derivatives/uses.ts";
import type { Numbers } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Forward } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";
import type { SelectedParameter } from "./selection.ts";

/** Weights from which on the last layer has a way of its own. */
const LEAST = 256;

/** The layer whose outputs are the network's. */
export interface Head {
  readonly site: LinearSite;
  /** Its inputs. */
  readonly input: Node;
}

/** The variances of all outputs of every example, [B, C]. */
export type HeadVariance = (forward: Forward) => Numbers;

/** The head of a graph where all selected weights are its own, and many; undefined otherwise. */
export function headOf(
  size: number,
  selected: readonly SelectedParameter[],
  { output, uses }: Graph,
): Head | undefined {
  const { site } = output;
  if (size < LEAST || site?.kind !== "linear" || !selected.every((one) => one.site === site)) return undefined;
  const nodes = uses.get(site) ?? [];
  return isPlain(site, nodes) && nodes[0] === output ? { site, input: output.inputs[0] } : undefined;
}
