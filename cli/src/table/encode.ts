// Batches of rows as inputs of a model; rows that cannot be read are errors, or skipped.

import { type LaplaceError, type TableModel, ValueError } from "laplace-ts";
import { TableError } from "../errors.ts";
import type { TableStream } from "./csv.ts";
import type { Batch } from "./records.ts";

/** Rows that could be read, with their inputs. */
export interface EncodedBatch {
  readonly rows: readonly (readonly string[])[];
  readonly lines: readonly number[];
  readonly x: Float64Array;
  readonly unusual: readonly (readonly string[])[];
}

/** Called for each row that is skipped. */
export type OnSkip = (error: TableError) => void;

/** Binds a model's encoding to a table's columns. @throws TableError for columns that are not there */
export function batchEncoder(model: TableModel, table: TableStream, onSkip?: OnSkip): (batch: Batch) => EncodedBatch {
  const width = model.encoding.inputs.length;
  const encodeRow = named(undefined, () => model.encoding.bind(table.names));
  return (batch) => {
    const x = new Float64Array(batch.rows.length * width);
    const [rows, lines, unusual]: [(readonly string[])[], number[], (readonly string[])[]] = [[], [], []];
    batch.rows.forEach((row, i) => {
      try {
        unusual.push(named(batch.lines[i], () => encodeRow(row, x, rows.length * width)));
        rows.push(row);
        lines.push(batch.lines[i]);
      } catch (error) {
        if (onSkip === undefined || !(error instanceof TableError)) throw error;
        onSkip(error);
      }
    });
    return { rows, lines, x: x.subarray(0, rows.length * width), unusual };
  };
}

/** Errors of a row with its line. */
export function named<T>(line: number | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ValueError) || error instanceof TableError) throw error;
    const text = error.message.replace(/^encode: /, "");
    throw new TableError(text.endsWith(".") ? text : `${text}.`, line);
  }
}

/** Whether an error is one of the table, which skipping a row can get past. */
export function isRowError(error: unknown): error is LaplaceError {
  return error instanceof TableError && error.line !== undefined;
}
