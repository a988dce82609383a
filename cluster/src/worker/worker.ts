// A worker: takes shards from the queue and has them summed. This process does not compute: it renews the leases, so that a long
// shard is never taken for a dead one.

import { hostname } from "node:os";
import { resolve } from "node:path";
import { type Job, UnrecoverableError, WaitingError, Worker } from "bullmq";
import { OptionError } from "laplace-ts";
import { arithmetic } from "../fits/arithmetic.ts";
import {
  CANCELLED,
  cancelledKey,
  failureText,
  NOBODY,
  PREFIX,
  queueName,
  readJob,
  type ShardJob,
} from "../queue/jobs.ts";
import { connectRedis, disconnect, isRefused, withoutPassword } from "../queue/redis.ts";
import { failed, nameOfSpan, spanFor } from "../spans.ts";
import { identityOf } from "../store/identity.ts";
import { openStore, type StoreAddress } from "../store/open.ts";
import { retrying } from "../store/retrying.ts";
import type { Store } from "../store/store.ts";
import type { WorkerEvent } from "./events.ts";
import { Failed, Lane } from "./lane.ts";
import { checkMetrics, Metrics, type MetricsAddress } from "./metrics.ts";

/** Options of `work`. */
export interface WorkOptions {
  /** The address of Redis or Valkey. */
  readonly queue: string;
  /** The same store as that of whoever asks for fits. */
  readonly store: StoreAddress;
  /** How many shards are done at the same time, by a process each (default 1). */
  readonly concurrency?: number | undefined;
  /**
   * Bytes that the processes which sum may take together, at least 128 MiB each (default: any): one that takes more than its share is
   * ended, and its shard is tried again, here or on another machine.
   */
  readonly memoryBudget?: number | undefined;
  /** Milliseconds for which a shard is this worker's, unless it says that it still does it (default 30,000). */
  readonly lease?: number | undefined;
  /** Takes shards of fits that allow machines of any arithmetic, and no others (default false). */
  readonly mixBuilds?: boolean | undefined;
  /** Milliseconds without a shard after which it ends (default: never). */
  readonly stopWhenIdle?: number | undefined;
  /** Milliseconds for which shards may be finished when it is to stop; then they are given back (default 20,000). */
  readonly grace?: number | undefined;
  /** Serves metrics for Prometheus (default: none; the client is not loaded then). */
  readonly metrics?: MetricsAddress | undefined;
  /** Files that define likelihoods and primitives of one's own. */
  readonly imports?: readonly string[] | undefined;
  /** What it is called in messages and results (default: the host's name and the process). */
  readonly name?: string | undefined;
  /** Stops it: what runs is finished, or given back. */
  readonly signal?: AbortSignal | undefined;
  /** Hears what happens. */
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
}

const names = [
  "queue",
  "store",
  "concurrency",
  "memoryBudget",
  "lease",
  "mixBuilds",
  "stopWhenIdle",
  "grace",
  "metrics",
  "imports",
  "name",
  "signal",
  "onEvent",
];

/** How often a shard may be taken from workers that are gone, before it is given up. */
const MOST_STALLED = 5;
/** Bytes that a process which sums takes before it sums anything, and some more. */
const LEAST_MEMORY = 2 ** 27;

/** A number of milliseconds, or of something else, of at least so much. */
function atLeast(name: string, value: unknown, least: number): number {
  if (typeof value === "number" && value >= least && Number.isFinite(value)) return value;
  throw new OptionError(`work: ${name} must be a number of at least ${least}, not ${JSON.stringify(value)}.`);
}

/** Does shards of fits until it is stopped. @throws OptionError for bad options */
export async function work(options: WorkOptions): Promise<void> {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new OptionError(`work: there is no option ${JSON.stringify(unknown)}.`);
  await new WorkerOfShards(options).run();
}

class WorkerOfShards {
  readonly #options: WorkOptions;
  readonly #name: string;
  readonly #store: Store;
  readonly #lease: number;
  readonly #grace: number;
  readonly #lanes: Lane[];
  readonly #free: Lane[];
  readonly #running = new Map<string, { readonly job: ShardJob; readonly stop: AbortController }>();
  #metrics: Metrics | undefined;
  #idle: NodeJS.Timeout | undefined;
  #stop: () => void = () => {};

  constructor(options: WorkOptions) {
    const { queue, store, concurrency = 1, lease = 30_000, grace = 20_000, imports = [], name } = options;
    withoutPassword("work", queue);
    if (!Number.isInteger(concurrency)) throw new OptionError("work: concurrency must be a whole number.");
    atLeast("concurrency", concurrency, 1);
    this.#lease = atLeast("lease", lease, 100);
    this.#grace = atLeast("grace", grace, 0);
    if (options.stopWhenIdle !== undefined) atLeast("stopWhenIdle", options.stopWhenIdle, 0);
    if (options.metrics !== undefined) checkMetrics("work", options.metrics);
    this.#options = options;
    if (name !== undefined && !/^[\w.@-]{1,100}$/.test(name)) {
      throw new OptionError('work: name must be letters, digits, ".", "-", "_" and "@".');
    }
    this.#name = name ?? `${hostname()}.${process.pid}`;
    this.#store = retrying(openStore("work", store));
    const { memoryBudget } = options;
    if (memoryBudget !== undefined) atLeast("memoryBudget", memoryBudget, LEAST_MEMORY * concurrency);
    const settings = {
      store: this.#store.address,
      by: this.#name,
      imports: imports.map((file) => resolve(file)),
      budget: memoryBudget && memoryBudget / concurrency,
    };
    this.#lanes = Array.from({ length: concurrency }, () => new Lane(settings));
    this.#free = [...this.#lanes];
  }

  async run(): Promise<void> {
    const { metrics } = this.#options;
    if (metrics !== undefined) {
      const running = () => this.#running.size;
      this.#metrics = await Metrics.serve("work", metrics, {
        worker: this.#name,
        concurrency: this.#lanes.length,
        running,
      });
      this.#tell({ event: "metrics", reason: this.#metrics.address });
    }
    try {
      await this.#work();
    } finally {
      this.#metrics?.close();
    }
  }

  async #work(): Promise<void> {
    const { queue, mixBuilds = false, signal } = this.#options;
    const shards = queueName(await identityOf(this.#store), mixBuilds);
    const stopped = new Promise<void>((resolve) => {
      this.#stop = resolve;
    });
    signal?.addEventListener("abort", this.#stop, { once: true });
    if (signal?.aborted) this.#stop();
    let said = "";
    let refused: OptionError | undefined;
    const onError = (reason: string) => {
      // While there is no connection, each try has the same error.
      if (reason !== said) this.#tell({ event: "queue", reason });
      said = reason;
      if (!isRefused(reason)) return;
      refused = new OptionError(`work: the queue lets nobody in with this user and password: ${reason}`);
      this.#stop();
    };
    const redis = connectRedis("work", queue, onError);
    const heard = connectRedis("work", queue, onError);
    heard.on("message", (_, fit) => this.#cancel(({ job }) => job.fit === fit));
    heard.subscribe(CANCELLED).catch(() => {});
    redis.on("ready", () => {
      said = "";
    });
    const worker = new Worker<ShardJob, number>(
      shards,
      (job, token) => this.#process(job, token, async (fit) => (await redis.exists(cancelledKey(fit))) > 0),
      {
        connection: redis,
        prefix: PREFIX,
        name: this.#name,
        concurrency: this.#lanes.length,
        lockDuration: this.#lease,
        stalledInterval: this.#lease / 2,
        maxStalledCount: MOST_STALLED,
        drainDelay: 5,
      },
    );
    worker.on("error", (error) => onError(error.message));
    worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) this.#lose(id);
    });
    worker.once("ready", () => this.#tell({ event: "ready", reason: arithmetic() }));
    this.#rest();
    await stopped;
    clearTimeout(this.#idle);
    const closing = worker.close().catch(() => {});
    const grace = setTimeout(() => this.#cancel(() => true), this.#grace);
    // Without its queue it cannot even say goodbye.
    const last = new Promise<void>((resolve) => setTimeout(resolve, this.#grace + 10_000).unref());
    if (refused === undefined) await Promise.race([closing, last]);
    clearTimeout(grace);
    for (const lane of this.#lanes) lane.close();
    for (const one of [redis, heard]) disconnect(one);
    signal?.removeEventListener("abort", this.#stop);
    this.#tell({ event: "stopped" });
    if (refused !== undefined) throw refused;
  }

  /** Does the shard of a job. */
  async #process(job: Job<ShardJob, number>, token: string | undefined, cancelled: (fit: string) => Promise<boolean>) {
    const { trace: above, ...block } = this.#read(job);
    clearTimeout(this.#idle);
    const attempt = job.attemptsMade + 1;
    const span = spanFor(above, "laplace.shard", {
      "laplace.fit": block.fit,
      "laplace.shard.first": block.place * 2 ** block.level,
      "laplace.shard.count": 2 ** block.level,
      "laplace.attempt": attempt,
      "laplace.worker": this.#name,
    });
    const trace = nameOfSpan(span);
    const own = { ...block, attempt, ...(trace === undefined ? {} : { trace }) };
    const ended = (how: Pick<WorkerEvent, "event" | "examples" | "milliseconds" | "reason">) => {
      span.setAttribute("laplace.outcome", how.event);
      if (how.examples !== undefined) span.setAttribute("laplace.examples", how.examples);
      this.#tell({ ...own, ...how });
    };
    const id = job.id ?? "";
    const stop = new AbortController();
    // There are as many lanes as jobs at the same time.
    const lane = this.#free.pop() as Lane;
    const begun = performance.now();
    try {
      if (await cancelled(block.fit)) throw new UnrecoverableError(NOBODY);
      this.#running.set(id, { job: block, stop });
      this.#tell({ event: "begun", ...own });
      const examples = await lane.do(block, stop.signal, (done) => {
        job.updateProgress({ examples: done }).catch(() => {});
      });
      ended({ event: "done", examples, milliseconds: Math.round(performance.now() - begun) });
      return examples;
    } catch (error) {
      if (stop.signal.aborted) {
        if (await cancelled(block.fit).catch(() => false)) {
          ended({ event: "cancelled" });
          throw new UnrecoverableError(NOBODY);
        }
        ended({ event: "given back" });
        await job.moveToWait(token);
        throw new WaitingError();
      }
      if (!(error instanceof Failed)) throw error;
      failed(span, error.error);
      ended({ event: "failed", reason: (error.error as Error).message });
      const text = failureText(error.error);
      throw error.lasting ? new UnrecoverableError(text) : new Error(text);
    } finally {
      span.end();
      this.#running.delete(id);
      this.#free.push(lane);
      this.#rest();
    }
  }

  /** What a job says. One that is not of a fit's shards is not tried again. */
  #read(job: Job<unknown, number>): ShardJob {
    try {
      return readJob(job.data);
    } catch (error) {
      const { message } = error as Error;
      this.#tell({ event: "failed", reason: message });
      throw new UnrecoverableError(failureText(error));
    }
  }

  /** Gives up shards. */
  #cancel(which: (running: { readonly job: ShardJob }) => boolean): void {
    for (const one of this.#running.values()) if (which(one)) one.stop.abort();
  }

  /** Says that a lease is another's by now. The shard goes on: what comes of it is written once, whoever is first. */
  #lose(id: string): void {
    const running = this.#running.get(id);
    if (running !== undefined) this.#tell({ event: "lost", ...running.job });
  }

  /** Waits for shards; where none come for long enough, it ends. */
  #rest(): void {
    const { stopWhenIdle } = this.#options;
    if (stopWhenIdle === undefined || this.#running.size > 0) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#running.size === 0) this.#stop();
    }, stopWhenIdle);
  }

  #tell(event: Omit<WorkerEvent, "worker">): void {
    this.#metrics?.count(event);
    this.#options.onEvent?.({ ...event, worker: this.#name });
  }
}
