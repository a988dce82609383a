// An encoding for a table that is written in another way than the one of the training.

import { OptionError } from "../errors.ts";
import type { ColumnEncoding } from "./column-encoding.ts";
import type { TableFormatOptions } from "./formats.ts";
import type { NumberFormat } from "./number-format.ts";
import type { TargetEncoding } from "./target.ts";

/** Columns and target with formats that options give. @throws OptionError for a column that holds no dates */
export function formatOverrides(
  columns: readonly ColumnEncoding[],
  target: TargetEncoding,
  { decimal, thousands, dateFormat }: TableFormatOptions,
) {
  const numbers = <C extends NumberFormat>(column: C): C => {
    if (decimal === undefined && thousands === undefined) return column;
    const sign = decimal ?? (thousands === "." ? "," : thousands === "," ? "." : column.decimal);
    const other = sign === "," ? "." : ",";
    return { ...column, decimal: sign, thousands: thousands === "none" ? "" : (thousands ?? other), settled: "option" };
  };
  const named = typeof dateFormat === "object" ? dateFormat : {};
  for (const name of Object.keys(named)) {
    if (!columns.some((column) => column.name === name && column.kind === "date")) {
      throw new OptionError(`withFormats: the model has no column "${name}" of dates.`);
    }
  }
  const all = typeof dateFormat === "string" ? dateFormat : undefined;
  return {
    columns: columns.map((column): ColumnEncoding => {
      if (column.kind === "number") return numbers(column);
      if (column.kind !== "date") return column;
      const format = Object.hasOwn(named, column.name) ? named[column.name] : all;
      return format === undefined ? column : { ...column, format, settled: "option" };
    }),
    target: target.kind === "number" ? numbers(target) : target,
  };
}
