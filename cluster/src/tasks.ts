// What is done in shards: the library's own tasks, which have names there, and tasks of other packages, which bring their own files.

import { FileError } from "laplace-ts";
import {
  type DoOptions,
  type GetFile,
  type PutFile,
  readResult,
  type Safetensors,
  type Shards,
  type ShardTask,
  StoredWork,
  type WrittenJob,
  writeJob,
  writeWork,
} from "laplace-ts/executor";
import { StoreError } from "./errors.ts";

/** Work that was written, opened by whoever does its shards. */
export interface OpenedWork {
  /** Whether results are sums, which are added over the tree. */
  readonly adds: boolean;
  /** Does a shard. @throws what its task throws; the signal's reason */
  do(job: Safetensors, options?: DoOptions): Promise<Safetensors>;
  /** Adds results of neighbours, the left one's first. */
  add(left: Safetensors, right: Safetensors): Safetensors;
}

/**
 * A task of a package of its own, which says itself how its work, its shards and its results are files. What it reads may be a
 * stranger's. A worker has it by `defineTask`, in a module that its option `imports` names.
 */
export interface StoredTask<Common = unknown, Job = unknown, Result = unknown> extends ShardTask<Common, Job, Result> {
  /** What all shards have in common. @param put keeps bytes beside it, and gives the name by which `get` of `open` finds them */
  writeWork(common: Common, put: PutFile): Promise<Safetensors>;
  /** A shard: where its data are, and how many examples it has, for the progress. */
  writeJob(job: Job): WrittenJob;
  /** @throws FileError for what is not a result */
  readResult(common: Common, contents: Safetensors): Result;
  /** @throws FileError for what `writeWork` did not write */
  open(contents: Safetensors, get: GetFile): Promise<OpenedWork>;
}

const TASK = "laplace-ts-cluster.task";
const defined = new Map<string, StoredTask<never, never, never>>();

/** Has this process do shards of a task, which work in the store names. */
export function defineTask<Common, Job, Result>(task: StoredTask<Common, Job, Result>): void {
  defined.set(task.name, task as unknown as StoredTask<never, never, never>);
}

/** A task that says itself how it is written; undefined for the library's own. */
export function storedTask<Common, Job, Result>(
  task: ShardTask<Common, Job, Result>,
): StoredTask<Common, Job, Result> | undefined {
  const own = task as Partial<StoredTask<Common, Job, Result>>;
  return typeof own.writeWork === "function" ? (own as StoredTask<Common, Job, Result>) : undefined;
}

type Kind<Common, Job, Result> = Pick<Shards<Common, Job, Result>, "where" | "task">;

/** What all shards have in common, as a file. */
export async function workFile<Common, Job, Result>(
  { where, task }: Kind<Common, Job, Result>,
  common: Common,
  put: PutFile,
): Promise<Safetensors> {
  const own = storedTask(task);
  if (own === undefined) return writeWork(where, task, common, put);
  // Who writes it may do its shards as well.
  defineTask(own);
  const { tensors, metadata } = await own.writeWork(common, put);
  return { tensors, metadata: { ...metadata, [TASK]: task.name } };
}

/** A shard as a file. */
export function jobFile<Common, Job, Result>({ where, task }: Kind<Common, Job, Result>, job: Job): WrittenJob {
  return storedTask(task)?.writeJob(job) ?? writeJob(where, task, job);
}

/** What came of a shard, out of a file. @throws FileError */
export function resultOf<Common, Job, Result>(
  { where, task }: Kind<Common, Job, Result>,
  common: Common,
  contents: Safetensors,
): Result {
  const own = storedTask(task);
  return own === undefined ? readResult(where, task, common, contents) : own.readResult(common, contents);
}

/** Opens work. @throws FileError; StoreError for a task that this process does not have */
export async function openWork(contents: Safetensors, get: GetFile): Promise<OpenedWork> {
  const { [TASK]: name, ...metadata } = contents.metadata;
  if (name === undefined) return StoredWork.open(contents, get);
  const task = defined.get(name);
  if (task === undefined) {
    if (!/^[\w .-]{1,100}$/.test(name)) throw new FileError("malformed", "The file is not work in shards.");
    throw new StoreError(
      "refused",
      `This worker does not know the task "${name}": start it by laplace worker, or with --import of the file that defines the task.`,
    );
  }
  return task.open({ tensors: contents.tensors, metadata }, get);
}
