// What is added to rows that a model predicts: the same texts on whichever thread.

import type { TableModel } from "laplace-ts";
import { type PredictionWriter, predictionWriter } from "../output/predictions.ts";
import { guaranteedRegions, type Inputs } from "./guaranteed.ts";

/** How predictions are written beside the columns of a table. */
export interface Written {
  readonly names: readonly string[];
  readonly delimiter: string;
  /** Of the intervals. */
  readonly levels: readonly number[];
}

/** Rows to predict: as the model reads them, and as each model of its guarantee does. */
export interface RowsJob {
  readonly own: Inputs;
  readonly others: readonly Inputs[];
}

/** What is added to them. */
export interface RowsDone {
  /** A text for each row. */
  readonly added: readonly string[];
  /** Rows that are far, and how many of them each column made so by a value unlike those of the training. */
  readonly far: number;
  readonly farColumns: readonly (readonly [name: string, rows: number])[];
}

/** The writer of a model's predictions. */
export function writerOf(model: TableModel, { names, delimiter, levels }: Written): PredictionWriter {
  return predictionWriter(model.encoding.target, names, delimiter, {
    levels,
    guaranteed: model.guarantee !== undefined,
  });
}

/** Predicts rows. */
export function predictRows(model: TableModel, written: Written, { own, others }: RowsJob): RowsDone {
  const predicted = model.predictEncoded(own.x, own.unusual, own.gaps);
  const regions = guaranteedRegions(model, others, written.levels);
  const columns = new Map<string, number>();
  for (const name of predicted.unusual.flat()) columns.set(name, (columns.get(name) ?? 0) + 1);
  return {
    added: writerOf(model, written).added(predicted, regions),
    far: predicted.far.filter(Boolean).length,
    farColumns: [...columns],
  };
}
