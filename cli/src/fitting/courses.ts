// What the fits of a candidate in all folds say together.

import type { Outcome } from "./jobs.ts";
import type { Course } from "./recipe.ts";

/** Of the folds' fits; undefined where one is missing. */
export function meanEvidence(outcomes: readonly (Outcome | undefined)[], count: number): number | undefined {
  const found = outcomes.flatMap((one) => (one === undefined ? [] : [one.evidence]));
  return found.length === count ? found.reduce((sum, own) => sum + own / count, 0) : undefined;
}

/** The rounds that half of the folds' fits had at most; undefined where none has. */
export function middleRounds(outcomes: readonly (Outcome | undefined)[]): number | undefined {
  const found = outcomes.flatMap((one) => one?.course.rounds ?? []).sort((a, b) => a - b);
  return found[(found.length - 1) >> 1];
}

/** The course of the first fit of so many rounds that rows said when to stop. */
export const courseOf = (outcomes: readonly (Outcome | undefined)[], rounds: number | undefined): Course | undefined =>
  outcomes.find((one) => one !== undefined && one.validation > 0 && one.course.rounds === rounds)?.course;

/** Rows that said when to stop, at most, in fold k. */
export const validationOf = (outcomes: readonly (readonly (Outcome | undefined)[])[], k: number): number =>
  Math.max(...outcomes.map((all) => all[k]?.validation ?? 0));

/** The relevance of inputs that the heaviest candidate says which knows it, in parts of the largest. */
export function saidOf(
  weights: readonly number[],
  fits: readonly (Outcome | undefined)[],
): readonly number[] | undefined {
  const order = fits.map((_, c) => c).sort((a, b) => weights[b] - weights[a]);
  const relevance = order.map((c) => fits[c]?.relevance).find((own) => own !== undefined);
  const most = Math.max(...(relevance ?? []));
  return most > 0 ? relevance?.map((own) => own / most) : undefined;
}
