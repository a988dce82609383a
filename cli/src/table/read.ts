// A whole table in memory, as far as it is needed: of more rows than asked for, a sample.

import { Random } from "laplace-ts";
import type { Rows } from "../model/rows.ts";
import type { TableStream } from "./csv.ts";

/** A table in memory. */
export interface ReadTable extends Rows {
  /** Rows of the whole table. */
  readonly total: number;
}

/**
 * Reads a table to its end. Of more than `most` rows it keeps as many, each with the same chance (reservoir sampling,
 * Vitter's algorithm R), in their order.
 */
export async function readTable(
  table: TableStream,
  most: number,
  seed: number,
  onRows: (rows: number) => void = () => {},
): Promise<ReadTable> {
  const random = new Random(seed);
  const kept: { row: readonly string[]; line: number; place: number }[] = [];
  let total = 0;
  for await (const { rows, lines } of table.batches) {
    rows.forEach((row, i) => {
      const place = total++;
      const at = kept.length < most ? kept.length : Math.floor(random.uniform() * total);
      if (at < most) kept[at] = { row: ownCopy(row), line: lines[i], place };
    });
    onRows(total);
  }
  kept.sort((a, b) => a.place - b.place);
  return { names: table.names, rows: kept.map(({ row }) => row), lines: kept.map(({ line }) => line), total };
}

/** Cells may be views of the whole text that they were cut from, which would stay in memory with them. */
function ownCopy(row: readonly string[]): readonly string[] {
  return JSON.parse(JSON.stringify(row));
}
