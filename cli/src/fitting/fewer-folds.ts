// How many folds of a cross-validation are judged: all, but where their fits would take long.

import { type Job, workOf } from "./jobs.ts";

/**
 * Multiplications that the fits of a table may take, about, so that it is fitted below 10 s on two cores: tables that took from 2.4 to 4.3·10¹¹
 * took longer, tables up to 2.2·10¹¹ did not.
 */
const MOST_WORK = 2.3e11;
/** A mixture that is judged by a fold is weighed by the others. */
const FEWEST = 2;
/** What it takes to judge a fit, and what fits of all rows take, in parts of those of a fold. */
const [JUDGED, LAST] = [2e9, 1.5];

/**
 * @param first the first fold's fits
 * @param others those of each other one, whose candidates are no more
 */
export function foldsToJudge(first: readonly Job[], others: readonly Job[], folds: number): number {
  const together = (jobs: readonly Job[]) => jobs.reduce((sum, job) => sum + workOf(job) + JUDGED, 0);
  const work = together(first) + (folds - 1 + LAST) * together(others);
  return work <= MOST_WORK ? folds : Math.min(folds, FEWEST);
}

/** How rows were held out, in words. */
export const foldsText = (judged: number, folds: number): string =>
  judged === folds
    ? `${folds}-fold cross-validation: each row was predicted once by a model that had not seen it`
    : `${judged} of ${folds} folds of a cross-validation, because the fits of more would take long: each of their rows was predicted once by a model that had not seen it (--folds ${folds} takes all)`;
