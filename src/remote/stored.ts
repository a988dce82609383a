// Work in shards as files, for executors beyond this process: what all shards have in common, one shard, and what comes of it.

import { NDArray } from "../array/ndarray.ts";
import type { DataShard } from "../curvature/accumulate.ts";
import type { FarRows } from "../data/far-data.ts";
import { FileError, LaplaceError } from "../errors.ts";
import type { Json } from "../io/json.ts";
import { networkJson } from "../io/networks.ts";
import { loadPosterior, savePosterior } from "../io/posteriors.ts";
import type { Safetensors } from "../io/safetensors.ts";
import { version } from "../io/version.ts";
import { type BurstOptions, type ExamplesReport, inBursts, reportingExamples, type Steps } from "../kernels/steps.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { Network } from "../network/network.ts";
import type { Batch } from "../network/run.ts";
import type { ShardTask } from "../shards/executor.ts";
import { bringAll } from "../structures/all.ts";
import { byName, networkOf } from "./by-name.ts";
import { contentsOf, valueFrom } from "./contents.ts";
import type { Kept } from "./keeper.ts";
import { readJob } from "./read-shard.ts";
import { standByName } from "./stand.ts";
import { type Codec, codecOf } from "./tasks.ts";
import { kindOfMark, type Mark, mark, pack, unpack } from "./values.ts";

const [TASK, WHERE, LIBRARY] = ["laplace-ts.task", "laplace-ts.where", "laplace-ts.library"];

/** Reads a stranger's document: what it has that is never written is an error of the file. */
function asWritten<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LaplaceError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new FileError("malformed", `${where}: the file is not work in shards as it is written: ${why}`);
  }
}

/** Keeps bytes somewhere, and gives the name by which they are found there. */
export type PutFile = (bytes: Uint8Array) => Promise<string>;
/** The bytes of that name. */
export type GetFile = (name: string) => Promise<Uint8Array>;

const packed = (where: string, value: unknown) =>
  pack(value, {
    where,
    give: false,
    transfer: new Set(),
    stand: (own, name) => standByName(where, own, name),
  });

const unpacked = (where: string, contents: Safetensors) =>
  unpack(valueFrom(where, contents), (kind, known) => byName(where, kind, known));

/**
 * What all shards of a task have in common, as arrays and texts, written once: the network or the posterior, the likelihood, options.
 * @param put where a posterior's own file goes
 * @throws ValueError, LaplaceError for what cannot leave the process: a likelihood without a name, a structure that keeps its data
 */
export async function writeWork<Common, Job, Result>(
  where: string,
  task: ShardTask<Common, Job, Result>,
  common: Common,
  put: PutFile,
): Promise<Safetensors> {
  const keep = async (kept: Kept) => {
    if (!(kept instanceof Network)) return mark("posteriorFile", { name: await put(savePosterior(kept as Posterior)) });
    const { parameters, buffers } = kept;
    return mark("networkHere", { network: { graph: networkJson(kept), parameters, buffers } });
  };
  const written = await codecOf<Common, Job, Result>(task.name).write(common, keep);
  return contentsOf(packed(where, written), { [TASK]: task.name, [WHERE]: where, [LIBRARY]: version });
}

/** A shard, and how many examples it has, 0 where it has nothing of data. */
export interface WrittenJob extends Safetensors {
  readonly examples: number;
}

/** One shard of a task, as arrays and texts: its rows of the data. */
export function writeJob<Common, Job, Result>(
  where: string,
  task: ShardTask<Common, Job, Result>,
  job: Job,
): WrittenJob {
  const written = codecOf<Common, Job, Result>(task.name).writeJob(job);
  const { shard = written } = written as { readonly shard?: unknown };
  const { batches, far, most } = shard as Partial<DataShard<Batch>> & { readonly batches?: readonly Batch[] };
  const counted = batches?.reduce((sum, { inputs }) => sum + inputs.shape[0], 0) ?? 0;
  const examples = far === undefined ? counted : (most ?? 0);
  return { ...contentsOf(packed(where, written)), examples };
}

/** Reads what came of a shard elsewhere, or a sum of that. @throws FileError */
export function readResult<Common, Job, Result>(
  where: string,
  task: ShardTask<Common, Job, Result>,
  common: Common,
  contents: Safetensors,
): Result {
  const written = unpacked(where, contents) as never;
  return asWritten(where, () => codecOf<Common, Job, Result>(task.name).readResult(common, written));
}

/** How a shard is done. */
export interface DoOptions extends BurstOptions<ExamplesReport> {
  /** Reads rows that lie elsewhere, by where they are (default: such a shard is an error). */
  readonly read?: ((at: unknown) => ReturnType<FarRows["read"]>) | undefined;
}

/** Work that was written: does shards, and adds what came of them. */
export class StoredWork {
  /** The function that is named in errors. */
  readonly where: string;
  readonly #codec: Codec<unknown, unknown, unknown>;
  readonly #common: unknown;
  readonly #do: (job: unknown) => Steps<unknown, number>;

  private constructor(
    where: string,
    codec: Codec<unknown, unknown, unknown>,
    common: unknown,
    work: (job: unknown) => Steps<unknown, number>,
  ) {
    this.where = where;
    this.#codec = codec;
    this.#common = common;
    this.#do = work;
  }

  /**
   * Begins work that `writeWork` wrote.
   * @throws FileError for something else; LaplaceError for that of another version of the library; ValueError for likelihoods and
   *   primitives that are not defined in this process
   */
  static async open(contents: Safetensors, get: GetFile): Promise<StoredWork> {
    const { [TASK]: task, [WHERE]: where, [LIBRARY]: library } = contents.metadata;
    if (task === undefined || where === undefined || library === undefined) {
      throw new FileError("malformed", "The file is not work in shards.");
    }
    if (library !== version) {
      throw new LaplaceError(
        `The work was written by laplace-ts ${library}, and this is ${version}: all machines of a fit need the same version.`,
      );
    }
    bringAll();
    const files = new Map<object, Uint8Array>();
    const value = valueFrom(where, contents);
    await fetchFiles(value, get, files);
    const written = asWritten(where, () =>
      unpack(value, (kind, known) => {
        if (kind === "networkHere") {
          const { graph, parameters, buffers } = unpack(known.network, () => undefined) as {
            readonly graph: Json;
            readonly parameters: NDArray;
            readonly buffers: NDArray;
          };
          if (![parameters, buffers].every((one) => one instanceof NDArray && one.rank === 1)) {
            throw new FileError("malformed", `${where}: the file has no numbers of the network.`);
          }
          return networkOf(where, graph, parameters, buffers);
        }
        const bytes = files.get(known);
        return bytes === undefined ? byName(where, kind, known) : loadPosterior(bytes);
      }),
    );
    const codec = codecOf<unknown, unknown, unknown>(task);
    const common = asWritten(where, () => codec.read(written as never));
    const work = await inBursts(codec.task.begin(common)).catch((error: unknown) =>
      asWritten(where, () => {
        throw error;
      }),
    );
    return new StoredWork(where, codec, common, work);
  }

  /** Does a shard that `writeJob` wrote. @throws what its task throws; the signal's reason */
  async do(job: Safetensors, { read, ...bursts }: DoOptions = {}): Promise<Safetensors> {
    const shard = readJob(this.where, unpacked(this.where, job), this.#common, read);
    const result = await inBursts(reportingExamples(this.#do(shard)), bursts);
    return this.#write(result);
  }

  /** Whether results add. */
  get adds(): boolean {
    return this.#codec.task.add !== undefined;
  }

  /** Adds two results, of neighbours in the tree, the left one's first. */
  add(left: Safetensors, right: Safetensors): Safetensors {
    const { task } = this.#codec;
    const [ours, theirs] = [left, right].map((one) => {
      const written = unpacked(this.where, one) as never;
      return asWritten(this.where, () => this.#codec.readResult(this.#common, written));
    });
    if (task.add === undefined) throw new LaplaceError(`Results of the task "${task.name}" do not add.`);
    return this.#write(task.add(this.#common, ours, theirs));
  }

  #write(result: unknown): Safetensors {
    return contentsOf(packed(this.where, this.#codec.writeResult(this.#common, result)));
  }
}

/** Gets the files that stand in a value. */
async function fetchFiles(value: unknown, get: GetFile, files: Map<object, Uint8Array>): Promise<void> {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return;
  if (kindOfMark(value) === "posteriorFile") files.set(value, await get(String((value as Mark).name)));
  else for (const one of Object.values(value)) await fetchFiles(one, get, files);
}
