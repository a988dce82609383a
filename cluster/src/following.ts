// A fit on machines, followed to its end by whoever asked for it.

import { OptionError } from "laplace-ts";
import type { BurstOptions, ExamplesReport } from "laplace-ts/executor";
import type { BegunFit } from "./fits/begun.ts";
import { type Block, blocksFor, blocksOf, runOf, without } from "./fits/blocks.ts";
import { failureOf, jobId, NOBODY, type ShardJob } from "./queue/jobs.ts";
import type { Hearer, ShardQueue } from "./queue/waiting.ts";

/** How a fit is followed. */
export interface FollowOptions extends BurstOptions<ExamplesReport> {
  readonly attempts: number;
  /** The name of the span of all, for those of its shards. */
  readonly trace?: string | undefined;
  readonly onWarning: (message: string) => void;
}

/** Milliseconds between two looks at what nobody tells. */
const LOOK = 250;
/** Milliseconds without a word of the queue after which the store is asked what is done, and what is missing goes to the queue again. */
const QUIET = 5000;
/** Milliseconds after which somebody is told that no worker listens, or that the queue is away. */
const LONELY = 5000;

/** Milliseconds between two words to the store that somebody waits. */
const OFTEN_USED = 3600 * 1000;

/** See `Executor.run`. */
export class Following<Common, Job, Result> implements Hearer {
  readonly #begun: BegunFit<Common, Job, Result>;
  readonly #queue: ShardQueue;
  readonly #options: FollowOptions;
  /** Blocks of shards of which nothing came yet, by the ids of their jobs, and how many of their examples are done. */
  readonly #pending = new Map<string, { readonly block: Block; readonly done: number }>();
  /** Examples of shards that are done. */
  #done = 0;
  /** Of the first shard that failed, as far as is known. */
  #failure: { readonly first: number; readonly error: unknown } | undefined;
  /** What is thrown at once: an abort. */
  #reason: { readonly error: unknown } | undefined;
  #heard = performance.now();
  #told = false;
  #again = false;
  #wake: () => void = () => {};
  #using: NodeJS.Timeout | undefined;

  constructor(begun: BegunFit<Common, Job, Result>, queue: ShardQueue, options: FollowOptions) {
    this.#begun = begun;
    this.#queue = queue;
    this.#options = options;
  }

  progress(job: ShardJob, examples: number): void {
    this.#heard = performance.now();
    const [id, most] = [jobId(job), this.#begun.fit.examples.of(...runOf(job))];
    const pending = this.#pending.get(id);
    if (pending !== undefined) this.#pending.set(id, { block: pending.block, done: Math.min(examples, most) });
    this.#report();
  }

  done(job: ShardJob): void {
    this.#heard = performance.now();
    if (!this.#pending.delete(jobId(job))) return;
    this.#done += this.#begun.fit.examples.of(...runOf(job));
    this.#report();
    if (this.#pending.size === 0) this.#wake();
  }

  failed(job: ShardJob, text: string): void {
    this.#heard = performance.now();
    if (!this.#pending.has(jobId(job))) return;
    const first = job.place * 2 ** job.level;
    if (text === NOBODY) {
      // Somebody else who asked for the same fit gave it up.
      this.#again = true;
    } else if (this.#failure === undefined || first < this.#failure.first) {
      this.#failure = { first, error: failureOf(text, job) };
    }
    this.#wake();
  }

  back(): void {
    this.#again = true;
    this.#wake();
  }

  /** Reports how far all is; an error of who hears it stops all. */
  #report(): void {
    let examples = this.#done;
    for (const { done } of this.#pending.values()) examples += done;
    try {
      this.#options.onProgress?.({ examples });
    } catch (error) {
      this.#stop(error);
    }
    this.#look();
  }

  /** Hears an abort. */
  #look(): void {
    try {
      this.#options.signal?.throwIfAborted();
    } catch (error) {
      this.#stop(error);
    }
  }

  #stop(error: unknown): void {
    this.#reason ??= { error };
    this.#wake();
  }

  /** Waits until all is done, and hands over what came of it. @throws the first shard's own error; the signal's reason; StoreError */
  async toTheEnd(): Promise<void> {
    const { name } = this.#begun.fit;
    const { signal } = this.#options;
    const heard = signal as Partial<AbortSignal> | undefined;
    const abort = () => this.#look();
    heard?.addEventListener?.("abort", abort);
    const timer = setInterval(() => {
      this.#look();
      const { refused } = this.#queue;
      if (refused !== undefined) {
        this.#stop(new OptionError(`cluster: the queue lets nobody in with this user and password: ${refused}`));
      }
      if (!this.#told && performance.now() - this.#heard > LONELY) void this.#warn();
    }, LOOK);
    try {
      this.#using = setInterval(() => this.#begun.use().catch(() => {}), OFTEN_USED);
      // What turns out to be broken is missing, and done again.
      do {
        if (await this.#refresh()) await this.#wait();
      } while (!(await this.#begun.collect()));
    } catch (error) {
      await this.#giveUp();
      throw error;
    } finally {
      clearInterval(timer);
      clearInterval(this.#using);
      heard?.removeEventListener?.("abort", abort);
      this.#queue.unhear(name, this);
    }
  }

  /** Asks the store what is missing, and has it in the queue; says whether there is any. */
  async #refresh(): Promise<boolean> {
    const { fit } = this.#begun;
    const missing = await this.#begun.missing();
    this.#done = fit.examples.total - missing.reduce((sum, run) => sum + fit.examples.of(...run), 0);
    const before = new Map(this.#pending);
    this.#pending.clear();
    if (missing.length === 0) return false;
    await this.#orStopped(this.#queue.hear(fit.name, this));
    // Blocks that are in the queue stay as they are: others with the same shards would be done beside them.
    const { kept, left } = without(
      missing,
      [...before.values()].map(({ block }) => block),
    );
    const fresh = blocksOf(left, blocksFor(await this.#orStopped(this.#queue.workers())));
    const blocks = [...kept, ...fresh];
    for (const block of blocks) {
      const id = jobId({ ...block, fit: fit.name });
      this.#pending.set(id, { block, done: before.get(id)?.done ?? 0 });
    }
    await this.#orStopped(this.#queue.add(fit.name, blocks, this.#options.attempts, this.#options.trace));
    return true;
  }

  async #wait(): Promise<void> {
    const { fit } = this.#begun;
    let left = false;
    let asked = performance.now();
    for (;;) {
      if (this.#reason !== undefined) throw this.#reason.error;
      if (this.#failure !== undefined) {
        const { first, error } = this.#failure;
        // As in order: shards before it may fail too, and those after it are not begun.
        const later = this.#blocks().filter(({ level, place }) => place * 2 ** level >= first);
        for (const block of later) this.#pending.delete(jobId({ ...block, fit: fit.name }));
        if (!left) await this.#orStopped(this.#queue.remove(fit.name, later));
        left = true;
        if (this.#pending.size === 0) throw error;
      }
      if (this.#pending.size === 0) return;
      if (this.#again || performance.now() - Math.max(this.#heard, asked) > QUIET) {
        this.#again = false;
        if (this.#failure === undefined) await this.#refresh();
        asked = performance.now();
        continue;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = () => {};
    }
  }

  /** Says once why nothing happens. */
  async #warn(): Promise<void> {
    const { trouble } = this.#queue;
    const { onWarning } = this.#options;
    if (trouble === undefined && (await this.#queue.workers().catch(() => 1)) > 0) return;
    if (this.#told) return;
    this.#told = true;
    onWarning(
      trouble === undefined
        ? "cluster: no worker of this version, build and store listens to the queue: start laplace worker on some machines. Waiting for one."
        : `cluster: the queue does not answer: ${trouble}. Waiting until it does.`,
    );
  }

  /** What a promise gives, unless all is to stop before. */
  async #orStopped<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const stopped = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        this.#look();
        if (this.#reason !== undefined) reject(this.#reason.error);
      }, LOOK);
    });
    try {
      return await Promise.race([promise, stopped]);
    } finally {
      // What is left behind may fail when the connection ends.
      promise.catch(() => {});
      clearInterval(timer);
    }
  }

  #blocks(): Block[] {
    return [...this.#pending.values()].map(({ block }) => block);
  }

  /** Leaves nothing in the queue. What is done stays in the store. */
  async #giveUp(): Promise<void> {
    if (this.#queue.trouble !== undefined) return;
    const { name } = this.#begun.fit;
    const leave = async () => {
      await this.#queue.cancel(name);
      await this.#queue.remove(name, this.#blocks());
    };
    await Promise.race([leave().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000).unref())]);
  }
}
