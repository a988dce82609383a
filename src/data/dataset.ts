// Data as arrays of inputs and targets, one row for each sample.

import { checkFinite } from "../array/arguments.ts";
import { type ArrayLike, makeFloats, NDArray, namedArray, shapeText } from "../array/ndarray.ts";
import { ShapeError, ValueError } from "../errors.ts";

/** Inputs and targets of the same samples; the first axis of both counts the samples. A batch is a small dataset. */
export interface Dataset {
  /** Inputs [N, ...]. */
  readonly x: NDArray;
  /** Targets [N, ...]: numbers, class labels or class probabilities. */
  readonly y: NDArray;
  /** How much each sample counts, [N], in float64: 2 as though it were there twice. Without them each counts once. */
  readonly weights?: NDArray | undefined;
}

/** What stands for a dataset in arguments: arrays, typed arrays or plain nested lists. */
export interface DatasetLike {
  readonly x: ArrayLike;
  readonly y: ArrayLike;
  /** How much each sample counts, [N], at least 0: 2 as though it were there twice (default: all count once). */
  readonly weights?: ArrayLike | undefined;
}

/**
 * A dataset from plain arrays: `dataset([[1, 2], [3, 4]], [0, 1])`, with a weight for each sample `dataset(x, y, [1, 3])`.
 * @throws ShapeError if there are no samples, or x and y have not equally many. @throws ValueError if one is not finite.
 */
export function dataset(x: ArrayLike, y: ArrayLike, weights?: ArrayLike): Dataset {
  return readDataset("dataset", { x, y, weights });
}

/** Batches of data that were checked as a whole. */
const checked = new WeakSet<DatasetLike>();

/** Data that were checked, and that nobody else holds. */
export function asChecked(data: Dataset): Dataset {
  checked.add(data);
  return data;
}

/** The samples at these positions of a dataset that was checked, as a copy. */
export function takeBatch(data: Dataset, rows: Uint32Array): Dataset {
  return asChecked(mapped(data, (array) => takeRows(array, rows)));
}

/** The same with its arrays changed. */
function mapped<T extends object>(all: T, change: (array: NDArray) => NDArray): T {
  const changed = Object.entries(all).map(([name, one]) => [name, one instanceof NDArray ? change(one) : one]);
  return Object.fromEntries(changed);
}

/** Checks what a caller gave as data. */
export function readDataset(where: string, data: DatasetLike): Dataset {
  if (checked.has(data)) return data as Dataset;
  if (data === null || typeof data !== "object" || data.x === undefined || data.y === undefined) {
    throw new ValueError(`${where}: data must be an object { x, y } of inputs and targets.`);
  }
  const x = namedArray(where, "x", data.x);
  const y = namedArray(where, "y", data.y);
  if (x.rank === 0 || y.rank === 0 || x.shape[0] !== y.shape[0]) {
    throw new ShapeError(
      `${where}: the first axes of x and y count the samples and must agree; the shapes are ${shapeText(x.shape)} and ${shapeText(y.shape)}.`,
    );
  }
  if (x.shape[0] === 0) throw new ShapeError(`${where}: there are no samples; x has shape ${shapeText(x.shape)}.`);
  checkFinite(where, "x", x);
  checkFinite(where, "y", y);
  if (data.weights === undefined) return { x, y };
  return { x, y, weights: readWeights(where, data.weights, x.shape[0]) };
}

/** Weights of n samples in float64. @throws ShapeError, ValueError for others than numbers of at least 0 */
export function readWeights(where: string, weights: ArrayLike, n: number): NDArray {
  const given = namedArray(where, "weights", weights).as("float64");
  if (given.size !== n || given.shape[0] !== n) {
    throw new ShapeError(
      `${where}: expected weights of shape [${n}], one for each sample, got ${shapeText(given.shape)}.`,
    );
  }
  checkFinite(where, "weights", given);
  const below = given.data.findIndex((weight) => weight < 0);
  if (below >= 0) {
    throw new ValueError(`${where}: weight ${given.data[below]} of sample ${below} is below 0.`);
  }
  if (given.data.every((weight) => weight === 0)) {
    throw new ValueError(`${where}: all weights are 0, so that nothing counts.`);
  }
  return given.reshape(n);
}

/** How much samples count together: their number, or the sum of their weights. */
export function totalWeight({ x, weights }: Pick<Dataset, "x" | "weights">): number {
  if (weights === undefined) return x.shape[0];
  let sum = 0;
  for (const weight of weights.data) sum += weight;
  return sum;
}

/** The same with some rows of its arrays, where they lie. */
export function someRows<T extends object>(all: T, first: number, end: number): T {
  return mapped(all, ({ data, shape }) => {
    const width = data.length / shape[0];
    return new NDArray(data.subarray(first * width, end * width), [end - first, ...shape.slice(1)]);
  });
}

/** The rows of an array at these positions, as a copy. */
export function takeRows(source: NDArray, rows: Uint32Array): NDArray {
  const { dtype, size, shape, data: all } = source;
  const width = size / shape[0];
  const data = makeFloats(dtype, rows.length * width);
  rows.forEach((row, i) => {
    data.set(all.subarray(row * width, (row + 1) * width), i * width);
  });
  return new NDArray(data, [rows.length, ...shape.slice(1)]);
}
