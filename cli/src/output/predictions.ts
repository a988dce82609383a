// Predictions as CSV: a table's rows as they are, and beside them what a model predicts.

import { type TableModel, type TablePrediction, tableQuantiles } from "laplace-ts";
import { csvLine, digits } from "./csv.ts";

/** Writes predictions beside the rows that they are of. */
export interface PredictionWriter {
  /** Names of the columns that are added. */
  readonly appended: readonly string[];
  /** The line with the names of all columns. */
  readonly header: string;
  /** The lines of some rows. */
  lines(rows: readonly (readonly string[])[], predicted: TablePrediction): string;
}

/** The writer for a table with these columns, whose cells stand between delimiters; with intervals of these levels. */
export function predictionWriter(
  model: TableModel,
  names: readonly string[],
  delimiter: string,
  levels: readonly number[] = [0.9],
): PredictionWriter {
  const appended = appendedNames(model, names, levels);
  return {
    appended,
    header: csvLine([...names, ...appended], delimiter),
    lines(rows, predicted) {
      const write = cellWriter(model, predicted, levels);
      const cells: string[] = [];
      const lines = rows.map((row, i) => {
        for (let j = 0; j < row.length; j++) cells[j] = row[j];
        write(i, cells, row.length);
        return csvLine(cells, delimiter);
      });
      return lines.join("");
    },
  };
}

/** Names of the columns that are added; with a prefix where the table has one of them already. */
function appendedNames(
  { encoding: { target } }: TableModel,
  names: readonly string[],
  levels: readonly number[],
): string[] {
  const percents = levels.map((level) => Number((100 * level).toPrecision(12)));
  const own =
    target.kind === "number"
      ? ["mean", "sd", ...percents.flatMap((percent) => [`lower${percent}`, `upper${percent}`])]
      : ["predicted", ...target.classes.map((name) => `p(${name})`)];
  const all = [...own, "epistemic_share", "far"];
  const clash = all.some((name) => names.includes(name));
  return clash ? all.map((name) => `laplace_${name}`) : all;
}

/** Writes the added cells of a row, from a place on. */
type WriteCells = (i: number, into: string[], at: number) => void;

/** The cells of the added columns, by the row's place. */
function cellWriter(
  { encoding: { target } }: TableModel,
  predicted: TablePrediction,
  levels: readonly number[],
): WriteCells {
  const { mean, sd, lower, upper, probabilities, predicted: labels, epistemic, far } = predicted;
  const last = (i: number, into: string[], at: number) => {
    into[at] = digits(epistemic[i]);
    into[at + 1] = far[i] ? "true" : "false";
  };
  if (target.kind === "number") {
    const bounds = levels.flatMap((level) => {
      if (level === 0.9) return [lower, upper];
      return [0.5 - level / 2, 0.5 + level / 2].map((p) => tableQuantiles(predicted, p));
    });
    const columns = [mean, sd, ...bounds];
    return (i, into, at) => {
      for (const [j, column] of columns.entries()) into[at + j] = digits(column?.[i] ?? Number.NaN);
      last(i, into, at + columns.length);
    };
  }
  const classes = target.classes.length;
  return (i, into, at) => {
    into[at] = target.classes[labels?.[i] ?? 0];
    for (let c = 0; c < classes; c++) into[at + 1 + c] = digits(probabilities?.data[i * classes + c] ?? Number.NaN);
    last(i, into, at + 1 + classes);
  };
}
