// What the cells of a table in place are, counted where they lie: of each column the different cells, how often each is there, and in
// which row first. It adds up, so that columns are decided by a sum over the pieces of the table.

import { FileError } from "laplace-ts";
import {
  addCountedTables,
  type CountedColumn,
  type CountedTable,
  contentsOf,
  countTable,
  type Safetensors,
  valueFrom,
} from "laplace-ts/executor";
import { cellsAt, type Rows } from "../model/rows.ts";
import { type FoundIn, malformed, pieceTask, rowsOfPiece, WHERE } from "./piece-tasks.ts";

/** What is counted of a table. */
export interface CountSettings {
  /** The places of the columns that are counted, ascending. */
  readonly used: readonly number[];
  /** Different cells of a column up to which it is counted. */
  readonly most: number;
}

/** What some pieces say, one after the other. */
export interface CountedPieces {
  /** Of a column that is not counted: as though all of its cells were empty. */
  readonly cells: CountedTable;
  /** The places of columns that have more different cells than are counted, ascending. */
  readonly open: readonly number[];
  /** How many rows each of them has. */
  readonly rows: readonly number[];
}

/** Bytes in a number: files have arrays of numbers, whose integers are exact below 2^53. */
const BYTES = 6;

/** Texts as numbers: one after the other, and how many bytes each has. */
function packed(texts: readonly string[]): { readonly bytes: Float64Array; readonly lengths: Uint32Array } {
  const encoder = new TextEncoder();
  const all = texts.map((text) => encoder.encode(text));
  const size = all.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Float64Array(Math.ceil(size / BYTES));
  let at = 0;
  for (const own of all) {
    for (const byte of own) {
      bytes[Math.floor(at / BYTES)] += byte * 256 ** (at % BYTES);
      at++;
    }
  }
  return { bytes, lengths: Uint32Array.from(all, ({ length }) => length) };
}

/** @throws FileError */
function unpacked(bytes: Float64Array, lengths: Uint32Array): string[] {
  const size = lengths.reduce((sum, length) => sum + length, 0);
  if (bytes.length !== Math.ceil(size / BYTES)) throw wrong();
  const all = new Uint8Array(bytes.length * BYTES);
  bytes.forEach((packed, i) => {
    if (!(Number.isInteger(packed) && packed >= 0 && packed < 256 ** BYTES)) throw wrong();
    for (let k = 0, left = packed; k < BYTES; k++, left = Math.floor(left / 256)) all[BYTES * i + k] = left % 256;
  });
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return decoder.decode(all.subarray(at - length, at));
  });
}

/** A column that is not counted. */
const empty = (length: number): CountedColumn =>
  length === 0
    ? { texts: [], counts: [], firsts: [], lasts: [] }
    : { texts: [""], counts: [length], firsts: [0], lasts: [length - 1] };

const wrong = () => new FileError("malformed", `${WHERE}: the file does not say which cells there are.`);

/** @throws FileError for what `write` did not write */
function read(contents: Safetensors): CountedPieces {
  const { names, rows, open, columns } = Object(valueFrom(WHERE, contents)) as {
    readonly [name in "names" | "rows" | "open" | "columns"]: unknown;
  };
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) throw wrong();
  if (!(rows instanceof Float64Array) || !rows.every(isCount)) throw wrong();
  if (!isAscending(open, names.length)) throw wrong();
  const length = rows.reduce((sum, own) => sum + own, 0);
  if (!Array.isArray(columns) || columns.length !== names.length) throw wrong();
  const cells = {
    names,
    length,
    columns: columns.map((column: unknown) => {
      const { bytes, lengths, counts, firsts, lasts } = Object(column) as Record<string, unknown>;
      const are = bytes instanceof Float64Array && lengths instanceof Uint32Array;
      if (!are || !(counts instanceof Float64Array)) throw wrong();
      if (!(firsts instanceof Float64Array) || !(lasts instanceof Float64Array)) throw wrong();
      const texts = unpacked(bytes, lengths);
      const sum = counts.reduce((all, count) => all + (isCount(count) && count > 0 ? count : Number.NaN), 0);
      const ordered = firsts.every(
        (first, i) => isCount(first) && first < length && (i === 0 || first > firsts[i - 1]),
      );
      const reach = lasts.every(
        (last, i) =>
          isCount(last) && last < length && last - firsts[i] >= counts[i] - 1 && (counts[i] > 1 || last === firsts[i]),
      );
      const lists = [counts, firsts, lasts].every((list) => list.length === texts.length);
      if (sum !== length || !ordered || !reach || !lists) throw wrong();
      return { texts, counts: Array.from(counts), firsts: Array.from(firsts), lasts: Array.from(lasts) };
    }),
  };
  return { cells, open, rows: Array.from(rows) };
}

/** Whether it is places among so many, ascending. */
function isAscending(value: unknown, count: number): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.every((one, i) => Number.isInteger(one) && one >= 0 && one < count && (i === 0 || one > value[i - 1]))
  );
}

/** Whether there are more different texts than so many. */
function areMore(lists: readonly (readonly string[])[], most: number): boolean {
  if (lists.reduce((sum, { length }) => sum + length, 0) <= most) return false;
  const different = new Set<string>();
  for (const list of lists) {
    for (const text of list) {
      if (different.size === most && !different.has(text)) return true;
      different.add(text);
    }
  }
  return false;
}

/** Counts without the cells of some columns. */
function without({ names, length, columns }: CountedTable, open: readonly number[]): CountedTable {
  return { names, length, columns: columns.map((column, j) => (open.includes(j) ? empty(length) : column)) };
}

/** What pieces and those behind them say together. */
export function addPieces(left: CountedPieces, right: CountedPieces, { most }: CountSettings): CountedPieces {
  const open = left.cells.names.flatMap((_, j) => {
    if (left.open.includes(j) || right.open.includes(j)) return [j];
    const texts = [left, right].map(({ cells }) => cells.columns[j]?.texts ?? []);
    return areMore(texts, most) ? [j] : [];
  });
  return {
    cells: addCountedTables(without(left.cells, open), without(right.cells, open)),
    open,
    rows: [...left.rows, ...right.rows],
  };
}

/** What rows say, as one piece. */
export function countRows(rows: Rows, { used, most }: CountSettings): CountedPieces {
  const { names, lines } = rows;
  const open = used.filter((j) => lines.length > most && areMore([cellsAt(rows, j)], most));
  const counted = new Set(used.filter((j) => !open.includes(j)));
  // One column after the other: no more than its cells are in memory besides the rows.
  const columns = names.map((name, j) => {
    if (!counted.has(j)) return empty(lines.length);
    return countTable({ names: [name], length: lines.length, column: () => cellsAt(rows, j) }).columns[0];
  });
  return { cells: { names: [...names], length: lines.length, columns }, open, rows: [lines.length] };
}

/** Counts as files, which add. */
export const countsFile: FoundIn<CountedPieces, CountSettings> = {
  write({ cells, open, rows }) {
    const columns = cells.columns.map(({ texts, counts, firsts, lasts }) => ({
      ...packed(texts),
      counts: Float64Array.from(counts),
      firsts: Float64Array.from(firsts),
      lasts: Float64Array.from(lasts),
    }));
    return contentsOf({ names: cells.names, open, rows: Float64Array.from(rows), columns });
  },
  read,
  add: addPieces,
};

/** Counts the cells of pieces. */
export const countsTask = pieceTask<CountSettings, CountedPieces>(
  "laplace table counts",
  async (placed, settings, job) => {
    const { used, most } = Object(settings) as Partial<CountSettings>;
    const is = Number.isSafeInteger(most) && (most as number) > 0;
    if (!is || !isAscending(used, placed.table.names.length)) throw malformed("it does not say what is counted");
    return countRows(await rowsOfPiece(placed, job), { used, most: most as number });
  },
  countsFile,
);
