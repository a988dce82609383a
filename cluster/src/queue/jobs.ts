// Jobs of the queue: names alone, of a fit and of some of its shards. The store has everything else.

import type { JobsOptions } from "bullmq";
import { OptionError } from "laplace-ts";
import { errorMessage, version } from "laplace-ts/executor";
import { errorFrom, isWritten, ShardError } from "../errors.ts";
import { arithmetic, MIXED } from "../fits/arithmetic.ts";
import type { Block } from "../fits/blocks.ts";
import { isFitName } from "../fits/fit.ts";
import { isTrace } from "../spans.ts";

/** What stands before every key, in braces: a cluster of Redis then has them all in one place. */
export const PREFIX = "{laplace-ts}";

/** What a job says. */
export interface ShardJob extends Block {
  readonly fit: string;
  /** The name of the span of who asked for the fit, where there is one. */
  readonly trace?: string | undefined;
}

/**
 * The name of the queue for machines of this version and arithmetic, or for all of this version, that have the same store.
 * @param identity the store's
 */
export const queueName = (identity: string, mixBuilds: boolean): string =>
  `shards-${version}-${mixBuilds ? MIXED : arithmetic()}-${identity}`;

/** Shards of a fit are in the queue once. */
export const jobId = ({ fit, level, place }: ShardJob): string => `${fit}-${level}-${place}`;

/** The job of an id; undefined for another's. */
export function jobOf(id: string): ShardJob | undefined {
  const found = /^([0-9a-f]{40})-(\d{1,2})-(\d{1,9})$/.exec(id);
  return found === null ? undefined : { fit: found[1], level: Number(found[2]), place: Number(found[3]) };
}

/** Whether a value is a number of things, of at most so many. */
export const isCount = (value: unknown, most: number = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;

/** What a job says, from a queue that anybody may write to. @throws OptionError */
export function readJob(data: unknown): ShardJob {
  const { fit, level, place, trace } = (data ?? {}) as Readonly<Record<string, unknown>>;
  if (isFitName(fit) && isCount(level, 30) && isCount(place, 1e9 - 1) && (trace === undefined || isTrace(trace))) {
    return { fit, level, place, ...(trace === undefined ? {} : { trace }) };
  }
  throw new OptionError("The queue has a job that is not one of a fit's shards.");
}

/** Which shards a job is of, in words. */
export function shardsText({ level, place }: Block): string {
  const first = place * 2 ** level;
  return level === 0 ? `shard ${first}` : `shards ${first} to ${first + 2 ** level - 1}`;
}

/** How jobs are done: so many times at most, with a wait between; nothing of them stays in the queue. */
export const jobOptions = (job: ShardJob, attempts: number): JobsOptions => ({
  jobId: jobId(job),
  attempts,
  backoff: { type: "exponential", delay: 500, jitter: 0.5 },
  removeOnComplete: true,
  removeOnFail: true,
  stackTraceLimit: 0,
});

/** The key that says that nobody wants a fit any more, and the channel on which workers hear so. */
export const cancelledKey = (fit: string): string => `${PREFIX}:cancelled:${fit}`;
export const CANCELLED = `${PREFIX}:cancelled`;
/** Seconds for which workers that begin a shard late hear that nobody wants it. */
export const CANCELLED_FOR = 3600;
/** What a job that nobody wants ends with. */
export const NOBODY = "laplace-ts: nobody wants this fit any more";

/** An error as the text of a job that failed. */
export const failureText = (error: unknown): string => JSON.stringify(errorMessage(error));

/** The error of that text: of the same class, with the same fields. */
export function failureOf(text: string, job: ShardJob): Error {
  try {
    const message: unknown = JSON.parse(text);
    if (isWritten(message)) return errorFrom(message);
  } catch {}
  // The queue's own words, such as that a job stalled.
  const { fit, level, place } = job;
  return new ShardError(fit, place * 2 ** level, `The ${shardsText(job)} of the fit ${fit}: given up, ${text}.`);
}
