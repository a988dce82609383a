// How many random directions a low rank is found by, and which.

import { Random } from "../../array/random.ts";

/** The rank up to which "auto" goes. */
const MOST_AUTO = 100;

/** The share of the trace that "auto" may leave out. */
export const AUTO_SHARE = 0.01;

/** The number of weights up to which the whole matrix is summed. */
const EXACT_UP_TO = 1024;

/** Of an exact Hessian the last directions, by which what the others leave out is estimated. */
export const PROBES = 10;

/** The most eigenvalues of a rank. */
export const mostOf = (rank: number | "auto"): number => (rank === "auto" ? MOST_AUTO : rank);

/**
 * Directions beyond the rows r of the Jacobian, of which H = Σ rᵀ r: with them the products with b ≥ rows + 20 normal directions say all of
 * H to rounding, as no direction in the span of the rows is nearly at a right angle to all of Ω (Davidson & Szarek 2001).
 */
export const SPARE = 20;

/** Numbers of a sketch that is made wide for all rows (1 GiB), and of directions that are kept (64 MiB). */
const MOST_NUMBERS = 2 ** 27;
const KEPT_NUMBERS = 2 ** 23;

/**
 * b, the number of directions: all up to 1024 weights, where everything is exact; beyond, as many as say all of so many rows, up to 1024 of
 * them; otherwise twice the rank and 50.
 */
export function sketchSize(rank: number | "auto", size: number, rows?: number | "again"): number {
  if (size <= EXACT_UP_TO) return size;
  const wide = typeof rows === "number" && rows <= EXACT_UP_TO ? rows + SPARE : 0;
  return Math.min(size, Math.max(2 * mostOf(rank) + 50, wide * size <= MOST_NUMBERS ? wide : 0));
}

/** Whether b directions say all of so many rows. */
export const saysAll = (b: number, size: number, rows: number): boolean => b === size || rows <= b - SPARE;

const known = new Map<number, Float64Array>();

/** Ω, [b, S]: normal numbers from a fixed seed, the first of which are the same for every b, made once for the last size unless they are many. */
export function directions(size: number, b: number): Float64Array {
  const length = size * b;
  const found = known.get(size);
  if (found !== undefined && found.length >= length) return found.subarray(0, length);
  const random = new Random(0);
  const result = new Float64Array(length);
  for (let i = 0; i < length; i++) result[i] = random.normal();
  known.clear();
  if (length <= KEPT_NUMBERS) known.set(size, result);
  return result;
}
