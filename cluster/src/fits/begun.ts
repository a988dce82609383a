// The part of whoever asks for a fit: to write what is to be done, to see what is missing, and to collect what came of it.

import { readSafetensors, writeSafetensors } from "laplace-ts";
import { readResult, type Safetensors, type Shards, StoredWork, writeJob, writeWork } from "laplace-ts/executor";
import { getContent, putContent } from "../store/content.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";
import { arithmetic, MIXED } from "./arithmetic.ts";
import { type FitOfShards, nameOfFit, placeOfSum, putFit, sumName, sumsOf } from "./fit.ts";
import { beginning, use } from "./sweep.ts";

/** Shards whose data are written at the same time. */
const AT_ONCE = 16;

/** How a fit is begun. */
export interface BeginOptions {
  /** Who begins it, for messages. */
  readonly by: string;
  /** Whether machines of any arithmetic do its shards. */
  readonly mixBuilds: boolean;
  /** Hears an abort. */
  readonly signal?: { throwIfAborted(): void } | undefined;
}

/** Shards that the store has, to be done by others. */
export class BegunFit<Common, Job, Result> {
  readonly fit: FitOfShards;
  readonly #store: Store;
  readonly #shards: Shards<Common, Job, Result>;
  readonly #common: Common;
  readonly #by: string;
  #work: Promise<StoredWork> | undefined;

  private constructor(store: Store, shards: Shards<Common, Job, Result>, common: Common, fit: FitOfShards, by: string) {
    this.#store = store;
    this.#shards = shards;
    this.#common = common;
    this.fit = fit;
    this.#by = by;
  }

  /**
   * Writes what is to be done: what all shards have in common, and the data of each. What the store has already is not written again.
   * @throws what the data throw; StoreError
   */
  static async write<Common, Job, Result>(
    store: Store,
    shards: Shards<Common, Job, Result>,
    common: Common,
    jobs: Iterable<Job>,
    options: BeginOptions,
  ): Promise<BegunFit<Common, Job, Result>> {
    const written = await beginning(store);
    try {
      return await BegunFit.#write(store, shards, common, jobs, options);
    } finally {
      await written();
    }
  }

  static async #write<Common, Job, Result>(
    store: Store,
    shards: Shards<Common, Job, Result>,
    common: Common,
    jobs: Iterable<Job>,
    { by, mixBuilds, signal }: BeginOptions,
  ): Promise<BegunFit<Common, Job, Result>> {
    const { where, task } = shards;
    const put = (bytes: Uint8Array) => putContent(store, bytes);
    const files: string[] = [];
    const written = await writeWork(where, task, common, async (bytes) => {
      const digest = await put(bytes);
      files.push(digest);
      return digest;
    });
    const work = await put(writeSafetensors(written.tensors, written.metadata));
    const digests: string[] = [];
    const examples: number[] = [];
    // Some at a time: a disk brings several to their places in the time of one.
    const writing = new Set<Promise<void>>();
    try {
      for (const job of jobs) {
        signal?.throwIfAborted();
        const one = writeJob(where, task, job);
        const place = examples.push(one.examples) - 1;
        const written = put(writeSafetensors(one.tensors, one.metadata)).then((digest) => {
          digests[place] = digest;
          writing.delete(written);
        });
        written.catch(() => {});
        writing.add(written);
        if (writing.size >= AT_ONCE) await Promise.race(writing);
      }
      await Promise.all(writing);
    } finally {
      await Promise.allSettled(writing);
    }
    const of = { work, shards: digests, arithmetic: mixBuilds ? MIXED : arithmetic() };
    const fit = { ...of, files, examples, name: nameOfFit(of) };
    await putFit(store, fit, by);
    await use(store, fit.name);
    return new BegunFit(store, shards, common, fit, by);
  }

  /** What a span says of it. */
  get attributes(): Readonly<Record<string, string | number>> {
    const { name, shards, examples } = this.fit;
    const sum = examples.reduce((total, one) => total + one, 0);
    return { "laplace.fit": name, "laplace.shards": shards.length, "laplace.examples": sum };
  }

  /** Says that somebody waits for it, so that nothing of it is swept away. */
  async use(): Promise<void> {
    await use(this.#store, this.fit.name);
  }

  /** The numbers of the shards of which nothing came yet. */
  async missing(): Promise<number[]> {
    const { name, shards } = this.fit;
    const done = new Uint8Array(shards.length);
    for await (const page of this.#store.list(sumsOf(name))) {
      for (const object of page) {
        const found = placeOfSum(object.name);
        if (found !== undefined) done.fill(1, found.place * 2 ** found.level, (found.place + 1) * 2 ** found.level);
      }
    }
    const missing: number[] = [];
    for (const [shard, is] of done.entries()) if (is === 0) missing.push(shard);
    return missing;
  }

  /**
   * Hands over what came of all shards.
   * @returns the numbers of shards that turned out to be missing or broken; nothing was handed over then
   * @throws StoreError
   */
  async collect(): Promise<number[]> {
    const { name, shards } = this.fit;
    const { take, task, where } = this.#shards;
    const read = (contents: Safetensors) => readResult(where, task, this.#common, contents);
    const missing: number[] = [];
    if (task.add === undefined) {
      const whole: Result[] = [];
      for (let shard = 0; shard < shards.length; shard++) {
        const found = await getWhole(this.#store, sumName(name, 0, shard));
        if (found === undefined) missing.push(shard);
        else if (missing.length === 0) whole.push(read(found));
      }
      if (missing.length === 0) for (const [shard, result] of whole.entries()) take(shard, result);
      return missing;
    }
    const blocks: (readonly [level: number, place: number, Result])[] = [];
    for (let first = 0; first < shards.length; ) {
      // The largest subtree that begins here and is whole.
      let level = Math.floor(Math.log2(shards.length - first));
      while (first % 2 ** level !== 0) level--;
      const place = first / 2 ** level;
      const sum = await this.#sum(level, place, missing);
      if (sum !== undefined && missing.length === 0) blocks.push([level, place, read(sum)]);
      first += 2 ** level;
    }
    if (missing.length === 0) for (const [level, place, result] of blocks) take(place, result, level);
    return missing;
  }

  /** The sum of 2^level shards: as a worker wrote it, or of what there is below, written now. */
  async #sum(level: number, place: number, missing: number[]): Promise<Safetensors | undefined> {
    const { name } = this.fit;
    const found = await getWhole(this.#store, sumName(name, level, place));
    if (found !== undefined) return found;
    if (level === 0) {
      missing.push(place);
      return undefined;
    }
    const left = await this.#sum(level - 1, 2 * place, missing);
    const right = await this.#sum(level - 1, 2 * place + 1, missing);
    if (left === undefined || right === undefined) return undefined;
    this.#work ??= this.#open();
    const sum = (await this.#work).add(left, right);
    await putSealed(this.#store, sumName(name, level, place), sum, this.#by);
    return sum;
  }

  async #open(): Promise<StoredWork> {
    const contents = readSafetensors(await getContent(this.#store, this.fit.work));
    return StoredWork.open(contents, (digest) => getContent(this.#store, digest));
  }
}
