// Rows with mean 0 and mean square 1, as normalising layers have them.

import { shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { boolean, count, positive } from "../attributes.ts";
import type { ForwardPass, Node, Primitive } from "../primitive.ts";

export interface NormaliseAttributes {
  /** How many elements that lie together are normalised together. */
  readonly length: number;
  /** Whether their mean is taken off first. */
  readonly centred: boolean;
  /** What is added to the mean square. */
  readonly epsilon: number;
}

const rowsOf = (node: Node<NormaliseAttributes>, pass: ForwardPass) =>
  (pass.batch * node.size) / node.attributes.length;

/** y = (x − mean) / √(mean((x − mean)²) + ε) for each group of elements, or without the mean. */
export const normalise: Primitive<NormaliseAttributes> = {
  name: "normalise",
  order: "general",
  inputs: 1,
  attributes: { length: count, centred: boolean, epsilon: positive },
  shape([x], { length }) {
    if (!(Number.isInteger(length) && length > 0 && sizeOf(x) % length === 0)) {
      throw new ShapeError(`normalise: ${shapeText(x)} does not consist of groups of ${length} elements.`);
    }
    return x;
  },
  forward(node, pass) {
    const { length, centred, epsilon } = node.attributes;
    const x = pass.value(node.inputs[0]);
    withLayers(pass.kernels).normalise(rowsOf(node, pass), length, x, pass.value(node), centred, epsilon);
  },
  pushforward(node, pass) {
    const { length, centred, epsilon } = node.attributes;
    const [x, y, dx] = [pass.value(node.inputs[0]), pass.value(node), pass.tangent(node.inputs[0])];
    const rows = rowsOf(node, pass);
    withLayers(pass.kernels).normaliseJacobian(1, rows, length, x, y, dx, pass.tangent(node), centred, epsilon, false);
  },
  pullback(node, pass) {
    const { length, centred, epsilon } = node.attributes;
    const [x, y, d] = [pass.value(node.inputs[0]), pass.value(node), pass.cotangent(node)];
    const rows = rowsOf(node, pass);
    pass.contribute(node.inputs[0], (to, add) => {
      withLayers(pass.kernels).normaliseJacobian(pass.columns, rows, length, x, y, d, to, centred, epsilon, add);
    });
  },
  rowwise: ({ attributes }) => attributes.length,
};
