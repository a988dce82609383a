// The column that says how much each row counts.

import { OptionError, type TableFormatOptions } from "laplace-ts";
import { TableError } from "../errors.ts";
import { cellsAt, columnAt, type Rows, rowsAt } from "../model/rows.ts";
import { type WeightColumn, weightFormat, weightReader } from "../model/weight-cells.ts";

/** How the column is found and read. */
export interface WeightSettings {
  readonly target: string;
  readonly weight?: string | undefined;
  readonly formats?: TableFormatOptions | undefined;
  /** Called for each row whose weight cannot be read, instead of an error. */
  readonly onUnread?: ((error: TableError) => void) | undefined;
}

/** Rows, and how much they count. */
export interface WeightedRows {
  readonly rows: Rows;
  readonly weights?: Float64Array;
  /** Rows of weight 0, which have no part. */
  readonly none: number;
  /** The column, for a model's notes. */
  readonly from?: WeightColumn;
}

/** The rows that count, and how much; all, and no weights, where no column says it. @throws OptionError, TableError */
export function weightedRows(table: Rows, settings: WeightSettings): WeightedRows {
  const { target, weight, formats, onUnread } = settings;
  if (weight === undefined) return { rows: table, none: 0 };
  const at = columnAt(table.names, weight);
  if (at < 0) throw new OptionError(`fit: there is no column "${weight}" for --weight.`);
  if (at === columnAt(table.names, target))
    throw new OptionError(`fit: "${weight}" is the target: it cannot be the weight too.`);
  const cells = cellsAt(table, at);
  const from = { column: table.names[at], format: weightFormat(cells, formats) };
  const read = weightReader(from);
  const [kept, weights]: [number[], number[]] = [[], []];
  let none = 0;
  cells.forEach((cell, i) => {
    try {
      const value = read(cell, table.lines[i]);
      if (value === 0) none++;
      else {
        kept.push(i);
        weights.push(value);
      }
    } catch (error) {
      if (onUnread === undefined || !(error instanceof TableError)) throw error;
      onUnread(error);
    }
  });
  return {
    rows: kept.length === cells.length ? table : rowsAt(table, kept),
    weights: Float64Array.from(weights),
    none,
    from,
  };
}

/** How much rows count, in words; what they are worth, (Σ w)² / Σ w², is Kish's (1965). */
export function weightText(name: string, weights: ArrayLike<number>, none: number): string {
  let [sum, square] = [0, 0];
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i];
    square += weights[i] ** 2;
  }
  const worth = Math.round(sum ** 2 / square).toLocaleString("en");
  const all = Number(sum.toPrecision(6)).toLocaleString("en");
  const left = none > 0 ? `; ${none.toLocaleString("en")} of weight 0 have no part` : "";
  return `by "${name}", ${all} in all, worth ${worth} rows of one weight; scores of held-out rows are weighted${left}`;
}
