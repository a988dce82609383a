// y = φ(x) for the usual activations: one primitive, whose attribute names φ. φ and φ′ themselves are kernels.

import { activationCode } from "../../kernels/kernels.ts";
import { allocateFloats, type Pointer } from "../../kernels/memory.ts";
import { finite, oneOf } from "../attributes.ts";
import type { Node } from "../graph.ts";
import type { ForwardPass, Primitive } from "../primitive.ts";

/** The functions there are. */
export type ElementwiseFunction = keyof typeof activationCode;

export interface ElementwiseAttributes {
  readonly function: ElementwiseFunction;
  /** The slope of leakyRelu, the scale of elu. */
  readonly alpha: number;
}

/** φ′(x) for the whole batch. */
function slopes(node: Node<ElementwiseAttributes>, pass: ForwardPass): Pointer {
  const { function: name, alpha } = node.attributes;
  const n = pass.batch * node.size;
  const result = allocateFloats(pass.dtype, n);
  const x = pass.value(node.inputs[0]);
  pass.kernels.activationDerivative(activationCode[name], n, x, pass.value(node), result, alpha);
  return result;
}

export const elementwise: Primitive<ElementwiseAttributes> = {
  name: "elementwise",
  order: "general",
  inputs: 1,
  attributes: { function: oneOf(...(Object.keys(activationCode) as ElementwiseFunction[])), alpha: finite },
  shape: ([x]) => x,
  forward(node, pass) {
    const { function: name, alpha } = node.attributes;
    const n = pass.batch * node.size;
    pass.kernels.activation(activationCode[name], n, pass.value(node.inputs[0]), pass.value(node), alpha);
  },
  pushforward(node, pass) {
    const n = pass.batch * node.size;
    pass.kernels.multiply(1, n, pass.tangent(node.inputs[0]), slopes(node, pass), pass.tangent(node), false);
  },
  pullback(node, pass) {
    const n = pass.batch * node.size;
    pass.contribute(node.inputs[0], (to, add) => {
      pass.kernels.multiply(pass.columns, n, pass.cotangent(node), slopes(node, pass), to, add);
    });
  },
  rowwise: () => 1,
  // The slopes.
  scratch: ({ size }) => size,
};
