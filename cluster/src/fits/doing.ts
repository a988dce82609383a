// A worker's part of a fit: one shard, and the sums over the tree that can be made with it.

import { readSafetensors, writeSafetensors } from "laplace-ts";
import { type BurstOptions, type ExamplesReport, type Safetensors, StoredWork } from "laplace-ts/executor";
import { StoreError } from "../errors.ts";
import { getContent } from "../store/content.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";
import { arithmetic, MIXED } from "./arithmetic.ts";
import { type FitOfShards, getFit, sumName } from "./fit.ts";

/** A fit whose shards this process does. */
export class FitWork {
  readonly #store: Store;
  readonly #fit: FitOfShards;
  readonly #work: StoredWork;

  private constructor(store: Store, fit: FitOfShards, work: StoredWork) {
    this.#store = store;
    this.#fit = fit;
    this.#work = work;
  }

  /** @throws StoreError for what is missing or broken, or where this machine would give other bits */
  static async open(store: Store, name: string): Promise<FitWork> {
    const fit = await getFit(store, name);
    if (fit.arithmetic !== MIXED && fit.arithmetic !== arithmetic()) {
      throw new StoreError(
        "refused",
        `The fit ${name} was begun with the arithmetic ${fit.arithmetic}, and this machine has ${arithmetic()}: the last bits of its sums would differ. Let machines of one kind do a fit, or begin it with mixBuilds: true.`,
      );
    }
    const contents = readSafetensors(await getContent(store, fit.work));
    const work = await StoredWork.open(contents, (digest) => getContent(store, digest));
    return new FitWork(store, fit, work);
  }

  /** How many shards it has. */
  get count(): number {
    return this.#fit.shards.length;
  }

  /**
   * Does a shard, unless it is done, and writes what came of it.
   * @param by who does it, for messages
   * @returns how many examples it has
   * @throws what its task throws; StoreError
   */
  async do(shard: number, by: string, options: BurstOptions<ExamplesReport> = {}): Promise<number> {
    const { name, shards, examples } = this.#fit;
    const digest = shards[shard];
    if (digest === undefined) {
      throw new StoreError(
        "refused",
        `The fit ${name} has ${shards.length} shards; there is none with the number ${shard}.`,
      );
    }
    const own = sumName(name, 0, shard);
    let result: Safetensors | undefined = await getWhole(this.#store, own);
    if (result === undefined) {
      const job = readSafetensors(await getContent(this.#store, digest));
      result = await this.#work.do(job, options);
      // As whoever reads it has it.
      result = readSafetensors(writeSafetensors(result.tensors, result.metadata));
      await putSealed(this.#store, own, result, by);
    }
    await this.#climb(shard, result, by, options);
    return examples[shard];
  }

  /** Adds a result to that of its neighbour, where this is there, and so on upwards. Both neighbours may do so: to the same bits. */
  async #climb(
    shard: number,
    result: Safetensors,
    by: string,
    { signal }: BurstOptions<ExamplesReport>,
  ): Promise<void> {
    if (!this.#work.adds) return;
    const { name, shards } = this.#fit;
    let [place, sum] = [shard, result];
    for (let level = 0; ; level++) {
      const beside = place % 2 === 0 ? place + 1 : place - 1;
      if ((Math.max(place, beside) + 1) * 2 ** level > shards.length) return;
      const above = sumName(name, level + 1, Math.floor(place / 2));
      if (await this.#store.stat(above)) return;
      const other = await getWhole(this.#store, sumName(name, level, beside));
      if (other === undefined) return;
      signal?.throwIfAborted();
      sum = place < beside ? this.#work.add(sum, other) : this.#work.add(other, sum);
      await putSealed(this.#store, above, sum, by);
      place = Math.floor(place / 2);
    }
  }
}
