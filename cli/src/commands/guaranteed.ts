// Intervals and sets that hold their level, for batches of a table's rows.

import { type TableModel, type TableRegions, tableRegions } from "laplace-ts";
import type { TableStream } from "../table/csv.ts";
import { batchEncoder } from "../table/encode.ts";
import type { Batch } from "../table/records.ts";

/** Rows as a model's encoding has them. */
export interface Inputs {
  readonly x: Float64Array;
  readonly unusual: readonly (readonly string[])[];
  readonly gaps: readonly (readonly number[])[];
}

/** Reads batches as each model of a guarantee does, which has an encoding of its own; nothing for a model without one. */
export function guaranteeEncoder({ guarantee }: TableModel, table: TableStream): (rows: Batch) => Inputs[] {
  const encoders = guarantee?.models.map((one) => batchEncoder(one, table)) ?? [];
  return (batch) =>
    encoders.map((encode) => {
      const { x, unusual, gaps } = encode(batch);
      return { x, unusual, gaps };
    });
}

/** Intervals or sets of each level, by what `guaranteeEncoder` read; none for a model without a guarantee. */
export function guaranteedRegions(
  { guarantee }: TableModel,
  inputs: readonly Inputs[],
  levels: readonly number[],
): TableRegions[] {
  if (guarantee === undefined) return [];
  const predictions = guarantee.models.map((one, k) => {
    const { x, unusual, gaps } = inputs[k];
    return one.predictEncoded(x, unusual, gaps);
  });
  return levels.map((level) => tableRegions(guarantee, predictions, { level }));
}
