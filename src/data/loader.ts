// Batches of a dataset, in order or shuffled.

import { inspect } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkBoolean, checkInteger, checkOptions, refuseCopies } from "../errors.ts";
import { asChecked, type Dataset, type DatasetLike, readDataset, someRows, takeBatch } from "./dataset.ts";

/** Options of `DataLoader`. */
export interface DataLoaderOptions {
  /** Samples in a batch (default 1). */
  batchSize?: number;
  /** Whether each epoch has a new random order (default false). */
  shuffle?: boolean;
  /** Seed of the order (default 0). */
  seed?: number;
  /** Whether a last batch with fewer samples is left out (default false). */
  dropLast?: boolean;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a DataLoader: copy its data, and make a new DataLoader of them";

/** Goes through a dataset in batches. Each iteration is an epoch: with `shuffle`, in an order of its own. */
export class DataLoader implements Iterable<Dataset> {
  readonly data: Dataset;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly #random: Random;
  #nextOrder: Uint32Array;

  /** @throws OptionError, ShapeError, ValueError for bad options or data */
  constructor(data: DatasetLike, options: DataLoaderOptions = {}) {
    checkOptions("DataLoader", options, ["batchSize", "shuffle", "seed", "dropLast"]);
    this.data = readDataset("DataLoader", data);
    this.batchSize = options.batchSize ?? 1;
    checkInteger("DataLoader", "batchSize", this.batchSize, 1);
    this.shuffle = options.shuffle ?? false;
    this.dropLast = options.dropLast ?? false;
    checkBoolean("DataLoader", "shuffle", this.shuffle);
    checkBoolean("DataLoader", "dropLast", this.dropLast);
    this.#random = new Random(options.seed);
    this.#nextOrder = this.#drawOrder();
    refuseCopies(this, copies);
  }

  /** The number of samples. */
  get samples(): number {
    return this.data.x.shape[0];
  }

  /** The number of batches in an epoch. */
  get length(): number {
    const batches = this.samples / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  /** The batch the next epoch begins with; asking for it does not begin one. */
  first(): Dataset {
    return this.#batch(this.#nextOrder, 0);
  }

  /** The next epoch's batches. */
  *[Symbol.iterator](): Generator<Dataset> {
    const order = this.nextEpoch();
    for (let i = 0; i < this.length; i++) yield this.#batch(order, i);
  }

  [inspect](): string {
    const { samples, batchSize, shuffle, dropLast } = this;
    return `DataLoader(${samples} samples, batchSize ${batchSize}${shuffle ? ", shuffle" : ""}${dropLast ? ", dropLast" : ""})`;
  }

  /** The order of the samples in the next epoch, which begins with this call. */
  nextEpoch(): Uint32Array {
    const order = this.#nextOrder;
    this.#nextOrder = this.#drawOrder();
    return order;
  }

  #drawOrder(): Uint32Array {
    return this.shuffle
      ? this.#random.permutation(this.samples)
      : Uint32Array.from({ length: this.samples }, (_, i) => i);
  }

  #batch(order: Uint32Array, i: number): Dataset {
    const rows = order.subarray(i * this.batchSize, (i + 1) * this.batchSize);
    return takeBatch(this.data, rows);
  }
}

const { [Symbol.iterator]: iterator } = DataLoader.prototype;

/** The same batches, to be read: those of a loader that does not shuffle, where they lie, unless somebody has changed how it goes. */
export function inPlace<D>(data: D): D | Iterable<Dataset> {
  const { constructor: made, [Symbol.iterator]: own, shuffle } = (data ?? {}) as DataLoader;
  if (made !== DataLoader || own !== iterator || shuffle) return data;
  const { data: all, samples, batchSize, length } = data as DataLoader;
  return {
    *[Symbol.iterator]() {
      for (let i = 0; i < length; ) yield asChecked(someRows(all, i * batchSize, Math.min(samples, ++i * batchSize)));
    },
  };
}
