// The column that says how much each row counts.

import { OptionError, type TableFormatOptions } from "laplace-ts";
import { TableError } from "../errors.ts";
import { cellsAt, columnAt, type Rows, rowsAt } from "../model/rows.ts";
import { type WeightColumn, weightFormat, weightReader } from "../model/weight-cells.ts";

/** How the column is found and read. */
export interface WeightSettings {
  readonly target: string;
  readonly weight?: string | undefined;
  /** The same column, where it says how often each row is there. */
  readonly copies?: string | undefined;
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
  const { target, weight, copies, formats, onUnread } = settings;
  if (weight === undefined) return { rows: table, none: 0 };
  const at = columnAt(table.names, weight);
  const option = copies === undefined ? "--weight" : "--copies";
  if (at < 0) throw new OptionError(`fit: there is no column "${weight}" for ${option}.`);
  if (at === columnAt(table.names, target))
    throw new OptionError(`fit: "${weight}" is the target: it cannot be the weight too.`);
  const cells = cellsAt(table, at);
  const from: WeightColumn = {
    column: table.names[at],
    format: weightFormat(cells, formats),
    ...(copies !== undefined && { copies: true }),
  };
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

/** Σ w and Σ w², in the largest weight, whose square may be beyond all numbers. */
function sumsOf(weights: ArrayLike<number>): { readonly most: number; readonly sum: number; readonly square: number } {
  let most = 0;
  for (let i = 0; i < weights.length; i++) most = Math.max(most, weights[i]);
  let [sum, square] = [0, 0];
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i] / most;
    square += (weights[i] / most) ** 2;
  }
  return { most, sum, square };
}

/**
 * Weights that count relative to each other: together they are as many rows as they are worth, (Σ w)² / Σ w² (Kish 1965), never more than there are.
 * A sum of their own would be a number of observations that nobody made: with it rows of weight 2 would say that there is no noise between two.
 */
export function relativeWeights(weights: Float64Array): Float64Array {
  const { most, sum, square } = sumsOf(weights);
  return weights.map((weight) => ((weight / most) * sum) / square);
}

/** How much rows count, in words. @param weights as the fit has them */
export function weightText({ column, copies }: WeightColumn, weights: ArrayLike<number>, none: number): string {
  const { most, sum, square } = sumsOf(weights);
  const all = Number((most * sum).toPrecision(6)).toLocaleString("en");
  const worth = Math.round(sum ** 2 / square).toLocaleString("en");
  const how = copies
    ? `as often as "${column}" says, ${all} in all`
    : `by "${column}", relative to each other: together worth ${worth} rows of one weight`;
  const left = none > 0 ? `; ${none.toLocaleString("en")} of weight 0 have no part` : "";
  return `${how}; scores of held-out rows are weighted${left}`;
}
