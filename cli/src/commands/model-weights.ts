// How much the rows of a table count that a model is held against, where the model was fitted with weights.

import type { TableModel } from "laplace-ts";
import { TableError } from "../errors.ts";
import { relativeWeights } from "../fitting/row-weights.ts";
import { columnAt } from "../model/rows.ts";
import { weightReader } from "../model/weight-cells.ts";
import type { TableStream } from "../table/csv.ts";
import { notesOf } from "./model.ts";

/** The weights of rows, as the model's fit took them: relative to each other, or as often as each row is there. */
export function asFitted(model: TableModel, weights: readonly number[] | undefined): readonly number[] | undefined {
  if (weights === undefined || weights.length === 0 || notesOf(model).weight?.copies) return weights;
  return [...relativeWeights(Float64Array.from(weights))];
}

/** Reads a row's weight; undefined where the model has none. @throws TableError for a table without the column */
export function weightsOfRows(
  model: TableModel,
  table: TableStream,
): ((row: readonly string[], line: number) => number) | undefined {
  const { weight } = notesOf(model);
  if (weight === undefined) return undefined;
  const at = columnAt(table.names, weight.column);
  if (at < 0) {
    throw new TableError(
      `the table has no column "${weight.column}", by which the model's rows were weighted. A column of ones counts each row once.`,
    );
  }
  const read = weightReader(weight);
  return (row, line) => read(row[at], line);
}
