// Training by an executor: the shards of each batch, whose gradients are added as one thread adds them.

import { Random } from "../array/random.ts";
import { LaplaceError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  copyIn,
  copyOut,
  copyOutTo,
  copyTo,
  type FloatArray,
  openScope,
  type Pointer,
  scope,
  shared as sharesMemory,
} from "../kernels/memory.ts";
import { oneStep, reporting, type Steps, type StopSignal, waitedFor } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Loss } from "../losses/losses.ts";
import { type Executor, type ShardTask, shared } from "../shards/executor.ts";
import {
  type BatchesOf,
  batchGradient,
  type Counted,
  divide,
  type Gradients,
  leftOf,
  type Rows,
  type StepByStep,
  seedsOf,
  sumsOver,
} from "./batch-gradient.ts";

/** How old the network's parameters may be in the midst of an epoch. */
const KEPT_MILLISECONDS = 30;

/** Multiplications for each byte of the data from which on it pays that workers have a copy, which takes new memory. */
const WORK_PER_BYTE = 2 ** 8;

/** What the shards of all batches have in common. */
export interface GradientsOf extends BatchesOf {
  /** The loss as it was given: a rule does not leave the thread. */
  readonly loss: Loss | Likelihood;
  /** Where gradients are written, [P], of one who does no shard before what came of the last was taken; new arrays, if undefined. */
  readonly into?: FloatArray | undefined;
  /** An array that is not needed any more, for what is done on the thread of the training: new ones have the collector go through the heap. */
  readonly spare?: FloatArray[] | undefined;
}

/** Neighbouring shards of a batch. */
export interface GradientJob extends Pick<Rows, "rows"> {
  /** Where the gradient is taken, [P]. */
  readonly theta: FloatArray;
  readonly seeds: Uint32Array;
}

/** What sums over shards are, and their part of the gradient of the batch's summed loss, [P]. */
export interface ShardGradient {
  readonly sums: Counted;
  readonly gradient: FloatArray;
}

export const gradientTask: ShardTask<GradientsOf, GradientJob, ShardGradient> = {
  name: "gradient",
  begin: (of) =>
    oneStep(() => {
      const { dtype, parameterCount, buffers } = of.net;
      return ({ theta, rows, seeds }) =>
        oneStep(() =>
          scope(() => {
            const to = allocateFloats(dtype, parameterCount);
            const given = {
              theta: copyIn(dtype, theta),
              buffers: copyIn(dtype, buffers.data),
              rows,
              random: new Random(),
            };
            const sums = sumsOver(of, given, seeds, to);
            const gradient = of.into ?? of.spare?.pop();
            if (gradient === undefined) return { sums, gradient: copyOut(dtype, to, parameterCount) };
            copyOutTo(dtype, to, parameterCount, gradient, 0);
            return { sums, gradient };
          }),
        );
    }),
};

/** As many numbers, in memory that threads share where that can be. */
export function inSharedMemory({ length, BYTES_PER_ELEMENT }: FloatArray): FloatArray {
  const size = length * BYTES_PER_ELEMENT;
  const buffer = sharesMemory ? (new SharedArrayBuffer(size) as unknown as ArrayBuffer) : new ArrayBuffer(size);
  return BYTES_PER_ELEMENT === 4 ? new Float32Array(buffer) : new Float64Array(buffer);
}

/** Gradients of a training by an executor. */
export class Sharing implements Gradients {
  readonly #of: GradientsOf;
  readonly #on: Executor;
  /** Where gradients are taken, for all who take them. */
  readonly #theta: FloatArray;
  /** What is to be done, where the executor is told of it as it comes, and how many jobs went before. */
  readonly #coming: GradientJob[] = [];
  #before = 0;
  readonly #run: Promise<void> | undefined;
  #ended = false;
  #wake: () => void = () => {};
  #take: (place: number, found: ShardGradient) => void = () => {};
  /** Why the executor does no more: it may end while nobody waits for it. */
  #failure: { readonly error: unknown } | undefined;
  #reject: (error: unknown) => void = () => {};

  constructor(of: GradientsOf, signal: StopSignal | undefined, on: Executor) {
    this.#of = of;
    this.#on = on;
    this.#theta = inSharedMemory(of.net.parameters.data);
    if (on.lanes === undefined) return;
    const coming = {
      [Symbol.iterator]: () => ({ next: () => ({ done: this.#ended, value: this.#coming.shift() }) }),
      tell: (wake: () => void) => {
        this.#wake = wake;
      },
    };
    this.#run = on.run({ ...this.#shards([]), coming, take: (place, found) => this.#take(place, found) }, { signal });
    const over = (error: unknown) => {
      this.#failure = { error };
      this.#reject(error);
    };
    this.#run.then(
      () => over(new LaplaceError("train: the executor that on gave ended before the training did.")),
      over,
    );
  }

  #shards(jobs: readonly GradientJob[]) {
    return { where: "train", task: gradientTask, prepare: () => oneStep(() => this.#of), jobs };
  }

  *epoch<Held>(run: StepByStep<Held>): Steps<void> {
    const held = run.hold();
    let end = performance.now() + KEPT_MILLISECONDS;
    try {
      while (!run.epochDone) {
        run.step(held, yield* this.take(run.next(held), held.gradient));
        if (performance.now() < end) continue;
        run.keep(held);
        end = performance.now() + KEPT_MILLISECONDS;
      }
    } finally {
      run.keep(held);
    }
  }

  /** As `batchGradient`. */
  *take(given: Rows, gradient: Pointer): Steps<Counted> {
    const of = this.#of;
    const { net, length, spare } = of;
    const { dtype, parameterCount } = net;
    const seeds = seedsOf(of, given);
    if (seeds === undefined) return batchGradient(of, given, gradient);
    copyOutTo(dtype, given.theta, parameterCount, this.#theta, 0);
    // As many jobs as there are who do them: whole subtrees.
    const shards = seeds.length;
    const each = 2 ** Math.max(0, Math.floor(Math.log2(shards / (this.#on.lanes ?? shards))));
    const jobs: GradientJob[] = [];
    for (let first = 0; first < shards; first += each) {
      const rows = given.rows.slice(first * length, (first + each) * length);
      jobs.push({ theta: this.#theta, rows, seeds: seeds.slice(first, first + each) });
    }
    const close = openScope();
    try {
      const slots = jobs.map((_, i) => (i === 0 ? gradient : allocateFloats(dtype, parameterCount)));
      const found: Counted[] = [];
      let missing = jobs.length;
      const keep = (place: number, { sums, gradient: from }: ShardGradient) => {
        if (found[place] !== undefined) return;
        found[place] = sums;
        copyTo(dtype, slots[place], from);
        // Shared memory is a worker's own.
        if (spare?.length === 0 && from.buffer instanceof ArrayBuffer) spare.push(from);
        missing--;
      };
      if (this.#run !== undefined) yield* this.#wait(jobs, keep, () => missing === 0);
      else yield* reporting(shared({ ...this.#shards(jobs), take: keep }, this.#on), () => undefined);
      const kernels = kernelsFor(dtype);
      const sum = (first: number, end: number): Counted => {
        if (end - first === 1) return found[first];
        const middle = first + leftOf(end - first);
        const [[loss, counted], more] = [sum(first, middle), sum(middle, end)];
        kernels.copyRows(1, parameterCount, slots[middle], 0, slots[first], 0, true);
        return [loss + more[0], counted + more[1]];
      };
      const all = sum(0, jobs.length);
      divide(net, gradient, all[1]);
      return all;
    } finally {
      close();
    }
  }

  #wait(jobs: readonly GradientJob[], keep: (place: number, found: ShardGradient) => void, done: () => boolean) {
    const before = this.#before;
    this.#before += jobs.length;
    return waitedFor<void, never>(
      () =>
        new Promise((resolve, reject) => {
          if (this.#failure !== undefined) {
            reject(this.#failure.error);
            return;
          }
          this.#reject = reject;
          this.#take = (place, found) => {
            if (place < before) return;
            keep(place - before, found);
            if (done()) resolve();
          };
          this.#coming.push(...jobs);
          this.#wake();
        }),
    );
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#take = () => {};
    this.#wake();
    await this.#run?.catch(() => {});
  }
}

/** Whether so many passes through the data are worth the copy of them that workers have. */
function pays({ data, work }: BatchesOf, epochs: number): boolean {
  const { inputs, targets } = data;
  const bytes = [inputs, targets].map(({ data }) => (data.buffer instanceof ArrayBuffer ? data.byteLength : 0));
  return epochs * work * inputs.shape[0] >= WORK_PER_BYTE * (bytes[0] + bytes[1]);
}

/**
 * Gradients of a training by an executor; undefined where this thread alone takes them: by one that is this thread, and of short trainings.
 * @param options those of the training
 * @param epochs how many it has
 */
export function gradientsOn(
  of: BatchesOf,
  { loss, signal }: { readonly loss: Loss | Likelihood; readonly signal?: StopSignal | undefined },
  on: Executor,
  epochs = Number.POSITIVE_INFINITY,
): Sharing | undefined {
  if (on.lanes === 1 || (on.lanes !== undefined && !pays(of, epochs))) return undefined;
  // What was sent stays as it is: a training changes its network.
  return new Sharing({ ...of, net: of.net.clone(), loss, spare: [] }, signal, on);
}
