// Refuses results beyond the memory budget.

import { checkNeed, readBudget } from "../errors.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";

/** The option of every function whose result may be large. */
export interface MemoryOptions {
  /** Bytes the result may need (default 1 GiB). What needs more is refused before it starts. */
  memoryBudget?: number | undefined;
}

/** @throws MemoryBudgetError naming the bytes, the array's shape and what to use instead */
export function checkBudget(
  where: string,
  shape: readonly number[],
  net: Network,
  memoryBudget: number | undefined,
  instead: string,
): void {
  const bytes = shape.reduce((product, length) => product * length, bytesPerElement(net.dtype));
  const budget = readBudget(where, memoryBudget);
  if (bytes > budget) checkNeed(where, `an array of shape [${shape.join(", ")}]`, bytes, budget, instead);
}
