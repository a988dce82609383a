// Fits without a queue: each of several processes does its part of the shards, the tasks of an array job for example, and one adds
// what came of all. The store is all that they share.

import { hostname } from "node:os";
import { LaplaceError, OptionError } from "laplace-ts";
import { type BurstOptions, type ExamplesReport, type Executor, inBursts, type Shards } from "laplace-ts/executor";
import { BegunFit } from "./fits/begun.ts";
import { FitWork } from "./fits/doing.ts";
import { inSpan } from "./spans.ts";
import { openStore, type StoreAddress } from "./store/open.ts";
import { retrying } from "./store/retrying.ts";

/** A fit of which some shards are still to be done, by others. What is done stays in the store. */
export class UnfinishedError extends LaplaceError {
  override name: string = "UnfinishedError";
  readonly fit: string;
  /** How many shards there are. */
  readonly shards: number;
  /** The numbers of those that are not done. */
  readonly missing: readonly number[];

  constructor(fit: string, shards: number, missing: readonly number[]) {
    const shown = missing.slice(0, 20).join(", ");
    const more = missing.length > 20 ? ` and ${missing.length - 20} more` : "";
    super(
      `Of ${shards} shards of the fit ${fit}, ${missing.length} are not done: ${shown}${more}. Run the parts that have them, again if they ended early.`,
    );
    this.fit = fit;
    this.shards = shards;
    this.missing = missing;
  }
}

/** Options of `part`. */
export interface PartOptions {
  /** Where data and results are, for all processes. */
  readonly store: StoreAddress;
  /** Which part of the shards this process does, from 1; none if undefined: it adds what others did. */
  readonly part?: number | undefined;
  /** How many parts there are. */
  readonly parts?: number | undefined;
  /** Whether machines whose kernels round differently do shards of one fit (default false). */
  readonly mixBuilds?: boolean | undefined;
}

/**
 * One of several processes that do a fit without a queue, as an `Executor`: all of them call the same `fit` on the same data. It
 * does its part of the shards, every n-th, and goes on when the others have done theirs; else it throws an UnfinishedError, and
 * leaves what it did in the store. Without a part it only adds. A fit of several passes takes as many rounds of all parts.
 * @throws OptionError for bad options. Its `run` throws UnfinishedError, a shard's own error, or StoreError
 */
export function part({ store: address, part: own, parts, mixBuilds = false }: PartOptions): Executor {
  const where = "part";
  if ((own === undefined) !== (parts === undefined))
    throw new OptionError(`${where}: give both part and parts, or neither.`);
  for (const [name, value] of Object.entries({ part: own, parts })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new OptionError(`${where}: ${name} must be a whole number of at least 1, not ${JSON.stringify(value)}.`);
    }
  }
  if (own !== undefined && parts !== undefined && own > parts) {
    throw new OptionError(`${where}: there are ${parts} parts, and this is to be the ${own}th.`);
  }
  const store = retrying(openStore(where, address));
  return {
    async run<Common, Job, Result>(
      shards: Shards<Common, Job, Result>,
      { onProgress, signal }: BurstOptions<ExamplesReport> = {},
    ): Promise<void> {
      const common = await inBursts(shards.prepare(), { signal });
      const by = `${hostname()}.${process.pid}`;
      await inSpan("laplace.fit", { "laplace.function": shards.where }, async (span) => {
        const begun = await BegunFit.write(store, shards, common, shards.jobs, { by, mixBuilds, signal });
        span.setAttributes(begun.attributes);
        const { name, shards: all, examples } = begun.fit;
        const isOwn = (shard: number) => own !== undefined && parts !== undefined && shard % parts === own - 1;
        while (all > 0) {
          const runs = await begun.missing();
          const missing = runs.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i));
          const todo = missing.filter(isOwn);
          if (todo.length > 0) {
            let done = examples.total - runs.reduce((sum, run) => sum + examples.of(...run), 0);
            const work = await FitWork.open(store, name);
            for (const shard of todo) {
              const tell = onProgress && ((report: ExamplesReport) => onProgress({ examples: done + report.examples }));
              const attributes = { "laplace.fit": name, "laplace.shard.first": shard, "laplace.shard.count": 1 };
              const one = () => work.do({ level: 0, place: shard }, by, { signal, onProgress: tell });
              done += await inSpan("laplace.shard", attributes, one, span);
            }
          } else if (missing.length > 0) throw new UnfinishedError(name, all, missing);
          // What turns out to be broken is missing, and done again.
          else if (await begun.collect()) return;
        }
      });
    },
  };
}
