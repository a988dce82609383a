// Scores of two models on the same rows: their difference, and whether it is more than chance.

import { normalCdf } from "laplace-ts";

/** A metric of one model less that of another. */
export interface PairedDifference {
  readonly difference: number;
  /** Of the difference, by the spread of the rows' own differences: what the rows have in common has no part in it. */
  readonly standardError: number;
  /** How often so large a difference, to either side, would come by chance where there is none. */
  readonly pValue: number;
  readonly beyondChance: boolean;
}

/** A difference that comes by chance less often is said to be beyond it. */
const CHANCE = 0.05;

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value / values.length, 0);

function judged(difference: number, parts: readonly number[]): PairedDifference {
  const n = parts.length;
  const mean = meanOf(parts);
  const square = parts.reduce((sum, part) => sum + (part - mean) ** 2, 0);
  const standardError = Math.sqrt(square / (n - 1) / n);
  const pValue = difference === 0 ? 1 : 2 * normalCdf(-Math.abs(difference) / standardError);
  return { difference, standardError, pValue, beyondChance: pValue < CHANCE };
}

/** Of the means of scores of the same rows (Diebold & Mariano 1995, of rows that are independent). */
export function pairedMeans(own: readonly number[], other: readonly number[]): PairedDifference {
  const parts = own.map((value, i) => value - other[i]);
  return judged(meanOf(parts), parts);
}

/** Of the roots of the means of squares, by what each row moves the roots (the delta method). */
export function pairedRoots(own: readonly number[], other: readonly number[]): PairedDifference {
  const [a, b] = [Math.sqrt(meanOf(own)), Math.sqrt(meanOf(other))];
  const part = (square: number, root: number) => (root > 0 ? square / (2 * root) : 0);
  return judged(
    a - b,
    own.map((square, i) => part(square, a) - part(other[i], b)),
  );
}
