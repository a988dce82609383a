// The peak of what a computation holds: numbers in the kernels' memory, and arrays that JavaScript cannot free yet.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { allocatedBytes, observeMemory } from "../../src/kernels/memory.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Bytes of arrays in use. Twice, because a collection only ends giving back when the next one begins. */
function arraysInUse(): number {
  gc();
  gc();
  return process.memoryUsage().arrayBuffers;
}

/**
 * Runs `body`, and gives the most bytes held at once, beyond what was held before, to 3 %; at least `floor`, since
 * collecting garbage takes its time.
 */
export async function peakOf(floor: number, body: () => Promise<void> | void): Promise<number> {
  const before = arraysInUse() + allocatedBytes();
  let peak = floor;
  observeMemory(() => {
    const rest = allocatedBytes() - before;
    // Garbage only makes it more: where there is no new peak with it, there is none without.
    if (process.memoryUsage().arrayBuffers + rest <= 1.03 * peak) return;
    peak = Math.max(peak, arraysInUse() + rest);
  });
  try {
    await body();
  } finally {
    observeMemory(undefined);
  }
  return peak;
}
