// What a fit of many rows takes, before it begins: passes over rows, by the work of each.

import { type Recipe, weightsOf } from "./jobs.ts";
import { MANY_ROWS, STEPS_ON_ALL } from "./many-rows.ts";
import type { Candidate } from "./portfolio.ts";
import { rowPasses } from "./recipe.ts";

/** What is known of a fit before it begins. */
export interface Planned {
  readonly rows: number;
  /** Columns of the table, and inputs that they become. */
  readonly columns: number;
  readonly inputs: number;
  readonly candidates: readonly Candidate[];
  /** Folds; 0 where a share of the rows is held out. */
  readonly folds: number;
  readonly cores: number;
}

/** Seconds, and bytes. */
export interface Estimate {
  readonly seconds: number;
  readonly bytes: number;
}

/**
 * Seconds of a core, measured with 200,000 and 1,000,000 rows of 20 columns on cores of 2026 (docs/command-line.md): of a cell that is
 * read, decided of and encoded; of a weight in a pass over a row forward and back, and of a pair of weights in a step of second order.
 */
const [CELL, WEIGHT, PAIR] = [6e-6, 4.5e-10, 2.8e-10];
/** Passes that a posterior takes, and most steps of second order on a sample. */
const [POSTERIOR, STEPS] = [3, 100];
/** Bytes of the program, of a cell, and beside inputs of a row; how often inputs are in memory at once. */
const [PROGRAM, CELL_BYTES, ROW_BYTES, COPIES] = [450e6, 12, 250, 2.2];
/** The share of candidates that are fitted to all rows, of those that are tried. */
const KEPT = 0.5;

/** What a fit takes, about. */
export function estimateOf({ rows, columns, inputs, candidates, folds, cores }: Planned): Estimate {
  const sample = Math.min(rows, MANY_ROWS);
  const work = candidates.map(({ recipe, seeds }) => {
    const [own, whole] = [secondsOf(recipe, inputs, sample), seeds * secondsOf(recipe, inputs, rows)];
    return { trial: own, whole };
  });
  const trials = work.reduce((sum, { trial }) => sum + trial, 0) * Math.max(1, folds);
  const heaviest = work.map(({ whole }) => whole).sort((a, b) => b - a);
  const kept = heaviest.slice(0, Math.ceil(KEPT * heaviest.length)).reduce((sum, one) => sum + one, 0);
  // The model that is judged, and the one that is kept.
  const learning = trials + kept * (folds > 0 ? folds + 1 : 2);
  const bytes = PROGRAM + rows * (columns * CELL_BYTES + COPIES * 8 * (inputs + 1) + ROW_BYTES);
  return { seconds: rows * columns * CELL + learning / Math.min(cores, candidates.length), bytes };
}

/** Seconds of a core for one fit to so many rows. */
function secondsOf(recipe: Recipe, inputs: number, rows: number): number {
  const weights = weightsOf(recipe, inputs);
  if (recipe.by === "rounds") {
    const passes =
      rowPasses(recipe, rows, weights) + POSTERIOR * (rows + (recipe.rounds - 1) * Math.min(rows, MANY_ROWS));
    return WEIGHT * weights * passes;
  }
  const steps = STEPS * Math.min(rows, MANY_ROWS) + (rows > MANY_ROWS ? STEPS_ON_ALL * rows : 0);
  return PAIR * steps * recipe.learning.outputs * weights ** 2;
}

/** In words: 6 minutes and 3.1 GB of memory. */
export function estimateText(rows: number, { seconds, bytes }: Estimate): string {
  const minutes = seconds / 60;
  const time =
    minutes < 1.5
      ? "a minute"
      : minutes < 90
        ? `${Math.round(minutes)} minutes`
        : `${(minutes / 60).toPrecision(2)} hours`;
  return `${rows.toLocaleString("en")} rows: about ${time} and ${(bytes / 1e9).toPrecision(2)} GB of memory to learn from all (--max-rows takes a sample)`;
}
