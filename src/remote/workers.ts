// A pool of workers, each of which does shards of work.

import { checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import { candidatesOn } from "../evaluation/candidates.ts";
import { bringCandidates } from "../evaluation/sharing.ts";
import { wideModule } from "../kernels/kernels.ts";
import {
  BURST_MILLISECONDS,
  type BurstOptions,
  type ExamplesReport,
  inBursts,
  nextTurn,
  oneStep,
  reportingExamples,
  type Steps,
} from "../kernels/steps.ts";
import { setThreadCount, threadCount } from "../kernels/threads.ts";
import * as inShards from "../prediction/in-shards.ts";
import { bringRowSharing } from "../prediction/sharing.ts";
import { ahead } from "../shards/ahead.ts";
import { type Coming, type Executor, inOrder, type Shards } from "../shards/executor.ts";
import { type Lane, type LaneOptions, Lost, ShareOut } from "../shards/share-out.ts";
import { gradientsOn } from "../training/in-shards.ts";
import { bringGradients } from "../training/sharing.ts";
import type { Disposing } from "./calls.ts";
import { Connection, timers, type WorkerLike } from "./connection.ts";
import { callOn, type RemoteObject } from "./handles.ts";
import { Keeper } from "./keeper.ts";
import { Staging } from "./staging.ts";
import { type Codec, codecOf } from "./tasks.ts";

/** Options of `workers`. */
export interface WorkersOptions {
  /** How many threads do shards, this one included, which does shards too outside of pages (default: the number of cores). */
  readonly count?: number | undefined;
  /** Makes a worker. Pages need it: `() => new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" })`. */
  readonly make?: (() => WorkerLike) | undefined;
  /**
   * Milliseconds after which a worker that is to do something, and does not even answer whether it hears, is ended (default
   * 30,000); a worker hears between pieces of its work. Others do its shard. Infinity waits for ever.
   */
  readonly patience?: number | undefined;
}

/** See `WorkersOptions`. */
const PATIENCE = 30_000;

/** A pool of workers, which does shards of fits: an `Executor`. */
export interface Workers extends Executor, Disposing {
  /** Ends the workers. What runs goes on in this thread. */
  close(): void;
}

interface Builtin {
  getBuiltinModule?(name: string): unknown;
}

interface Threads {
  readonly isMainThread: boolean;
  readonly Worker: new (file: URL, options: object) => WorkerLike;
}

/** Node's workers; undefined elsewhere. */
const threads = () =>
  (globalThis as { process?: Builtin }).process?.getBuiltinModule?.("node:worker_threads") as Threads | undefined;

/** A page answers its user, and leaves the work to others. */
const inPage = "document" in globalThis;

/**
 * Threads that share work: `laplace(…).fit(data, { on: workers() })`. They start when there is more than one shard, and are there
 * for the next call; a process that has nothing else to do ends, and they with it. The bits depend neither on their number
 * nor on which of them does what: a worker that ends gives its shard back, and this thread does what nobody else does.
 * @throws OptionError for bad options, or in a page without `make`
 */
export function workers(options: WorkersOptions = {}): Workers {
  const where = "workers";
  checkOptions(where, options, ["count", "make", "patience"]);
  const { count = threadCount(), patience = PATIENCE } = options;
  if (patience !== Number.POSITIVE_INFINITY) checkNumber(where, "patience", patience, 0, true);
  checkInteger(where, "count", count, 1);
  const { make = nodeWorker() } = options;
  if (typeof make !== "function") {
    throw new OptionError(
      `${where}: make must be a function that makes a worker, here () => new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" }).`,
    );
  }
  bringSharing();
  const beside = inPage ? count : count - 1;
  return poolOf(new Pool({ count: () => beside, make, patience, after: 0 }));
}

/**
 * Milliseconds after which a call has others beside this thread: as long as two workers take to start, of processor's time; less
 * where they are there.
 */
const [LONG, LONG_WITH_WORKERS] = [150, 30];
/** Milliseconds that a call whose shards are done waits for workers that start: one that cannot is an error. */
const START = 5000;
/** More threads are rarely all there. */
const MOST = 8;

/**
 * Who does shards in Node where a call does not say so: this thread, and when that has taken long, as many workers beside it as
 * there are threads (`kernels.setThreads`). What goes wrong on them is done here. Undefined on workers, and elsewhere.
 */
export function allCores(): Executor | undefined {
  const found = threads();
  const make = nodeWorker();
  if (make === undefined || found?.isMainThread !== true || inPage || "Deno" in globalThis || "Bun" in globalThis) {
    return undefined;
  }
  bringSharing();
  const pool = new Pool({
    count: () => Math.min(threadCount(), MOST) - 1,
    make,
    patience: PATIENCE,
    after: LONG,
  });
  return executorOf(pool);
}

/** Has what can be shared out be shared out. */
function bringSharing(): void {
  bringRowSharing(inShards);
  bringCandidates(candidatesOn);
  bringGradients(gradientsOn);
}

const executorOf = (pool: Pool): Executor => ({
  run: pool.run.bind(pool),
  get lanes() {
    return pool.lanes;
  },
});

function poolOf(pool: Pool): Workers {
  const made = Object.assign(executorOf(pool), { close: pool.close.bind(pool) });
  const { dispose } = Symbol as { readonly dispose?: symbol };
  if (dispose !== undefined) Object.defineProperty(made, dispose, { value: made.close });
  forgotten ??= new FinalizationRegistry((left) => left.close());
  forgotten.register(made, pool);
  return made as Workers;
}

/** Ends the workers of pools that nobody holds. */
let forgotten: FinalizationRegistry<Pool> | undefined;

function nodeWorker(): (() => WorkerLike) | undefined {
  const found = threads();
  return found && (() => new found.Worker(new URL("../worker.js", import.meta.url), { execArgv: [] }));
}

/** How many runs have workers now, and the number of this thread's own threads before. */
const busy = { runs: 0, threads: 1 };

interface PoolOptions {
  /** How many workers there are to be. */
  readonly count: () => number;
  readonly make: () => WorkerLike;
  readonly patience: number;
  /**
   * Milliseconds that this thread works alone at first. Where it does, nobody needs the workers: a call does not wait for
   * those that start, and what fails on them is done here.
   */
  readonly after: number;
}

class Pool {
  readonly #count: () => number;
  readonly #make: () => WorkerLike;
  readonly #patience: number;
  readonly #after: number;
  readonly #connections = new Set<Connection>();
  #closed = false;

  constructor({ count, make, patience, after }: PoolOptions) {
    this.#count = count;
    this.#make = make;
    this.#patience = patience;
    this.#after = after;
  }

  /** Those who do shards. */
  get lanes(): number {
    return this.#count() + (inPage ? 0 : 1);
  }

  async run<Common, Job, Result>(
    shards: Shards<Common, Job, Result>,
    { onProgress, signal }: BurstOptions<ExamplesReport> = {},
  ): Promise<void> {
    const { task, where } = shards;
    const common = await inBursts(shards.prepare(), { signal });
    const { coming } = shards;
    const counted = coming === undefined ? ahead(shards.jobs) : undefined;
    if (counted?.several === false) {
      // Short work costs no more than without a pool.
      const alone = inOrder({ ...shards, jobs: counted.jobs, prepare: () => oneStep(() => common) });
      return inBursts(reportingExamples(alone), { onProgress, signal });
    }
    const jobs = counted?.jobs ?? (coming as Coming<Job>);
    const out = new ShareOut<Job, Result>(jobs, shards.take, {
      signal,
      onProgress: onProgress && ((examples) => onProgress({ examples })),
    });
    coming?.tell(() => out.wake());
    const abort = () => {
      try {
        signal?.throwIfAborted();
      } catch (error) {
        out.stop(error);
      }
    };
    const heard = signal as Partial<AbortSignal> | undefined;
    heard?.addEventListener?.("abort", abort);
    const count = this.#count();
    const many = count > 0 && !this.#closed;
    let [begun, over] = [false, false];
    /** From now on workers have the other cores. */
    const begin = () => {
      if (begun || over) return;
      begun = true;
      if (busy.runs++ > 0) return;
      busy.threads = threadCount();
      setThreadCount(1);
    };
    try {
      const here = async () => {
        await out.join(
          await laneHere(task.begin(common), coming !== undefined, () => (begun ? BESIDE : BURST_MILLISECONDS)),
        );
      };
      if (!many) await here();
      else {
        const codec = codecOf<Common, Job, Result>(task.name);
        const keeper = new Keeper();
        const there = () =>
          this.#lanes(count).map(async (connecting) => {
            const connection = await connecting;
            if (connection === undefined || !out.open) return;
            begin();
            await this.#join(out, where, connection, codec, common, keeper);
          });
        if (this.#after > 0) {
          void this.#later(() => out.open, there);
          await here();
        } else {
          begin();
          const others = settled(there());
          others.catch(() => {});
          // What goes to workers is on its way before this thread begins with a shard of its own.
          await nextTurn();
          const own = inPage ? [] : [here()];
          // Nobody waits for a worker that is to stop: it may not hear; nor for long for one that has not even started.
          await Promise.race([
            settled([others, ...own]),
            out.stopped,
            ...own.map((done) => done.then(() => pause(START))),
          ]);
          await settled(own);
        }
        // Where all were lost.
        if (out.open) await here();
      }
      out.finish();
    } finally {
      heard?.removeEventListener?.("abort", abort);
      over = true;
      if (begun && --busy.runs === 0) setThreadCount(busy.threads);
    }
  }

  /** Begins with workers after a while, if there is still something to do. */
  async #later(open: () => boolean, there: () => Promise<void>[]): Promise<void> {
    const started = [...this.#connections].some((one) => !one.lost);
    await pause(started ? Math.min(LONG_WITH_WORKERS, this.#after) : this.#after);
    if (open()) await Promise.allSettled(there());
  }

  /** Connections to as many workers as there are to be; undefined for one that did not start. */
  #lanes(count: number): Promise<Connection | undefined>[] {
    for (const one of this.#connections) if (one.lost) this.#connections.delete(one);
    const ready = [...this.#connections].slice(0, count).map(async (one) => one as Connection | undefined);
    while (ready.length < count) ready.push(this.#start());
    return ready;
  }

  async #start(): Promise<Connection | undefined> {
    let connection: Connection | undefined;
    try {
      connection = new Connection(this.#make(), this.#patience);
      this.#connections.add(connection);
      await connection.ready(undefined);
      return connection;
    } catch (error) {
      const ended = connection?.lost === true;
      connection?.close();
      if (ended) return undefined;
      throw error;
    }
  }

  async #join<Common, Job, Result>(
    out: ShareOut<Job, Result>,
    where: string,
    connection: Connection,
    codec: Codec<Common, Job, Result>,
    common: Common,
    keeper: Keeper,
  ): Promise<void> {
    if (!out.open) return;
    const lost = <T>(promise: Promise<T>) =>
      promise.catch((error) => {
        throw connection.lost || this.#after > 0 ? new Lost() : error;
      });
    let work: RemoteObject | undefined;
    try {
      giveWide(connection);
      const written = await lost(codec.write(common, (kept) => keeper.send(connection, kept)));
      const answer = async (job: unknown, { signal, onProgress }: LaneOptions) => {
        const args = [job, { signal, onProgress: ({ examples }: ExamplesReport) => onProgress(examples) }];
        if (work !== undefined) return (await lost(callOn(connection, "do", args, work))) as never;
        // With the first shard, since this thread hears answers only between its own bursts.
        const all = [codec.task.name, written, ...args];
        const [begun, result] = (await lost(callOn(connection, `work.${where}`, all))) as [RemoteObject, never];
        work = begun;
        return result;
      };
      const lane: Lane<Job, Result> = async (job, options) => {
        const staging = new Staging(connection);
        const result = await answer(codec.writeJob(job, staging), options).finally(() => staging.giveBack());
        return codec.readResult(common, result);
      };
      await out.join(lane);
    } catch (error) {
      if (!(error instanceof Lost)) out.stop(error);
    } finally {
      work?.dispose();
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }
}

/** The workers that have wide products. */
const wide = new WeakSet<Connection>();

/** Gives a worker this thread's wide products, if there are any. Without them its bits are the same. */
function giveWide(connection: Connection): void {
  const module = wideModule();
  if (module === undefined || wide.has(connection)) return;
  wide.add(connection);
  callOn(connection, "useWide", [module]).catch(() => {});
}

/** Resolves after so many milliseconds; no process waits for it. */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer: { unref?(): void } = timers.setTimeout(resolve, milliseconds) as object;
    timer.unref?.();
  });
}

/** Waits for all of them. @throws what the first one throws, then */
async function settled(all: readonly Promise<unknown>[]): Promise<void> {
  for (const one of await Promise.allSettled(all)) if (one.status === "rejected") throw one.reason;
}

/** Milliseconds of a burst where workers wait for its end, to have their next shards; a turn of the event loop takes 0.05. */
const BESIDE = 2;

/**
 * Does shards in this thread.
 * @param short whether they may be shorter than a burst
 * @param burst how many milliseconds a burst takes
 */
async function laneHere<Job, Result>(
  begin: Steps<(job: Job) => Steps<Result, number>>,
  short: boolean,
  burst: () => number,
): Promise<Lane<Job, Result>> {
  const work = await inBursts(begin);
  return async (job, { signal, onProgress }) => {
    const result = await inBursts(work(job), { signal, onProgress }, burst);
    // After a shard that is shorter than a burst too, what others have done is heard.
    if (short) await nextTurn();
    return result;
  };
}
