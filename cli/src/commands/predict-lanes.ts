// Who predicts the rows of a table: this thread, and others beside it, in whatever order; what comes of rows is the same to the bit.

import { Worker } from "node:worker_threads";
import { kernels, saveTableModel, type TableModel } from "laplace-ts";
import { turn } from "../turn.ts";
import { predictRows, type RowsDone, type RowsJob, type Written } from "./predict-rows.ts";

/** Batches that are predicted here before other threads are started: a small table needs none. */
const FIRST = 12;
/** Batches that a thread has at a time: while this one predicts, it brings nothing. Four take no less time, and 30 MB more. */
const MOST = 2;
/** Megabytes of what a thread made last: rows come and go. */
const YOUNG = 4;

/** Another thread, and those who wait for what it does, in order. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting: ((done: RowsDone | undefined) => void)[] = [];
  #ended = false;

  constructor(file: URL, workerData: { readonly bytes: Uint8Array; readonly written: Written }) {
    this.#worker = new Worker(file, { workerData, resourceLimits: { maxYoungGenerationSizeMb: YOUNG } });
    this.#worker.unref();
    this.#worker.on("message", (done: RowsDone | undefined) => this.#waiting.shift()?.(done));
    // One that cannot start or ends gives its jobs back.
    this.#worker.on("error", () => this.#end());
    this.#worker.on("exit", () => this.#end());
  }

  #end(): void {
    this.#ended = true;
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }

  get free(): boolean {
    return !this.#ended && this.#waiting.length < MOST;
  }

  /** What is added; undefined where it could not be done. */
  do(job: RowsJob): Promise<RowsDone | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#worker.postMessage(job);
    });
  }

  end(): void {
    void this.#worker.terminate();
  }
}

/** Predicts batches. */
export interface PredictionLanes {
  /** Batches that may be under way at a time, before the first of them is waited for. */
  readonly most: number;
  /** @throws what the prediction throws */
  do(job: RowsJob): Promise<RowsDone>;
  /** Ends what is being done. */
  close(): void;
}

/** So many lanes, one of them this thread. @param file what the other threads run */
export function predictionLanes(
  model: TableModel,
  written: Written,
  cores: number,
  file = new URL("./predict-thread.js", import.meta.url),
): PredictionLanes {
  // The cores have a batch each: products that were cut for all of them would wait for each other.
  const { threads: before } = kernels.info();
  kernels.setThreads(1);
  let threads: Thread[] | undefined;
  let seen = 0;
  const others = () => {
    if (cores === 1 || seen++ < FIRST) return [];
    if (threads === undefined) {
      const bytes = saveTableModel(model);
      threads = Array.from({ length: cores - 1 }, () => new Thread(file, { bytes, written }));
    }
    return threads;
  };
  return {
    most: cores === 1 ? 1 : (MOST + 1) * cores,
    async do(job) {
      const found = await others()
        .find(({ free }) => free)
        ?.do(job);
      return found ?? predictRows(model, written, job);
    },
    close() {
      kernels.setThreads(before);
      for (const thread of threads ?? []) thread.end();
    },
  };
}

/**
 * What comes of pieces, in their order, several under way at a time. What is done does not wait for a piece that is still to come; an
 * error comes after the results of all pieces before it.
 * @param start begins with a piece; undefined where nothing comes of it @param most pieces under way
 * @throws what reading, `start` or its promise throws
 */
export async function* inOrder<Piece, Result>(
  pieces: AsyncIterable<Piece>,
  start: (piece: Piece) => Promise<Result> | undefined,
  most: number,
): AsyncGenerator<Result, void, undefined> {
  const iterator = pieces[Symbol.asyncIterator]();
  /** Begins with the next piece: whether there was one. */
  const read = async (): Promise<{ readonly more: boolean; readonly done?: Promise<Result> | undefined }> => {
    const { done, value } = await iterator.next();
    return done ? { more: false } : { more: true, done: start(value) };
  };
  const heard = <T>(promise: Promise<T>) => {
    // Its error is thrown where its turn comes.
    promise.catch(() => {});
    return promise;
  };
  const waiting: Promise<Result>[] = [];
  try {
    for (let next: ReturnType<typeof read> | undefined; ; ) {
      if (waiting.length < most) next ??= heard(read());
      const settled = waiting.slice(0, 1).map((first) => first.then(() => undefined));
      const found = next && (await Promise.race([next, ...settled]).catch(() => undefined));
      if (found?.more) {
        if (found.done !== undefined) waiting.push(heard(found.done));
        next = undefined;
        // Threads say what they have done.
        await turn();
      } else if (waiting.length > 0) yield (await waiting.shift()) as Result;
      else if (!(await next)?.more) return;
    }
  } finally {
    await iterator.return?.();
  }
}
