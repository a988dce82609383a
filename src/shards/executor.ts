// Work in shards, and who does it: this thread, a pool of workers, or a queue of machines.

import { OptionError, valueText } from "../errors.ts";
import { type BurstOptions, type ExamplesReport, inBursts, reportingExamples, type Steps } from "../kernels/steps.ts";

/** What is done with shards of a kind: code, which a worker has too, by its name. */
export interface ShardTask<Common, Job, Result> {
  readonly name: string;
  /** Begins: gives what does one shard, and reports how many of its examples are done. */
  begin(common: Common): Steps<(job: Job) => Steps<Result, number>>;
}

/** Work in shards. */
export interface Shards<Common = unknown, Job = unknown, Result = unknown> {
  /** The function that is named in errors. */
  readonly where: string;
  readonly task: ShardTask<Common, Job, Result>;
  /** Makes what all shards have in common, on this thread. */
  prepare(): Steps<Common>;
  /** The shards in order, made as they are asked for. */
  readonly jobs: Iterable<Job>;
  /** Takes the result of the shard at this place, from 0: in any order, and it may be told a second time. */
  take(place: number, result: Result): void;
}

/** Who does shards. The results do not depend on it. */
export interface Executor {
  /**
   * Has every shard done, at least once, and hands its result to `take`. Progress is the number of examples done in all.
   * @throws what the first shard that failed throws; the signal's reason
   */
  run<Common, Job, Result>(shards: Shards<Common, Job, Result>, options?: BurstOptions<ExamplesReport>): Promise<void>;
}

/** Does shards one after the other. */
export function* inOrder<Common, Job, Result>(shards: Shards<Common, Job, Result>): Steps<void, number> {
  const work = yield* shards.task.begin(yield* shards.prepare());
  let [place, before, done] = [0, 0, 0];
  for (const job of shards.jobs) {
    const steps = work(job);
    try {
      for (;;) {
        const { done: ended, value } = steps.next();
        if (ended) {
          shards.take(place++, value);
          break;
        }
        if (value !== undefined) done = before + value;
        yield value && done;
      }
    } finally {
      steps.return(undefined as never);
    }
    before = done;
  }
}

/** An executor, as an option gives it. @throws OptionError */
export function readExecutor(where: string, on: unknown): Executor | undefined {
  if (on === undefined || typeof (on as Partial<Executor> | null)?.run === "function")
    return on as Executor | undefined;
  throw new OptionError(`${where}: on must be who does the shards, such as workers(), not ${valueText(on)}.`);
}

/** Rounds of shards, each of which depends on what came of those before, and a result. */
export type Rounds<Result> = Generator<Shards<never, never, never>, Result, void>;

/** All rounds on this thread, in steps. */
export function* here<Result>(rounds: Rounds<Result>): Steps<Result, number> {
  for (;;) {
    const { done, value } = rounds.next();
    if (done) return value as Result;
    yield* inOrder(value as Shards<never, never, never>);
  }
}

/** All rounds, on an executor or on this thread. */
export function runRounds<Result>(
  rounds: Rounds<Result>,
  on: Executor | undefined,
  options: BurstOptions<ExamplesReport>,
): Promise<Result> {
  if (on === undefined) return inBursts(reportingExamples(here(rounds)), options);
  return elsewhere(rounds, on, options);
}

async function elsewhere<Result>(
  rounds: Rounds<Result>,
  on: Executor,
  options: BurstOptions<ExamplesReport>,
): Promise<Result> {
  for (;;) {
    const { done, value } = rounds.next();
    if (done) return value as Result;
    await on.run(value as Shards<never, never, never>, options);
  }
}
