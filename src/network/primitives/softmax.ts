// Softmax over the last axis.

import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { lastAxis, type Primitive } from "../primitive.ts";

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
    withLayers(pass.kernels).softmax(rows, width, pass.value(node.inputs[0]), pass.value(node));
  },
  pushforward(node, pass) {
    const width = node.shape[node.shape.length - 1];
    const rows = (pass.batch * node.size) / width;
    const dx = pass.tangent(node.inputs[0]);
    withLayers(pass.kernels).softmaxJacobian(1, rows, width, pass.value(node), dx, pass.tangent(node), false);
  },
  pullback(node, pass) {
    const width = node.shape[node.shape.length - 1];
    const rows = (pass.batch * node.size) / width;
    pass.contribute(node.inputs[0], (to, adding) => {
      withLayers(pass.kernels).softmaxJacobian(
        pass.columns,
        rows,
        width,
        pass.value(node),
        pass.cotangent(node),
        to,
        adding,
      );
    });
  },
  rowwise: lastAxis,
};
