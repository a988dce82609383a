// Jobs of the queue: names alone, of a fit and of a shard. The store has everything else.

import type { JobsOptions } from "bullmq";
import { OptionError } from "laplace-ts";
import { errorMessage, version } from "laplace-ts/executor";
import { errorFrom, ShardError } from "../errors.ts";
import { arithmetic, MIXED } from "../fits/arithmetic.ts";
import { isFitName } from "../fits/fit.ts";

/** What stands before every key, in braces: a cluster of Redis then has them all in one place. */
export const PREFIX = "{laplace-ts}";

/** What a job says. */
export interface ShardJob {
  readonly fit: string;
  readonly shard: number;
}

/** How far a shard is. */
export interface ShardProgress {
  readonly examples: number;
}

/**
 * The name of the queue for machines of this version and arithmetic, or for all of this version, that have the same store.
 * @param identity the store's
 */
export const queueName = (identity: string, mixBuilds: boolean): string =>
  `shards-${version}-${mixBuilds ? MIXED : arithmetic()}-${identity}`;

/** A shard of a fit is in the queue once. */
export const jobId = ({ fit, shard }: ShardJob): string => `${fit}-${shard}`;

/** The job of an id; undefined for another's. */
export function jobOf(id: string): ShardJob | undefined {
  const found = /^([0-9a-f]{40})-(\d{1,9})$/.exec(id);
  return found === null ? undefined : { fit: found[1], shard: Number(found[2]) };
}

/** What a job says, from a queue that anybody may write to. @throws OptionError */
export function readJob(data: unknown): ShardJob {
  const { fit, shard } = (data ?? {}) as { readonly fit?: unknown; readonly shard?: unknown };
  if (isFitName(fit) && Number.isSafeInteger(shard) && (shard as number) >= 0) return { fit, shard: shard as number };
  throw new OptionError("The queue has a job that is not a shard of a fit.");
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
export function failureOf(text: string, { fit, shard }: ShardJob): Error {
  try {
    const message = JSON.parse(text) as { readonly name?: unknown; readonly message?: unknown };
    if (typeof message?.name === "string" && typeof message.message === "string") return errorFrom(message);
  } catch {}
  // The queue's own words, such as that a job stalled.
  return new ShardError(fit, shard, `The shard ${shard} of the fit ${fit} was given up: ${text}.`);
}
