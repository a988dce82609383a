// The contractions of a fit: the loss with its gradient, and the curvature.

import { addToTotals } from "../derivatives/totals.ts";
import { ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  bytesPerElement,
  copyOutTo,
  type DType,
  type FloatArray,
  inMemory,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { inPieces, oneStep, type Steps } from "../kernels/steps.ts";
import { outputsOf } from "../network/part-outputs.ts";
import type { Contraction, Hold, Part } from "../network/run.ts";
import type { Accumulator, Curvature, ReadSums } from "../structures/curvature.ts";
import { rowOf } from "../structures/table.ts";
import { lossOf, sumOfNorms } from "./losses-and-norms.ts";
import { sharing, weightedSum } from "./outputs-apart.ts";
import type { Plan } from "./plan.ts";
import { viewOf } from "./positions.ts";
import { sketchOf } from "./sketch.ts";

/** Examples after which sums of float32 are added to totals of float64. */
export const MOST_EXAMPLES = 4096;

/** Numbers that are looked at in one step. */
const AT_ONCE = 2 ** 18;

/** Numbers that are summed in the kernels' memory; those of float32 go to totals of float64 now and then, before they drift. */
class Sums {
  readonly #dtype: DType;
  readonly #length: number;
  /** How many of the numbers, the first, are sums. */
  readonly #sums: number;
  #kept: number | undefined;
  #totals: Float64Array | undefined;
  at: Pointer = 0;

  constructor(dtype: DType, length: number, sums = length) {
    this.#dtype = dtype;
    this.#length = length;
    this.#sums = sums;
  }

  open(hold: Hold): void {
    this.at = hold(this.#dtype, this.#length);
    kernelsFor(this.#dtype).fill(this.#sums, 0, this.at);
  }

  begin(part: Part): void {
    const { start } = part.whole ?? part;
    this.#kept ??= start;
    if (this.#dtype === "float64" || start - this.#kept < MOST_EXAMPLES) return;
    this.#kept = start;
    this.#totals ??= new Float64Array(this.#sums);
    addToTotals(this.#dtype, this.at, this.#totals);
  }

  /** Whether all of them are. */
  finite(): boolean | Steps<boolean> {
    return this.#totals === undefined && this.#sums <= AT_ONCE
      ? kernelsFor(this.#dtype).allFinite(this.#sums, this.at) === 1
      : this.#finite();
  }

  *#finite(): Steps<boolean> {
    const total = this.#totals?.reduce((a, b) => a + b, 0) ?? 0;
    if (!Number.isFinite(total)) return false;
    const bytes = bytesPerElement(this.#dtype);
    for (let first = 0; first < this.#sums; first += AT_ONCE) {
      const count = Math.min(AT_ONCE, this.#sums - first);
      if (kernelsFor(this.#dtype).allFinite(count, this.at + first * bytes) !== 1) return false;
      yield;
    }
    return true;
  }

  /** Comes after all parts. */
  end(): void {
    if (this.#totals !== undefined) addToTotals(this.#dtype, this.at, this.#totals);
  }

  /** What `take` makes of them, where they lie, in the end. */
  lend<Result>(take: (sums: FloatArray) => Result): Result {
    if (this.#totals !== undefined) return take(this.#totals);
    const start = this.at / bytesPerElement(this.#dtype);
    return inMemory(this.#dtype, (memory) => take(memory.subarray(start, start + this.#length)));
  }

  /** Copies some of them to an array, in the end. */
  read(start: number, end: number, to: Float64Array, at: number): void {
    if (this.#totals !== undefined) to.set(this.#totals.subarray(start, end), at);
    else copyOutTo(this.#dtype, this.at + start * bytesPerElement(this.#dtype), end - start, to, at);
  }
}

/** What a pass sums of the loss. */
export interface LossSums {
  /** Σ_n ℓ_n at unit noise. */
  readonly loss: number;
  /** Of a likelihood with hyperparameters: the loss of each output in its own unit, at σ_c = 1, [C]; of a Gaussian half its squares. */
  readonly losses?: Float64Array | undefined;
  /** Σ_n ∂ℓ_n/∂θ over the selected weights, in a `Sketch`. */
  readonly gradient: Float64Array;
  /** Σ_n ‖∂ℓ_n/∂θ‖ */
  readonly gradientNorms: number;
}

/** Of the loss's own column. */
export function lossSums(where: string, { net, likelihood, selection }: Plan): Contraction<Steps<LossSums>> {
  const { dtype, parameterCount, graph } = net;
  const sketch = sketchOf(selection);
  const gradient = new Sums(dtype, parameterCount);
  const losses = likelihood.hyper.any ? new Float64Array(graph.output.size) : undefined;
  let [loss, gradientNorms] = [0, 0];
  return {
    open: (hold) => gradient.open(hold),
    begin(part) {
      gradient.begin(part);
      lossOf(likelihood, outputsOf(part), part.targets, part.weights, losses, (some) => {
        loss += some;
        if (Number.isFinite(loss)) return;
        throw new ValueError(
          `${where}: the loss of examples ${part.start} to ${part.start + part.count - 1} is not finite. A likely cause: outputs so large that the likelihood overflows ${dtype}, such as a rate eᶠ.`,
        );
      });
    },
    add(backward) {
      sketch.add(backward, gradient.at);
      sumOfNorms(backward, selection, (some) => {
        gradientNorms += some;
      });
    },
    finish: () =>
      oneStep(() => {
        for (let c = 0; c < (losses?.length ?? 0); c++) (losses as Float64Array)[c] *= likelihood.hyper.ratio(c) ** 2;
        gradient.end();
        return { loss, losses, gradient: gradient.lend((all) => selection.take(all)), gradientNorms };
      }),
  };
}

/** The curvature of a pass, and those of the outputs one by one, where each has a noise to be tuned. */
export interface CurvatureSums {
  curvature: Curvature;
  readonly apart?: readonly Curvature[] | undefined;
}

/**
 * Of the columns whose outer products make it.
 * @param apart how many outputs have a curvature each @param examples gives their number in the end
 */
export function curvatureSums(
  where: string,
  plan: Plan,
  accumulator: Accumulator,
  apart: number,
  examples: () => number,
): Contraction<Steps<CurvatureSums>> {
  const { dtype, length } = accumulator;
  const sums = new Sums(dtype, apart * length, apart > 1 ? apart * length : accumulator.sums);
  let rows = 0;
  let weights: Float64Array | undefined;
  return {
    open: (hold) => sums.open(hold),
    begin(part) {
      sums.begin(part);
      accumulator.begin?.(part);
      weights = part.weights;
      rows += weights === undefined ? part.count : weights.reduce((sum, weight) => sum + weight, 0);
    },
    add(backward, column) {
      const output = apart > 1 ? column * length * bytesPerElement(dtype) : 0;
      accumulator.add(backward, sums.at + output, column > 0, weights);
    },
    finish: () => curvatureOf(where, plan, accumulator, sums, apart, rows, examples),
  };
}

function* curvatureOf(
  where: string,
  plan: Plan,
  accumulator: Accumulator,
  sums: Sums,
  apart: number,
  rows: number,
  examples: () => number,
): Steps<CurvatureSums> {
  const view = viewOf(plan);
  const { length } = accumulator;
  if (accumulator.flush !== undefined) yield* inPieces(() => accumulator.flush?.(sums.at));
  const finite = sums.finite();
  if (!(typeof finite === "boolean" ? finite : yield* finite)) {
    throw new ValueError(
      `${where}: the curvature is not finite. A likely cause: derivatives whose squares overflow ${plan.net.dtype}; scale inputs and targets, or use float64.`,
    );
  }
  // Where nothing counts, sums are 0, whatever they are divided by.
  const each: Curvature[] = [];
  sums.end();
  for (let from = 0; from < apart * length; from += length) {
    const read: ReadSums = (start, end, to, at) => sums.read(from + start, from + end, to, at);
    each.push(yield* accumulator.finish(read, rows || 1e-300));
  }
  const found = apart > 1 ? yield* weightedSum(each, new Float64Array(apart).fill(1)) : each[0];
  return {
    curvature: view === undefined ? found : rowOf(found).lift(found, plan.selection, examples()),
    apart: apart > 1 ? sharing(each) : undefined,
  };
}

/** Two contractions of the same columns. */
export function both<A, B>(a: Contraction<Steps<A>>, b: Contraction<Steps<B>>): Contraction<Steps<A & B>> {
  return {
    open(hold) {
      a.open?.(hold);
      b.open?.(hold);
    },
    begin(part) {
      a.begin?.(part);
      b.begin?.(part);
    },
    add(backward, first) {
      scope(() => a.add?.(backward, first));
      b.add?.(backward, first);
    },
    finish: () => inTurn(a.finish(), b.finish()),
  };
}

function* inTurn<A, B>(a: Steps<A>, b: Steps<B>): Steps<A & B> {
  return { ...(yield* a), ...(yield* b) };
}
