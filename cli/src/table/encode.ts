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
  readonly gaps: readonly (readonly number[])[];
}

/** Called for each row that is skipped. */
export type OnSkip = (error: TableError) => void;

/** Called for each cell that cannot be read and counts as missing. */
export type OnUnreadable = (name: string, what: string, line: number) => void;

/**
 * Binds a model's encoding to a table's columns. A row with a cell that cannot be read is skipped where rows may be;
 * otherwise the cell counts as missing, and the row is far.
 * @throws TableError for columns that are not there
 */
export function batchEncoder(
  model: TableModel,
  table: TableStream,
  onSkip?: OnSkip,
  onUnreadable?: OnUnreadable,
): (batch: Batch) => EncodedBatch {
  const width = model.encoding.inputs.length;
  let line = 0;
  const options = {
    unreadable: onSkip === undefined ? ("missing" as const) : ("error" as const),
    onUnreadable: (name: string, _: string, what: string) => onUnreadable?.(name, what, line),
  };
  const encodeRow = named(undefined, () => model.encoding.bind(table.names, options));
  return (batch) => {
    const x = new Float64Array(batch.rows.length * width);
    const [rows, lines, unusual]: [(readonly string[])[], number[], (readonly string[])[]] = [[], [], []];
    const gaps: number[][] = [];
    batch.rows.forEach((row, i) => {
      try {
        line = batch.lines[i];
        const own: number[] = [];
        unusual.push(named(line, () => encodeRow(row, x, rows.length * width, own)));
        gaps.push(own);
        rows.push(row);
        lines.push(batch.lines[i]);
      } catch (error) {
        if (onSkip === undefined || !(error instanceof TableError)) throw error;
        onSkip(error);
      }
    });
    return { rows, lines, x: x.subarray(0, rows.length * width), unusual, gaps };
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
