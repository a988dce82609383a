// Features of a network that runs in onnxruntime, and what is done with them.

import {
  type ArrayLike,
  array,
  type Dataset,
  dataset,
  defaultMemoryBudget,
  LaplaceError,
  MemoryBudgetError,
  type NDArray,
  type Network,
  OptionError,
  type StopSignal,
  ValueError,
} from "laplace-ts";
import type { OnnxReport } from "../onnx/from-onnx.ts";
import { batchesOf, type InputData, type InputInfo, type Inputs, joined, readInputs, stacked } from "./inputs.ts";
import { feed, fetched, type OnnxRuntime, type OnnxSession } from "./runtime.ts";

/** What was cut where. */
export interface FeaturesReport {
  readonly producer: string;
  readonly opset: number;
  /** The value that the features are, and the node that makes it. */
  readonly at: { readonly value: string; readonly node: string; readonly operator: string };
  /** The inputs, their element types, and their shapes for one example. */
  readonly inputs: readonly { readonly name: string; readonly type: string; readonly shape: readonly number[] }[];
  /** The shape of one example's features. */
  readonly shape: readonly number[];
  /** The memory that one example's features take where they are kept: `data`. */
  readonly bytesPerExample: number;
  /** How many nodes of each operator run in the runtime. */
  readonly operators: Readonly<Record<string, number>>;
  /** How the rest of the file was read; undefined where the network is the caller's. */
  readonly rest: OnnxReport | undefined;
  /** All values at which the file can be cut, in order. */
  readonly cuts: readonly string[];
}

/** Options of what goes through data. */
export interface StreamOptions {
  /** Stops between two runs of the session: the signal's reason is thrown. */
  signal?: StopSignal | undefined;
  /** Called after each batch with the number of examples whose features there are. */
  onProgress?: ((report: { readonly examples: number }) => void) | undefined;
}

/** Options of `data`. */
export interface KeepOptions extends StreamOptions {
  /** Bytes that the features and targets may take (default 1 GiB). */
  memoryBudget?: number;
}

/** Sums of a fit, which add: a `Fit`. */
interface Sums<Own> {
  merge(other: Own): Own;
}

/** What is fitted: `laplace(features.network, …)`. */
export interface Fitting<Fit extends Sums<Fit>, Posterior> {
  sum(data: Dataset | Dataset[], options: { first?: number; signal?: StopSignal | undefined }): Promise<Fit>;
  posterior(fit: Fit): Posterior;
}

/** What predicts: a posterior over weights of `network`, or a mixture of them. */
export interface Predicting<Options, Prediction> {
  predictAsync(x: NDArray, options?: Options): Promise<Prediction>;
}

/** What the class is made of. */
export interface FeaturesParts {
  readonly runtime: OnnxRuntime;
  readonly session: OnnxSession;
  readonly inputs: readonly InputInfo[];
  /** Values of inputs that are the same for every example, with their types. */
  readonly fixed: readonly { readonly name: string; readonly type: number; readonly value: NDArray }[];
  readonly value: string;
  readonly batchSize: number;
  /** Whether the file was exported for batches of that size alone. */
  readonly exact: boolean;
}

/** Features are summed when there are so many bytes of them. */
const SUM_AT = 2 ** 25;

const message = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

/** Runs the session for rows that are at most a batch. @throws LaplaceError for what the runtime throws */
export async function runSession(
  where: string,
  { runtime, session, inputs, fixed }: FeaturesParts,
  rows: readonly NDArray[],
  outputs: readonly string[],
): Promise<{ values: NDArray; type: number }[]> {
  const [{ shape: first }] = rows;
  let found: Readonly<Record<string, unknown>>;
  try {
    const feeds: Record<string, object> = {};
    inputs.forEach(({ name, type }, i) => {
      feeds[name] = feed(runtime, type, rows[i].data, rows[i].shape);
    });
    for (const { name, type, value } of fixed) {
      const { data, shape } = value;
      const repeated = shape[0] === 1 && first[0] > 1;
      const numbers = repeated
        ? Float64Array.from({ length: data.length * first[0] }, (_, i) => data[i % data.length])
        : data;
      feeds[name] = feed(runtime, type, numbers, repeated ? [first[0], ...shape.slice(1)] : shape);
    }
    found = (await session.run(feeds, outputs)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    if (cause instanceof LaplaceError) throw cause;
    throw new LaplaceError(`${where}: the runtime says: ${message(cause)}`, { cause });
  }
  const results = [];
  for (const name of outputs) results.push(await fetched(where, name, found[name]));
  return results;
}

function checkOptions(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new OptionError(`${where}: options must be an object.`);
  const stray = Object.keys(options).find((name) => !known.includes(name));
  if (stray !== undefined) throw new OptionError(`${where}: unknown option "${stray}". Known: ${known.join(", ")}.`);
  const { signal, onProgress } = options as StreamOptions;
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new OptionError(`${where}: onProgress must be a function.`);
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw new OptionError(`${where}: signal must be an AbortSignal.`);
  }
}

/**
 * A network in two parts: what makes the features runs in onnxruntime, `network` takes them from there. Posteriors are over
 * weights of `network`. Made by `withFeatures`.
 */
export class FrozenFeatures {
  /** What is behind the features: a network of them. */
  readonly network: Network;
  readonly report: FeaturesReport;
  readonly #parts: FeaturesParts;
  /** A session does one run at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #released = false;

  /** @internal */
  constructor(network: Network, report: FeaturesReport, parts: FeaturesParts) {
    this.network = network;
    this.report = report;
    this.#parts = parts;
  }

  /**
   * The features of inputs, [B, …]: each example goes through the session once, `batchSize` of them at a time.
   * @throws ShapeError, ValueError for bad inputs; LaplaceError for what the runtime throws; the signal's reason
   */
  async features(x: Inputs, options: Pick<StreamOptions, "signal"> = {}): Promise<NDArray> {
    checkOptions("features", options, ["signal"]);
    return this.#features("features", x, options.signal);
  }

  /**
   * The features of data with their targets, as a dataset: what `train`, `evaluate`, `optimizePrior({ on })` and any number of fits
   * take, without the session. It keeps `report.bytesPerExample` bytes of each example, and its targets.
   * @throws MemoryBudgetError as soon as they take more than the budget; what `features` throws
   */
  async data(data: InputData, options: KeepOptions = {}): Promise<Dataset> {
    const where = "data";
    checkOptions(where, options, ["signal", "onProgress", "memoryBudget"]);
    const { memoryBudget = defaultMemoryBudget } = options;
    if (typeof memoryBudget !== "number" || !(memoryBudget >= 0)) {
      throw new OptionError(`${where}: memoryBudget must be a number of bytes, at least 0.`);
    }
    const kept: Dataset[] = [];
    let bytes = 0;
    for await (const batch of this.#stream(where, data, options)) {
      bytes += batch.x.data.byteLength + batch.y.data.byteLength;
      if (bytes > memoryBudget) {
        throw new MemoryBudgetError(
          `${where}: features so far take ${bytes} bytes, ${this.report.bytesPerExample} for each example; the memory budget is ${memoryBudget} bytes. fit(…) keeps none of them. Or raise the option memoryBudget.`,
          bytes,
          memoryBudget,
        );
      }
      kept.push(batch);
    }
    return joined(where, kept);
  }

  /**
   * A posterior over weights of `network`: `features.fit(laplace(features.network, { likelihood: "classification" }), batches)`. Data
   * go through the session once, and features are forgotten when they have been summed, some 32 MiB at a time. Sums that
   * do not add (structure "ekfac") are made of all features, which are then kept.
   * @throws what `laplace(…).fit` and `features` throw
   */
  async fit<Fit extends Sums<Fit>, Posterior>(
    of: Fitting<Fit, Posterior>,
    data: InputData,
    options: StreamOptions = {},
  ): Promise<Posterior> {
    const where = "fit";
    checkOptions(where, options, ["signal", "onProgress"]);
    if (typeof of?.sum !== "function" || typeof of.posterior !== "function") {
      throw new OptionError(`${where}: expected laplace(features.network, …) first.`);
    }
    const { signal } = options;
    let sums: Fit | undefined;
    let kept: Dataset[] = [];
    let [bytes, first, whole] = [0, 0, false];
    let group: Dataset[] = [];
    const add = async () => {
      kept.push(...group);
      const examples = group.reduce((n, { x }) => n + x.shape[0], 0);
      if (!whole) {
        const next = await of.sum(group, { first, signal });
        if (sums === undefined) sums = next;
        else {
          try {
            sums = sums.merge(next);
            kept = [];
          } catch (cause) {
            if (!(cause instanceof ValueError)) throw cause;
            whole = true;
          }
        }
      }
      first += examples;
      [group, bytes] = [[], 0];
    };
    for await (const batch of this.#stream(where, data, options)) {
      group.push(batch);
      bytes += batch.x.data.byteLength;
      if (bytes >= SUM_AT) await add();
    }
    if (group.length > 0) await add();
    return of.posterior(whole || sums === undefined ? await of.sum(kept, { signal }) : sums);
  }

  /**
   * What a posterior over weights of `network` predicts for inputs: `posterior.predictAsync` of their features.
   * @throws what both throw
   */
  async predict<Options, Prediction>(
    posterior: Predicting<Options, Prediction>,
    x: Inputs,
    options?: Options,
  ): Promise<Prediction> {
    const where = "predict";
    if (typeof posterior?.predictAsync !== "function") {
      throw new OptionError(`${where}: expected a posterior first, then inputs.`);
    }
    const signal = (Object(options) as Partial<StreamOptions>).signal;
    return posterior.predictAsync(await this.#features(where, x, signal), options);
  }

  /** Releases the session, unless the caller made it. */
  async release(): Promise<void> {
    this.#released = true;
    await this.#last.catch(() => {});
    await this.#parts.session.release?.();
  }

  async #features(where: string, x: Inputs, signal: StopSignal | undefined): Promise<NDArray> {
    const { rows, arrays } = readInputs(where, this.#parts.inputs, x);
    const { batchSize, exact } = this.#parts;
    const results: NDArray[] = [];
    for (let start = 0; start < rows; start += batchSize) {
      signal?.throwIfAborted();
      const count = Math.min(batchSize, rows - start);
      const size = exact ? batchSize : count;
      const part = arrays.map(({ data, shape, size: all }) => {
        const width = all / rows;
        const own = data.subarray(start * width, (start + count) * width);
        if (size === count) return array(own, { shape: [count, ...shape.slice(1)] });
        // A batch that must be full is filled up with its last example.
        const full = own instanceof Float64Array ? new Float64Array(size * width) : new Float32Array(size * width);
        full.set(own);
        for (let i = count; i < size; i++) full.set(own.subarray((count - 1) * width), i * width);
        return array(full, { shape: [size, ...shape.slice(1)] });
      });
      results.push(await this.#run(where, part, count));
    }
    return stacked(where, "features", results);
  }

  /** One run, behind those that were asked for before. */
  async #run(where: string, part: readonly NDArray[], count: number): Promise<NDArray> {
    const run = this.#last
      .catch(() => {})
      .then(() => {
        if (this.#released) throw new LaplaceError(`${where}: the session was released.`);
        return runSession(where, this.#parts, part, [this.#parts.value]);
      });
    this.#last = run;
    const [{ values }] = await run;
    const [rows] = part[0].shape;
    const { shape } = this.report;
    if (String(values.shape) !== String([rows, ...shape])) {
      throw new LaplaceError(
        `${where}: the runtime gave features of shape [${values.shape.join(", ")}], not [${[rows, ...shape].join(", ")}].`,
      );
    }
    if (count === rows) return values;
    const width = values.size / rows;
    return array(values.data.slice(0, count * width), { shape: [count, ...shape] });
  }

  async *#stream(where: string, data: InputData, options: StreamOptions): AsyncGenerator<Dataset> {
    const { signal, onProgress } = options;
    let examples = 0;
    for await (const { x, y, weights } of batchesOf(where, data)) {
      signal?.throwIfAborted();
      const features = await this.#features(where, x, signal);
      const copy = (one: ArrayLike) => array(one).clone();
      // The caller may fill the arrays anew for the next batch.
      yield dataset(features, copy(y), weights === undefined ? undefined : copy(weights));
      examples += features.shape[0];
      onProgress?.({ examples });
    }
  }
}
