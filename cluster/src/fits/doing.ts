// A worker's part of a fit: some shards, and the sums over the tree that can be made with them.

import { readSafetensors } from "laplace-ts";
import type { BurstOptions, ExamplesReport, Safetensors } from "laplace-ts/executor";
import { readRows } from "../data/reading.ts";
import { StoreError } from "../errors.ts";
import { getContent } from "../store/content.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";
import { type OpenedWork, openWork } from "../tasks.ts";
import { arithmetic, MIXED } from "./arithmetic.ts";
import type { Block } from "./blocks.ts";
import { type FitOfShards, getFit, sumName } from "./fit.ts";
import { Pages } from "./shards.ts";

/** A fit whose shards this process does. */
export class FitWork {
  readonly #store: Store;
  readonly #fit: FitOfShards;
  readonly #work: OpenedWork;
  readonly #pages: Pages;

  private constructor(store: Store, fit: FitOfShards, work: OpenedWork) {
    this.#store = store;
    this.#fit = fit;
    this.#work = work;
    this.#pages = new Pages(store, fit.pages, fit.shards);
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
    const work = await openWork(contents, (digest) => getContent(store, digest));
    return new FitWork(store, fit, work);
  }

  /**
   * Does 2^level shards, the first of which is place · 2^level, unless they are done, and writes what came of them.
   * @param by who does it, for messages
   * @returns how many examples they have
   * @throws what their task throws; StoreError
   */
  async do({ level, place }: Block, by: string, options: BurstOptions<ExamplesReport> = {}): Promise<number> {
    const { name, shards, examples } = this.#fit;
    const [first, end] = [place * 2 ** level, (place + 1) * 2 ** level];
    if (!(end <= shards)) {
      throw new StoreError(
        "refused",
        `The fit ${name} has ${shards} shards; there are none with the numbers ${first} to ${end - 1}.`,
      );
    }
    let done = 0;
    const one = async (shard: number) => {
      const { onProgress, signal } = options;
      const tell = onProgress && ((report: ExamplesReport) => onProgress({ examples: done + report.examples }));
      const job = readSafetensors(await getContent(this.#store, await this.#pages.digest(shard)));
      const read = (at: unknown) => readRows(this.#store, at);
      const result = await this.#work.do(job, { signal, onProgress: tell, read });
      done += examples.of(shard, shard + 1);
      return result;
    };
    if (!this.#work.adds) {
      for (let shard = first; shard < end; shard++) {
        const own = sumName(name, 0, shard);
        if (await getWhole(this.#store, own)) done += examples.of(shard, shard + 1);
        else await putSealed(this.#store, own, await one(shard), by);
      }
      return done;
    }
    const own = sumName(name, level, place);
    const found = await getWhole(this.#store, own);
    if (found !== undefined) {
      await this.#climb(level, place, found, by, options);
      return examples.of(first, end);
    }
    const sumOf = async (height: number, at: number): Promise<Safetensors> => {
      if (height === 0) return one(at);
      const left = await sumOf(height - 1, 2 * at);
      return this.#work.add(left, await sumOf(height - 1, 2 * at + 1));
    };
    const sum = await sumOf(level, place);
    await putSealed(this.#store, own, sum, by);
    await this.#climb(level, place, sum, by, options);
    return done;
  }

  /** Adds a sum to that of its neighbour, where this is there, and so on upwards. Both neighbours may do so, to the same bits; one goes on. */
  async #climb(
    from: number,
    first: number,
    found: Safetensors,
    by: string,
    { signal }: BurstOptions<ExamplesReport>,
  ): Promise<void> {
    const { name, shards } = this.#fit;
    let [place, sum] = [first, found];
    for (let level = from; ; level++) {
      const beside = place % 2 === 0 ? place + 1 : place - 1;
      if ((Math.max(place, beside) + 1) * 2 ** level > shards) return;
      const above = sumName(name, level + 1, Math.floor(place / 2));
      if (await this.#store.stat(above)) return;
      const other = await getWhole(this.#store, sumName(name, level, beside));
      if (other === undefined) return;
      signal?.throwIfAborted();
      sum = place < beside ? this.#work.add(sum, other) : this.#work.add(other, sum);
      // Who came first goes on: else all neighbours that end together would climb to the last sum.
      if (!(await putSealed(this.#store, above, sum, by))) return;
      place = Math.floor(place / 2);
    }
  }
}
