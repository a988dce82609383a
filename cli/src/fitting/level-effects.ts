// Effects of a table's columns of many categories, beside a linear model of the other inputs and of random features of them. A row of the
// fit is given the effect that the others of its level have.

import {
  type CategoryColumn,
  inputNames,
  type LevelEffects,
  missingTest,
  NDArray,
  placesOf,
  Random,
  type Steps,
  type TableEncoding,
} from "laplace-ts";
import { cellsAt, type Numbers, numbersOf, type Rows, rowsAt } from "../model/rows.ts";
import { type Design, designSums, type LevelEstimate, type LeveledRows, levelEstimator } from "./level-estimates.ts";
import { MANY_ROWS, someOf } from "./many-rows.ts";

/** Random features of the other inputs, and inputs that are in the linear part. */
const [FEATURES, MOST_LINEAR] = [60, 100];
/** Rows, at least, for each of them. */
const ROWS_OF_FEATURE = 10;
/** Rounds in which each of several columns is estimated beside the others. */
const ROUNDS = 2;
/** Digits that a file keeps of effects. */
const DIGITS = 7;
/** In the place of a level: a cell says nothing, or a category that is not listed. */
const [MISSING, UNKNOWN] = [-1, -2];

/** A column whose categories have effects, and the places of its inputs. */
interface Place {
  readonly column: CategoryColumn & { readonly effects: LevelEffects };
  readonly first: number;
  readonly count: number;
}

/** One whose effects are estimated: the levels of its rows, and what is found on each output. */
interface LeveledColumn extends Place {
  readonly rows: LeveledRows;
  readonly estimate: (y: ArrayLike<number>) => Steps<LevelEstimate>;
  readonly found: LevelEstimate[];
}

/**
 * An encoding with the effects of its columns of many categories, and the rows with those that the others of their levels say; as they are
 * where it has no such column.
 */
export function* withLevelEffects(
  rows: Rows,
  encoding: TableEncoding,
  numbers: Numbers,
): Steps<{ readonly encoding: TableEncoding; readonly numbers: Numbers }> {
  const leveled = columnsWithLevels(encoding);
  if (leveled.length === 0) return { encoding, numbers };
  const width = encoding.inputs.length;
  const outputs = outputsOf(encoding, numbers);
  const chosen = numbers.rows > MANY_ROWS ? someOf(numbers.rows, MANY_ROWS, 0) : undefined;
  const weights = numbers.weights?.data;
  const sums = yield* designSums(designOf(numbers, width, leveled), numbers.rows, weights, chosen);
  const missing = missingTest(encoding.rule, "texts");
  const columns: LeveledColumn[] = [];
  for (const { column, first, count } of leveled) {
    const place = placesOf(column.categories);
    const cells = cellsAt(rows, rows.names.indexOf(column.name));
    const level = Int32Array.from(cells, (cell) => (missing(cell) ? MISSING : (place(cell) ?? UNKNOWN)));
    const own = { level, levels: column.categories.length };
    columns.push({ column, first, count, rows: own, estimate: yield* levelEstimator(sums, own), found: [] });
  }
  for (let round = 0; round < (columns.length > 1 ? ROUNDS : 1); round++) {
    for (const own of columns) {
      for (const [k, y] of outputs.entries()) {
        const others = columns.flatMap((one) =>
          one === own || one.found[k] === undefined ? [] : [one.found[k].without],
        );
        const left =
          others.length === 0 ? y : y.map((value, i) => others.reduce((sum, other) => sum - other[i], value));
        own.found[k] = yield* own.estimate(left);
      }
    }
  }
  const x = Float64Array.from(numbers.x.data);
  const effects: Record<string, LevelEffects> = {};
  for (const { column, first, rows: own, found } of columns) {
    const known = new Float64Array(own.levels);
    for (const [i, l] of own.level.entries()) if (l >= 0) known[l] += weights?.[i] ?? 1;
    const openAt = (count: number) => openOf(found, count);
    effects[column.name] = {
      values: Array.from(known).flatMap((_, l) => found.map(({ effect, deviation }) => scaled(effect[l], deviation))),
      open: Array.from(known, (count) => rounded(openAt(count))),
      deviations: found.map(({ deviation }) => deviation),
    };
    for (const [i, l] of own.level.entries()) {
      if (l < 0) continue;
      const at = i * width + first;
      for (const [k, { without, deviation }] of found.entries()) x[at + k] = scaled(without[i], deviation);
      x[at + found.length] = openAt(Math.max(0, known[l] - (weights?.[i] ?? 1)));
    }
    yield;
  }
  const brought = encoding.withEffects(effects);
  // Cells without a category that is listed are written as the encoding writes them from now on: all of a kind alike.
  for (const { first, count, rows: own } of columns) {
    for (const kind of [MISSING, UNKNOWN]) {
      const one = own.level.indexOf(kind);
      if (one < 0) continue;
      const { x: again } = yield* numbersOf(rowsAt(rows, [one]), brought);
      const cell = again.data.subarray(first, first + count);
      for (const [i, l] of own.level.entries()) if (l === kind) x.set(cell, i * width + first);
    }
  }
  return { encoding: brought, numbers: { ...numbers, x: new NDArray(x, numbers.x.shape) } };
}

const rounded = (value: number) => Number(value.toPrecision(DIGITS));
const scaled = (effect: number, deviation: number) => (deviation > 0 ? rounded(effect / deviation) : 0);

/**
 * What is open of the effect of a level of so many rows: log (1 + v), v its variance in parts of the noise's, so that the logarithm of a row's
 * variance is a line in it; of several outputs their mean.
 */
function openOf(found: readonly LevelEstimate[], count: number): number {
  const ratios = found.flatMap(({ ratio }) => (Number.isFinite(ratio) ? [ratio] : []));
  return ratios.reduce((sum, ratio) => sum + Math.log1p(1 / (count + ratio)) / ratios.length, 0);
}

/** Columns whose categories have effects, and the places of their first inputs. */
export function columnsWithLevels({ columns }: TableEncoding): Place[] {
  let at = 0;
  return columns.flatMap((column) => {
    const first = at;
    const count = inputNames(column).length;
    at += count;
    return column.kind === "category" && column.effects !== undefined
      ? [{ column: column as Place["column"], first, count }]
      : [];
  });
}

/** Whether a row's cell, written in these inputs, has a category that is not listed: it is not missing, and yet a gap. */
function isUnknown({ column, first, count }: Place, inputs: Float64Array) {
  return !column.missing || inputs[first + count - 1] === 0;
}

/** Whether a gap of a row, by its column's place among those that are used, is a category that is not listed. */
export function unlistedIn(encoding: TableEncoding): (place: number, inputs: Float64Array) => boolean {
  const used = encoding.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
  const leveled = new Map(columnsWithLevels(encoding).map((own) => [used.indexOf(own.column.name), own]));
  return (place, inputs) => {
    const own = leveled.get(place);
    return own !== undefined && isUnknown(own, inputs);
  };
}

/** What effects are on: numbers as they are learned, logarithms of counts, shares of classes. */
function outputsOf({ target }: TableEncoding, { y, rows }: Numbers): Float64Array[] {
  const values = y.data as Float64Array;
  if (target.kind === "number") return [target.counts ? values.map((count) => Math.log(count + 0.5)) : values];
  if (target.classes.length === 2) return [values];
  return target.classes.map((_, c) => Float64Array.from({ length: rows }, (__, i) => (values[i] === c ? 1 : 0)));
}

/** 1, the other inputs, and random features of them. */
function designOf(
  { x: { data: x }, rows }: Numbers,
  width: number,
  leveled: readonly { readonly first: number; readonly count: number }[],
): Design {
  const taken = new Set(leveled.flatMap(({ first, count }) => Array.from({ length: count }, (_, k) => first + k)));
  const others = Array.from({ length: width }, (_, j) => j).filter((j) => !taken.has(j));
  const most = Math.floor(rows / ROWS_OF_FEATURE) - 1;
  const linear = others.length <= Math.min(MOST_LINEAR, most) ? others : [];
  const features = others.length === 0 ? 0 : Math.max(0, Math.min(FEATURES, most - linear.length));
  const random = new Random(0);
  const scale = 1 / Math.sqrt(Math.max(1, others.length));
  const draw = (count: number) => Float64Array.from({ length: count }, () => random.normal());
  const [directions, starts] = [draw(features * others.length), draw(features)];
  return {
    width: 1 + linear.length + features,
    write(i, into) {
      let at = 0;
      into[at++] = 1;
      for (const j of linear) into[at++] = x[i * width + j];
      for (let f = 0; f < features; f++) {
        let sum = starts[f];
        for (let k = 0; k < others.length; k++)
          sum += scale * directions[f * others.length + k] * x[i * width + others[k]];
        into[at++] = Math.tanh(sum);
      }
    },
  };
}
