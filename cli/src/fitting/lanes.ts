// Who does jobs: this thread, and others beside it. What comes of a job is the same to the bit wherever it is done.

import { Worker } from "node:worker_threads";
import { kernels } from "laplace-ts";
import { jobMessage, readOutcome, type Said } from "./job-messages.ts";
import { doJob, type Job, type Outcome } from "./jobs.ts";
import type { OnShare } from "./recipe.ts";

/** Does jobs. */
export interface Lanes {
  /**
   * @param wanted asked when its time comes: what is no longer wanted is not done
   * @throws what the job throws; Unwanted; an error of its own after `close`
   */
  do(job: Job, onShare: OnShare, wanted?: () => boolean): Promise<Outcome>;
  /** Does something in this thread, which begins with no job until that is done where other threads can. */
  beside?<Result>(own: () => Promise<Result>): Promise<Result>;
  /** Ends what is being done. */
  close(): void;
}

/** A job was no longer wanted when its time came. */
export class Unwanted extends Error {}

/** A job that waits for a lane, and who waits for it. */
interface Waiting {
  readonly job: Job;
  readonly onShare: OnShare;
  readonly wanted: () => boolean;
  readonly done: (outcome: Outcome) => void;
  readonly failed: (error: unknown) => void;
}

/** Another thread, and the job that it does. */
class Thread {
  readonly #worker: Worker;
  #said: (said: Said | undefined) => void = () => {};
  /** Whether it has ended by itself. */
  ended = false;

  constructor(file: URL) {
    this.#worker = new Worker(file);
    this.#worker.unref();
    this.#worker.on("message", (said: Said) => this.#said(said));
    // One that cannot start or ends gives its job back.
    this.#worker.on("error", () => this.#end());
    this.#worker.on("exit", () => this.#end());
  }

  #end(): void {
    this.ended = true;
    this.#said(undefined);
  }

  /** The outcome; undefined where there is none. */
  do({ job, onShare }: Waiting): Promise<Outcome | undefined> {
    return new Promise((resolve) => {
      this.#said = (said) => {
        if (said !== undefined && "share" in said) onShare(said.share);
        else resolve(said !== undefined && "outcome" in said ? readOutcome(said.outcome) : undefined);
      };
      if (this.ended) resolve(undefined);
      else this.#worker.postMessage(jobMessage(job));
    });
  }

  end(): void {
    void this.#worker.terminate();
  }
}

const closed = () => new Error("The fit has ended.");

/** So many lanes, one of them this thread. @param file what the other threads run */
export function lanesOf(cores: number, file = new URL("./job-thread.js", import.meta.url)): Lanes {
  const { threads: before } = kernels.info();
  if (cores > 1) kernels.setThreads(1);
  const threads = Array.from({ length: cores - 1 }, () => new Thread(file));
  // This thread comes last, since the longest jobs are given first: it has other things to do, too.
  const idle: (Thread | undefined)[] = [...threads, undefined];
  const waiting: Waiting[] = [];
  let [open, besides] = [true, 0];

  /** Here, where errors are thrown as they are. */
  async function here({ job, onShare, done, failed }: Waiting): Promise<void> {
    const heard: OnShare = (share) => {
      if (!open) throw closed();
      onShare(share);
    };
    await doJob(job, heard).then(done, failed);
  }

  async function work(lane: Thread | undefined, next: Waiting): Promise<void> {
    if (!next.wanted()) next.failed(new Unwanted());
    else if (lane === undefined) await here(next);
    else {
      const outcome = await lane.do(next);
      if (outcome !== undefined) next.done(outcome);
      else if (open) await here(next);
    }
    if (lane?.ended !== true) idle.push(lane);
    start();
  }

  function start(): void {
    while (open && waiting.length > 0 && idle.length > 0) {
      const others = besides > 0 && threads.some(({ ended }) => !ended);
      const at = others ? idle.findIndex((lane) => lane !== undefined) : 0;
      if (at < 0) return;
      const [lane] = idle.splice(at, 1);
      void work(lane, waiting.shift() as Waiting);
    }
  }

  return {
    do(job, onShare, wanted = () => true) {
      return new Promise((done, failed) => {
        if (!open) return failed(closed());
        waiting.push({ job, onShare, wanted, done, failed });
        start();
      });
    },
    async beside(own) {
      besides++;
      try {
        return await own();
      } finally {
        besides--;
        start();
      }
    },
    close() {
      open = false;
      kernels.setThreads(before);
      for (const { failed } of waiting.splice(0)) failed(closed());
      for (const thread of threads) thread.end();
    },
  };
}
