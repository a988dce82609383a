// A table in memory, and what is asked of it before its columns are looked at.

import { checkInteger, ValueError, valueText } from "../errors.ts";
import { checkText, checkTexts } from "./texts.ts";

/** A table in memory: names of columns, and rows of as many texts. */
export interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * A table by its columns, whose cells are made when they are asked for: the texts of many rows need not be in memory all at
 * once. A column is asked for several times, and gives the same cells each time.
 */
export interface TableColumns {
  readonly names: readonly string[];
  /** Rows. */
  readonly length: number;
  /** The cells of the column at a place, one for each row. */
  column(place: number): readonly string[];
  /**
   * The first row that has what a cell of the column has, where its cells come in another order than the rows (default: the order of the
   * rows). What is decided by a whole column does not depend on it, as long as different cells come in the order in which they are first.
   */
  rowOf?(place: number, cell: number): number;
}

/** How many rows a table has. */
export const rowCount = (table: Table | TableColumns): number => ("rows" in table ? table.rows.length : table.length);

/** The cells of a column by its name. @throws ValueError for a column that has not as many cells as the table has rows */
export function cellsBy(table: Table | TableColumns): (name: string) => readonly string[] {
  const { names } = table;
  if ("rows" in table) {
    return (name) => {
      const j = names.indexOf(name);
      return table.rows.map((row) => row[j] ?? "");
    };
  }
  return (name) => {
    const j = names.indexOf(name);
    if (j < 0) return new Array<string>(table.length).fill("");
    const cells = table.column(j);
    checkTexts("column", `"${name}"`, cells);
    if (cells.length === table.length) return cells;
    throw new ValueError(`column: "${name}" has ${cells.length} cells; the table has ${table.length} rows.`);
  };
}

/** The row of a column's cell, by the column's name. */
export function rowsBy(table: Table | TableColumns): (name: string) => (cell: number) => number {
  const rowOf = "rows" in table ? undefined : table.rowOf?.bind(table);
  if (rowOf === undefined) return () => (cell) => cell;
  return (name) => {
    const j = table.names.indexOf(name);
    return j < 0 ? (cell) => cell : (cell) => rowOf(j, cell);
  };
}

/** @throws ValueError for what is not a table of texts; the cells of columns are checked when they are asked for */
export function checkTable(where: string, table: Table | TableColumns): void {
  if (table !== null && typeof table === "object" && !("rows" in table) && typeof table.column === "function") {
    checkTexts(where, "names", table.names);
    checkInteger(where, "length", table.length, 0);
  } else checkRows(where, table as Table);
}

function checkRows(where: string, table: Table): void {
  if (table === null || typeof table !== "object" || !Array.isArray(table.rows)) {
    const seen = valueText(table === null || typeof table !== "object" ? table : table.rows);
    throw new ValueError(
      `${where}: expected a table { names, rows } of texts, rows being a list of lists; got ${seen}.`,
    );
  }
  checkTexts(where, "names", table.names);
  for (let i = 0; i < table.rows.length; i++) {
    const row = table.rows[i];
    // Where a row is short, its last cells are empty.
    if (!Array.isArray(row)) throw new ValueError(`${where}: row ${i} must be a list of texts, not ${valueText(row)}.`);
    for (const cell of row) if (typeof cell !== "string") checkText(`${where}: row ${i}`, cell ?? "");
  }
}

export function checkNames(where: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ValueError(`${where}: two columns have the name "${twice}".`);
}

/** Some of the texts, for a message. */
export function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, 12).map((text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text));
  return shown.join(", ") + (texts.length > shown.length ? `, … (${texts.length} in all)` : "");
}

/** A name with its accents as characters of their own or not: they are the same. */
export const composed = (name: string) => name.normalize("NFC");

/** @throws ValueError for anything but a list of finite numbers */
export function checkNumbers(where: string, values: ArrayLike<number>): Float64Array {
  const list = typeof values === "object" && values !== null ? Float64Array.from(values) : new Float64Array(0);
  if (list.length > 0 && list.every(Number.isFinite)) return list;
  throw new ValueError(`${where}: expected a list of finite numbers, got ${valueText(values)}.`);
}
