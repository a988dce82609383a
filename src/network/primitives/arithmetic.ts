// The network's input, and arithmetic element by element.

import { sameShape, shapeText } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import type { Pointer } from "../../kernels/memory.ts";
import { finite } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { CotangentPass, Node, Primitive } from "../primitive.ts";
import { bilinearRules, linearRules } from "../rules.ts";

function equalShapes(name: string, [x, y]: readonly Shape[]): Shape {
  if (!sameShape(x, y)) throw new ShapeError(`${name}: the shapes ${shapeText(x)} and ${shapeText(y)} differ.`);
  return x;
}

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
