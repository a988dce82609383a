// Work in shards, on a worker: how what shards have in common goes there, and what comes of them goes back.

import { NDArray } from "../array/ndarray.ts";
import type { DataShard, Summary } from "../curvature/accumulate.ts";
import { farTask } from "../curvature/far.ts";
import { columnSums, withColumnSums } from "../curvature/outputs-apart.ts";
import { readPlan } from "../curvature/plan.ts";
import type { PassOfFit } from "../curvature/rounds.ts";
import { LaplaceError } from "../errors.ts";
import { type CandidateJob, type CandidateRows, type CandidatesOf, candidatesTask } from "../evaluation/candidates.ts";
import { predictedRows } from "../evaluation/evaluate.ts";
import { kernels } from "../kernels/kernels.ts";
import { shared as sharesMemory } from "../kernels/memory.ts";
import { type BurstOptions, type ExamplesReport, inBursts, reportingExamples, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { readLoss } from "../losses/losses.ts";
import { Network } from "../network/network.ts";
import type { Batch } from "../network/run.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { labelsTask, predictTask, type RowsOf, type RowsTask, rowsTask } from "../prediction/in-shards.ts";
import type { ShardTask } from "../shards/executor.ts";
import { bringAll } from "../structures/all.ts";
import type { Curvature, Structure } from "../structures/curvature.ts";
import type { Selection } from "../structures/selection.ts";
import { rowNamed, rowOf } from "../structures/table.ts";
import {
  type GradientJob,
  type GradientsOf,
  gradientTask,
  inSharedMemory,
  type ShardGradient,
} from "../training/in-shards.ts";
import { errorMessage, errorOf } from "./errors.ts";
import type { Kept } from "./keeper.ts";
import type { Staging } from "./staging.ts";

/** Sees to it that a worker has something, and gives what stands for it in messages. */
export type Keep = (kept: Kept) => Promise<unknown>;

/** A task that goes to workers. What is written is numbers, texts, arrays, plain objects, likelihoods, and what is kept. */
export interface Codec<Common, Job, Result> {
  readonly task: ShardTask<Common, Job, Result>;
  write(common: Common, keep: Keep): Promise<unknown>;
  /** In what is read, the kept things themselves stand for what stood for them. */
  read(written: never): Common;
  /** @param staging where the inputs of a shard go; nothing of them may be in its result */
  writeJob(job: Job, staging?: Staging): unknown;
  writeResult(common: Common, result: Result): unknown;
  readResult(common: Common, written: never): Result;
}

/** A curvature as arrays by name. */
interface WrittenCurvature {
  readonly structure: Structure;
  readonly examples: number;
  readonly arrays: Readonly<Record<string, Float64Array>>;
  readonly numbers: Readonly<Record<string, readonly number[]>>;
  readonly finer: WrittenCurvature | undefined;
}

type Arrays = WrittenCurvature["arrays"];

const arraysOf = (curvature: Curvature | undefined): Arrays => {
  const arrays: Record<string, Float64Array> = {};
  if (curvature === undefined) return arrays;
  rowOf(curvature).write(curvature, (name, values) => {
    arrays[name] = values;
  });
  return arrays;
};

/** @param known arrays that the other side has */
function writeCurvature(curvature: Curvature, known: Arrays = {}): WrittenCurvature {
  const arrays: Record<string, Float64Array> = {};
  const { structure, examples } = curvature;
  const row = rowOf(curvature);
  const numbers = row.write(curvature, (name, values) => {
    if (known[name] !== values) arrays[name] = values;
  });
  const finer = row.finer?.(curvature);
  return { structure, examples, arrays, numbers, finer: finer && writeCurvature(finer) };
}

function readCurvature(selection: Selection, written: WrittenCurvature, known: Arrays = {}): Curvature {
  const { structure, examples, arrays, numbers, finer } = written;
  const row = rowNamed(structure);
  const read = row.read(selection, examples, (name) => arrays[name] ?? known[name], {
    has: (name) => Object.hasOwn(numbers, name),
    positives: (name) => numbers[name],
  });
  return finer === undefined ? read : (row.withFiner?.(read, readCurvature(selection, finer)) ?? read);
}

interface WrittenPass {
  readonly where: string;
  readonly net: unknown;
  readonly likelihood: Likelihood;
  readonly weights: readonly string[] | Uint32Array;
  readonly structure: Structure;
  readonly kind: PassOfFit["plan"]["kind"];
  readonly samples: number;
  readonly seed: number;
  readonly sharing: PassOfFit["plan"]["sharing"];
  readonly rank: PassOfFit["plan"]["rank"];
  readonly points: PassOfFit["plan"]["points"];
  readonly rows: PassOfFit["plan"]["rows"];
  readonly basis: boolean;
  readonly number: number;
  readonly prepared: WrittenCurvature | undefined;
  readonly first: number;
}

interface WrittenSummary extends Omit<Summary, "curvature" | "apart"> {
  readonly curvature: WrittenCurvature;
  readonly apart: readonly (readonly Float64Array[])[] | undefined;
}

/** The batches of a shard. */
function listed<Own extends Batch>(batches: Iterable<Own>, staging: Staging | undefined): Own[] {
  const all = [...batches];
  return staging?.batches(all) ?? all;
}

/** Sums of a fit over a shard of its data. */
const sums: Codec<PassOfFit, DataShard, Summary> = {
  task: farTask,
  async write({ where, plan, number, prepared, first }, keep): Promise<WrittenPass> {
    const { net, likelihood, selection, structure, kind, samples, seed, sharing, rank, points, rows, basis } = plan;
    return {
      where,
      net: await keep(net),
      likelihood,
      weights: selection.whole ? selection.parameters.map(({ parameter }) => parameter.name) : selection.indices(),
      structure,
      kind,
      samples,
      seed,
      sharing,
      rank,
      points,
      rows,
      basis: basis !== undefined,
      number,
      prepared: prepared && writeCurvature(prepared),
      first,
    };
  },
  read(written: WrittenPass) {
    const { where, weights, structure, kind, samples, seed, sharing, rank, points, rows, number, first } = written;
    const { graph, parameters, buffers } = written.net as Network;
    // Nothing of it frozen: which weights there are was said.
    const net = new Network(graph, parameters, [], buffers);
    const read = readPlan(where, net, () => written.likelihood, {
      weights: Array.isArray(weights) ? { parameters: weights } : { indices: weights as Uint32Array },
      structure,
      curvature: kind,
      monteCarloSamples: kind === "monteCarlo" ? samples : undefined,
      seed,
      sharing,
      rank,
    });
    const prepared = written.prepared && readCurvature(read.selection, written.prepared);
    // Which passes there are goes by whether a basis was given.
    const plan = { ...read, points, rows, basis: written.basis ? prepared : undefined };
    return { where, plan, number, prepared, first };
  },
  // Of rows that lie elsewhere, where they are.
  writeJob: ({ batches, far, ...rest }, staging) => ({
    ...rest,
    batches: listed(batches, staging),
    ...(far !== undefined && { far: { at: far.at } }),
  }),
  writeResult({ prepared }, { curvature, apart, inputs: _, ...rest }): WrittenSummary {
    const written = writeCurvature(curvature, arraysOf(prepared));
    return { ...rest, curvature: written, apart: apart?.map(columnSums) };
  },
  readResult({ plan, prepared }, written: WrittenSummary) {
    const { apart, ...rest } = written;
    const curvature = readCurvature(plan.selection, written.curvature, arraysOf(prepared));
    return { ...rest, curvature, apart: apart?.map((arrays) => withColumnSums(curvature, arrays)) };
  },
};

/** A codec of what is asked of rows. */
function rows<Found extends object>(task: RowsTask<Found>): Codec<RowsOf, DataShard<Batch>, readonly Found[]> {
  return {
    task,
    write: async (of, keep) => ({ ...of, posterior: await keep(of.posterior as unknown as WeightGaussian) }),
    read: (written: RowsOf) => written,
    writeJob: ({ batches, ...rest }, staging) => ({ ...rest, batches: listed(batches, staging) }),
    writeResult: (_, result) => result,
    readResult: (_, written: readonly Found[]) => written,
  };
}

/** Rows of candidates. */
const candidates: Codec<CandidatesOf, CandidateJob, CandidateRows> = {
  task: candidatesTask,
  write: async ({ posteriors, options }, keep) => ({ posteriors: await Promise.all(posteriors.map(keep)), options }),
  read: (written: CandidatesOf) => written,
  writeJob: ({ shard: { batches, ...rest }, ...job }) => ({ ...job, shard: { ...rest, batches: [...batches] } }),
  writeResult: (_, result) => ("failed" in result ? { failed: errorMessage(result.failed) } : result),
  readResult: (_, written: CandidateRows) => ("failed" in written ? { failed: errorOf(written.failed) } : written),
};

/** Arrays in memory that threads share, by what the shards of one run have in common: a caller may change its own before the next run. */
const copies = new WeakMap<GradientsOf, Map<NDArray, NDArray>>();

/** An array of a run that is not copied to each worker, where memory can be shared. */
function shareable(of: GradientsOf, array: NDArray): NDArray {
  const { data, shape } = array;
  if (!sharesMemory || (data.buffer as unknown) instanceof SharedArrayBuffer) return array;
  const own = copies.get(of) ?? new Map<NDArray, NDArray>();
  copies.set(of, own);
  const known = own.get(array);
  if (known !== undefined) return known;
  const copy = new NDArray(inSharedMemory(data), shape);
  copy.data.set(data);
  own.set(array, copy);
  return copy;
}

interface WrittenGradients extends Pick<GradientsOf, "loss" | "length"> {
  readonly net: unknown;
  readonly frozen: readonly string[];
  readonly inputs: NDArray;
  readonly targets: NDArray;
  readonly weights: NDArray | undefined;
}

/** Gradients of batches. */
const gradients: Codec<GradientsOf, GradientJob, ShardGradient> = {
  task: gradientTask,
  async write(of, keep): Promise<WrittenGradients> {
    const { net, loss, length, data } = of;
    return {
      net: await keep(net),
      frozen: [...net.frozen],
      loss,
      length,
      inputs: shareable(of, data.inputs),
      targets: shareable(of, data.targets),
      weights: data.weights,
    };
  },
  read(written: WrittenGradients) {
    const { frozen, loss, length, inputs, targets, weights } = written;
    const { graph, parameters, buffers } = written.net as Network;
    const net = new Network(graph, parameters, frozen, buffers);
    const into = sharesMemory ? inSharedMemory(parameters.data) : undefined;
    return { net, loss, rule: readLoss("train", loss, net), length, work: 0, data: { inputs, targets, weights }, into };
  },
  writeJob: (job) => job,
  writeResult: (_, result) => result,
  readResult: (_, written: ShardGradient) => written,
};

/** By the names of tasks. */
const codecs = Object.fromEntries(
  [sums, rows(predictTask), rows(labelsTask), rows(rowsTask("evaluate", predictedRows)), candidates, gradients].map(
    (codec) => [codec.task.name, codec],
  ),
) as unknown as Readonly<Record<string, Codec<never, never, never>>>;

/** The codec of a task, which goes by its name. @throws LaplaceError */
export function codecOf<Common, Job, Result>(name: string): Codec<Common, Job, Result> {
  if (!Object.hasOwn(codecs, name)) throw new LaplaceError(`The library has no task "${name}" for workers.`);
  return codecs[name] as unknown as Codec<Common, Job, Result>;
}

/** Work that a worker keeps: what does one shard after the other. */
export class Work {
  readonly #do: (job: never) => Steps<unknown, number>;
  readonly #write: (result: unknown) => unknown;

  private constructor(work: (job: never) => Steps<unknown, number>, write: (result: unknown) => unknown) {
    this.#do = work;
    this.#write = write;
  }

  /** Begins a task, on one thread, since others have the other cores, and does a first shard. @throws what its task throws; the signal's reason */
  static async begin(
    name: string,
    written: never,
    job: never,
    options?: BurstOptions<ExamplesReport>,
  ): Promise<readonly [Work, unknown]> {
    kernels.setThreads(1);
    bringAll();
    const codec = codecOf<unknown, never, unknown>(name);
    const common = codec.read(written);
    const work = new Work(await inBursts(codec.task.begin(common)), (result) => codec.writeResult(common, result));
    return [work, await work.do(job, options)];
  }

  /** Does a shard. @throws what its task throws; the signal's reason */
  async do(job: never, options: BurstOptions<ExamplesReport> = {}): Promise<unknown> {
    if ((job as Partial<DataShard>).far !== undefined) {
      throw new LaplaceError(
        "These data are read where they lie: by this thread, or by machines of laplace-ts-cluster, and not by workers().",
      );
    }
    return this.#write(await inBursts(reportingExamples(this.#do(job)), options));
  }
}
