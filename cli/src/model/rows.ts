// Rows of a table in memory, their numbers (inputs and targets, by an encoding), and parts of them.

import {
  NDArray,
  type Posterior,
  Random,
  type Steps,
  type Table,
  type TableColumns,
  type TableEncoding,
  ValueError,
} from "laplace-ts";

/** Inputs and targets of some rows. */
export interface Numbers {
  readonly rows: number;
  /** [rows, inputs] */
  readonly x: NDArray;
  /** Standardised numbers [rows, 1], or positions of classes [rows]; with two classes [rows, 1]. */
  readonly y: NDArray;
  /** What is unlike the training about each row. */
  readonly unusual: readonly (readonly string[])[];
  /** Cells without a value, as the encoding gives them. */
  readonly gaps: readonly (readonly number[])[];
  /** How much each row counts, [rows]: 2 as though it were there twice (default: each counts once). */
  readonly weights?: NDArray;
}

/** A table in memory whose rows all have a target. */
export interface Rows {
  readonly names: readonly string[];
  /** Of a table by its columns each is made when it is asked for: `cellsAt` is quicker. */
  readonly rows: readonly (readonly string[])[];
  /** Each row's line in the file. */
  readonly lines: readonly number[];
  /** The cells of a column, and some of the rows, where the table is in memory by its columns. */
  readonly column?: (place: number) => readonly string[];
  readonly pick?: (indices: readonly number[]) => Rows;
}

/** The cells of the column at a place. */
export function cellsAt({ rows, column }: Rows, place: number): readonly string[] {
  return column === undefined ? rows.map((row) => row[place] ?? "") : column(place);
}

/** The table as the library takes it. */
export function tableOf(table: Rows): Table | TableColumns {
  const { names, column, lines } = table;
  return column === undefined ? table : { names, column, length: lines.length };
}

/** The place of a column by its name, however its accents are written; −1 where it is not there. */
export function columnAt(names: readonly string[], name: string): number {
  return names.findIndex((one) => one.normalize("NFC") === name.normalize("NFC"));
}

/** Some of the rows. */
export function rowsAt(table: Rows, indices: readonly number[]): Rows {
  if (table.pick !== undefined) return table.pick(indices);
  return { names: table.names, rows: indices.map((i) => table.rows[i]), lines: indices.map((i) => table.lines[i]) };
}

/** Rows that are read in a step. */
const STEP_ROWS = 256;

/** Inputs and targets of rows, in steps. @throws ValueError naming the line */
export function* numbersOf(table: Rows, encoding: TableEncoding): Steps<Numbers> {
  const width = encoding.inputs.length;
  const encodeRow = encoding.bind(table.names);
  const at = table.names.indexOf(encoding.target.name);
  const count = table.rows.length;
  const [x, y] = [floats(count * width), floats(count)];
  const gaps: (readonly number[])[] = [];
  const unusual: (readonly string[])[] = [];
  const known = new Map<string, readonly number[]>();
  for (let i = 0; i < count; i++) {
    if (i % STEP_ROWS === STEP_ROWS - 1) yield;
    const cells = table.rows[i];
    const own: number[] = [];
    try {
      const target = encoding.encodeTarget(cells[at]);
      if (target === undefined) throw new ValueError(`the target "${encoding.target.name}" has no value`);
      y[i] = target;
      unusual.push(encodeRow(cells, x, i * width, own));
      gaps.push(own.length === 0 ? NONE : shared(known, own));
    } catch (cause) {
      throw cause instanceof ValueError
        ? new ValueError(`line ${table.lines[i]}: ${cause.message}.`, { cause })
        : cause;
    }
  }
  const labels = encoding.target.kind === "classes" && encoding.target.classes.length > 2;
  return {
    rows: count,
    x: new NDArray(x, [count, width]),
    y: new NDArray(y, labels ? [count] : [count, 1]),
    unusual,
    gaps,
  };
}

const NONE: readonly number[] = [];

/** One list for all rows of the same gaps. */
function shared(known: Map<string, readonly number[]>, gaps: readonly number[]): readonly number[] {
  const key = gaps.join();
  const found = known.get(key) ?? gaps;
  known.set(key, found);
  return found;
}

/** Numbers from which on threads share them, and have no copies. */
const SHARED = 2 ** 20;

/** So many zeros; many of them in memory that threads share. */
function floats(count: number): Float64Array {
  return count < SHARED ? new Float64Array(count) : new Float64Array(new SharedArrayBuffer(8 * count));
}

/** Some of the rows, as numbers. */
export function take(numbers: Numbers, indices: readonly number[]): Numbers {
  const rowsOf = (source: NDArray) => {
    const width = source.size / numbers.rows;
    const data = new Float64Array(indices.length * width);
    indices.forEach((row, i) => {
      data.set(source.data.subarray(row * width, (row + 1) * width), i * width);
    });
    return new NDArray(data, [indices.length, ...source.shape.slice(1)]);
  };
  return {
    rows: indices.length,
    x: rowsOf(numbers.x),
    y: rowsOf(numbers.y),
    unusual: indices.map((i) => numbers.unusual[i]),
    gaps: indices.map((i) => numbers.gaps[i]),
    ...(numbers.weights !== undefined && { weights: rowsOf(numbers.weights) }),
  };
}

/** Multiplications of a step, about a tenth of a second, and the most rows of one. */
const [STEP_WORK, MOST_STEP_ROWS] = [2 ** 28, 4096];

/** Rows, some at a time: as many as a posterior predicts in a moment. Sums over them are those of all, in their order. */
export function* partsOf(numbers: Numbers, { net, structure, size }: Posterior): Generator<Numbers> {
  // A row's variance goes through the whole matrix of the weights that are not frozen, or through factors of it.
  const work = net.graph.output.size * (net.parameterCount + size * (structure === "full" ? size : 32));
  const most = Math.min(MOST_STEP_ROWS, Math.max(16, Math.floor(STEP_WORK / work)));
  for (let first = 0; first < numbers.rows; first += most) {
    const last = Math.min(numbers.rows, first + most);
    const rowsOf = (source: NDArray) => {
      const width = source.size / numbers.rows;
      return new NDArray(source.data.subarray(first * width, last * width), [last - first, ...source.shape.slice(1)]);
    };
    yield {
      rows: last - first,
      x: rowsOf(numbers.x),
      y: rowsOf(numbers.y),
      unusual: numbers.unusual.slice(first, last),
      gaps: numbers.gaps.slice(first, last),
      ...(numbers.weights !== undefined && { weights: rowsOf(numbers.weights) }),
    };
  }
}

/** Draws of a row that lacks a value. */
export const DRAWS = 16;
/** Multiplications of a whole matrix that take as long as one of a pass. */
const OF_MATRIX = 8;

/** About how many multiplications a row's prediction takes by several posteriors together, with covariances. */
export const predictionWork = (posteriors: readonly Posterior[]): number =>
  posteriors.reduce((sum, { net, structure, size }) => {
    const own = net.graph.output.size * size * (structure === "full" ? size / OF_MATRIX : 1);
    return sum + net.parameterCount + own + (structure === "kronecker" ? rotationWork(net) : 0);
  }, 0);

/** Turning what each weight is multiplied by into the eigenbasis of its factor. */
const rotationWork = ({ parameterTable, frozen }: Posterior["net"]): number =>
  parameterTable.reduce((sum, { name, shape: [, inputs = 0] }) => sum + (frozen.has(name) ? 0 : inputs ** 2), 0);

/** How often a row is predicted: once for each of its draws, where it lacks a value. */
export const drawsOf = (gaps: readonly number[]): number => (gaps.length > 0 ? DRAWS : 1);

/** 0 to n − 1 in an order that the seed gives. */
export function shuffled(n: number, seed: number): number[] {
  const random = new Random(seed);
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** The rows in so many folds at random, each class evenly; indices ascending in each fold. */
export function foldsOf(labels: ArrayLike<number> | undefined, n: number, count: number, seed: number): number[][] {
  const order = shuffled(n, seed);
  if (labels !== undefined) order.sort((a, b) => labels[a] - labels[b]);
  const folds: number[][] = Array.from({ length: count }, () => []);
  order.forEach((row, i) => {
    folds[i % count].push(row);
  });
  return folds.map((fold) => fold.sort((a, b) => a - b));
}

/** A share of the rows, at least one, and the others, each class by its share. */
export function divide(
  labels: ArrayLike<number> | undefined,
  n: number,
  share: number,
  seed: number,
): { part: number[]; rest: number[] } {
  const order = shuffled(n, seed);
  if (labels !== undefined) order.sort((a, b) => labels[a] - labels[b]);
  const count = Math.min(n - 1, Math.max(1, Math.round(share * n)));
  const chosen = new Uint8Array(n);
  // Evenly spaced places in the sorted order take each class by its share.
  for (let k = 0; k < count; k++) chosen[order[Math.floor(((k + 0.5) * n) / count)]] = 1;
  const [part, rest]: [number[], number[]] = [[], []];
  for (let i = 0; i < n; i++) (chosen[i] ? part : rest).push(i);
  return { part, rest };
}
