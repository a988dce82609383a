// Columns that give the target away: one of them alone says it, so that it may not be known when predictions are needed.

import { type ColumnEncoding, readerOf, type Steps, type TableEncoding } from "laplace-ts";
import { cellsAt, type Rows } from "../model/rows.ts";

/** A correlation, of values or of ranks, from which on a column says a number. */
const SAYS = 0.9995;
/** Fewer rows, of all or of a class, say it by chance. */
const [FEWEST_ROWS, FEWEST_OF_CLASS] = [30, 5];
/** Rows of a category, on average. */
const ROWS_OF_CATEGORY = 5;

/** Names of the columns that alone say the target of every row, or nearly, in steps. */
export function* leaksOf(rows: Rows, encoding: TableEncoding): Steps<string[]> {
  const { target } = encoding;
  const at = rows.names.indexOf(target.name);
  const truth = cellsAt(rows, at).map((cell) => encoding.encodeTarget(cell) ?? 0);
  const found: string[] = [];
  for (const column of encoding.columns) {
    yield;
    const place = rows.names.indexOf(column.name);
    if (column.kind === "ignored" || place < 0) continue;
    const cells = cellsAt(rows, place);
    const says =
      column.kind === "category" ? categoriesSay(cells, truth, target.kind) : valuesSay(column, cells, truth, encoding);
    if (says) found.push(column.name);
  }
  return found;
}

function valuesSay(
  column: Exclude<ColumnEncoding, { kind: "ignored" | "category" }>,
  cells: readonly string[],
  truth: readonly number[],
  { rule, target }: TableEncoding,
): boolean {
  const read = readerOf(column, rule);
  const [values, targets]: [number[], number[]] = [[], []];
  for (let i = 0; i < cells.length; i++) {
    const value = read(cells[i]);
    if (typeof value !== "number") continue;
    values.push(value);
    targets.push(truth[i]);
  }
  if (values.length < FEWEST_ROWS) return false;
  if (target.kind === "classes") return classesApart(values, targets);
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const [x, y] = [order.map((i) => values[i]), order.map((i) => targets[i])];
  return Math.abs(correlation(x, y)) >= SAYS || Math.abs(correlation(rankOf(x), rankOf(y))) >= SAYS;
}

/** Whether every class is a range of values that no other class has a part of. */
export function classesApart(values: readonly number[], labels: readonly number[]): boolean {
  const classes = new Map<number, { low: number; high: number; count: number }>();
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const own = classes.get(labels[i]);
    if (own === undefined) classes.set(labels[i], { low: value, high: value, count: 1 });
    else {
      if (value < own.low) own.low = value;
      if (value > own.high) own.high = value;
      own.count++;
    }
  }
  const ranges = [...classes.values()].sort((a, b) => a.low - b.low);
  if (ranges.length < 2 || ranges.some(({ count }) => count < FEWEST_OF_CLASS)) return false;
  return ranges.every(({ low }, i) => i === 0 || low > ranges[i - 1].high);
}

/** Whether each category has one class only. */
function categoriesSay(cells: readonly string[], truth: readonly number[], kind: "number" | "classes"): boolean {
  if (kind === "number") return false;
  const labels = new Map<string, number>();
  const classes = new Map<number, number>();
  for (const [i, cell] of cells.entries()) {
    const known = labels.get(cell);
    if (known !== undefined && known !== truth[i]) return false;
    labels.set(cell, truth[i]);
    classes.set(truth[i], (classes.get(truth[i]) ?? 0) + 1);
  }
  const enough = cells.length >= Math.max(FEWEST_ROWS, ROWS_OF_CATEGORY * labels.size);
  return enough && classes.size > 1 && Math.min(...classes.values()) >= FEWEST_OF_CLASS;
}

function correlation(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value / values.length, 0);
  const [mx, my] = [mean(x), mean(y)];
  let [xx, xy, yy] = [0, 0, 0];
  for (const [i, value] of x.entries()) {
    xx += (value - mx) ** 2;
    xy += (value - mx) * (y[i] - my);
    yy += (y[i] - my) ** 2;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
}

/** Ranks; those of equal values are their mean. */
function rankOf(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const ranks = new Array<number>(values.length);
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1]] === values[order[first]]) last++;
    for (let k = first; k <= last; k++) ranks[order[k]] = (first + last) / 2;
    first = last + 1;
  }
  return ranks;
}
