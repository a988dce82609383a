// What a cell says of how much its row counts.

import { type NumberFormat, numberFormat, numberReader, type TableFormatOptions } from "laplace-ts";
import { TableError } from "../errors.ts";

/** A column of weights, and how it writes them. */
export interface WeightColumn {
  readonly column: string;
  readonly format: NumberFormat;
  /** Whether they are how often each row is there, whole numbers; otherwise they count relative to each other. */
  readonly copies?: true;
}

/** How a column writes its weights, by its cells. */
export function weightFormat(
  cells: readonly string[],
  { decimal, thousands, delimiter }: TableFormatOptions = {},
): NumberFormat {
  return numberFormat(cells, { decimal, thousands: thousands === "none" ? "" : thousands, delimiter });
}

/** Reads weights. @throws TableError for a cell that is not a finite number of at least 0, with its line */
export function weightReader({ column, format, copies }: WeightColumn): (cell: string, line: number) => number {
  const read = numberReader(format);
  return (cell, line) => {
    const value = read(cell);
    if (value !== undefined && value >= 0 && !(copies && !Number.isInteger(value))) return value;
    const shown = JSON.stringify(cell.length > 60 ? `${cell.slice(0, 60)}…` : cell);
    const what =
      cell.trim() === "" ? "no value" : `${shown}, which is not a ${copies ? "whole" : "finite"} number of at least 0`;
    throw new TableError(
      `the weight "${column}" has ${what}. Correct it, or leave such rows out: --on-error skip.`,
      line,
    );
  };
}
