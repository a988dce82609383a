// Primitives without parameters that combine or rearrange values.

import { sameShape, shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { bytesPerElement, type DType, type Pointer } from "../../kernels/memory.ts";
import { finite, integers } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { Node } from "../primitive.ts";
import { type CotangentPass, lastAxis, type Primitive } from "../primitive.ts";
import { bilinearRules, copyRules, linearRules } from "../rules.ts";

function equalShapes(name: string, [x, y]: readonly Shape[]): Shape {
  if (!sameShape(x, y)) throw new ShapeError(`${name}: the shapes ${shapeText(x)} and ${shapeText(y)} differ.`);
  return x;
}

/** The network's input. Its value is set, not computed. */
export const input: Primitive<{ readonly shape: Shape }> = {
  name: "input",
  order: "linear",
  inputs: 0,
  attributes: { shape: integers(1) },
  shape: (_, { shape }) => shape,
  forward() {},
  pushforward() {},
  pullback() {},
};

/** y = a + b */
export const add: Primitive<undefined> = {
  name: "add",
  order: "linear",
  inputs: 2,
  shape: (inputs) => equalShapes("add", inputs),
  forward(node, pass) {
    const n = pass.batch * node.size;
    const y = pass.value(node);
    pass.kernels.copyRows(1, n, pass.value(node.inputs[0]), 0, y, 0, false);
    pass.kernels.copyRows(1, n, pass.value(node.inputs[1]), 0, y, 0, true);
  },
  pushforward(node, pass) {
    let written = false;
    for (const x of node.inputs) {
      const dx = pass.tangent(x);
      if (dx === 0) continue;
      pass.kernels.copyRows(1, pass.batch * node.size, dx, 0, pass.tangent(node), 0, written);
      written = true;
    }
  },
  pullback(node, pass) {
    const n = pass.columns * pass.batch * node.size;
    for (const x of node.inputs) {
      pass.contribute(x, (to, adding) => pass.kernels.copyRows(1, n, pass.cotangent(node), 0, to, 0, adding));
    }
  },
  rowwise: () => 1,
};

/** K columns times the same numbers. */
function scaled(node: Node, pass: CotangentPass, d: Pointer, by: Pointer, to: Pointer, add: boolean): void {
  pass.kernels.multiply(pass.columns, pass.batch * node.size, d, by, to, add);
}

/** y = a ⊙ b */
export const multiply: Primitive<undefined> = {
  name: "multiply",
  inputs: 2,
  shape: (inputs) => equalShapes("multiply", inputs),
  ...bilinearRules({
    apply: (node, { kernels, batch }, a, b, to, add) => kernels.multiply(1, batch * node.size, a, b, to, add),
    left: scaled,
    right: scaled,
  }),
  rowwise: () => 1,
};

/** y = slope x + intercept, with constants */
export const affine: Primitive<{ readonly slope: number; readonly intercept: number }> = {
  name: "affine",
  inputs: 1,
  attributes: { slope: finite, intercept: finite },
  shape: ([x]) => x,
  ...linearRules({
    apply({ size, attributes }, { kernels, batch }, x, y) {
      kernels.affine(batch * size, attributes.slope, x, 0, y, false);
    },
    transpose({ size, attributes }, { kernels, batch, columns }, d, to, adding) {
      kernels.affine(columns * batch * size, attributes.slope, d, 0, to, adding);
    },
  }),
  forward(node, pass) {
    const { slope, intercept } = node.attributes;
    const n = pass.batch * node.size;
    pass.kernels.affine(n, slope, pass.value(node.inputs[0]), intercept, pass.value(node), false);
  },
  rowwise: () => 1,
};

/** The same elements in another shape. */
export const reshape: Primitive<{ readonly shape: Shape }> = {
  name: "reshape",
  inputs: 1,
  attributes: { shape: integers(1) },
  shape([x], { shape }) {
    if (sizeOf(x) !== sizeOf(shape) || !shape.every((length) => Number.isInteger(length) && length > 0)) {
      throw new ShapeError(`reshape: ${shapeText(x)} cannot take the shape ${shapeText(shape)}.`);
    }
    return shape;
  },
  ...copyRules,
  rowwise: () => 1,
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

/** y = softmax(x) over the last axis */
export const softmax: Primitive<undefined> = {
  name: "softmax",
  order: "general",
  inputs: 1,
  shape([x]) {
    if (x.length === 0) throw new ShapeError("softmax: a single number has no axis to normalise over.");
    return x;
  },
  forward(node, pass) {
    const width = node.shape[node.shape.length - 1];
    const rows = (pass.batch * node.size) / width;
    pass.kernels.softmax(rows, width, pass.value(node.inputs[0]), pass.value(node));
  },
  pushforward(node, pass) {
    const width = node.shape[node.shape.length - 1];
    const rows = (pass.batch * node.size) / width;
    const dx = pass.tangent(node.inputs[0]);
    pass.kernels.softmaxJacobian(1, rows, width, pass.value(node), dx, pass.tangent(node), false);
  },
  pullback(node, pass) {
    const width = node.shape[node.shape.length - 1];
    const rows = (pass.batch * node.size) / width;
    pass.contribute(node.inputs[0], (to, adding) => {
      pass.kernels.softmaxJacobian(pass.columns, rows, width, pass.value(node), pass.cotangent(node), to, adding);
    });
  },
  rowwise: lastAxis,
};
