// Memory that a worker reads the inputs of a shard from: shared, and used for one shard after the other.

import { NDArray } from "../array/ndarray.ts";
import { bytesPerElement, shared as sharesMemory } from "../kernels/memory.ts";
import type { Batch } from "../network/run.ts";
import type { Connection } from "./connection.ts";

/** Bytes that are kept for each worker, at most. */
const MOST_BYTES = 2 ** 25;
/** Bytes from which on it pays. */
const LEAST_BYTES = 2 ** 16;

/** What is kept, by connections: nobody reads it. */
const kept = new WeakMap<Connection, SharedArrayBuffer>();

/**
 * Where a worker finds the inputs of one shard. A copy for each would be new memory here and there, which has all garbage collected,
 * on both threads, every few shards.
 */
export class Staging {
  readonly #connection: Connection;
  #buffer: SharedArrayBuffer | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The same batches, with inputs that are not copied again; undefined where that does not pay. */
  batches<Own extends Batch>(batches: readonly Own[]): Own[] | undefined {
    if (!sharesMemory) return undefined;
    let bytes = 0;
    for (const { inputs } of batches) if (!isShared(inputs)) bytes += roomOf(inputs);
    if (bytes < LEAST_BYTES || bytes > MOST_BYTES) return undefined;
    const buffer = this.#take(bytes);
    let at = 0;
    return batches.map((batch) => {
      const { inputs } = batch;
      if (isShared(inputs)) return batch;
      const Floats = inputs.dtype === "float32" ? Float32Array : Float64Array;
      const data = new Floats(buffer as unknown as ArrayBuffer, at, inputs.size);
      data.set(inputs.data);
      at += roomOf(inputs);
      return { ...batch, inputs: new NDArray(data, inputs.shape) };
    });
  }

  #take(bytes: number): SharedArrayBuffer {
    const known = kept.get(this.#connection);
    kept.delete(this.#connection);
    this.#buffer = known !== undefined && known.byteLength >= bytes ? known : new SharedArrayBuffer(bytes);
    return this.#buffer;
  }

  /** Says that the worker has answered: what was lent to it is there for the next shard. */
  giveBack(): void {
    if (this.#buffer !== undefined && !this.#connection.lost) kept.set(this.#connection, this.#buffer);
    this.#buffer = undefined;
  }
}

const isShared = ({ data }: NDArray) => (data.buffer as unknown) instanceof SharedArrayBuffer;

/** Bytes for an array, in whole units of 8. */
const roomOf = ({ dtype, size }: NDArray) => Math.ceil((size * bytesPerElement(dtype)) / 8) * 8;
