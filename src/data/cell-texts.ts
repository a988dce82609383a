// Cells of a column's own: reading one as the training did, and writing one that is read back.

import { checkNumber } from "../errors.ts";
import { type DateFormat, dateOf, daysOf } from "./dates.ts";
import { type NumberFormat, numberReader } from "./number-format.ts";
import { checkWritten } from "./texts.ts";

/** How a column writes numbers, or dates. */
type Written = (NumberFormat & { readonly kind: "number" }) | { readonly kind: "date"; readonly format: DateFormat };

/** Reads the cells of a column of numbers or dates (days since 1970-01-01): undefined for a text that says none. */
export function cellReader(column: Written): (cell: string) => number | undefined {
  checkWritten("cellReader", column, ["kind"]);
  return column.kind === "number" ? numberReader(column) : (cell) => daysOf(cell, column.format);
}

/** A number, or a date in days since 1970-01-01, as a cell that the column's reader reads back. */
export function cellText(column: Written, value: number): string {
  checkWritten("cellText", column, column?.kind === "date" ? ["kind"] : ["kind", "decimal"]);
  checkNumber("cellText", "value", value);
  if (column.kind === "date") {
    const text = dateOf("cellText", value).toISOString();
    return column.format === "time" ? text.slice(11, 19) : text;
  }
  const text = String(value).replace(".", column.decimal);
  return column.unit === "%" || column.unit === "‰" ? `${text} ${column.unit}` : text;
}
