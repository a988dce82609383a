// Predictions as CSV: a table's rows as they are, and beside them what a model predicts.

import { type TableModel, type TablePrediction, tableQuantiles } from "laplace-ts";
import { csvLine, digits } from "./csv.ts";

/** What is written of what a model predicts; `far` where it knows what is. */
export type Written = Omit<TablePrediction, "far" | "unusual" | "functionVariance"> &
  Partial<Pick<TablePrediction, "far">>;

/** What a model predicts: a number, or one of some classes. */
export type Predicted = Pick<TableModel["encoding"]["target"], "kind"> & { readonly classes?: readonly string[] };

/** Writes predictions beside the rows that they are of. */
export interface PredictionWriter {
  /** Names of the columns that are added. */
  readonly appended: readonly string[];
  /** The line with the names of all columns. */
  readonly header: string;
  /** The lines of some rows. */
  lines(rows: readonly (readonly string[])[], predicted: Written): string;
}

/** Predictions of a whole file, as they are written. */
export interface PredictedLines extends Omit<PredictionWriter, "lines"> {
  readonly batches: AsyncIterable<{ readonly text: string; readonly rows: number; readonly far?: number }>;
  /** Lines of headers that were repeated among the rows, and left out, as far as the table has been read. */
  readonly repeated: readonly number[];
}

/** The writer for a table with these columns, whose cells stand between delimiters; with intervals of these levels. */
export function predictionWriter(
  target: Predicted,
  names: readonly string[],
  delimiter: string,
  levels: readonly number[] = [0.9],
  far = true,
): PredictionWriter {
  const appended = appendedNames(target, names, levels, far);
  return {
    appended,
    header: csvLine([...names, ...appended], delimiter),
    lines(rows, predicted) {
      const write = cellWriter(target, predicted, levels);
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
  { kind, classes = [] }: Predicted,
  names: readonly string[],
  levels: readonly number[],
  far: boolean,
): string[] {
  const percents = levels.map((level) => Number((100 * level).toPrecision(12)));
  const own =
    kind === "number"
      ? ["mean", "sd", ...percents.flatMap((percent) => [`lower${percent}`, `upper${percent}`])]
      : ["predicted", ...classes.map((name) => `p(${name})`)];
  const all = [...own, "epistemic_share", ...(far ? ["far"] : [])];
  const clash = all.some((name) => names.includes(name));
  return clash ? all.map((name) => `laplace_${name}`) : all;
}

/** Writes the added cells of a row, from a place on. */
type WriteCells = (i: number, into: string[], at: number) => void;

/** The cells of the added columns, by the row's place. */
function cellWriter({ kind, classes = [] }: Predicted, predicted: Written, levels: readonly number[]): WriteCells {
  const { mean, sd, lower, upper, probabilities, predicted: labels, epistemic, far } = predicted;
  const last = (i: number, into: string[], at: number) => {
    into[at] = digits(epistemic[i]);
    if (far !== undefined) into[at + 1] = far[i] ? "true" : "false";
  };
  if (kind === "number") {
    const bounds = levels.flatMap((level) => {
      if (level === 0.9) return [lower, upper];
      return [0.5 - level / 2, 0.5 + level / 2].map((p) => tableQuantiles(predicted as TablePrediction, p));
    });
    const columns = [mean, sd, ...bounds];
    return (i, into, at) => {
      for (const [j, column] of columns.entries()) into[at + j] = digits(column?.[i] ?? Number.NaN);
      last(i, into, at + columns.length);
    };
  }
  const count = classes.length;
  return (i, into, at) => {
    into[at] = classes[labels?.[i] ?? 0];
    for (let c = 0; c < count; c++) into[at + 1 + c] = digits(probabilities?.data[i * count + c] ?? Number.NaN);
    last(i, into, at + 1 + count);
  };
}
