// Predictions as CSV: a table's rows as they are, and beside them what a model predicts.

import { type TableModel, type TablePrediction, type TableRegions, tableQuantiles } from "laplace-ts";
import { csvCells, csvLine, digits } from "./csv.ts";

/** What is written of what a model predicts; `far`, and the columns that are `unusual`, where it knows what is. */
export type Written = Omit<TablePrediction, "far" | "unusual" | "functionVariance"> &
  Partial<Pick<TablePrediction, "far" | "unusual">>;

/** What a model predicts: a number, or one of some classes. */
export type Predicted = Pick<TableModel["encoding"]["target"], "kind"> & { readonly classes?: readonly string[] };

/** Writes predictions beside the rows that they are of. */
export interface PredictionWriter {
  /** Names of the columns that are added. */
  readonly appended: readonly string[];
  /** The line with the names of all columns. */
  readonly header: string;
  /** The added cells of some rows, a text for each. @param guaranteed intervals or sets that hold their level, for each level */
  added(predicted: Written, guaranteed?: readonly TableRegions[]): string[];
  /** The lines of some rows with their added cells. */
  lines(rows: readonly (readonly string[])[], added: readonly string[]): string;
}

/** What is written beside the mean and its like. */
export interface WrittenColumns {
  /** Of intervals (default: 0.9). */
  readonly levels?: readonly number[] | undefined;
  /** Whether it is said which rows are far (default true). */
  readonly far?: boolean;
  /** Whether there are intervals or sets that hold their level (default false). */
  readonly guaranteed?: boolean;
}

/** The lines of a batch; how many of its rows are far, and how many each column made so. */
interface PredictedBatch {
  readonly text: string;
  readonly rows: number;
  readonly far?: number;
  readonly farColumns?: readonly (readonly [name: string, rows: number])[];
}

/** Predictions of a whole file, as they are written. */
export interface PredictedLines extends Omit<PredictionWriter, "added" | "lines"> {
  readonly batches: AsyncIterable<PredictedBatch>;
  /** Lines of headers that were repeated among the rows, and left out, as far as the table has been read. */
  readonly repeated: readonly number[];
}

/** The writer for a table with these columns, whose cells stand between delimiters; with intervals of these levels. */
export function predictionWriter(
  target: Predicted,
  names: readonly string[],
  delimiter: string,
  { levels = [0.9], far = true, guaranteed = false }: WrittenColumns = {},
): PredictionWriter {
  const appended = appendedNames(target, names, { levels, far, guaranteed });
  return {
    appended,
    header: csvLine([...names, ...appended], delimiter),
    added(predicted, regions = []) {
      const write = cellWriter(target, predicted, levels);
      const own = appended.length - regions.length * (target.kind === "number" ? 2 : 1);
      const cells: string[] = [];
      return Array.from({ length: predicted.rows }, (_, i) => {
        write(i, cells, 0);
        writeRegions(target, regions, i, cells, own);
        return csvCells(cells, delimiter);
      });
    },
    lines(rows, added) {
      let text = "";
      for (const [i, row] of rows.entries()) {
        text += row.length === 0 ? `${added[i]}\n` : `${csvCells(row, delimiter)}${delimiter}${added[i]}\n`;
      }
      return text;
    },
  };
}

/** Names of the columns that are added; with a prefix where the table has one of them already. */
function appendedNames(
  { kind, classes = [] }: Predicted,
  names: readonly string[],
  { levels, far, guaranteed }: { readonly levels: readonly number[] } & Required<Omit<WrittenColumns, "levels">>,
): string[] {
  const percents = levels.map((level) => Number((100 * level).toPrecision(12)));
  const own =
    kind === "number"
      ? ["mean", "sd", ...percents.flatMap((percent) => [`lower${percent}`, `upper${percent}`])]
      : ["predicted", ...classes.map((name) => `p(${name})`)];
  const sure = percents.flatMap((percent) =>
    kind === "number" ? [`guaranteed_lower${percent}`, `guaranteed_upper${percent}`] : [`guaranteed_set${percent}`],
  );
  const all = [...own, "epistemic_share", ...(far ? ["far", "far_columns"] : []), ...(guaranteed ? sure : [])];
  const clash = all.some((name) => names.includes(name));
  return clash ? all.map((name) => `laplace_${name}`) : all;
}

/** Between the classes of a set, and between columns. */
const BETWEEN = " | ";

/** A name in a list; in quotation marks where it could be taken for several. */
const listed = (name: string) =>
  /[|"]/.test(name) || name.trim() !== name || name === "" ? JSON.stringify(name) : name;

function writeRegions(
  { classes = [] }: Predicted,
  regions: readonly TableRegions[],
  i: number,
  into: string[],
  at: number,
): void {
  for (const { lower, upper, sets } of regions) {
    if (sets !== undefined) into[at++] = sets[i].map((c) => listed(classes[c])).join(BETWEEN);
    else for (const bound of [lower, upper]) into[at++] = digits(bound?.[i] ?? Number.NaN);
  }
}

/** Writes the added cells of a row, from a place on. */
type WriteCells = (i: number, into: string[], at: number) => void;

/** The cells of the added columns, by the row's place. */
function cellWriter({ kind, classes = [] }: Predicted, predicted: Written, levels: readonly number[]): WriteCells {
  const { mean, sd, lower, upper, probabilities, predicted: labels, epistemic, far, unusual } = predicted;
  const last = (i: number, into: string[], at: number) => {
    into[at] = digits(epistemic[i]);
    if (far === undefined) return;
    into[at + 1] = far[i] ? "true" : "false";
    into[at + 2] = (unusual?.[i] ?? []).map(listed).join(BETWEEN);
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
