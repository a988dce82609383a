// Tables as texts: written, and read as the command line reads them.

import { writeFileSync } from "node:fs";
import type { ReadOptions } from "../src/table/csv.ts";
import { openTable } from "../src/table/open.ts";
import { readTable } from "../src/table/read.ts";

/** The tables that failed strangers. */
export const faults = "../shared/faults/tables";

/** A fit that takes no longer than it must. */
export const quick = ["--epochs", "4", "--rounds", "1", "--hidden", "4", "--folds", "2", "--no-report"];

export const lines = (n: number, line: (i: number) => string) =>
  `${Array.from({ length: n }, (_, i) => line(i)).join("\n")}\n`;

export async function read(path: string, options: ReadOptions = {}) {
  return readTable(await openTable(path, options), 1000, 0);
}

/** Writes a table and reads it. */
export async function written(path: string, content: string | Uint8Array, options: ReadOptions = {}) {
  writeFileSync(path, content);
  return read(path, options);
}
