// Quantiles of what a table's model said of numbers, and its scores against what they were.

import { type ArrayLike, asArray } from "../array/ndarray.ts";
import { ValueError, valueText } from "../errors.ts";
import { mixtureCrps } from "../evaluation/gaussian-mixture.ts";
import { normalCdf, normalQuantile } from "../evaluation/normal.ts";
import { partsQuantile, type TablePart } from "./table-mixtures.ts";
import type { TablePrediction } from "./table-models.ts";

/** What `tableScores` gives of each row, in the target's units. */
export interface TableScores {
  /** −log of the density at the truth. */
  readonly negativeLogDensity: Float64Array;
  /** The continuous ranked probability score (Gneiting & Raftery 2007). */
  readonly crps: Float64Array;
  /** The probability of what is below the truth, evenly spread from 0 to 1 where predictions are calibrated. */
  readonly below: Float64Array;
}

function partsOf(where: string, prediction: TablePrediction): readonly TablePart[] {
  const parts = prediction?.parts;
  const known = ({ weight, mean, sd }: TablePart) =>
    typeof weight === "number" && [mean, sd].every((own) => own instanceof Float64Array && own.length === mean.length);
  if (Array.isArray(parts) && parts.length > 0 && parts.every((part) => known(part ?? {}))) return parts;
  throw new ValueError(
    `${where}: expected predictions of numbers, such as a TableModel's predict gives; those of classes have no quantiles.`,
  );
}

/**
 * The numbers below which targets lie with probability p, [rows]: those of the mixture where a model has several posteriors.
 * `tableQuantiles(model.predict(rows), 0.95)`. @throws ValueError for predictions of classes, or p outside of (0, 1)
 */
export function tableQuantiles(prediction: TablePrediction, p: number): Float64Array {
  const where = "tableQuantiles";
  const parts = partsOf(where, prediction);
  if (!(typeof p === "number" && p > 0 && p < 1))
    throw new ValueError(`${where}: p must be between 0 and 1, not ${valueText(p)}.`);
  const z = normalQuantile(p);
  return Float64Array.from({ length: parts[0].mean.length }, (_, i) => partsQuantile(parts, i, p, z));
}

/**
 * How well numbers were predicted, row by row.
 * @param truth [rows], in the target's units @throws ValueError for predictions of classes, or another number of rows
 */
export function tableScores(prediction: TablePrediction, truth: ArrayLike): TableScores {
  const where = "tableScores";
  const parts = partsOf(where, prediction);
  const rows = parts[0].mean.length;
  const y = asArray(truth);
  if (y.size !== rows) throw new ValueError(`${where}: expected the truth of ${rows} rows, got that of ${y.size}.`);
  const weights = parts.map(({ weight }) => weight);
  const each = (of: (i: number) => number) => Float64Array.from({ length: rows }, (_, i) => of(i));
  return {
    negativeLogDensity: each((i) => {
      const logs = parts.map(({ weight, mean, sd }) => {
        return (
          Math.log(weight) - Math.log(sd[i]) - 0.5 * (Math.log(2 * Math.PI) + ((y.data[i] - mean[i]) / sd[i]) ** 2)
        );
      });
      const most = Math.max(...logs);
      return -most - Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
    }),
    crps: each((i) => {
      const [means, deviations] = [parts.map(({ mean }) => mean[i]), parts.map(({ sd }) => sd[i])];
      return mixtureCrps({ weights, means, deviations }, y.data[i]);
    }),
    below: each((i) =>
      parts.reduce((sum, { weight, mean, sd }) => sum + weight * normalCdf((y.data[i] - mean[i]) / sd[i]), 0),
    ),
  };
}
