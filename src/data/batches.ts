// Data as functions take them: a dataset, batches, or a function that gives batches.

import { isPromise } from "../array/entries.ts";
import { makeFloats, NDArray, sameShape, shapeText, widest } from "../array/ndarray.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { type Dataset, type DatasetLike, readDataset } from "./dataset.ts";
import { DataLoader } from "./loader.ts";

/**
 * Data: a dataset; batches, such as a DataLoader's or a list of them; or a function that gives batches, such as a generator
 * function. An iterator that can be gone through only once will do where data are gone through once.
 */
export type Data = DatasetLike | Iterable<DatasetLike> | (() => Iterable<DatasetLike>);

/** Whether data are one dataset rather than batches. */
export function isDataset(data: Data): data is DatasetLike {
  return data !== null && typeof data === "object" && "x" in data && "y" in data;
}

/** Data that are an async iterable; undefined for others. */
export const asyncOf = (data: unknown): AsyncIterable<DatasetLike> | undefined =>
  typeof (data as Partial<AsyncIterable<DatasetLike>> | null)?.[Symbol.asyncIterator] === "function"
    ? (data as AsyncIterable<DatasetLike>)
    : undefined;

/** @throws ValueError for what cannot be data */
export function checkData(where: string, data: Data): void {
  if (isPromise(data)) throw new ValueError(`${where}: the data are a promise: write await before it.`);
  if (typeof data === "function" && /^class\b/.test(Function.prototype.toString.call(data))) {
    throw new ValueError(`${where}: the data are a class, ${data.name}: make one of it with new.`);
  }
  if (typeof data === "function" || isDataset(data)) return;
  if (asyncOf(data) !== undefined) {
    throw new ValueError(`${where}: the data are an async iterable: give await gather(it).`);
  }
  if (
    typeof data !== "object" ||
    ArrayBuffer.isView(data) ||
    data instanceof NDArray ||
    typeof data?.[Symbol.iterator] !== "function"
  ) {
    throw new ValueError(
      `${where}: data must be an object { x, y } of inputs and targets, or batches of them: a DataLoader, a list, or a function that gives them.`,
    );
  }
}

/** Whether data can be gone through only once: an iterator, or batches that come in time without a function that makes them anew. */
export function isIterator(data: Data): boolean {
  return typeof data === "object" && !isDataset(data) && ("next" in data || Symbol.asyncIterator in data);
}

/** What to do with an iterator. */
const once =
  "n iterator can be gone through only once: give { x, y }, a list of batches, a DataLoader, or the generator function itself";

/** @param why they are gone through more than once @param instead what else there is to do @throws ValueError for data that can be gone through only once */
export function refuseIterator(where: string, data: Data, why: string, instead = ""): void {
  if (isIterator(data)) throw new ValueError(`${where}: ${why}, and a${once}${instead}.`);
}

/** The batches of data; a dataset is one batch. @throws ValueError where there are none, unless that may be */
export function* batchesOf(where: string, data: Data, orNone = false): Generator<DatasetLike> {
  checkData(where, data);
  if (typeof data === "object" && isDataset(data)) {
    yield data;
    return;
  }
  const batches = typeof data === "function" ? data() : data;
  if (typeof data === "function") {
    checkData(`${where}: what the function gives`, batches);
    if (isDataset(batches as Data)) {
      yield batches as unknown as DatasetLike;
      return;
    }
  }
  let some = false;
  for (const batch of batches) {
    some = true;
    yield batch;
  }
  if (some || orNone) return;
  const why = isIterator(batches) ? `The iterator gave no batches. A${once}.` : "There is no batch in what was given.";
  throw new ValueError(`${where}: there are no data. ${why}`);
}

/** All data as one dataset, batches one after the other; of a DataLoader its data, as they lie. @throws ShapeError, ValueError */
export function readWhole(where: string, data: Data): Dataset {
  if (data instanceof DataLoader) return data.data;
  checkData(where, data);
  if (isDataset(data)) return readDataset(where, data);
  const batches = Array.from(batchesOf(where, data), (batch) => readDataset(where, batch));
  const [first] = batches;
  if (batches.length === 1) return first;
  const join = (name: "x" | "y") =>
    joined(
      where,
      name,
      batches.map((batch) => batch[name]),
    );
  const alike = new SameWeights(where);
  const weights = batches.flatMap((batch) => alike.of(batch) ?? []);
  return readDataset(where, {
    x: join("x"),
    y: join("y"),
    ...(weights.length > 0 && { weights: joined(where, "weights", weights) }),
  });
}

/** Sees to it that all batches have weights, or none. */
export class SameWeights {
  readonly #where: string;
  #weighted: boolean | undefined;

  constructor(where: string) {
    this.#where = where;
  }

  /** The weights of a batch. @throws ValueError where others have some and it has none, or the other way round */
  of({ weights }: Dataset): NDArray | undefined {
    this.#weighted ??= weights !== undefined;
    if (this.#weighted === (weights !== undefined)) return weights;
    throw new ValueError(`${this.#where}: some batches have weights and others have none; give all of them weights.`);
  }
}

function joined(where: string, name: string, parts: readonly NDArray[]): NDArray {
  const [first] = parts;
  const rest = first.shape.slice(1);
  const result = makeFloats(
    widest(parts),
    parts.reduce((size, part) => size + part.size, 0),
  );
  let start = 0;
  for (const { shape, data, size } of parts) {
    if (!sameShape(shape.slice(1), rest)) {
      throw new ShapeError(
        `${where}: batches of ${name} differ in shape: ${shapeText(first.shape)}, ${shapeText(shape)}.`,
      );
    }
    result.set(data, start);
    start += size;
  }
  return new NDArray(result, [parts.reduce((n, { shape }) => n + shape[0], 0), ...rest]);
}
