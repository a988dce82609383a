// Predictions along one column, the others at a typical row: which columns matter, and how.

import {
  type ColumnEncoding,
  cellText,
  dayText,
  levelsAlong,
  missingTest,
  NDArray,
  normalQuantile,
  placesOf,
  readerOf,
  type TableEncoding,
  type TableModel,
  type TablePrediction,
  type TableRow,
} from "laplace-ts";
import type { ClassSlice, Slice } from "../model/report-data.ts";
import { predictionWork } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import type { TableFit } from "./fit.ts";
import { probabilitiesAt, saidOfClasses } from "./probability-power.ts";

type Column = Exclude<ColumnEncoding, { kind: "ignored" }>;

const SLICES = 4;
const POSITIONS = 41;
/** Columns that are looked at, about how many multiplications that may take, and rows that are drawn. */
const [MOST_COLUMNS, MOST_WORK, MOST_POINTS] = [256, 4e8, 400];
/** Positions of all columns that are looked at together, about, and the fewest of one. */
const [MOST_LOOKED, FEWEST_POSITIONS] = [1000, 5];
const Z90 = normalQuantile(0.95);

/** The slices of the columns that move predictions most, the first the most. */
export async function slicesOf(fit: TableFit): Promise<Slice[]> {
  const { encoding } = fit.model;
  const columns = encoding.columns.filter((column) => column.kind !== "ignored");
  const typical = Object.fromEntries(columns.map((column) => [column.name, typicalText(column)]));
  const shown = shownClass(fit);
  const along = async (column: Column, count: number) => {
    const positions = positionsOf(column, count);
    const rows = positions.map((position) => ({ ...typical, [column.name]: textOf(column, position) }));
    const predicted = await predictedOf(fit.model, rows, count === POSITIONS ? undefined : "plugin");
    const mean = meanOf(predicted, shown);
    const spread = Math.max(...classesOf(fit, shown).map((c) => spreadOf(meanOf(predicted, c))));
    const x = column.kind === "date" ? positions.map((days) => dayText(Number(days))) : positions;
    return { column, x, rows, predicted, mean, spread };
  };
  // Those that matter to held-out rows come first, where not all can be looked at.
  const place = new Map(fit.importance.map(({ name }, i) => [name, i]));
  const placeOf = ({ name }: Column) => place.get(name) ?? place.size;
  const affordable = Math.floor(MOST_WORK / FEWEST_POSITIONS / predictionWork(fit.model.posteriors));
  const most = Math.max(2 * SLICES, Math.min(MOST_COLUMNS, affordable));
  const looked = columns.length <= most ? columns : columns.toSorted((a, b) => placeOf(a) - placeOf(b)).slice(0, most);
  // Of many columns a few positions say which of them move predictions, of classes the networks alone.
  const few = Math.min(POSITIONS, Math.max(FEWEST_POSITIONS, Math.floor(MOST_LOOKED / looked.length)));
  const all = [];
  for (const column of looked) {
    await turn();
    all.push(await along(column, few));
  }
  const shownMost = all.sort((a, b) => b.spread - a.spread).slice(0, SLICES);
  const drawn = few < POSITIONS ? [] : shownMost;
  if (few < POSITIONS) for (const { column } of shownMost) drawn.push(await along(column, POSITIONS));
  await turn();
  // Draws of weights serve all slices.
  const bands =
    encoding.target.kind === "number" ? undefined : fit.model.probabilityBands(drawn.flatMap(({ rows }) => rows));
  let at = 0;
  return drawn.map(({ column, x, rows, predicted, mean }) => {
    const first = at;
    at += rows.length;
    return {
      input: column.name,
      kind: column.kind,
      x,
      mean,
      ...(bands === undefined
        ? numberBands(encoding, predicted, mean)
        : classBands(fit, bands, first, predicted, mean, shown)),
      points: pointsOf(fit, column, shown),
    };
  });
}

/** What is shown of predictions. */
type Predicted = Pick<TablePrediction, "rows" | "mean" | "probabilities" | "functionVariance" | "lower" | "upper">;

/**
 * Predictions of rows without gaps; of classes the probabilities alone, which no covariances are needed for.
 * @param approximation of classes (default: the model's)
 */
async function predictedOf(
  model: TableModel,
  rows: readonly TableRow[],
  approximation?: TableModel["approximation"],
): Promise<Predicted> {
  const { encoding } = model;
  if (encoding.target.kind === "number") return model.predict(rows);
  const [count, classes] = [rows.length, encoding.target.classes.length];
  const x = new NDArray(encoding.encode(rows, { unreadable: "missing" }).x, [count, encoding.inputs.length]);
  const none = rows.map(() => []);
  const numbers = { rows: count, x, y: new NDArray(new Float64Array(count), [count]), unusual: none, gaps: none };
  const { logs } = await inTurns(saidOfClasses(model, numbers, approximation));
  const probabilities = new NDArray(probabilitiesAt(logs, classes, model.probabilityPower), [count, classes]);
  return { rows: count, probabilities, functionVariance: new Float64Array(0) };
}

/** The cell of a typical row: the median, or the most frequent text. */
function typicalText(column: Column): string {
  return textOf(column, column.fill);
}

function textOf(column: Column, value: number | string): string {
  return column.kind === "category" ? String(value) : cellText(column, Number(value));
}

function positionsOf(column: Column, count = POSITIONS): (number | string)[] {
  if (column.kind === "category") {
    const { categories, effects } = column;
    // Of many categories some.
    return effects === undefined
      ? [...categories]
      : levelsAlong(categories, effects, Math.min(count, categories.length));
  }
  const { low, high } = column;
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

/** The class that is shown: the second of two, otherwise the most frequent. */
function shownClass({ model, heldOut }: TableFit): number {
  const { target } = model.encoding;
  if (target.kind === "number") return 0;
  if (target.classes.length === 2) return 1;
  const counts = target.classes.map((_, c) => heldOut.truth.filter((label) => label === c).length);
  return counts.indexOf(Math.max(...counts));
}

/** The classes that are shown: each of three or more, since of two the other is what is left. */
function classesOf({ model }: TableFit, shown: number): number[] {
  const { target } = model.encoding;
  return target.kind === "classes" && target.classes.length > 2 ? target.classes.map((_, c) => c) : [shown];
}

function meanOf({ mean, probabilities, rows }: Predicted, shown: number): number[] {
  if (mean !== undefined) return Array.from(mean);
  return Array.from({ length: rows }, (_, i) => probabilities?.at(i, shown) ?? 0);
}

function spreadOf(values: readonly number[]): number {
  const center = values.reduce((sum, value) => sum + value / values.length, 0);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2 / values.length, 0));
}

/** 90 % bands of the function and of a new target. */
function numberBands(encoding: TableEncoding, predicted: Predicted, mean: readonly number[]) {
  const { functionVariance, lower = new Float64Array(), upper = new Float64Array() } = predicted;
  const { target } = encoding;
  // Of counts the mean is that of a log-normal rate.
  const bound = (side: -1 | 1) =>
    target.kind === "number" && target.counts
      ? mean.map((m, i) => m * Math.exp(side * Z90 * Math.sqrt(functionVariance[i]) - functionVariance[i] / 2))
      : mean.map((m, i) => encoding.ofTarget(encoding.toTarget(m) + side * Z90 * Math.sqrt(functionVariance[i])));
  return {
    functionLower: bound(-1),
    functionUpper: bound(1),
    lower: Array.from(lower),
    upper: Array.from(upper),
  };
}

/** 90 % bands of a class's probability over the weights, of rows from a first one on; of three classes and more of each. */
function classBands(
  fit: TableFit,
  { lower, upper }: ReturnType<TableModel["probabilityBands"]>,
  first: number,
  predicted: Predicted,
  mean: readonly number[],
  shown: number,
) {
  const { target } = fit.model.encoding;
  const names = target.kind === "classes" ? target.classes : [];
  const bandOf = (c: number) => ({
    functionLower: mean.map((_, i) => lower.at(first + i, c)),
    functionUpper: mean.map((_, i) => upper.at(first + i, c)),
  });
  const classes = classesOf(fit, shown).map((c): ClassSlice => {
    return { name: names[c], mean: meanOf(predicted, c), ...bandOf(c) };
  });
  return { ...bandOf(shown), shownClass: names[shown], ...(classes.length > 1 && { classes }) };
}

/** Rows of the training, as many as can be told apart. */
function pointsOf({ training, trainingNumbers, model }: TableFit, column: Column, shown: number): Slice["points"] {
  const { encoding } = model;
  const at = training.names.indexOf(column.name);
  const step = Math.max(1, Math.ceil(training.rows.length / MOST_POINTS));
  const { target } = encoding;
  const positionOf = positionReader(column, encoding);
  const some = Array.from({ length: Math.ceil(training.rows.length / step) }, (_, k) => k * step);
  const shownAlone =
    column.kind === "category" && column.effects !== undefined ? new Set(positionsOf(column)) : undefined;
  return some.flatMap((i) => {
    const x = positionOf(training.rows[i][at]);
    if (x === undefined || (shownAlone !== undefined && !shownAlone.has(String(x)))) return [];
    const value = trainingNumbers.y.data[i];
    if (target.kind === "number") return [{ x, y: encoding.ofTarget(value) }];
    return [{ x, y: Number(value === shown), ...(target.classes.length > 2 && { label: value }) }];
  });
}

/** Where a cell stands on the axis of its column; undefined where it has no value. */
function positionReader(column: Column, { rule }: TableEncoding): (cell: string) => number | string | undefined {
  if (column.kind === "category") {
    const [places, missing] = [placesOf(column.categories), missingTest(rule, "texts")];
    return (cell) => (missing(cell) ? undefined : (column.categories[places(cell) ?? -1] ?? cell.trim()));
  }
  const read = readerOf(column, rule);
  return (cell) => {
    const value = read(cell) ?? undefined;
    return value === undefined || column.kind === "number" ? value : dayText(value);
  };
}
