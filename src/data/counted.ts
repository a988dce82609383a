// The cells of a table as sums: of each column its different cells, how often each is there, and in which row first and last. Of parts of a
// table they add up, exactly, to those of all, so that whoever reads the parts need not see the others; and they say what
// `tableEncoding` asks of a table.

import { ValueError, valueText } from "../errors.ts";
import { cellsBy, checkTable, rowCount, type Table, type TableColumns } from "./table.ts";

/** The different cells of a column, in the order in which they first come. */
export interface CountedColumn {
  readonly texts: readonly string[];
  /** How often each is there. */
  readonly counts: readonly number[];
  /** The row in which it is first, from 0. */
  readonly firsts: readonly number[];
  /** The row in which it is last. */
  readonly lasts: readonly number[];
}

/** The cells of a table, or of some rows of it. */
export interface CountedTable {
  readonly names: readonly string[];
  /** Rows. */
  readonly length: number;
  readonly columns: readonly CountedColumn[];
}

/**
 * Counts the cells of a table's columns. Memory: each different cell of a column once.
 * @throws ValueError for a column of more than 2^24 different cells
 */
export function countTable(table: Table | TableColumns): CountedTable {
  checkTable("countTable", table);
  const { names } = table;
  const cells = cellsBy(table);
  return { names: [...names], length: rowCount(table), columns: names.map((name) => counted(cells(name))) };
}

/** Different cells of a column: a Map has no more. */
const MOST = 2 ** 24;

/** @throws ValueError for more than can be counted */
function checkMost(different: number): void {
  if (different <= MOST) return;
  throw new ValueError(
    `countTable: a column has more than ${MOST.toLocaleString("en")} different cells: leave it out.`,
  );
}

/** @throws ValueError for what is not of `countTable` or `addCountedTables` */
function checkCounted(where: string, table: CountedTable): void {
  const { names, columns, length } = Object(table) as CountedTable;
  const are = Array.isArray(names) && Array.isArray(columns) && columns.length === names.length;
  if (are && Number.isSafeInteger(length) && columns.every((one) => Array.isArray(one?.texts))) return;
  throw new ValueError(`${where}: expected what countTable gives, got ${valueText(table)}.`);
}

function counted(cells: readonly string[]): CountedColumn {
  const places = new Map<string, number>();
  const [texts, counts, firsts, lasts]: [string[], number[], number[], number[]] = [[], [], [], []];
  cells.forEach((cell, row) => {
    const place = places.get(cell);
    if (place !== undefined) {
      counts[place]++;
      lasts[place] = row;
      return;
    }
    checkMost(texts.length + 1);
    places.set(cell, texts.length);
    texts.push(cell);
    counts.push(1);
    firsts.push(row);
    lasts.push(row);
  });
  return { texts, counts, firsts, lasts };
}

/**
 * What rows and the rows behind them say together: exactly what they say when they are counted at once, in whatever order neighbours
 * are added. @throws ValueError for tables of other columns, or more than 2^24 different cells
 */
export function addCountedTables(left: CountedTable, right: CountedTable): CountedTable {
  checkCounted("addCountedTables", left);
  checkCounted("addCountedTables", right);
  if (left.names.length !== right.names.length || left.names.some((name, i) => name !== right.names[i])) {
    throw new ValueError(
      `addCountedTables: expected the same columns, got ${left.names.join(", ")} and ${right.names.join(", ")}.`,
    );
  }
  return {
    names: left.names,
    length: left.length + right.length,
    columns: left.columns.map((column, i) => added(column, right.columns[i], left.length)),
  };
}

function added(left: CountedColumn, right: CountedColumn, before: number): CountedColumn {
  const places = new Map(left.texts.map((text, i) => [text, i]));
  const [texts, counts] = [[...left.texts], [...left.counts]];
  const [firsts, lasts] = [[...left.firsts], [...left.lasts]];
  right.texts.forEach((text, i) => {
    const place = places.get(text);
    if (place !== undefined) {
      counts[place] += right.counts[i];
      lasts[place] = before + right.lasts[i];
      return;
    }
    checkMost(texts.length + 1);
    texts.push(text);
    counts.push(right.counts[i]);
    firsts.push(before + right.firsts[i]);
    lasts.push(before + right.lasts[i]);
  });
  return { texts, counts, firsts, lasts };
}

/**
 * The cells of a column in an order that is theirs as far as counts know it: all but the last of those that are alike where the first of
 * them is, and the last where it is. So values are in order just where those of the rows are. Each is the cell's place, and how often.
 */
function* runsOf({ counts, firsts, lasts }: CountedColumn): Generator<readonly [place: number, times: number]> {
  const again = Array.from(counts.keys())
    .filter((i) => counts[i] > 1)
    .sort((i, j) => lasts[i] - lasts[j]);
  let at = 0;
  for (let i = 0; i < firsts.length; i++) {
    while (at < again.length && lasts[again[at]] < firsts[i]) yield [again[at++], 1];
    yield [i, Math.max(1, counts[i] - 1)];
  }
  while (at < again.length) yield [again[at++], 1];
}

/**
 * The columns that `tableEncoding` takes: what is decided of them is what is decided of the table itself, to the bit. Cells that are
 * alike come together, where the first of them came, but for the last one. Memory: the cells of one column at a time.
 * @throws ValueError for what is not counts of a table
 */
export function columnsOfCounts(table: CountedTable): TableColumns {
  checkCounted("columnsOfCounts", table);
  const { names, length, columns } = table;
  return {
    names,
    length,
    column(place) {
      const cells: string[] = [];
      for (const [i, times] of runsOf(columns[place])) {
        for (let k = 0; k < times; k++) cells.push(columns[place].texts[i]);
      }
      return cells;
    },
    rowOf(place, cell) {
      let before = 0;
      for (const [i, times] of runsOf(columns[place])) {
        before += times;
        if (cell < before) return columns[place].firsts[i];
      }
      return 0;
    },
  };
}
