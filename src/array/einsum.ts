// Sums of products over labelled axes, planned as a sequence of batched matrix products. Each step takes two operands
// and sorts their labels into four groups: in both and needed later (batch), in both and not (summed), in one only.
// With the groups as single axes the step is a batched matrix product; where strides do not allow that, the operand is
// copied first. A step without summed labels is an outer product, one with batch labels only an elementwise product.

import { checkOptions, OptionError } from "../errors.ts";
import { type Kernels, kernelsFor } from "../kernels/kernels.ts";
import {
  allocate,
  allocateFloats,
  bytesPerElement,
  type DType,
  type Pointer,
  scope,
  writeIntegers,
} from "../kernels/memory.ts";
import { checkOut } from "./arguments.ts";
import { type ArrayLike, asArray, type NDArray, sizeOf, widest } from "./ndarray.ts";
import { enter, resultPlace, takeResult } from "./operands.ts";
import { readSubscripts } from "./subscripts.ts";

/** An operand in the kernels' memory: labelled axes with strides in elements. */
interface Operand {
  readonly pointer: Pointer;
  readonly labels: readonly string[];
  readonly strides: readonly number[];
}

/** Products from which on a call of a kernel takes less than their gathering. */
const AT_ONCE = 32;

interface Context {
  readonly kernels: Kernels;
  readonly dtype: DType;
  readonly lengths: ReadonlyMap<string, number>;
}

/** Whether an argument is an object of options, not an array of any kind. */
export function isOptions(value: unknown): value is OutOptions {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Options of functions that can write into a caller's array. */
export interface OutOptions {
  /** Where the result goes; an array of the result's shape and type. A new array if missing. */
  out?: NDArray | undefined;
}

/**
 * Einstein's sum: `einsum("bi,bj->bij", g, g)`. Labels are letters, one per axis; a label missing from the output is
 * summed over; a label repeated within a term takes the diagonal; "..." stands for any axes; without "->" the output
 * has the labels that occur once, in alphabetical order. Any number of operands.
 *
 * @returns an array shaped by the output's labels; float64 unless all operands are float32
 * @throws ShapeError showing the subscripts and the two sizes that disagree
 */
export function einsum(subscripts: string, ...operands: ArrayLike[]): NDArray;
/** As above, with options last: `einsum("bi,bj->bij", g, g, { out })`. */
export function einsum(subscripts: string, ...operands: [...ArrayLike[], OutOptions]): NDArray;
export function einsum(subscripts: string, ...operands: (ArrayLike | OutOptions)[]): NDArray {
  if (typeof subscripts !== "string")
    throw new OptionError(`einsum: subscripts must be text, not ${typeof subscripts}.`);
  const last = operands.at(-1);
  const options = isOptions(last) ? last : {};
  checkOptions("einsum", options, ["out"]);
  const { out } = options;
  const arrays = (operands.filter((operand) => operand !== options) as ArrayLike[]).map(asArray);
  const { inputs, output, lengths } = readSubscripts(
    subscripts,
    arrays.map((a) => a.shape),
  );
  const dtype = widest(arrays);
  const shape = output.map((label) => lengths.get(label) as number);
  checkOut("einsum", out, shape, dtype);
  const context: Context = { kernels: kernelsFor(dtype), dtype, lengths };
  return scope(() => {
    const copies = new Map<NDArray, Pointer>();
    const pointerOf = (a: NDArray): Pointer => {
      const known = copies.get(a);
      if (known !== undefined) return known;
      const pointer = enter(dtype, a);
      copies.set(a, pointer);
      return pointer;
    };
    let pending = arrays.map((a, i) => diagonal(pointerOf(a), inputs[i], a.shape));
    while (pending.length > 1) {
      const [i, j] = cheapestPair(pending, context);
      const others = pending.filter((_, k) => k !== i && k !== j);
      const needed = new Set([...output, ...others.flatMap((operand) => operand.labels)]);
      // The last step computes the result in its place.
      const place = others.length === 0 ? resultPlace(out, sizeOf(shape), dtype, arrays) : undefined;
      pending = [...others, contract(pending[i], pending[j], needed, output, context, place)];
    }
    const summed = sumOut(pending[0], new Set(output), context);
    const ordered = inOrder(summed, output, context);
    return takeResult(out, shape, dtype, ordered.pointer);
  });
}

/** A contiguous array as an operand; repeated labels become one with the sum of their strides. */
function diagonal(pointer: Pointer, labels: readonly string[], shape: readonly number[]): Operand {
  const strides = contiguousStrides(shape);
  const merged = new Map<string, number>();
  labels.forEach((label, axis) => {
    merged.set(label, (merged.get(label) ?? 0) + strides[axis]);
  });
  return { pointer, labels: [...merged.keys()], strides: [...merged.values()] };
}

function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

function size(labels: Iterable<string>, { lengths }: Context): number {
  let product = 1;
  for (const label of labels) product *= lengths.get(label) as number;
  return product;
}

/** The two operands whose contraction takes the fewest multiplications; the first such pair. */
function cheapestPair(operands: readonly Operand[], context: Context): [number, number] {
  let best: [number, number] = [0, 1];
  let bestCost = Number.POSITIVE_INFINITY;
  if (operands.length === 2) return best;
  for (let j = 1; j < operands.length; j++) {
    for (let i = 0; i < j; i++) {
      const cost = size(new Set([...operands[i].labels, ...operands[j].labels]), context);
      if (cost < bestCost) {
        best = [i, j];
        bestCost = cost;
      }
    }
  }
  return best;
}

/** The product of two operands, summed over the labels that are in neither `needed` nor the rest of the plan. */
function contract(
  first: Operand,
  second: Operand,
  needed: ReadonlySet<string>,
  output: readonly string[],
  context: Context,
  place: Pointer | undefined,
): Operand {
  let a = sumOut(first, new Set([...needed, ...second.labels]), context);
  let b = sumOut(second, new Set([...needed, ...a.labels]), context);
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => needed.has(label));
  const summed = shared.filter((label) => !needed.has(label));
  // The operand whose own labels come first in the output gives the rows.
  const own = output.find((label) => !batch.includes(label) && (a.labels.includes(label) || b.labels.includes(label)));
  if (own !== undefined && b.labels.includes(own)) [a, b] = [b, a];
  const byOutput = (x: string, y: string) => output.indexOf(x) - output.indexOf(y);
  batch.sort(byOutput);
  const rows = a.labels.filter((label) => !shared.includes(label)).sort(byOutput);
  const columns = b.labels.filter((label) => !shared.includes(label)).sort(byOutput);

  const [m, k, p] = [size(rows, context), size(summed, context), size(columns, context)];
  const n = size(batch, context);
  let labels = [...rows, ...columns, ...batch];
  const isOutput = () => place !== undefined && labels.every((label, axis) => label === output[axis]);
  // Products with the batch in front would be gathered one by one.
  const inRows = k === 1 && (m * p === 1 || (p * n >= AT_ONCE && isOutput()));
  if (!inRows) labels = [...batch, ...rows, ...columns];
  const result = isOutput() ? (place as Pointer) : allocateFloats(context.dtype, size(labels, context));
  const strides = contiguousStrides(labels.map((label) => context.lengths.get(label) as number));
  if (inRows) {
    const row = n * bytesPerElement(context.dtype);
    const x = inOrder(a, [...rows, ...batch, ...summed], context).pointer;
    const y = inOrder(b, [...columns, ...batch, ...summed], context).pointer;
    for (let i = 0; i < m; i++) context.kernels.multiply(p, n, y, x + i * row, result + i * p * row, false);
  } else {
    const left = grouped(a, [batch, rows, summed], context);
    const right = grouped(b, [batch, summed, columns], context);
    const [sa, ra, ca] = left.strides;
    const [sb, rb, cb] = right.strides;
    context.kernels.gemm(n, m, p, k, left.pointer, sa, ra, ca, right.pointer, sb, rb, cb, result, m * p, p, 1, false);
  }
  return { pointer: result, labels, strides };
}

/** An operand with each group of labels as one axis: as it lies where strides allow, else copied in that order. */
function grouped(
  operand: Operand,
  groups: readonly (readonly string[])[],
  context: Context,
): { pointer: Pointer; strides: readonly number[] } {
  const strides = groups.map((group) => mergedStride(operand, group, context));
  if (!strides.includes(undefined)) return { pointer: operand.pointer, strides: strides as number[] };
  const copy = inOrder(operand, groups.flat(), context);
  return { pointer: copy.pointer, strides: groups.map((group) => mergedStride(copy, group, context) as number) };
}

/** The stride of several labels taken as one axis; undefined where they do not follow each other without gaps. */
function mergedStride(operand: Operand, group: readonly string[], { lengths }: Context): number | undefined {
  let stride: number | undefined;
  let expected = 0;
  for (const label of group.toReversed()) {
    const length = lengths.get(label) as number;
    if (length === 1) continue;
    const own = operand.strides[operand.labels.indexOf(label)];
    if (stride === undefined) stride = own;
    else if (own !== expected) return undefined;
    expected = own * length;
  }
  return stride ?? 1;
}

/** The operand summed over every label that is not in `keep`. */
function sumOut(operand: Operand, keep: ReadonlySet<string>, context: Context): Operand {
  const dropped = operand.labels.filter((label) => !keep.has(label));
  if (dropped.length === 0) return operand;
  const kept = operand.labels.filter((label) => keep.has(label));
  const result = allocateFloats(context.dtype, size(kept, context));
  // Summed labels in front add whole rows; otherwise they are brought to the end.
  const inFront = operand.labels.slice(0, dropped.length).every((label) => !keep.has(label));
  const order = inFront ? [...dropped, ...kept] : [...kept, ...dropped];
  const { pointer } = inOrder(operand, order, context);
  const [outer, inner] = inFront ? [1, size(kept, context)] : [size(kept, context), 1];
  context.kernels.sumAxis(outer, size(dropped, context), inner, pointer, result, inner, false);
  const shape = kept.map((label) => context.lengths.get(label) as number);
  return { pointer: result, labels: kept, strides: contiguousStrides(shape) };
}

/** The operand with its axes in this order and without gaps: itself, or a copy. */
function inOrder(operand: Operand, labels: readonly string[], context: Context): Operand {
  const shape = labels.map((label) => context.lengths.get(label) as number);
  const strides = labels.map((label) => operand.strides[operand.labels.indexOf(label)]);
  const wanted = contiguousStrides(shape);
  if (shape.every((length, axis) => length === 1 || strides[axis] === wanted[axis])) {
    return { pointer: operand.pointer, labels, strides: wanted };
  }
  const pointer = allocateFloats(context.dtype, size(labels, context));
  gatherStrided(context.kernels, shape, strides, operand.pointer, pointer);
  return { pointer, labels, strides: wanted };
}

/** Copies an array read through strides to one without gaps, or adds it there. */
export function gatherStrided(
  kernels: Kernels,
  shape: readonly number[],
  strides: readonly number[],
  from: Pointer,
  to: Pointer,
  add = false,
): void {
  const rank = shape.length;
  const table = allocate(12 * rank);
  writeIntegers(table, [...shape, ...strides]);
  kernels.gather(rank, table, table + 4 * rank, table + 8 * rank, from, to, add);
}
