// `cluster`: an executor of laplace-ts whose shards are done by workers on any number of machines. The store is the truth; the
// queue only hands out work.

import { hostname } from "node:os";
import { OptionError } from "laplace-ts";
import { type BurstOptions, type ExamplesReport, type Executor, inBursts, type Shards } from "laplace-ts/executor";
import { BegunFit } from "./fits/begun.ts";
import { Following } from "./following.ts";
import { queueName } from "./queue/jobs.ts";
import { withoutPassword } from "./queue/redis.ts";
import { ShardQueue } from "./queue/waiting.ts";
import { inSpan, nameOfSpan } from "./spans.ts";
import { identityOf } from "./store/identity.ts";
import { openStore, type StoreAddress } from "./store/open.ts";
import { retrying } from "./store/retrying.ts";
import type { Store } from "./store/store.ts";
import { storedTask } from "./tasks.ts";

/** Options of `cluster`. */
export interface ClusterOptions {
  /** The address of Redis (6.2 or later) or Valkey: redis://host:6379, rediss://user:password@host:6380/0 with TLS. */
  readonly queue: string;
  /** Where data and results are, for all machines: a folder's path, s3://bucket/prefix, or a store such as `folderStore(path)`. */
  readonly store: StoreAddress;
  /** How often a shard is tried whose worker fails (default 3). What is wrong with the data is not tried again. */
  readonly attempts?: number | undefined;
  /**
   * Whether machines do shards of one fit whose kernels round differently (default false): then the last bits depend on who did
   * which shard. Workers need the same option.
   */
  readonly mixBuilds?: boolean | undefined;
  /** Called with what somebody should know, such as that no worker listens (default: `console.warn`). */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Workers on machines, as an `Executor`. */
export interface Cluster extends Executor {
  /** Leaves the queue; the process can end. What runs goes on, and what is asked again resumes. */
  close(): Promise<void>;
}

const names = ["queue", "store", "attempts", "mixBuilds", "onWarning"];

/**
 * Workers that listen to a queue, as who does a fit: `laplace(…).fit(data, { on: cluster({ queue, store }) })`. The bits are those of
 * one thread, whatever the number of workers. What is done stays in the store: the same call, after whatever ended it, goes on from
 * there. Of work of one shard only, this thread does it.
 * @throws OptionError for bad options. Its `run` throws the first shard's own error, the signal's reason, or a StoreError
 */
export function cluster(options: ClusterOptions): Cluster {
  const where = "cluster";
  if (typeof options !== "object" || options === null) throw new OptionError(`${where}: expected { queue, store }.`);
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new OptionError(`${where}: there is no option ${JSON.stringify(unknown)}.`);
  const { queue, attempts = 3, mixBuilds = false, onWarning = (message: string) => console.warn(message) } = options;
  withoutPassword(where, queue);
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new OptionError(`${where}: attempts must be a whole number of at least 1, not ${JSON.stringify(attempts)}.`);
  }
  const store = retrying(openStore(where, options.store));
  return new Machines({ queue, store, attempts, mixBuilds, onWarning });
}

interface Settings {
  readonly queue: string;
  readonly store: Store;
  readonly attempts: number;
  readonly mixBuilds: boolean;
  readonly onWarning: (message: string) => void;
}

class Machines implements Cluster {
  readonly #settings: Settings;
  #queue: ShardQueue | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async run<Common, Job, Result>(
    shards: Shards<Common, Job, Result>,
    { onProgress, signal }: BurstOptions<ExamplesReport> = {},
  ): Promise<void> {
    const { queue, store, mixBuilds, attempts, onWarning } = this.#settings;
    const common = await inBursts(shards.prepare(), { signal });
    const jobs = shards.jobs[Symbol.iterator]();
    const first = jobs.next();
    if (first.done === true) return;
    const second = jobs.next();
    // What another package asks for may take minutes, and is to be there again after a crash.
    if (second.done === true && storedTask(shards.task) === undefined) {
      // The shard of a whole fit may be a stream, which only this thread has.
      const work = await inBursts(shards.task.begin(common), { signal });
      const tell = onProgress && ((examples: number) => onProgress({ examples }));
      shards.take(0, await inBursts(work(first.value), { signal, onProgress: tell }));
      return;
    }
    const all = function* () {
      yield first.value;
      for (let next: IteratorResult<Job> = second; next.done !== true; next = jobs.next()) yield next.value;
    };
    const by = `${hostname()}.${process.pid}`;
    await inSpan("laplace.fit", { "laplace.function": shards.where }, async (span) => {
      const begun = await BegunFit.write(store, shards, common, all(), { by, mixBuilds, signal });
      span.setAttributes(begun.attributes).addEvent("laplace.written");
      const name = queueName(await identityOf(store), mixBuilds);
      this.#queue ??= new ShardQueue("cluster", queue, name);
      const trace = nameOfSpan(span);
      await new Following(begun, this.#queue, { attempts, trace, onWarning, onProgress, signal }).toTheEnd();
    });
  }

  async close(): Promise<void> {
    const queue = this.#queue;
    this.#queue = undefined;
    await queue?.close();
  }
}
