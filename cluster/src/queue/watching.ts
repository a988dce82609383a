// What there is in a queue and in the store, for people: fits, their shards, workers.

import { Queue } from "bullmq";
import { StoreError } from "../errors.ts";
import { lengthOf } from "../fits/blocks.ts";
import { FITS, getFit, isFitName, missingOf } from "../fits/fit.ts";
import { identityOf } from "../store/identity.ts";
import { retrying } from "../store/retrying.ts";
import type { Store } from "../store/store.ts";
import { jobOf, PREFIX, queueName } from "./jobs.ts";
import { connectRedis, disconnect } from "./redis.ts";

/** A fit, as it is now. */
export interface FitNow {
  readonly fit: string;
  readonly shards: number;
  /** Shards whose sums are in the store. */
  readonly done: number;
  readonly examples: number;
  readonly examplesDone: number;
  /** Jobs of it that workers have, that wait, and that wait to be tried again, with the reason of the last failure. */
  readonly active: number;
  readonly waiting: number;
  readonly failed: readonly { readonly shard: number; readonly attempts: number; readonly reason: string }[];
}

/** A queue and its store, as they are now. */
export interface ClusterNow {
  /** The key of the list of jobs that wait, for who starts workers by its length. */
  readonly list: string;
  readonly workers: readonly string[];
  readonly fits: readonly FitNow[];
}

/** Milliseconds since anything was written of a fit, from which on it is only listed if the queue has it. */
const RECENT = 3600 * 1000;

/** Looks at a queue and a store. */
export class Watch {
  readonly #store: Store;
  readonly #mixBuilds: boolean;
  readonly #address: string;
  readonly #where: string;
  #queue: Queue | undefined;
  #end: () => void = () => {};

  constructor(where: string, address: string, store: Store, mixBuilds = false) {
    this.#where = where;
    this.#address = address;
    this.#store = retrying(store);
    this.#mixBuilds = mixBuilds;
  }

  /** @throws StoreError */
  async now(): Promise<ClusterNow> {
    const queue = await this.#open();
    const [workers, active, waiting] = await Promise.all([
      queue.getWorkers(),
      queue.getJobs(["active"]),
      queue.getJobs(["waiting", "prioritized", "delayed"]),
    ]);
    const ofFit = (jobs: typeof active, fit: string) => jobs.filter((job) => jobOf(job?.id ?? "")?.fit === fit);
    const known = new Set([...active, ...waiting].flatMap((job) => jobOf(job?.id ?? "")?.fit ?? []));
    for (const fit of await this.#recent()) known.add(fit);
    const fits: FitNow[] = [];
    for (const fit of known) {
      const found = await this.#stored(fit);
      if (found === undefined) continue;
      const [own, wait] = [ofFit(active, fit), ofFit(waiting, fit)];
      const failed = [...own, ...wait].flatMap((job) => {
        const { level = 0, place = 0 } = jobOf(job.id ?? "") ?? {};
        const reason = job.failedReason ?? "";
        return reason === ""
          ? []
          : [{ shard: place * 2 ** level, attempts: job.attemptsMade, reason: reasonOf(reason) }];
      });
      fits.push({ ...found, active: own.length, waiting: wait.length, failed });
    }
    // Connections are named after the queue, then the worker.
    const names = workers.map(({ rawname = "" }) => rawname.slice(rawname.lastIndexOf(":") + 1));
    return { list: `${PREFIX}:${queue.name}:wait`, workers: names.sort(), fits };
  }

  async #open(): Promise<Queue> {
    if (this.#queue !== undefined) return this.#queue;
    const name = queueName(await identityOf(this.#store), this.#mixBuilds);
    const redis = connectRedis(this.#where, this.#address, () => {});
    this.#end = () => disconnect(redis);
    this.#queue = new Queue(name, { connection: redis, prefix: PREFIX });
    this.#queue.on("error", () => {});
    return this.#queue;
  }

  /** Fits of which something was written lately. */
  async #recent(): Promise<string[]> {
    const found = new Set<string>();
    for await (const page of this.#store.list(FITS)) {
      for (const { name, age } of page) if (age < RECENT) found.add(name.slice(FITS.length).split("/")[0]);
    }
    return [...found].filter(isFitName);
  }

  /** What the store has of a fit. */
  async #stored(fit: string) {
    try {
      const { examples } = await getFit(this.#store, fit);
      const missing = await missingOf(this.#store, fit, examples.shards);
      const open = missing.reduce((sum, [first, end]) => sum + examples.of(first, end), 0);
      return {
        fit,
        shards: examples.shards,
        done: examples.shards - lengthOf(missing),
        examples: examples.total,
        examplesDone: examples.total - open,
      };
    } catch (error) {
      // Its queue is older than its store, or it is another version's.
      if (error instanceof StoreError && error.reason !== "unreachable") return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.race([
      this.#queue?.close().catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, 1000).unref()),
    ]);
    this.#end();
  }
}

/** The words of a failure. */
function reasonOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === "string") return message;
  } catch {}
  return text;
}
