// Arrays whose memory can be given back, and what became of it.

import { LaplaceError } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";

/** Elements that `kernelArray` made: whose they are, and whether they were given back. */
export interface Loan {
  of: object | undefined;
  readonly bytes: number;
  freed: boolean;
}

/** The loan that elements belong to, for those that are shown by an array. */
export const loans: WeakMap<FloatArray, Loan> = new WeakMap();

/** @throws LaplaceError for elements whose memory was given back */
export function refuseFreed({ freed }: Loan, shape: readonly number[]): void {
  if (!freed) return;
  throw new LaplaceError(
    `An array of shape [${shape.join(", ")}] is used after free(): its memory was given back and may be another's by now. Call free() later, or clone() what is still needed before it.`,
  );
}
