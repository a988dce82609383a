// Bytes that curvatures and precisions need, before they are made.

import { kernelsFor } from "../kernels/kernels.ts";
import { bytesPerElement, type DType } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { Sharing } from "./curvature.ts";
import { shapeOf } from "./eigenblocks.ts";
import { factoredScratch } from "./factored.ts";
import type { Selection } from "./selection.ts";
import type { PartSize } from "./squares.ts";

export const FLOAT64 = 8;

/** What a structure needs. */
export interface ByteCounts {
  /**
   * Bytes of the curvature; of its factorisation at its peak, with the evidence; of what is there at the first prediction; and of
   * what is kept from then on.
   */
  bytes(selection: Selection, dtype: DType): Record<"curvature" | "factoring" | "first" | "held", number>;
  /** Bytes of what a first pass leaves, of what the next makes of it, and the peak of making it. */
  between(selection: Selection, sharing: Sharing): Record<"left" | "made" | "peak", number>;
  /** Numbers of the network's type; see `Precision.scratch`. */
  scratch(selection: Selection, part: PartSize, graph: Graph): number;
  /** Bytes that the variances of a part need, so many numbers for each row. */
  variances(selection: Selection, part: PartSize, graph: Graph, each: number): number;
  /** Bytes that draws of the weights need besides. */
  draws(selection: Selection): number;
}

/** Of structures of one pass. */
export const nothing = () => ({ left: 0, made: 0, peak: 0 });

/** Bytes that `eigh` needs besides its result, in the kernels' memory. */
export function eighBytes(n: number): number {
  // The kernel counts in 32 bits; of large matrices only the squares matter.
  const workspace = n < 8192 ? kernelsFor("float64").eighWorkspace(n) : 3 * FLOAT64 * n * n;
  return FLOAT64 * (n * n + n) + workspace;
}

/** Kronecker factors, and their eigenbases: bytes that are kept, and the peak of decomposing them. */
export function factorBytes({ parameters }: Selection): { factors: number; bases: number; peak: number } {
  let [factors, bases, peak] = [0, 0, 0];
  for (const selected of parameters) {
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

/** What predictions make of eigenvalues and bases: bytes that are held from the first one on, and at their peak. */
function basesBytes({ parameters }: Selection, dtype: DType, eigen: boolean): { held: number; peak: number } {
  const bytes = bytesPerElement(dtype);
  let [held, peak] = [0, 0];
  for (const selected of parameters) {
    const { groups, outputs, inputs } = shapeOf(selected);
    const size = groups * outputs * inputs;
    const weight = selected.role === "weight";
    const bases = eigen ? groups * (outputs ** 2 + (weight ? inputs ** 2 : 0)) : 0;
    // Inverses of the eigenvalues are kept; in float32, bases and inverses too. A vector's roots are made anew.
    held += FLOAT64 * size + (dtype === "float32" ? bytes * (bases + (weight ? size : 0)) : 0);
    peak = Math.max(peak, (bases + size) * bytes + (weight ? 0 : FLOAT64 * size));
  }
  return { held, peak };
}

/**
 * Of a precision that is diagonal in the basis of the weights, or in an eigenbasis. `of` gives the bytes of all but what
 * predictions make, of which the evidence needs a few vectors.
 */
export function factoredMemory(
  eigen: boolean,
  of: (selection: Selection, vector: number) => ReturnType<ByteCounts["bytes"]>,
  between: ByteCounts["between"] = nothing,
): ByteCounts {
  const scratch: ByteCounts["scratch"] = (selection, part, graph) => factoredScratch(selection, eigen, part, graph);
  return {
    bytes(selection, dtype) {
      const { held } = basesBytes(selection, dtype, eigen);
      const own = of(selection, FLOAT64 * selection.size);
      return { ...own, first: own.first + held, held: own.held + held };
    },
    between,
    scratch,
    variances(selection, part, graph, each) {
      const { columns, batch, dtype } = part;
      const bytes = bytesPerElement(dtype);
      // Scratch is counted for covariances.
      const own = (scratch(selection, part, graph) - batch * columns ** 2) * bytes;
      const found = batch * each * (FLOAT64 + bytes);
      return batch * each * bytes + Math.max(own + basesBytes(selection, dtype, eigen).peak, found);
    },
    draws: () => 0,
  };
}
