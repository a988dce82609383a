// Scores of two models on the same rows: their difference, and whether it is more than chance.

import { normalCdf } from "laplace-ts";
import { countingOf, meanBy } from "./counting.ts";

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

/** How much each row counts (default: each once). */
type Weights = readonly number[] | undefined;

/** Of weighted means the error is that of rows which differ by themselves, Σ w² (d − m)² / (Σ w)²: weights do not make more rows of them. */
function judged(difference: number, parts: readonly number[], weights: Weights): PairedDifference {
  const n = parts.length;
  const mean = meanBy(parts, weights);
  const { of, total } = countingOf(n, weights);
  const square = parts.reduce((sum, part, i) => sum + (of(i) * (part - mean)) ** 2, 0);
  const standardError =
    weights === undefined ? Math.sqrt(square / (n - 1) / n) : Math.sqrt((square * n) / (n - 1)) / total;
  const pValue = difference === 0 ? 1 : 2 * normalCdf(-Math.abs(difference) / standardError);
  return { difference, standardError, pValue, beyondChance: pValue < CHANCE };
}

/** Of the means of scores of the same rows (Diebold & Mariano 1995, of rows that are independent). */
export function pairedMeans(own: readonly number[], other: readonly number[], weights?: Weights): PairedDifference {
  const parts = own.map((value, i) => value - other[i]);
  return judged(meanBy(parts, weights), parts, weights);
}

/** Of the roots of the means of squares, by what each row moves the roots (the delta method). */
export function pairedRoots(own: readonly number[], other: readonly number[], weights?: Weights): PairedDifference {
  const [a, b] = [Math.sqrt(meanBy(own, weights)), Math.sqrt(meanBy(other, weights))];
  const part = (square: number, root: number) => (root > 0 ? square / (2 * root) : 0);
  return judged(
    a - b,
    own.map((square, i) => part(square, a) - part(other[i], b)),
    weights,
  );
}
