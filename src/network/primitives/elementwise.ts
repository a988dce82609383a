// y = φ(x) for the usual activations: one primitive, whose attribute names φ. φ and φ′ themselves are kernels.

import { activationCode } from "../../kernels/kernels.ts";
import { finite, oneOf } from "../attributes.ts";
import type { Primitive } from "../primitive.ts";
import { slopeRules } from "../rules.ts";

/** The functions there are. */
export type ElementwiseFunction = keyof typeof activationCode;

export interface ElementwiseAttributes {
  readonly function: ElementwiseFunction;
  /** The slope of leakyRelu, the scale of elu. */
  readonly alpha: number;
}

export const elementwise: Primitive<ElementwiseAttributes> = {
  name: "elementwise",
  label: ({ attributes }) => attributes.function,
  attributes: { function: oneOf(...(Object.keys(activationCode) as ElementwiseFunction[])), alpha: finite },
  forward(node, pass) {
    const { function: name, alpha } = node.attributes;
    const n = pass.batch * node.size;
    pass.kernels.activation(activationCode[name], n, pass.value(node.inputs[0]), pass.value(node), alpha);
  },
  ...slopeRules((node, pass, to) => {
    const { function: name, alpha } = node.attributes;
    const [n, x] = [pass.batch * node.size, pass.value(node.inputs[0])];
    pass.kernels.activationDerivative(activationCode[name], n, x, pass.value(node), to, alpha);
  }),
};
