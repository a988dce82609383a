// What the cells of a table in place are, counted where they lie: of each column the different cells, how often each is there, and in
// which row first. It adds up, so that columns are decided by a sum over the pieces of the table.

import { FileError } from "laplace-ts";
import {
  addCountedTables,
  type CountedTable,
  contentsOf,
  countTable,
  type Safetensors,
  valueFrom,
} from "laplace-ts/executor";
import { type FoundIn, pieceTask, rowsOfPiece, WHERE } from "./piece-tasks.ts";

/** What some pieces say, one after the other. */
export interface CountedPieces {
  readonly cells: CountedTable;
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

const wrong = () => new FileError("malformed", `${WHERE}: the file does not say which cells there are.`);

/** @throws FileError for what `write` did not write */
function read(contents: Safetensors): CountedPieces {
  const { names, rows, columns } = Object(valueFrom(WHERE, contents)) as {
    readonly [name in "names" | "rows" | "columns"]: unknown;
  };
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) throw wrong();
  if (!(rows instanceof Float64Array) || !rows.every(isCount)) throw wrong();
  const length = rows.reduce((sum, own) => sum + own, 0);
  if (!Array.isArray(columns) || columns.length !== names.length) throw wrong();
  const cells = {
    names,
    length,
    columns: columns.map((column: unknown) => {
      const { bytes, lengths, counts, firsts } = Object(column) as Record<string, unknown>;
      const are = bytes instanceof Float64Array && lengths instanceof Uint32Array;
      if (!are || !(counts instanceof Float64Array) || !(firsts instanceof Float64Array)) throw wrong();
      const texts = unpacked(bytes, lengths);
      const sum = counts.reduce((all, count) => all + (isCount(count) && count > 0 ? count : Number.NaN), 0);
      const ordered = firsts.every(
        (first, i) => isCount(first) && first < length && (i === 0 || first > firsts[i - 1]),
      );
      if (sum !== length || !ordered || counts.length !== texts.length || firsts.length !== texts.length) throw wrong();
      return { texts, counts: Array.from(counts), firsts: Array.from(firsts) };
    }),
  };
  return { cells, rows: Array.from(rows) };
}

/** What pieces and those behind them say together. */
export function addPieces(left: CountedPieces, right: CountedPieces): CountedPieces {
  return { cells: addCountedTables(left.cells, right.cells), rows: [...left.rows, ...right.rows] };
}

/** Counts as files, which add. */
export const countsFile: FoundIn<CountedPieces> = {
  write({ cells, rows }) {
    const columns = cells.columns.map(({ texts, counts, firsts }) => ({
      ...packed(texts),
      counts: Float64Array.from(counts),
      firsts: Float64Array.from(firsts),
    }));
    return contentsOf({ names: cells.names, rows: Float64Array.from(rows), columns });
  },
  read,
  add: addPieces,
};

/** Counts the cells of pieces. */
export const countsTask = pieceTask<null, CountedPieces>(
  "laplace table counts",
  async (placed, _, job) => {
    const cells = countTable(await rowsOfPiece(placed, job));
    return { cells, rows: [cells.length] };
  },
  countsFile,
);
