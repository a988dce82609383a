// Tables of many rows: what has to be found out, candidates, rounds and starting points, is found out by a sample; then all rows are learned
// from, in few passes, so that time and memory grow no faster than rows.

import { Random, type TrainingEvidence } from "laplace-ts";
import { type Numbers, take } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";

/** Rows up to which everything is done with all of them. */
export const MANY_ROWS = 50_000;

/** Held-out rows beyond which more say hardly more: a mean of as many has a standard error of 0.005 deviations. */
export const MOST_HELD_OUT = 50_000;

/** Rows that weigh fits to many rows anew. */
export const MOST_CHOOSING = 20_000;

/** So many of 0 to n − 1, ascending, each with the same chance (selection sampling: Knuth, Algorithm S); all where they are no more. */
export function someOf(n: number, most: number, seed: number): number[] {
  const random = new Random(seed);
  const chosen: number[] = [];
  for (let i = 0; i < n; i++) {
    if (n <= most || random.uniform() * (n - i) < most - chosen.length) chosen.push(i);
  }
  return chosen;
}

/** A sample of many rows; undefined of few. */
export function sampleOf(numbers: Numbers, seed: number): Numbers | undefined {
  return numbers.rows <= MANY_ROWS ? undefined : take(numbers, someOf(numbers.rows, MANY_ROWS, seed));
}

/** A division of a sample, where rows are many: each side by its share. */
export function thinned({ part, rest }: Division, seed: number): Division {
  const n = part.length + rest.length;
  if (n <= MANY_ROWS) return { part, rest };
  const of = (side: readonly number[]) => {
    const most = Math.max(1, Math.round((MANY_ROWS * side.length) / n));
    return someOf(side.length, most, seed).map((i) => side[i]);
  };
  return { part: of(part), rest: of(rest) };
}

/** What a training gives that goes on to others. */
interface Trained {
  readonly evidence?: TrainingEvidence | undefined;
}

/** Steps of second order on all of many rows, near the minimum already. */
export const STEPS_ON_ALL = 12;

/**
 * Trains, of many rows first on a sample, so that few steps are left for all.
 * @param most steps @param train trains for so many, from where the one before ended
 */
export async function fromSample<Result extends Trained>(
  numbers: Numbers,
  seed: number,
  most: number,
  train: (rows: Numbers, steps: number, begun: TrainingEvidence | undefined) => Promise<Result>,
): Promise<Result> {
  const sample = sampleOf(numbers, seed);
  if (sample === undefined) return train(numbers, most, undefined);
  const begun = await train(sample, most, undefined);
  return train(numbers, Math.min(most, STEPS_ON_ALL), begun.evidence);
}

/** Precisions of inputs that say nothing run to infinity: their logarithms, either way. */
const MOST_LOG = 10;

/** Where the evidence of another training begins: at its prior precision, as one number, the geometric mean. */
export function startOf(begun: TrainingEvidence | undefined): { readonly priorPrecision?: number } {
  if (begun === undefined) return {};
  const logs = begun.groups.map(({ precision }) => Math.min(MOST_LOG, Math.max(-MOST_LOG, Math.log(precision))));
  return { priorPrecision: Math.exp(logs.reduce((sum, log) => sum + log / logs.length, 0)) };
}
