// Primitives without parameters that move values: axes in another order, a part of an axis; and sums over an axis.

import { gatherStrided } from "../../array/einsum.ts";
import { shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { bytesPerElement, type Pointer } from "../../kernels/memory.ts";
import type { Node, Shape } from "../graph.ts";
import type { ForwardPass, Primitive } from "../primitive.ts";

/** Strides, in elements, of an array without gaps. */
function stridesOf(shape: Shape): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

/** Axis i of the value is axis axes[i] of the input. */
export const permute: Primitive<{ readonly axes: readonly number[] }> = {
  name: "permute",
  shape([x], { axes }) {
    if (axes.length !== x.length || new Set(axes).size !== x.length || axes.some((axis) => x[axis] === undefined)) {
      throw new ShapeError(
        `permute: axes must be 0 to ${x.length - 1} in some order for a value of shape ${shapeText(x)}, not ${shapeText(axes)}.`,
      );
    }
    return axes.map((axis) => x[axis]);
  },
  forward(node, pass) {
    permuteTo(node, pass, pass.batch, pass.value(node.inputs[0]), pass.value(node));
  },
  pushforward(node, pass) {
    permuteTo(node, pass, pass.batch, pass.tangent(node.inputs[0]), pass.tangent(node));
  },
  pullback(node, pass) {
    const [x] = node.inputs;
    const strides = stridesOf(node.shape);
    const back = x.shape.map((_, axis) => strides[node.attributes.axes.indexOf(axis)]);
    pass.contribute(x, (to, add) => {
      const repeats = pass.columns * pass.batch;
      gatherStrided(pass.kernels, [repeats, ...x.shape], [x.size, ...back], pass.cotangent(node), to, add);
    });
  },
  rowwise: ({ shape, attributes: { axes } }) => sizeOf(shape.slice(axes.findIndex((axis, i) => axis !== i))),
};

function permuteTo(
  { inputs: [x], shape, attributes: { axes } }: Node<{ readonly axes: readonly number[] }>,
  { kernels }: ForwardPass,
  repeats: number,
  from: Pointer,
  to: Pointer,
): void {
  const strides = stridesOf(x.shape);
  gatherStrided(kernels, [repeats, ...shape], [x.size, ...axes.map((axis) => strides[axis])], from, to);
}

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
  shape([x], { axis, start, end }) {
    checkAxis("slice", x, axis);
    if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= x[axis])) {
      throw new ShapeError(`slice: axis ${axis} of ${shapeText(x)} has no entries from ${start} to before ${end}.`);
    }
    return x.with(axis, end - start);
  },
  forward(node, pass) {
    const { rows, width, stride, skipped } = cut(node, pass);
    pass.kernels.copyRows(rows, width, pass.value(node.inputs[0]) + skipped, stride, pass.value(node), width, false);
  },
  pushforward(node, pass) {
    const { rows, width, stride, skipped } = cut(node, pass);
    const dx = pass.tangent(node.inputs[0]);
    pass.kernels.copyRows(rows, width, dx + skipped, stride, pass.tangent(node), width, false);
  },
  pullback(node, pass) {
    const { rows, width, stride, skipped } = cut(node, pass);
    pass.contribute(node.inputs[0], (to, add) => {
      const all = pass.columns * rows;
      if (!add) pass.kernels.fill(all * stride, 0, to);
      pass.kernels.copyRows(all, width, pass.cotangent(node), width, to + skipped, stride, true);
    });
  },
  rowwise: ({ shape, attributes: { axis } }) => sizeOf(shape.slice(axis)),
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
  shape([x], { axis }) {
    checkAxis("sum", x, axis);
    return x.toSpliced(axis, 1);
  },
  forward(node, pass) {
    const { outer, length, inner } = around(node.inputs[0].shape, node.attributes.axis);
    pass.kernels.sumAxis(pass.batch * outer, length, inner, pass.value(node.inputs[0]), pass.value(node), inner, false);
  },
  pushforward(node, pass) {
    const { outer, length, inner } = around(node.inputs[0].shape, node.attributes.axis);
    const dx = pass.tangent(node.inputs[0]);
    pass.kernels.sumAxis(pass.batch * outer, length, inner, dx, pass.tangent(node), inner, false);
  },
  pullback(node, pass) {
    const { outer, length, inner } = around(node.inputs[0].shape, node.attributes.axis);
    pass.contribute(node.inputs[0], (to, add) => {
      const all = pass.columns * pass.batch * outer;
      gatherStrided(pass.kernels, [all, length, inner], [inner, 0, 1], pass.cotangent(node), to, add);
    });
  },
  rowwise: ({ shape, attributes: { axis } }) => sizeOf(shape.slice(axis)),
};
