// What cells of a table say that is missing, that cannot be read, or that may stand for a missing value: with counts and lines.

import {
  type ColumnEncoding,
  identityOf,
  looksMissing,
  missingTest,
  numbersBut,
  type Occurrence,
  occurrences,
  readerOf,
  type Steps,
  spellings,
  type TableEncoding,
  twoOrders,
} from "laplace-ts";
import { cellsAt, type Rows } from "./rows.ts";

/** Texts of a column, how often each is there, the most frequent first. */
export interface ColumnTexts {
  readonly name: string;
  readonly texts: readonly Occurrence[];
  /** Lines of some of them. */
  readonly lines: readonly number[];
}

/** What the cells of a table say. */
export interface CellNotes {
  /** Texts that count as missing; the target's too. */
  readonly missing: readonly ColumnTexts[];
  /** Texts in columns of numbers and dates that are not such, and count as missing. */
  readonly unreadable: readonly ColumnTexts[];
  /** Texts that are taken as a value, and often say that there is none. */
  readonly doubtful: readonly ColumnTexts[];
  /** Columns that would be numbers but for one text. */
  readonly numbersBut: readonly ColumnTexts[];
  /** Values that are written in several ways: an entry for each. */
  readonly spellings: readonly ColumnTexts[];
  /** Values that differ in upper and lower case alone: an entry for each group. */
  readonly cases: readonly ColumnTexts[];
  /** Categories that are dates in two orders: one of each. */
  readonly twoOrders: readonly ColumnTexts[];
}

/** Lines that are named. */
const LINES = 3;
/** A text that is a value, though it often says that there is none, is named from this share of the cells on. */
const WORTH = 0.005;

/** Groups of values that differ in upper and lower case alone. */
function inCase(values: readonly Occurrence[]): Occurrence[][] {
  const groups = new Map<string, Occurrence[]>();
  for (const value of values) {
    const lower = identityOf(value.text).toLowerCase();
    groups.set(lower, [...(groups.get(lower) ?? []), value]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** What the cells of a table say, by what was decided of its columns, in steps of a column each. */
export function* cellNotes(table: Rows, encoding: TableEncoding): Steps<CellNotes> {
  const notes: Record<keyof CellNotes, ColumnTexts[]> = {
    missing: [],
    unreadable: [],
    doubtful: [],
    numbersBut: [],
    spellings: [],
    cases: [],
    twoOrders: [],
  };
  const { target, rule } = encoding;
  const add = (kind: keyof CellNotes, name: string, rows: readonly number[], cells: readonly string[]) => {
    if (rows.length === 0) return;
    const texts = occurrences(rows.map((row) => cells[row].slice(0, 60)));
    notes[kind].push({ name, texts, lines: rows.slice(0, LINES).map((row) => table.lines[row]) });
  };
  const textual = missingTest(rule, "texts");
  const columns: readonly (ColumnEncoding | { readonly name: string; readonly kind: "target" })[] = [
    { name: target.name, kind: "target" },
    ...encoding.columns,
  ];
  for (const column of columns) {
    yield;
    const { name } = column;
    const at = table.names.indexOf(name);
    const cells = cellsAt(table, at);
    const rowsOf = (is: (cell: string) => boolean) => cells.flatMap((cell, row) => (is(cell) ? [row] : []));
    if (column.kind === "target") {
      add(
        "missing",
        name,
        rowsOf((cell) => encoding.encodeTarget(cell) === undefined),
        cells,
      );
    } else if (column.kind === "category") add("missing", name, rowsOf(textual), cells);
    if (column.kind === "number" || column.kind === "date") {
      const read = readerOf({ ...column, texts: [] }, rule);
      const [gaps, strays]: [number[], number[]] = [[], []];
      for (let row = 0; row < cells.length; row++) {
        const value = read(cells[row]);
        if (value === undefined) gaps.push(row);
        else if (value === null) strays.push(row);
      }
      add("missing", name, gaps, cells);
      add("unreadable", name, strays, cells);
    }
    if (column.kind === "category" || (column.kind === "target" && target.kind === "classes")) {
      const doubtful = rowsOf((cell) => looksMissing(cell) && !textual(cell) && !missingTarget(column.kind, cell));
      if (doubtful.length >= WORTH * cells.length) add("doubtful", name, doubtful, cells);
      const values = cells.filter((cell) => !textual(cell)).map((cell) => cell.trim());
      for (const texts of spellings(values)) notes.spellings.push({ name, texts, lines: [] });
      for (const texts of inCase(occurrences(values))) notes.cases.push({ name, texts, lines: [] });
    }
    // Of categories there are few different ones: each is read once.
    const orders = column.kind === "category" ? twoOrders([...new Set(cells)]) : undefined;
    if (orders !== undefined) {
      const rows = orders.map((text) => cells.findIndex((cell) => cell.trim() === text));
      const texts = orders.flatMap((text) => occurrences([text]));
      notes.twoOrders.push({ name, texts, lines: rows.map((row) => table.lines[row]) });
    }
    if (column.kind === "category" || column.kind === "ignored") {
      const but = numbersBut(cells, rule);
      if (but !== undefined) {
        add(
          "numbersBut",
          name,
          rowsOf((cell) => cell.trim() === but.text),
          cells,
        );
      }
    }
  }
  return notes;

  function missingTarget(kind: string, cell: string): boolean {
    return kind === "target" && encoding.encodeTarget(cell) === undefined;
  }
}
