// Primitives without parameters that move values: side by side, axes in another order, a part of an axis; and sums over an axis.

import { gatherStrided } from "../../array/einsum.ts";
import { sameShape, shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { bytesPerElement, type DType } from "../../kernels/memory.ts";
import { finite, integers } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { ForwardPass, Node, Primitive } from "../primitive.ts";
import { linearRules } from "../rules.ts";

/** Strides, in elements, of an array without gaps. */
function stridesOf(shape: Shape): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

/** Axis i of the value is axis axes[i] of the input. */
export const permute: Primitive<{ readonly axes: readonly number[] }> = {
  name: "permute",
  inputs: 1,
  attributes: { axes: integers(0) },
  shape([x], { axes }) {
    if (axes.length !== x.length || new Set(axes).size !== x.length || axes.some((axis) => x[axis] === undefined)) {
      throw new ShapeError(
        `permute: axes must be 0 to ${x.length - 1} in some order for a value of shape ${shapeText(x)}, not ${shapeText(axes)}.`,
      );
    }
    return axes.map((axis) => x[axis]);
  },
  ...linearRules({
    apply({ inputs: [x], shape, attributes: { axes } }, { kernels, batch }, from, to) {
      const strides = stridesOf(x.shape);
      gatherStrided(kernels, [batch, ...shape], [x.size, ...axes.map((axis) => strides[axis])], from, to);
    },
    transpose({ inputs: [x], shape, attributes: { axes } }, { kernels, batch, columns }, d, to, add) {
      const strides = stridesOf(shape);
      const back = x.shape.map((_, axis) => strides[axes.indexOf(axis)]);
      gatherStrided(kernels, [columns * batch, ...x.shape], [x.size, ...back], d, to, add);
    },
  }),
  rowwise: ({ shape, attributes: { axes } }) => sizeOf(shape.slice(axes.findIndex((axis, i) => axis !== i))),
  finite: () => true,
};

/** An array around one of its axes: [outer, length, inner]. */
function around(shape: Shape, axis: number) {
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis], inner: sizeOf(shape.slice(axis + 1)) };
}

function checkAxis(name: string, shape: Shape, axis: number): void {
  if (shape[axis] !== undefined) return;
  throw new ShapeError(`${name}: a value of shape ${shapeText(shape)} has no axis ${axis}.`);
}

interface SliceAttributes {
  readonly axis: number;
  /** The first entry, and that after the last. */
  readonly start: number;
  readonly end: number;
}

/** The entries from `start` to before `end` of an axis. */
export const slice: Primitive<SliceAttributes> = {
  name: "slice",
  inputs: 1,
  attributes: { axis: finite, start: finite, end: finite },
  shape([x], { axis, start, end }) {
    checkAxis("slice", x, axis);
    if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= x[axis])) {
      throw new ShapeError(`slice: axis ${axis} of ${shapeText(x)} has no entries from ${start} to before ${end}.`);
    }
    return x.with(axis, end - start);
  },
  ...linearRules({
    apply(node, pass, x, y) {
      const { rows, width, stride, skipped } = cut(node, pass);
      pass.kernels.copyRows(rows, width, x + skipped, stride, y, width, false);
    },
    transpose(node, pass, d, to, add) {
      const { rows, width, stride, skipped } = cut(node, pass);
      const all = pass.columns * rows;
      if (!add) pass.kernels.fill(all * stride, 0, to);
      pass.kernels.copyRows(all, width, d, width, to + skipped, stride, true);
    },
  }),
  rowwise: ({ shape, attributes: { axis } }) => sizeOf(shape.slice(axis)),
  finite: () => true,
};

/** A slice of a batch as rows: how many, how long, how far apart in the input, and the bytes before the first. */
function cut({ inputs: [x], attributes: { axis, start, end } }: Node<SliceAttributes>, pass: ForwardPass) {
  const { outer, length, inner } = around(x.shape, axis);
  return {
    rows: pass.batch * outer,
    width: (end - start) * inner,
    stride: length * inner,
    skipped: start * inner * bytesPerElement(pass.dtype),
  };
}

/** The sum over an axis, which is gone then. */
export const sum: Primitive<{ readonly axis: number }> = {
  name: "sum",
  inputs: 1,
  attributes: { axis: finite },
  shape([x], { axis }) {
    checkAxis("sum", x, axis);
    return x.toSpliced(axis, 1);
  },
  ...linearRules({
    apply({ inputs: [x], attributes: { axis } }, { kernels, batch }, from, to) {
      const { outer, length, inner } = around(x.shape, axis);
      kernels.sumAxis(batch * outer, length, inner, from, to, inner, false);
    },
    transpose({ inputs: [x], attributes: { axis } }, { kernels, batch, columns }, d, to, add) {
      const { outer, length, inner } = around(x.shape, axis);
      gatherStrided(kernels, [columns * batch * outer, length, inner], [inner, 0, 1], d, to, add);
    },
  }),
  rowwise: ({ shape, attributes: { axis } }) => sizeOf(shape.slice(axis)),
};

/** Values side by side along an axis. */
export const concatenate: Primitive<ConcatenateAttributes> = {
  name: "concatenate",
  order: "linear",
  inputs: "some",
  attributes: { axis: finite },
  shape(inputs, { axis }) {
    const [first] = inputs;
    if (!Number.isInteger(axis) || axis >= 0 || axis < -first.length) {
      throw new ShapeError(`concatenate: a value of shape ${shapeText(first)} has no axis ${axis}.`);
    }
    for (const shape of inputs) {
      if (shape.length !== first.length || !sameShape(shape.with(axis, 0), first.with(axis, 0))) {
        throw new ShapeError(
          `concatenate: ${inputs.map(shapeText).join(" and ")} differ in another axis than ${first.length + axis}.`,
        );
      }
    }
    return first.with(
      axis,
      inputs.reduce((sum, shape) => sum + (shape.at(axis) as number), 0),
    );
  },
  forward(node, pass) {
    const width = rowOf(node, node);
    const rows = (pass.batch * node.size) / width;
    eachPart(node, pass.dtype, (x, part, offset) => {
      pass.kernels.copyRows(rows, part, pass.value(x), part, pass.value(node) + offset, width, false);
    });
  },
  pushforward(node, pass) {
    const width = rowOf(node, node);
    const rows = (pass.batch * node.size) / width;
    pass.kernels.fill(rows * width, 0, pass.tangent(node));
    eachPart(node, pass.dtype, (x, part, offset) => {
      const dx = pass.tangent(x);
      if (dx !== 0) pass.kernels.copyRows(rows, part, dx, part, pass.tangent(node) + offset, width, false);
    });
  },
  pullback(node, pass) {
    const width = rowOf(node, node);
    const rows = (pass.columns * pass.batch * node.size) / width;
    eachPart(node, pass.dtype, (x, part, offset) => {
      pass.contribute(x, (to, adding) => {
        pass.kernels.copyRows(rows, part, pass.cotangent(node) + offset, width, to, part, adding);
      });
    });
  },
  rowwise: (node) => rowOf(node, node),
  finite: () => true,
};

export interface ConcatenateAttributes {
  /** From the back: −1 is the last. */
  readonly axis: number;
}

/** The length of what lies in one piece in a concatenation: a value's elements from the axis on. */
function rowOf({ attributes: { axis } }: Node<ConcatenateAttributes>, { shape }: Node): number {
  return sizeOf(shape.slice(axis));
}

/** Each input of a concatenation with its length in a row and its place there, in bytes. */
function eachPart(
  node: Node<ConcatenateAttributes>,
  dtype: DType,
  visit: (x: Node, width: number, offset: number) => void,
): void {
  let offset = 0;
  for (const x of node.inputs) {
    const width = rowOf(node, x);
    visit(x, width, offset);
    offset += width * bytesPerElement(dtype);
  }
}
