// How shards are shared out among those who do them: each takes the next one when it has done its last.

import type { StopSignal } from "../kernels/steps.ts";

/** What one who does shards is told beside a shard. */
export interface LaneOptions {
  readonly signal: AbortSignal;
  /** Called with the number of examples of the shard that are done. */
  readonly onProgress: (examples: number) => void;
}

/** One who does shards, one at a time. It rejects with `Lost` when it has ended, and does no more. */
export type Lane<Job, Result> = (job: Job, options: LaneOptions) => Promise<Result>;

/** Why a shard is given back: who did it is not there any more. */
export class Lost extends Error {}

interface Given<Job> {
  readonly place: number;
  readonly job: Job;
}

/** Jobs, shared out among lanes, which may join while it goes on. One that is undefined is not known yet: `wake` tells of it. */
export class ShareOut<Job, Result> {
  readonly #jobs: Iterator<Job | undefined>;
  readonly #take: (place: number, result: Result) => void;
  readonly #options: {
    readonly onProgress?: ((examples: number) => void) | undefined;
    readonly signal?: StopSignal | undefined;
  };
  /** What lanes that were lost gave back. */
  readonly #back: Given<Job>[] = [];
  readonly #running = new Map<AbortController, number>();
  readonly #examples = new Map<number, number>();
  #allExamples = 0;
  readonly #waiting = new Set<() => void>();
  #stop: () => void = () => {};
  /** Resolves when all is to stop. */
  readonly stopped = new Promise<void>((resolve) => {
    this.#stop = resolve;
  });
  #next = 0;
  #ended = false;
  #failure: { readonly place: number; readonly error: unknown } | undefined;

  constructor(
    jobs: Iterable<Job | undefined>,
    take: (place: number, result: Result) => void,
    options: {
      readonly onProgress?: ((examples: number) => void) | undefined;
      readonly signal?: StopSignal | undefined;
    },
  ) {
    this.#jobs = jobs[Symbol.iterator]();
    this.#take = take;
    this.#options = options;
  }

  /** Whether there may be shards that nobody has. */
  get open(): boolean {
    return this.#back.length > 0 || (!this.#ended && this.#failure === undefined);
  }

  /** Stops all, for a reason that comes before every shard's own error. */
  stop(error: unknown): void {
    this.#fail(-1, error);
    this.#stop();
  }

  /** Has a lane do shards until there are none; says whether it is still there. */
  async join(lane: Lane<Job, Result>): Promise<boolean> {
    for (;;) {
      const given = this.#give();
      if (given === undefined) {
        // A lane may be lost yet, and its shard is to be done then, unless all is to stop.
        if ((this.#running.size === 0 && !this.open) || this.#failure?.place === -1) return true;
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
        continue;
      }
      const { place, job } = given;
      const controller = new AbortController();
      this.#running.set(controller, place);
      try {
        const result = await lane(job, { signal: controller.signal, onProgress: (n) => this.#report(place, n) });
        this.#take(place, result);
        this.#look();
      } catch (error) {
        if (error instanceof Lost) {
          this.#back.push(given);
          return false;
        }
        this.#fail(place, error);
      } finally {
        this.#running.delete(controller);
        this.wake();
      }
    }
  }

  /** @throws the error of the first shard that failed */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The next shard; none after one that failed, as in order. */
  #give(): Given<Job> | undefined {
    this.#look();
    const before = this.#failure?.place ?? Number.POSITIVE_INFINITY;
    const at = this.#back.findIndex(({ place }) => place < before);
    if (at >= 0) return this.#back.splice(at, 1)[0];
    this.#back.length = 0;
    if (this.#ended || this.#failure !== undefined) return undefined;
    try {
      const { done, value } = this.#jobs.next();
      // One that is not known yet is told of.
      if (!done) return value && { place: this.#next++, job: value };
    } catch (error) {
      this.#fail(this.#next, error);
    }
    this.#ended = true;
    return undefined;
  }

  /** Hears an abort. */
  #look(): void {
    try {
      this.#options.signal?.throwIfAborted();
    } catch (error) {
      this.stop(error);
    }
  }

  #report(place: number, examples: number): void {
    this.#allExamples += examples - (this.#examples.get(place) ?? 0);
    this.#examples.set(place, examples);
    try {
      if (this.#failure === undefined) this.#options.onProgress?.(this.#allExamples);
    } catch (error) {
      this.stop(error);
    }
    this.#look();
  }

  /** Keeps the error of the first shard, and aborts those after it. */
  #fail(place: number, error: unknown): void {
    if (this.#failure !== undefined && this.#failure.place <= place) return;
    this.#failure = { place, error };
    this.#jobs.return?.();
    for (const [controller, other] of this.#running) if (other > place) controller.abort(error);
    this.wake();
  }

  /** Has those who wait look for shards again. */
  wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
