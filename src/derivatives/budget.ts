// Refuses results beyond the memory budget.

import { checkNumber, MemoryBudgetError } from "../errors.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";
import { bytesText } from "../network/summary.ts";

/** Bytes a result may need unless the caller says otherwise: 1 GiB. */
export const defaultMemoryBudget: number = 2 ** 30;

/** The option of every function whose result may be large. */
export interface MemoryOptions {
  /** Bytes the result may need (default 1 GiB). What needs more is refused before it starts. */
  memoryBudget?: number;
}

/** @throws MemoryBudgetError naming the bytes, the array's shape and what to use instead */
export function checkBudget(
  where: string,
  shape: readonly number[],
  net: Network,
  memoryBudget: number = defaultMemoryBudget,
  instead: string,
): void {
  if (memoryBudget !== Number.POSITIVE_INFINITY) checkNumber(where, "memoryBudget", memoryBudget, 0);
  const bytes = shape.reduce((product, length) => product * length, bytesPerElement(net.dtype));
  if (bytes <= memoryBudget) return;
  throw new MemoryBudgetError(
    `${where}: an array of shape [${shape.join(", ")}] needs ${bytesText(bytes)} (${bytes} bytes), the memory budget is ${bytesText(memoryBudget)}. ${instead} Or raise the option memoryBudget.`,
    bytes,
    memoryBudget,
  );
}
