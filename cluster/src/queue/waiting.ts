// What whoever asks for a fit sees of the queue: its shards go in, and it hears what became of them. The queue may lose all of that:
// the store says what is done.

import { Queue, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import type { Block } from "../fits/blocks.ts";
import {
  CANCELLED,
  CANCELLED_FOR,
  cancelledKey,
  isCount,
  jobId,
  jobOf,
  jobOptions,
  PREFIX,
  type ShardJob,
} from "./jobs.ts";
import { connectRedis, disconnect, isRefused } from "./redis.ts";

/** What is heard of the shards of one fit. */
export interface Hearer {
  progress(job: ShardJob, examples: number): void;
  done(job: ShardJob): void;
  failed(job: ShardJob, text: string): void;
  /** The queue was away, and may have lost what it had. */
  back(): void;
}

/** Jobs that go to the queue at once. */
const AT_ONCE = 500;

/** A queue and what it says, for all fits of a process. */
export class ShardQueue {
  readonly #redis: Redis;
  readonly #heard: Redis;
  readonly #queue: Queue;
  readonly #events: QueueEvents;
  readonly #hearers = new Map<string, Set<Hearer>>();
  /** Why there is no connection, while there is none. */
  trouble: string | undefined;
  /** Why nobody is let in with this user and password. */
  refused: string | undefined;

  constructor(where: string, address: string, name: string) {
    const onError = (reason: string) => {
      this.trouble = reason;
      if (isRefused(reason)) this.refused = reason;
    };
    this.#redis = connectRedis(where, address, onError);
    this.#heard = connectRedis(where, address, onError);
    let before = false;
    this.#redis.on("ready", () => {
      this.trouble = undefined;
      if (before) for (const hearers of this.#hearers.values()) for (const hearer of hearers) hearer.back();
      before = true;
    });
    this.#queue = new Queue(name, { connection: this.#redis, prefix: PREFIX });
    this.#events = new QueueEvents(name, { connection: this.#heard, prefix: PREFIX });
    this.#queue.on("error", ({ message }) => onError(message));
    this.#events.on("error", ({ message }) => onError(message));
    this.#events.on("progress", ({ jobId, data }) => {
      const { examples } = (data ?? {}) as { readonly examples?: unknown };
      if (isCount(examples)) this.#tell(jobId, (hearer, job) => hearer.progress(job, examples));
    });
    this.#events.on("completed", ({ jobId }) => this.#tell(jobId, (hearer, job) => hearer.done(job)));
    this.#events.on("failed", ({ jobId, failedReason }) =>
      this.#tell(jobId, (hearer, job) => hearer.failed(job, failedReason)),
    );
  }

  #tell(id: string, what: (hearer: Hearer, job: ShardJob) => void): void {
    const job = jobOf(id);
    if (job !== undefined) for (const hearer of this.#hearers.get(job.fit) ?? []) what(hearer, job);
  }

  /** Hears of a fit's shards from now on. */
  async hear(fit: string, hearer: Hearer): Promise<void> {
    const hearers = this.#hearers.get(fit) ?? new Set();
    this.#hearers.set(fit, hearers.add(hearer));
    await this.#events.waitUntilReady();
  }

  unhear(fit: string, hearer: Hearer): void {
    const hearers = this.#hearers.get(fit);
    hearers?.delete(hearer);
    if (hearers?.size === 0) this.#hearers.delete(fit);
  }

  /** Puts shards in the queue; one that is there already stays as it is. */
  async add(fit: string, blocks: readonly Block[], attempts: number, trace?: string): Promise<void> {
    await this.#redis.del(cancelledKey(fit));
    for (let first = 0; first < blocks.length; first += AT_ONCE) {
      const some = blocks
        .slice(first, first + AT_ONCE)
        .map(({ level, place }): ShardJob => ({ fit, level, place, ...(trace === undefined ? {} : { trace }) }));
      await this.#queue.addBulk(some.map((job) => ({ name: "shard", data: job, opts: jobOptions(job, attempts) })));
    }
  }

  /** Takes shards out of the queue that nobody has begun. */
  async remove(fit: string, blocks: Iterable<Block>): Promise<void> {
    const all = [...blocks];
    for (let first = 0; first < all.length; first += AT_ONCE) {
      const some = all.slice(first, first + AT_ONCE);
      await Promise.all(some.map((block) => this.#queue.remove(jobId({ ...block, fit })).catch(() => 0)));
    }
  }

  /** Says to all workers that nobody wants a fit any more. */
  async cancel(fit: string): Promise<void> {
    await this.#redis.set(cancelledKey(fit), "1", "EX", CANCELLED_FOR);
    await this.#redis.publish(CANCELLED, fit);
  }

  /** How many workers listen. */
  async workers(): Promise<number> {
    return this.#queue.getWorkersCount();
  }

  async close(): Promise<void> {
    const closing = Promise.allSettled([this.#events.close(), this.#queue.close()]);
    // Without a connection there is nobody to say goodbye to.
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 2000).unref())]);
    for (const one of [this.#redis, this.#heard]) disconnect(one);
  }
}
