// The peak of what a computation holds: numbers in the kernels' memory, and arrays that JavaScript cannot free yet.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { allocatedBytes, observeMemory } from "../../src/kernels/memory.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Bytes of arrays in use. Twice, because a collection only ends giving back when the next one begins. */
export function arraysInUse(): number {
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
  const observe = () => {
    const rest = allocatedBytes() - before;
    // Garbage only makes it more: where there is no new peak with it, there is none without.
    if (process.memoryUsage().arrayBuffers + rest <= 1.03 * peak) return;
    peak = Math.max(peak, arraysInUse() + rest);
  };
  observeMemory(observe);
  const release = observeArrays(observe);
  try {
    await body();
  } finally {
    release();
    observeMemory(undefined);
  }
  return peak;
}

/** Calls `next` after each array of float64 that is large, however it comes about; gives what ends it. */
function observeArrays(next: () => void): () => void {
  const Plain = globalThis.Float64Array;
  const Observed = new Proxy(Plain, {
    construct(target, args, newTarget) {
      const made = Reflect.construct(target, args, newTarget) as Float64Array;
      if (made.byteLength > 10_000) next();
      return made;
    },
  });
  // Copies, maps and slices are made by the constructor that the prototype names.
  Plain.prototype.constructor = Observed;
  globalThis.Float64Array = Observed;
  return () => {
    Plain.prototype.constructor = Plain;
    globalThis.Float64Array = Plain;
  };
}

/** The most bytes of the kernels' memory held at once while `body` runs, beyond those before. */
export function kernelPeakOf(body: () => void): number {
  const before = allocatedBytes();
  let peak = 0;
  observeMemory(() => {
    peak = Math.max(peak, allocatedBytes() - before);
  });
  try {
    body();
  } finally {
    observeMemory(undefined);
  }
  return peak;
}
