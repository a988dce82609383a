// A network's outputs for a part of a batch, as losses and likelihoods see them.

import type { Kernels } from "../kernels/kernels.ts";
import type { DType, Pointer } from "../kernels/memory.ts";
import type { Part } from "./run.ts";

/** Outputs of a part of a batch in the kernels' memory, and their kernels. */
export interface Outputs {
  readonly kernels: Kernels;
  readonly dtype: DType;
  /** B, the number of examples. */
  readonly batch: number;
  /** C, the outputs of one example. */
  readonly outputs: number;
  /** The shape of one example's outputs, of C elements. */
  readonly shape: readonly number[];
  /** f, [B, C]. */
  readonly f: Pointer;
}

/** The outputs of a part. */
export function outputsOf({ forward, count, shape }: Pick<Part, "forward" | "count" | "shape">): Outputs {
  const { kernels, dtype, graph } = forward;
  return { kernels, dtype, batch: count, outputs: graph.output.size, shape, f: forward.outputs };
}
