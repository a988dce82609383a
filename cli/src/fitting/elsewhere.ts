// Sums that leave this process: for workers that listen to a queue, or in parts, by laplace-ts-cluster, which is loaded where an
// option asks for it.

import { basename } from "node:path";
import type { Executor } from "laplace-ts";
import { UsageError } from "../errors.ts";

/** Options of who does the sums. */
export interface ElsewhereSettings {
  /** The address of Redis or Valkey. */
  readonly queue?: string;
  /** A folder that all machines share, or a bucket. */
  readonly store?: string;
  /** Part i of n, from 1. */
  readonly shard?: readonly [part: number, parts: number];
  /** Machines of any arithmetic. */
  readonly mixBuilds?: true;
}

/** Who does the sums, and what is to be done when they are no longer needed. */
export interface Elsewhere {
  readonly on: Executor;
  close(): Promise<void>;
}

/** The package of machines. @throws UsageError where it is not installed */
export async function clusterPackage(option: string): Promise<typeof import("laplace-ts-cluster")> {
  try {
    return await import("laplace-ts-cluster");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new UsageError(
      `${option} needs the package laplace-ts-cluster beside this one: npm install laplace-ts-cluster.`,
    );
  }
}

/** Whether data are in a bucket. */
export const inBucket = (path: string): boolean => /^s3:\/\//i.test(path);

/** What data are called: of an address, without what it says of the server. */
export const nameOfData = (path: string): string => basename(inBucket(path) ? path.replace(/\?.*/, "") : path);

/** Part i of n, of "3/16". @throws UsageError */
export function shardOf(text: string): readonly [part: number, parts: number] {
  const found = /^([1-9]\d{0,8})\/([1-9]\d{0,8})$/.exec(text);
  const [part, parts] = [Number(found?.[1]), Number(found?.[2])];
  if (found !== null && part <= parts) return [part, parts];
  throw new UsageError(`--shard takes a part of all, from 1, such as 3/16, not ${JSON.stringify(text)}.`);
}

/**
 * Who does the sums, as options say; undefined for this process alone.
 * @param adding whether this process only adds what others did
 * @throws UsageError for options that do not fit together
 */
export async function elsewhere(settings: ElsewhereSettings, adding: boolean): Promise<Elsewhere | undefined> {
  const { queue, store, shard, mixBuilds = false } = settings;
  if (queue !== undefined && shard !== undefined) throw new UsageError("give --queue or --shard, not both.");
  if (queue === undefined && shard === undefined && !adding) {
    if (store === undefined) return undefined;
    throw new UsageError("--store is where --queue or --shard have their data and sums: give one of these too.");
  }
  if (store === undefined)
    throw new UsageError("--store is missing: the folder that all machines share, or s3://bucket/prefix.");
  const { cluster, part } = await clusterPackage(
    adding ? "laplace merge" : queue === undefined ? "--shard" : "--queue",
  );
  if (queue !== undefined) {
    const onWarning = (message: string) => process.stderr.write(`${message.replace(/^cluster: /, "")}\n`);
    const machines = cluster({ queue, store, mixBuilds, onWarning });
    return { on: machines, close: () => machines.close() };
  }
  const [own, parts] = shard ?? [];
  return { on: part({ store, part: own, parts, mixBuilds }), close: async () => {} };
}

/** What a part said that did its shards where others did not yet; undefined for errors. */
export async function unfinished(
  error: unknown,
): Promise<{ readonly shards: number; readonly missing: number } | undefined> {
  const { UnfinishedError } = await clusterPackage("--shard");
  if (!(error instanceof UnfinishedError)) return undefined;
  return { shards: error.shards, missing: error.missing.length };
}
