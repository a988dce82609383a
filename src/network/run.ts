// The one driver. Whatever is computed about a batch: it passes through the network in parts of bounded size; columns are put on
// the outputs of each part, all at once or some at a time, pulled back, and handed to a contraction.

import type { NDArray } from "../array/ndarray.ts";
import { someRows } from "../data/dataset.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyTo,
  type DType,
  giveBlock,
  inMemory,
  later,
  openScope,
  type Pointer,
  scope,
  takeBlock,
} from "../kernels/memory.ts";
import { type ExamplesReport, inPieces, type Steps } from "../kernels/steps.ts";
import { type Graph, passNumbers } from "./graph.ts";
import type { Shape } from "./parameters.ts";
import { Backward, checkValues, Forward, type Spread } from "./passes.ts";
import type { Node } from "./primitive.ts";

/** A network's graph with its parameters and buffers. */
export interface Model {
  readonly graph: Graph;
  readonly dtype: DType;
  readonly parameters: NDArray;
  readonly buffers: NDArray;
}

/** Examples, [B, ...inputs], and what goes with each, [B, ...outputs]: targets, or given cotangents. */
export interface Batch {
  readonly inputs: NDArray;
  readonly targets?: NDArray;
  /** How much each example counts, [B], in float64. */
  readonly weights?: NDArray | undefined;
  /** How many others are before it in messages (default 0). */
  readonly before?: number | undefined;
}

/** A batch with what goes with it. */
export type TargetedBatch = Batch & { readonly targets: NDArray };

/** A part of a batch, evaluated. */
export interface Part {
  readonly forward: Forward;
  /** The number of its first example, or row, among those of all batches. */
  readonly start: number;
  /** Its number of examples, or rows. */
  readonly count: number;
  /** What goes with them, [count, ...outputs]; 0 for nothing. */
  readonly targets: Pointer;
  /** How much each example, or row, counts, [count]; undefined where all count once. */
  readonly weights?: Float64Array | undefined;
  /** The shape of an example's outputs; of a row's, [C]. */
  readonly shape: Shape;
  /** Where it has rows of a part: that part. */
  readonly whole?: Part;
}

/** So many columns from the first on. */
export interface Which {
  readonly first: number;
  readonly count: number;
}

/** What is put on the outputs of every example. */
export interface Columns {
  /** K, for an example's outputs of that shape. */
  count(shape: readonly number[]): number;
  /** Comes first: what `hold` gives stays until the end. */
  open?(hold: Hold): void;
  /** The node that they are put on (default: the graph's output). */
  readonly at?: Node;
  /** Comes before a part's columns, and gives what others, at the outputs, sum to. */
  spread?(part: Part): Spread;
  /** Writes some of them, [count, B, ...outputs], or like the values of that node. */
  write(part: Part, which: Which, to: Pointer, spread?: Spread): void;
}

/** What becomes of columns that arrive at the parameters, and of the values. */
export interface Contraction<Result> {
  /** Numbers of the network's type that it allocates for each example (default 0). */
  readonly scratch?: number;
  /** Comes first: what `hold` gives stays until the end. */
  open?(hold: Hold): void;
  /** Sees each part before its columns; what it allocates stays until the part's end. */
  begin?(part: Part): void;
  /** Takes some columns of a part that were pulled back: those from the `first` on. */
  add?(backward: Backward, first: number): void;
  /** Sees each part after its columns. */
  end?(part: Part): void;
  /** What is left to do after a part, in steps, where parts are. */
  after?(): Steps<void>;
  /** Gives the result, after all parts. */
  finish(): Result;
}

/** Gives memory for numbers, not cleared, that lasts until a run ends. */
export type Hold = (dtype: DType, length: number) => Pointer;

/** What gets cotangents: all that depends on the parameters, everything, or the nodes it says. */
export type Target = "parameters" | "inputs" | ((node: Node) => boolean);

/** A graph of single rows, along the last axis of a part's values, which takes the part's place. */
export interface RowView {
  readonly graph: Graph;
  /** T, the rows of an example. */
  readonly positions: number;
}

/** How a part is cut once more: into rows. */
export interface Rows extends RowView {
  /** How many at once. */
  readonly most: number;
  /** Those that count, by their number in the part; undefined for all. */
  listed?(part: Part): ArrayLike<number> | undefined;
}

/** How columns are pulled back. */
export interface PullOptions {
  /** How many at once (default: all). */
  readonly most?: number | undefined;
  /** Where rows take the place of examples. */
  readonly rows?: Rows | undefined;
}

/** Columns, how far they are pulled back, and what becomes of them there. */
export interface Pull<Result> extends PullOptions {
  readonly columns: Columns;
  readonly contraction: Contraction<Result>;
  readonly target: Target;
}

/** The results of several pulls. */
export type Results<Pulls extends readonly unknown[]> = {
  [I in keyof Pulls]: Pulls[I] extends Pull<Steps<infer Result>> ? Result : never;
};

/** No columns: for what looks at the values alone. */
export const none: Columns = { count: () => 0, write: () => {} };

/** Bytes of what passes through a network at once, about. */
export const PART_BYTES = 2 ** 25;

/** How many examples to take at once when each needs that many numbers: at most about 32 MiB of them. */
export function partSize(numbersPerExample: number, dtype: DType): number {
  return Math.max(1, Math.floor(PART_BYTES / (Math.max(numbersPerExample, 1) * bytesPerElement(dtype))));
}

/** How examples are cut into parts, and columns. */
export interface RunOptions extends PullOptions {
  /** How many examples are a part. */
  readonly length?: number | undefined;
  /** Numbers that one example needs, where the rule does not hold: cotangents of all values, slopes, the contraction's own. */
  readonly numbers?: number | undefined;
}

/** How examples are cut into parts that are done in steps. */
export interface Parts {
  /** How many examples are a part. */
  readonly length: number;
  /** Whether a part is done in a millisecond or so, and is one step. */
  readonly quick: boolean;
}

/** What is run: the arguments of `run`, and of `runInSteps`. */
export type Run<Result> = readonly [
  where: string | undefined,
  model: Model,
  batches: Iterable<Batch>,
  columns: Columns,
  contraction: Contraction<Result>,
  target: Target,
  options?: RunOptions,
];

/**
 * Contracts the columns of all examples.
 * @param where the function that is named in errors; values are not checked where there is none
 * @throws ValueError naming the first value of the network that is not finite
 */
export function run<Result>(
  ...[where, model, batches, columns, contraction, target, { length, numbers, most, rows } = {}]: Run<Result>
): Result {
  const size = length ?? sizeOfPart(model, columns, contraction.scratch, numbers);
  return scope(() => {
    const take = opened(where, model, [{ columns, contraction, target, most, rows }], holdInScope);
    for (const batch of batches) {
      for (let first = 0; first < batch.inputs.shape[0]; first += size) take(entering(model, batch, first, size));
    }
    return contraction.finish();
  });
}

/** The same in steps: a part is several, and what comes after it. */
export function* runInSteps<Result>(
  ...[where, model, batches, columns, contraction, target, { length, numbers, most, rows } = {}]: Run<Result>
): Steps<Result, ExamplesReport> {
  const size = length ?? sizeOfPart(model, columns, contraction.scratch, numbers);
  const end = openScope();
  try {
    const take = opened(where, model, [{ columns, contraction, target, most, rows }], holdInScope);
    for (const batch of batches) {
      for (let first = 0; first < batch.inputs.shape[0]; first += size) {
        const examples = yield* inPieces(() => take(entering(model, batch, first, size)));
        if (contraction.after !== undefined) yield* contraction.after();
        yield { examples };
      }
    }
    return contraction.finish();
  } finally {
    end();
  }
}

/** How many examples are a part. */
function sizeOfPart({ graph, dtype }: Model, columns: Columns, scratch = 0, numbers?: number): number {
  return partSize((numbers ?? passNumbers(graph, columns.count(graph.output.shape))) + scratch, dtype);
}

/**
 * The same in steps, some of which report the number of examples done: a part of so many examples is several, and so is what
 * finishes. Several pulls share the values of a part. `start` is the number of the first example.
 * @param cut how many examples are a part, and whether that is one step
 */
export function* runInParts<const Pulls extends readonly Pull<Steps<unknown>>[]>(
  where: string,
  model: Model,
  batches: Iterable<Batch>,
  { length: size, quick }: Parts,
  pulls: Pulls,
  start = 0,
): Steps<Results<Pulls>, number> {
  const held: { at: Pointer; bytes: number }[] = [];
  // What is done in pieces has a stack of its own, which ends with them.
  const block: Hold = (type, length) => {
    const bytes = Math.max(1, length) * bytesPerElement(type);
    const at = takeBlock(bytes);
    held.push({ at, bytes });
    return at;
  };
  const end = openScope();
  try {
    const open = () => opened(where, model, pulls, quick ? holdInScope : block, start);
    const take = quick ? open() : yield* inPieces(open);
    yield;
    for (const batch of batches) {
      for (let first = 0; first < batch.inputs.shape[0]; first += size) {
        const part = entering(model, batch, first, size);
        yield (quick ? take(part) : yield* inPieces(() => take(part))) - start;
      }
    }
    const results: unknown[] = [];
    for (const { contraction } of pulls) results.push(yield* contraction.finish());
    return results as Results<Pulls>;
  } finally {
    for (const { at, bytes } of held) giveBlock(at, bytes);
    end();
  }
}

/** Memory of the current scope. */
export const holdInScope: Hold = (type, length) => allocateFloats(type, Math.max(1, length));

/** A part on its way into the kernels' memory. */
interface Entering {
  readonly count: number;
  readonly inputs: () => Pointer;
  readonly targets: () => Pointer;
  readonly weights?: Float64Array | undefined;
  readonly before?: number | undefined;
}

/** At most so many examples of a batch from the first on. */
function entering({ dtype }: Model, batch: Batch, first: number, size: number): Entering {
  const examples = batch.inputs.shape[0];
  const count = Math.min(size, examples - first);
  const { inputs, targets, weights, before } = count === examples ? batch : someRows(batch, first, first + count);
  return {
    count,
    before,
    inputs: () => copyIn(dtype, inputs.data, true),
    targets: () => (targets ? copyIn(dtype, targets.data, true) : 0),
    weights: weights?.data as Float64Array | undefined,
  };
}

/** Opens the pulls, and gives what takes one part after the other, from that number on, and gives the number of the next example. */
export function opened(
  where: string | undefined,
  { graph, dtype, parameters, buffers: statistics }: Model,
  pulls: readonly Pull<unknown>[],
  hold: Hold,
  start = 0,
): (part: Entering) => number {
  const holdCopy = ({ data }: NDArray) => {
    const at = hold(dtype, data.length);
    copyTo(dtype, at, data, true);
    return at;
  };
  const [theta, buffers] = [holdCopy(parameters), holdCopy(statistics)];
  for (const { columns, contraction } of pulls) {
    columns.open?.(hold);
    contraction.open?.(hold);
  }
  let done = start;
  return ({ count, weights, before = 0, ...enter }) => {
    scope(() => {
      const x = enter.inputs();
      const targets = enter.targets();
      const forward = new Forward(graph, dtype, theta, x, count, { buffers });
      const part = { forward, start: done, count, targets, weights, shape: graph.output.shape };
      if (where !== undefined) later(() => checkValues(where, part.forward, before + part.start));
      for (const pull of pulls) pullBack(part, pull);
    });
    done += count;
    return done;
  };
}

/** Writes the columns of a part, or of its rows, pulls them back and hands them on. */
export function pullBack(part: Part, pull: Pull<unknown>): void {
  const { columns, contraction, target, rows, most = Number.POSITIVE_INFINITY } = pull;
  if (rows !== undefined) {
    eachRows(part, rows, (some) => pullBack(some, { ...pull, rows: undefined }));
    return;
  }
  contraction.begin?.(part);
  const { forward, count: batch, shape } = part;
  const { at = forward.graph.output } = columns;
  const spread = columns.spread?.(part);
  const total = columns.count(shape);
  // What is known of columns is handed on where there are no others too.
  for (let first = 0; first < (total || Number(spread !== undefined)); first += most || 1) {
    const count = Math.min(most, total - first);
    scope(() => {
      const to = count === 0 ? 0 : allocateFloats(forward.dtype, count * batch * at.size);
      if (count > 0) columns.write(part, { first, count }, to, spread);
      contraction.add?.(new Backward(forward, to, count, target, { at, spread }), first);
    });
  }
  contraction.end?.(part);
}

/** Visits the rows of a part, some at once. */
function eachRows(part: Part, view: Rows, visit: (rows: Part) => void): void {
  const { positions, most } = view;
  const listed = scope(() => view.listed?.(part));
  const rows = listed?.length ?? part.count * positions;
  for (let first = 0; first < rows; first += most) {
    const count = Math.min(most, rows - first);
    scope(() => visit(rowsOf(part, view, first, count, listed)));
  }
}

/** Rows of a part, with their values: where they are, or listed ones as copies. */
function rowsOf(
  part: Part,
  { graph, positions }: RowView,
  first: number,
  count: number,
  listed?: ArrayLike<number>,
): Part {
  const { forward, targets } = part;
  const { dtype, theta, buffers } = forward;
  const bytes = bytesPerElement(dtype);
  const take = (from: Pointer, n: number): Pointer => {
    if (listed === undefined) return from + first * n * bytes;
    const to = allocateFloats(dtype, count * n);
    inMemory(dtype, (memory) => {
      for (let i = 0; i < count; i++) {
        const row = from / bytes + listed[first + i] * n;
        memory.copyWithin(to / bytes + i * n, row, row + n);
      }
    });
    return to;
  };
  const value = (node: Node) => take(forward.value(node), node.size);
  const kept = { forward: { value, buffers }, changes: () => false };
  return {
    forward: new Forward(graph, dtype, theta, value(graph.input), count, { kept }),
    start: part.start * positions + first,
    count,
    targets: targets === 0 ? 0 : take(targets, graph.output.size),
    weights:
      part.weights &&
      Float64Array.from({ length: count }, (_, i) => {
        const row = listed?.[first + i] ?? first + i;
        return part.weights?.[Math.floor(row / positions)] ?? 1;
      }),
    shape: [graph.output.size],
    whole: part,
  };
}
