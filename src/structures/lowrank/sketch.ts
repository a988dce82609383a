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

/** b, the number of directions: all up to 1024 weights, where everything is exact; twice the rank and 50 beyond. */
export function sketchSize(rank: number | "auto", size: number): number {
  return size <= EXACT_UP_TO ? size : Math.min(size, 2 * mostOf(rank) + 50);
}

const known = new Map<string, Float64Array>();

/** Ω, [b, S]: normal numbers from a fixed seed, made once for the last size; undefined where directions are the weights themselves. */
export function directions(size: number, b: number): Float64Array {
  const key = `${size} ${b}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const random = new Random(0);
  const result = Float64Array.from({ length: size * b }, () => random.normal());
  known.clear();
  known.set(key, result);
  return result;
}
