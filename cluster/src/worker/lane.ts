// A lane of a worker: a process that sums, and what this one knows of it. One that ended is started anew.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LaplaceError } from "laplace-ts";
import { errorFrom, ShardError } from "../errors.ts";
import { type ShardJob, shardsText } from "../queue/jobs.ts";
import type { FromSums, ToSums } from "./messages.ts";

/** What a lane is given. */
export interface LaneSettings {
  readonly store: string;
  /** Who sums, for messages. */
  readonly by: string;
  /** Files that define likelihoods and primitives of one's own. */
  readonly imports: readonly string[];
  /** Bytes that its process may take. */
  readonly budget?: number | undefined;
}

/** A shard that failed, and whether another try will not change that. */
export class Failed extends Error {
  readonly error: unknown;
  readonly lasting: boolean;

  constructor(error: unknown, lasting: boolean) {
    super("A shard failed.");
    this.error = error;
    this.lasting = lasting;
  }
}

/** Milliseconds for which a process that is to stop may go on. */
const PATIENCE = 5000;

/** One job at a time. */
export class Lane {
  readonly #settings: LaneSettings;
  #child: ChildProcess | undefined;
  #hear: ((message: FromSums) => void) | undefined;
  #ended: ((why: string) => void) | undefined;

  constructor(settings: LaneSettings) {
    this.#settings = settings;
  }

  /** The number of its process, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Does the shards of a job.
   * @param signal gives it up: between parts of the data, or else by ending the process
   * @returns how many examples they have
   * @throws Failed; the signal's reason
   */
  async do(job: ShardJob, signal: AbortSignal, onProgress: (examples: number) => void): Promise<number> {
    signal.throwIfAborted();
    const child = this.#child ?? (await this.#start());
    let patience: NodeJS.Timeout | undefined;
    const stop = () => {
      this.#say({ stop: true });
      patience = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    };
    signal.addEventListener("abort", stop, { once: true });
    // It may have come while the process began.
    if (signal.aborted) stop();
    try {
      return await new Promise<number>((resolve, reject) => {
        this.#ended = (why) => {
          const { fit, level, place } = job;
          const text = `The process that summed the ${shardsText(job)} of the fit ${fit} ended: ${why}. Likely cause: no memory is left on ${this.#settings.by}.`;
          reject(new Failed(new ShardError(fit, place * 2 ** level, text), false));
        };
        this.#hear = (message) => {
          if ("progress" in message) onProgress(message.progress);
          else if ("done" in message) resolve(message.done);
          else if ("failed" in message) {
            // The next job is for another process.
            if (message.ends) this.close();
            reject(new Failed(errorFrom(message.failed), message.lasting));
          }
        };
        this.#say({ do: job });
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(patience);
      signal.removeEventListener("abort", stop);
      this.#hear = undefined;
      this.#ended = undefined;
    }
  }

  /** Starts the process. @throws Failed where it ends before it is ready */
  async #start(): Promise<ChildProcess> {
    const file = fileURLToPath(new URL("./sums.js", import.meta.url));
    const child = fork(file, [], { execArgv: [], serialization: "advanced" });
    this.#child = child;
    child.on("message", (message) => {
      if (this.#child === child) this.#hear?.(message as FromSums);
    });
    child.on("error", () => {});
    child.on("exit", (code, signal) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#ended?.(signal === null ? `with the code ${code}` : `by ${signal}`);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        this.#ended = (why) =>
          reject(new Failed(new LaplaceError(`The process that sums did not start: it ended ${why}.`), false));
        this.#hear = (message) => {
          if ("ready" in message) resolve();
          else if ("failed" in message) reject(new Failed(errorFrom(message.failed), false));
        };
        this.#say({ begin: this.#settings });
      });
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#hear = undefined;
      this.#ended = undefined;
    }
    return child;
  }

  #say(message: ToSums): void {
    // A process that has just ended hears nothing: its end is told.
    if (this.#child?.connected === true) this.#child.send(message, () => {});
  }

  /** Ends the process. */
  close(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
  }
}
