// A whole table in memory, as far as it is needed: of more rows than asked for, a sample.

import { Random } from "laplace-ts";
import type { Rows } from "../model/rows.ts";
import { ColumnarTable } from "./columnar.ts";
import type { TableStream } from "./csv.ts";
import type { Batch } from "./records.ts";

/** A table in memory. */
export interface ReadTable extends Rows {
  /** Rows of the whole table. */
  readonly total: number;
}

/** Rows up to which texts stay as they are, where each is read again and again. */
export const FEW_ROWS = 50_000;

/**
 * Reads a table to its end. Of more than `most` rows it keeps as many, each with the same chance (reservoir sampling,
 * Vitter's algorithm R), in their order.
 * @param most rows to keep (default: all) @param seed that of the sample
 * @param few rows from which on the table is in memory by its columns, in fewer bytes
 */
export async function readTable(
  table: TableStream,
  most?: number,
  seed = 0,
  onRows: (rows: number) => void = () => {},
  few = FEW_ROWS,
): Promise<ReadTable> {
  if (most !== undefined) return sampled(table, most, seed, onRows);
  const { names } = table;
  const rows: (readonly string[])[] = [];
  const lines: number[] = [];
  let many: ColumnarTable | undefined;
  let total = 0;
  for await (const batch of table.batches) {
    total += batch.rows.length;
    if (many === undefined && total > few) {
      many = new ColumnarTable(names);
      addTo(many, { rows, lines });
      rows.length = 0;
    }
    if (many !== undefined) addTo(many, batch);
    else {
      for (const row of batch.rows) rows.push(ownCopy(row));
      for (const line of batch.lines) lines.push(line);
    }
    onRows(total);
  }
  return { ...(many?.rows() ?? { names, rows, lines }), total };
}

function addTo(table: ColumnarTable, { rows, lines }: Batch): void {
  for (let i = 0; i < rows.length; i++) table.push(rows[i], lines[i]);
}

async function sampled(
  table: TableStream,
  most: number,
  seed: number,
  onRows: (rows: number) => void,
): Promise<ReadTable> {
  const takes = reservoir(most, seed);
  const kept: { row: readonly string[]; line: number; place: number }[] = [];
  let total = 0;
  for await (const { rows, lines } of table.batches) {
    rows.forEach((row, i) => {
      const place = total++;
      const at = takes(place);
      if (at < most) kept[at] = { row: ownCopy(row), line: lines[i], place };
    });
    onRows(total);
  }
  kept.sort((a, b) => a.place - b.place);
  return { names: table.names, rows: kept.map(({ row }) => row), lines: kept.map(({ line }) => line), total };
}

/** Vitter's algorithm R: gives for each row in order where among those that are kept it goes; from `most` on, nowhere. */
function reservoir(most: number, seed: number): (place: number) => number {
  const random = new Random(seed);
  return (place) => (place < most ? place : Math.floor(random.uniform() * (place + 1)));
}

/** The places of the rows that `readTable` keeps of so many, ascending. */
export function sampledPlaces(total: number, most: number, seed: number): number[] {
  const takes = reservoir(most, seed);
  const kept: number[] = [];
  for (let place = 0; place < total; place++) {
    const at = takes(place);
    if (at < most) kept[at] = place;
  }
  return kept.sort((a, b) => a - b);
}

/** Cells may be views of the whole text that they were cut from, which would stay in memory with them. */
function ownCopy(row: readonly string[]): readonly string[] {
  return JSON.parse(JSON.stringify(row));
}
