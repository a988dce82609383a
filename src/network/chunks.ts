// How many examples are unfolded at once.

import { bytesPerElement, type DType } from "../kernels/memory.ts";

/** Bytes of a chunk: what is unfolded, and what becomes of it, stays in the second cache. */
const CHUNK_BYTES = 2 ** 19;

/** The examples of a chunk, of so many numbers each: at least one, at most `batch`. */
export function chunkLength(dtype: DType, batch: number, perExample: number): number {
  const most = Math.floor(CHUNK_BYTES / (Math.max(1, perExample) * bytesPerElement(dtype)));
  return Math.max(1, Math.min(batch, most));
}
