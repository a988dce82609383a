// Rows that count more or less than once: a weight of 2 is as though the row were there twice.

import type { NDArray } from "laplace-ts";

/** How much each row counts, and all together. */
export interface Counting {
  of(row: number): number;
  readonly total: number;
}

/** Of so many rows: by their weights, or each once. */
export function countingOf(rows: number, weights?: ArrayLike<number>): Counting {
  if (weights === undefined) return { of: () => 1, total: rows };
  return { of: (i) => weights[i], total: Array.from(weights).reduce((sum, weight) => sum + weight, 0) };
}

/** The mean of a row's values, and the standard error that it has where rows are independent. */
export function meanAndError(values: readonly number[], { of, total }: Counting): [mean: number, error: number] {
  const mean = values.reduce((sum, value, i) => sum + (of(i) * value) / total, 0);
  const square = values.reduce((sum, value, i) => sum + of(i) * (value - mean) ** 2, 0);
  return [mean, Math.sqrt(square) / total];
}

/** Rows, and their weights, [rows] (default: each counts once). */
interface Counted {
  readonly rows: number;
  readonly weights?: NDArray;
}

/** How much rows count together. */
export const totalWeight = ({ rows, weights }: Counted): number =>
  weights === undefined ? rows : Array.from(weights.data).reduce((sum, weight) => sum + weight, 0);

/** The mean of values, one for each row, by how much rows count. */
export function meanBy(values: ArrayLike<number>, weights?: ArrayLike<number>): number {
  if (weights === undefined) return Array.from(values).reduce((sum: number, value) => sum + value / values.length, 0);
  const total = Array.from(weights).reduce((sum, weight) => sum + weight, 0);
  return Array.from(values).reduce((sum: number, value, i) => sum + (weights[i] * value) / total, 0);
}
