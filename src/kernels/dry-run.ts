// Dry runs: the same code with memory that is only counted and kernels that do nothing, to know what it needs before it starts.

import { align, type Pointer, STATIC_BYTES } from "./heap.ts";

/** What a dry run counts, in bytes, and beside them work. */
export interface DryBytes {
  /** The most of the kernels' memory at once. */
  peak: number;
  /** JavaScript's arrays that are kept for later. */
  kept: number;
  /** The most of both together. */
  all: number;
  /** Not bytes but work: multiplications of products, and two for each number of float32 that is allocated. */
  work: number;
}

export interface Counted extends DryBytes {
  /** Of the kernels' memory now. */
  now: number;
}

/** Undefined where memory is real. */
export let counted: Counted | undefined;

/**
 * Runs `body` with memory that is only counted and kernels that do nothing. What it reads is 0, and bodies of `inMemory` are
 * left out.
 */
export function dryRun(body: () => unknown): Readonly<DryBytes> {
  const before = counted;
  counted = { now: 0, peak: 0, kept: 0, all: 0, work: 0 };
  try {
    body();
    return counted;
  } finally {
    counted = before;
  }
}

/** Bytes that a dry run holds now; undefined outside of one. */
export function dryBytes(): number | undefined {
  return counted?.now;
}

/** Counts bytes of the kernels' memory, and gives where they would lie. */
export function count(count: Counted, bytes: number): Pointer {
  const at = STATIC_BYTES + count.now;
  count.now += align(bytes);
  count.work += bytes / 2;
  count.peak = Math.max(count.peak, count.now);
  count.all = Math.max(count.all, count.now + count.kept);
  return at;
}

/** Counts multiplications. */
export function countWork(multiplications: number): number {
  if (counted !== undefined) counted.work += multiplications;
  return 0;
}

/** Numbers of which dry runs know the length alone. */
export function sized(length: number): Float64Array {
  const part = (first = 0, end = length) => sized(end - first);
  return { length, slice: part, subarray: part } as Pick<Float64Array, "length"> as Float64Array;
}

/** Counts bytes of an array of JavaScript's that is kept for later; says whether this is a dry run. */
function keep(bytes: number): boolean {
  if (counted === undefined) return false;
  counted.kept += bytes;
  counted.all = Math.max(counted.all, counted.now + counted.kept);
  return true;
}

/** Numbers that are kept for later, zeros. */
export function keptNumbers(length: number): Float64Array {
  keep(8 * length);
  return new Float64Array(length);
}

/** The same for a matrix: in a dry run there is none, as it may be large, but for its length. */
export function keptMatrix(length: number): Float64Array {
  return keep(8 * length) ? sized(length) : new Float64Array(length);
}

/** A copy in float32 that is kept for later. */
export function keptSingles(values: Float64Array): Float32Array {
  const { length } = values;
  return keep(4 * length) ? (sized(length) as ArrayLike<number> as Float32Array) : new Float32Array(values);
}
