// Work in shards, and who does it: this thread, a pool of workers, or a queue of machines.

import { OptionError, valueText } from "../errors.ts";
import {
  asynchronously,
  type BurstOptions,
  type ExamplesReport,
  reporting,
  type Steps,
  waitedFor,
} from "../kernels/steps.ts";

/** What is done with shards of a kind: code, which a worker has too, by its name. */
export interface ShardTask<Common, Job, Result> {
  readonly name: string;
  /** Begins: gives what does one shard, and reports how many of its examples are done. */
  begin(common: Common): Steps<(job: Job) => Steps<Result, number>>;
  /** Adds results of neighbours, the left one's first, where results are sums: over the tree, to the bits of one thread. */
  add?(common: Common, left: Result, right: Result): Result;
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
  /**
   * Takes the result of the shard at this place, from 0: in any order, and it may be told a second time. Where results are sums, it
   * takes that of 2^level shards as well, the first of which is place · 2^level.
   */
  take(place: number, result: Result, level?: number): void;
  /** In the place of `jobs`, for executors that have `lanes`: shards that go by what came of those before. */
  readonly coming?: Coming<Job> | undefined;
}

/** Shards that are known one after the other: undefined is one that is not known yet. */
export interface Coming<Job> extends Iterable<Job | undefined> {
  /** Says what is to be called when there are more, or when there will be none. */
  tell(wake: () => void): void;
}

/** Who does shards. The results do not depend on it. */
export interface Executor {
  /** How many shards it does at a time, if it takes shards that are known one after the other, at a cost of less than a millisecond. */
  readonly lanes?: number | undefined;
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
    const steps = reporting(work(job), (value) => {
      if (value) done = before + value;
      return value && done;
    });
    shards.take(place++, yield* steps);
    before = done;
  }
}

/** Who does shards where a call does not say so; this thread, if undefined. */
let usual: Executor | undefined;

/** Has an executor do shards where a call does not say who does them. */
export function useWhereNoneIsGiven(on: Executor | undefined): void {
  usual = on;
}

/** Options of a call that an executor may do, beside its own. */
export type OnExecutor<Options> = Options & {
  /**
   * Who does it, such as `workers()`; the bits do not depend on it. Default: this thread, in Node with others beside it where the
   * call takes long; `workers({ count: 1 })` is this thread alone.
   */
  readonly on?: Executor | undefined;
};

/** An executor, as an option gives it. @throws OptionError */
export function readExecutor(where: string, on: unknown = usual, name = "on"): Executor | undefined {
  if (on === undefined || typeof (on as Partial<Executor> | null)?.run === "function")
    return on as Executor | undefined;
  throw new OptionError(`${where}: ${name} must be workers() or alike, not ${valueText(on)}.`);
}

/** `asynchronously`, with an executor among the options. */
export async function onExecutor<Result, Options, Report>(
  where: string,
  options: OnExecutor<Options & BurstOptions<Report>>,
  stepsOf: (rest: Options, on: Executor | undefined) => Steps<Result, Report>,
): Promise<Result> {
  return asynchronously<Result, Options, Report>(where, options, (rest) => {
    if (typeof rest !== "object" || rest === null) return stepsOf(rest, undefined);
    const { on, ...own } = rest as OnExecutor<Options>;
    return stepsOf(own as Options, readExecutor(where, on));
  });
}

/** Has shards done by an executor, or on this thread. */
export function* shared<Common, Job, Result>(
  shards: Shards<Common, Job, Result>,
  on: Executor | undefined,
): Steps<void, number> {
  if (on === undefined) return yield* inOrder(shards);
  yield* waitedFor<void, number>((tell, signal) =>
    on.run(shards, { signal, onProgress: ({ examples }) => tell(examples) }),
  );
}
