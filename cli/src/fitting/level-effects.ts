// Effects of a column's many categories: a model of random effects (Laird & Ware 1982) beside a linear model of the other inputs and of
// random features of them, whose deviations the evidence chooses. Sums over the rows of each level are enough for it, so nothing
// has the size of rows × levels (Woodbury). A row of the fit is given the effect that the others of its level have.

import {
  type CategoryColumn,
  cholesky,
  inputNames,
  type LevelEffects,
  missingTest,
  NDArray,
  placesOf,
  Random,
  type Steps,
  type TableEncoding,
} from "laplace-ts";
import { cellsAt, type Numbers, type Rows } from "../model/rows.ts";
import { MANY_ROWS, someOf } from "./many-rows.ts";

/** Ratios of the noise's variance to that of effects that are tried, the largest first; at infinity there are none. */
const RATIOS = [1000, 300, 100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01] as const;
/** Ratios of the noise's variance to that of the other inputs' weights. */
const RIDGES = [1, 10, 100] as const;
/** Nats of all rows together by which effects must be better than none: beyond what chance gives one of a hundred columns. */
const WORTH = 2.7;
/** Random features of the other inputs, and inputs that are in the linear part. */
const [FEATURES, MOST_LINEAR] = [60, 100];
/** Rows, at least, for each of them. */
const ROWS_OF_FEATURE = 10;
/** Rounds in which each of several columns is estimated beside the others. */
const ROUNDS = 2;
/** Digits that a file keeps of effects. */
const DIGITS = 7;
/** Rows that are looked at in a step. */
const STEP_ROWS = 4096;

/** Rows of levels: of each row the place of its level, −1 where there is none, and how much it counts. */
export interface LeveledRows {
  readonly level: Int32Array;
  readonly levels: number;
  readonly weights?: ArrayLike<number> | undefined;
}

/** Φ, [rows, width], row by row. */
export interface Design {
  readonly width: number;
  write(row: number, into: Float64Array): void;
}

/** Effects of levels on one output. */
export interface LevelEstimate {
  /** [levels], in units of the output, around 0. */
  readonly effect: Float64Array;
  /** The effect of each row's level by the other rows of the level. */
  readonly without: Float64Array;
  /** Variance of the noise / variance of effects: infinite where levels do not differ beyond chance. */
  readonly ratio: number;
  /** The deviation of effects. */
  readonly deviation: number;
}

/**
 * Estimates effects of levels on an output: y = Φ β + u_level + noise, u ~ N(0, σ²/λ), β ~ N(0, σ²/κ), by the λ and κ of the greatest evidence.
 * The effects are their means given those; that of a row without itself is (S − w r) / (n − w + λ), S and n the sums of
 * its level over residuals r and weights w.
 * @param chosen places of the rows that choose λ, κ and β (default: all)
 */
export function* levelEffects(
  y: ArrayLike<number>,
  { width, write }: Design,
  { level, levels, weights }: LeveledRows,
  chosen?: readonly number[],
): Steps<LevelEstimate> {
  const row = new Float64Array(width);
  const rows = level.length;
  const places = chosen ?? Array.from({ length: rows }, (_, i) => i);
  const weightOf = (i: number) => weights?.[i] ?? 1;
  // Sums of each level, [levels, width], of its targets and weights, and products of all.
  const sums = new Float64Array(levels * width);
  const [targets, counts] = [new Float64Array(levels), new Float64Array(levels)];
  const gram = new Float64Array(width * width);
  const right = new Float64Array(width);
  let [square, total] = [0, 0];
  for (const [k, i] of places.entries()) {
    if (k % STEP_ROWS === STEP_ROWS - 1) yield;
    const [w, l] = [weightOf(i), level[i]];
    write(i, row);
    total += w;
    square += w * y[i] ** 2;
    for (let a = 0; a < width; a++) {
      const own = w * row[a];
      right[a] += own * y[i];
      for (let b = 0; b <= a; b++) gram[a * width + b] += own * row[b];
      if (l >= 0) sums[l * width + a] += own;
    }
    if (l < 0) continue;
    targets[l] += w * y[i];
    counts[l] += w;
  }
  let best: { readonly loss: number; readonly ratio: number; readonly beta: Float64Array; readonly variance: number };
  const none = fitAt(Number.POSITIVE_INFINITY);
  best = none;
  for (const ratio of RATIOS) {
    yield;
    const found = fitAt(ratio);
    if (found.loss < best.loss) best = found;
  }
  if (!(best.loss < none.loss - 2 * WORTH)) best = none;
  const { ratio, beta, variance } = best;
  const [effect, without] = [new Float64Array(levels), new Float64Array(rows)];
  if (ratio === Number.POSITIVE_INFINITY) return { effect, without, ratio, deviation: 0 };
  const residual = new Float64Array(rows);
  const [all, known] = [new Float64Array(levels), new Float64Array(levels)];
  for (let i = 0; i < rows; i++) {
    if (i % STEP_ROWS === STEP_ROWS - 1) yield;
    write(i, row);
    let fitted = 0;
    for (let a = 0; a < width; a++) fitted += row[a] * beta[a];
    residual[i] = y[i] - fitted;
    if (level[i] < 0) continue;
    all[level[i]] += weightOf(i) * residual[i];
    known[level[i]] += weightOf(i);
  }
  for (let l = 0; l < levels; l++) effect[l] = all[l] / (known[l] + ratio);
  for (let i = 0; i < rows; i++) {
    const [l, w] = [level[i], weightOf(i)];
    if (l >= 0) without[i] = (all[l] - w * residual[i]) / (Math.max(0, known[l] - w) + ratio);
  }
  return { effect, without, ratio, deviation: Math.sqrt(variance / ratio) };

  /** −2 log evidence, but for a constant, weights and noise at a ratio, by the best ridge. */
  function fitAt(ratio: number) {
    const a = gram.slice();
    const b = right.slice();
    let [quadratic, logs] = [square, 0];
    for (let l = 0; l < levels && ratio < Number.POSITIVE_INFINITY; l++) {
      if (counts[l] === 0) continue;
      const share = 1 / (counts[l] + ratio);
      logs += Math.log1p(counts[l] / ratio);
      quadratic -= share * targets[l] ** 2;
      for (let i = 0; i < width; i++) {
        const own = share * sums[l * width + i];
        if (own === 0) continue;
        b[i] -= own * targets[l];
        for (let j = 0; j <= i; j++) a[i * width + j] -= own * sums[l * width + j];
      }
    }
    let found: typeof best | undefined;
    for (const ridge of RIDGES) {
      const own = new Float64Array(width * width);
      for (let i = 0; i < width; i++) {
        for (let j = 0; j <= i; j++) own[i * width + j] = own[j * width + i] = a[i * width + j];
        own[i * width + i] += ridge;
      }
      const factor = cholesky(new NDArray(own, [width, width]));
      const beta = factor.solve(new NDArray(b, [width])).data as Float64Array;
      const left = beta.reduce((sum, value, i) => sum - value * b[i], quadratic);
      const variance = Math.max(left / total, Number.MIN_VALUE);
      const loss = total * Math.log(variance) + logs + factor.logDeterminant() - width * Math.log(ridge);
      if (found === undefined || loss < found.loss) found = { loss, ratio, beta, variance };
    }
    return found as typeof best;
  }
}

type Column = CategoryColumn & { readonly effects: LevelEffects };

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
  const design = designOf(numbers, width, leveled);
  const chosen = numbers.rows > MANY_ROWS ? someOf(numbers.rows, MANY_ROWS, 0) : undefined;
  const weights = numbers.weights?.data;
  const missing = missingTest(encoding.rule, "texts");
  const columns = leveled.map(({ column, first }) => {
    const place = placesOf(column.categories);
    const cells = cellsAt(rows, rows.names.indexOf(column.name));
    const level = Int32Array.from(cells, (cell) => (missing(cell) ? -1 : (place(cell) ?? -1)));
    return { column, first, rows: { level, levels: column.categories.length, weights }, found: [] as LevelEstimate[] };
  });
  for (let round = 0; round < (columns.length > 1 ? ROUNDS : 1); round++) {
    for (const own of columns) {
      for (const [k, y] of outputs.entries()) {
        const others = columns.flatMap((one) =>
          one === own || one.found[k] === undefined ? [] : [one.found[k].without],
        );
        const left =
          others.length === 0 ? y : y.map((value, i) => others.reduce((sum, other) => sum - other[i], value));
        own.found[k] = yield* levelEffects(left, design, own.rows, chosen);
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
      // What is missing stays as it is written.
      if (l < 0) continue;
      const at = i * width + first;
      for (const [k, { without, deviation }] of found.entries()) x[at + k] = scaled(without[i], deviation);
      x[at + found.length] = openAt(Math.max(0, known[l] - (weights?.[i] ?? 1)));
    }
    yield;
  }
  return { encoding: encoding.withEffects(effects), numbers: { ...numbers, x: new NDArray(x, numbers.x.shape) } };
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
export function columnsWithLevels({
  columns,
}: TableEncoding): { readonly column: Column; readonly first: number; readonly count: number }[] {
  let at = 0;
  return columns.flatMap((column) => {
    const first = at;
    const count = inputNames(column).length;
    at += count;
    return column.kind === "category" && column.effects !== undefined
      ? [{ column: column as Column, first, count }]
      : [];
  });
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
