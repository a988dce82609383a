// The part of whoever asks for a fit: to write what is to be done, to see what is missing, and to collect what came of it.

import { readSafetensors, writeSafetensors } from "laplace-ts";
import type { FarRows, Safetensors, Shards } from "laplace-ts/executor";
import { indexOf } from "../data/reading.ts";
import { getContent, putContent } from "../store/content.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";
import { jobFile, type OpenedWork, openWork, resultOf, workFile } from "../tasks.ts";
import { arithmetic, MIXED } from "./arithmetic.ts";
import type { Run } from "./blocks.ts";
import { type FitOfShards, missingOf, nameOfFit, putFit, sumName } from "./fit.ts";
import { Counts, PAGE, putPage } from "./shards.ts";
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
  #work: Promise<OpenedWork> | undefined;

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
    const put = (bytes: Uint8Array) => putContent(store, bytes);
    const files: string[] = [];
    const written = await workFile(shards, common, async (bytes) => {
      const digest = await put(bytes);
      files.push(digest);
      return digest;
    });
    const work = await put(writeSafetensors(written.tensors, written.metadata));
    const pages: string[] = [];
    let digests: string[] = [];
    const examples = new Counts();
    // Some at a time: a disk brings several to their places in the time of one.
    const writing = new Set<Promise<void>>();
    try {
      for (const job of jobs) {
        signal?.throwIfAborted();
        const one = jobFile(shards, job);
        if (digests.length === PAGE) {
          await Promise.all(writing);
          pages.push(await putPage(store, digests));
          digests = [];
        }
        examples.add(one.examples);
        // What its rows are found by is needed as long as the fit is.
        const index = indexOf((Object(job) as { readonly far?: FarRows }).far?.at);
        if (index !== undefined && !files.includes(index)) files.push(index);
        const [page, place] = [digests, digests.push("") - 1];
        const written = put(writeSafetensors(one.tensors, one.metadata)).then((digest) => {
          page[place] = digest;
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
    if (digests.length > 0) pages.push(await putPage(store, digests));
    const of = { work, shards: examples.shards, pages, arithmetic: mixBuilds ? MIXED : arithmetic() };
    const fit = { ...of, files, examples, name: nameOfFit(of) };
    await putFit(store, fit, by);
    await use(store, fit.name);
    return new BegunFit(store, shards, common, fit, by);
  }

  /** What a span says of it. */
  get attributes(): Readonly<Record<string, string | number>> {
    const { name, shards, examples } = this.fit;
    return { "laplace.fit": name, "laplace.shards": shards, "laplace.examples": examples.total };
  }

  /** Says that somebody waits for it, so that nothing of it is swept away. */
  async use(): Promise<void> {
    await use(this.#store, this.fit.name);
  }

  /** The shards of which nothing came yet. */
  missing(): Promise<Run[]> {
    return missingOf(this.#store, this.fit.name, this.fit.shards);
  }

  /**
   * Hands over what came of all shards, as it is read: nothing is kept here.
   * @returns whether that is all; else some turned out to be missing or broken, and what was handed over is handed over again
   * @throws StoreError
   */
  async collect(): Promise<boolean> {
    const { shards } = this.fit;
    const { take, task } = this.#shards;
    const read = (contents: Safetensors) => resultOf(this.#shards, this.#common, contents);
    let whole = true;
    for (let first = 0; first < shards; ) {
      // The largest subtree that begins here and is whole; of results that do not add, one.
      let level = task.add === undefined ? 0 : Math.floor(Math.log2(shards - first));
      while (first % 2 ** level !== 0) level--;
      const place = first / 2 ** level;
      const found = await this.#sum(level, place);
      whole &&= found !== undefined;
      if (found !== undefined && whole) take(place, read(found), level);
      first += 2 ** level;
    }
    return whole;
  }

  /** The sum of 2^level shards: as a worker wrote it, or of what there is below, written now; undefined where some are missing. */
  async #sum(level: number, place: number): Promise<Safetensors | undefined> {
    const { name } = this.fit;
    const found = await getWhole(this.#store, sumName(name, level, place));
    if (found !== undefined || level === 0) return found;
    const left = await this.#sum(level - 1, 2 * place);
    const right = await this.#sum(level - 1, 2 * place + 1);
    if (left === undefined || right === undefined) return undefined;
    this.#work ??= this.#open();
    const sum = (await this.#work).add(left, right);
    await putSealed(this.#store, sumName(name, level, place), sum, this.#by);
    return sum;
  }

  async #open(): Promise<OpenedWork> {
    const contents = readSafetensors(await getContent(this.#store, this.fit.work));
    return openWork(contents, (digest) => getContent(this.#store, digest));
  }
}
