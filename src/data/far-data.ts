// What data are that lie elsewhere: whoever asks for a fit knows where they are, and whoever sums rows reads them.

import type { DatasetLike } from "./dataset.ts";

/** Some rows of data that lie elsewhere. */
export interface FarRows {
  /** Where they are: names and numbers, as a plain value, which goes to whoever reads them. */
  readonly at: unknown;
  /** Reads them here. @throws what is wrong with them: rows that are missing, or are not those that were there */
  read(): Promise<DatasetLike>;
}

/** Rows that lie elsewhere, in order. */
export interface RowsElsewhere {
  /** How many there are. */
  readonly examples: number;
  /** Rows from one to before another. */
  rowsAt(first: number, end: number): FarRows;
}

/** Data that lie elsewhere, such as in files that all machines see: shards of a fit say where their rows are, and have none. */
export interface FarData extends RowsElsewhere {
  /** @internal Shards of a pass of a plan, and what does them. @throws ValueError where there would be one, or none */
  far(where: string, plan: unknown, number: number, length: number | undefined): unknown;
  /** @internal Batches, for who needs them here. @throws ValueError */
  [Symbol.iterator](): Iterator<DatasetLike>;
}
