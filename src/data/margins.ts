// How unlike the training a value must be to make its row unusual. With many columns each row is the extreme of some, so what
// counts is how many rows of the training would be unusual to the others: about one in a hundred, however many columns.

import { each, type Steps } from "../kernels/steps.ts";
import type { CategoryColumn, ColumnEncoding } from "./column-encoding.ts";
import { occurrences } from "./identity.ts";
import { type MissingRule, missingTest } from "./missing.ts";
import { readerOf } from "./reading.ts";

/** A value further outside the range of the training than this share of the range is unusual. */
export const MARGIN = 0.1;
/** However wild the rows of the training are. */
const MOST_MARGIN = 4;
/** The share of rows that may be unusual, and the fewest that may be. */
const [SHARE, FEWEST] = [0.01, 2];

const allowed = (rows: number) => Math.max(FEWEST, Math.floor(SHARE * rows));

/**
 * The share of its range by which a value may lie outside. A row that holds a column's extreme would lie outside if it had
 * been left out: the margin is what all but one row in a hundred would have needed, at least `MARGIN`.
 */
export function* marginOf(
  columns: readonly ColumnEncoding[],
  cellsOf: (name: string) => readonly string[],
  rule: MissingRule,
  rowsOf: (name: string) => (cell: number) => number,
): Steps<number> {
  let scores: Float64Array | undefined;
  for (const column of columns) {
    if (column.kind !== "number" && column.kind !== "date") continue;
    const cells = cellsOf(column.name);
    scores ??= new Float64Array(cells.length);
    const read = readerOf(column, rule);
    let [low, low2, high, high2] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -Infinity, -Infinity];
    let [lowest, highest] = [-1, -1];
    cells.forEach((cell, row) => {
      const value = read(cell);
      if (typeof value !== "number") return;
      if (value < low) [low2, low, lowest] = [low, value, row];
      else if (value < low2) low2 = value;
      if (value > high) [high2, high, highest] = [high, value, row];
      else if (value > high2) high2 = value;
    });
    const rowOf = rowsOf(column.name);
    const raise = (cell: number, outside: number, range: number) => {
      if (scores === undefined || cell < 0 || !(range > 0)) return;
      const row = rowOf(cell);
      scores[row] = Math.max(scores[row], outside / range);
    };
    raise(lowest, low2 - low, high - low2);
    raise(highest, high - high2, high2 - low);
    yield;
  }
  if (scores === undefined) return MARGIN;
  const place = allowed(scores.length);
  const ordered = scores.sort();
  const wide = place < ordered.length ? ordered[ordered.length - 1 - place] : 0;
  return Math.min(MOST_MARGIN, Math.max(MARGIN, wide));
}

/**
 * The columns, those with ever new categories told that one which is not listed is nothing unusual: by Good and Turing a new
 * row has an unknown one as often as the training has categories of one row. One row in a hundred may, all columns together;
 * the columns with the fewest keep their say first, and one column alone always does.
 */
export function* withOpenCategories(
  columns: readonly ColumnEncoding[],
  cellsOf: (name: string) => readonly string[],
  rule: MissingRule,
): Steps<ColumnEncoding[]> {
  const missing = missingTest(rule, "texts");
  const closed = columns.filter((column): column is CategoryColumn => column.kind === "category" && !column.rest);
  if (closed.length < 2) return [...columns];
  const alone = yield* each(closed, (column) => {
    const cells = cellsOf(column.name).filter((cell) => !missing(cell));
    return { name: column.name, rows: occurrences(cells).filter(({ count }) => count === 1).length };
  });
  alone.sort((a, b) => a.rows - b.rows);
  const most = allowed(cellsOf(closed[0].name).length);
  let sum = 0;
  const open = new Set<string>();
  for (const { name, rows } of alone) {
    sum += rows;
    if (sum > most) open.add(name);
  }
  return columns.map((column) =>
    column.kind === "category" && open.has(column.name) ? { ...column, rest: true } : column,
  );
}
