// The primitives at which parameters enter: linear maps and elementwise scale and shift, each over the last axis of its
// input. Their parameters' own derivatives are contractions (src/derivatives/contractions.ts), not rules here.

import { shapeText } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { type ElementwiseSite, type LinearSite, type Node, positionsOf } from "../graph.ts";
import type { ForwardPass, Primitive } from "../primitive.ts";

/** Examples times positions: the rows of a site's input and output. */
function rowsOf(node: Node, pass: ForwardPass): number {
  return pass.batch * positionsOf(node);
}

/** y = W x + b */
export const linear: Primitive<undefined> = {
  name: "linear",
  shape([x], _, site) {
    const { inputs, outputs } = site as LinearSite;
    if (x.length === 0 || x[x.length - 1] !== inputs) {
      throw new ShapeError(`linear: the layer takes ${inputs} inputs, but its input has shape ${shapeText(x)}.`);
    }
    return [...x.slice(0, -1), outputs];
  },
  forward(node, pass) {
    const { inputs, outputs, weight, bias } = node.site as LinearSite;
    const rows = rowsOf(node, pass);
    const x = pass.value(node.inputs[0]);
    const y = pass.value(node);
    pass.kernels.gemm(
      1,
      rows,
      outputs,
      inputs,
      x,
      0,
      inputs,
      1,
      pass.parameter(weight),
      0,
      1,
      inputs,
      y,
      0,
      outputs,
      1,
      false,
    );
    if (bias !== undefined) pass.kernels.addToRows(rows, outputs, pass.parameter(bias), y);
  },
  pushforward(node, pass) {
    const { inputs, outputs, weight, bias } = node.site as LinearSite;
    const { kernels } = pass;
    const rows = rowsOf(node, pass);
    const [x, dx, dy] = [pass.value(node.inputs[0]), pass.tangent(node.inputs[0]), pass.tangent(node)];
    const dw = pass.parameterTangent(weight);
    if (dx !== 0)
      kernels.gemm(
        1,
        rows,
        outputs,
        inputs,
        dx,
        0,
        inputs,
        1,
        pass.parameter(weight),
        0,
        1,
        inputs,
        dy,
        0,
        outputs,
        1,
        false,
      );
    if (dw !== 0)
      kernels.gemm(1, rows, outputs, inputs, x, 0, inputs, 1, dw, 0, 1, inputs, dy, 0, outputs, 1, dx !== 0);
    if (dw !== 0 && bias !== undefined) kernels.addToRows(rows, outputs, pass.parameterTangent(bias), dy);
  },
  pullback(node, pass) {
    const { inputs, outputs, weight } = node.site as LinearSite;
    const rows = pass.columns * rowsOf(node, pass);
    const d = pass.cotangent(node);
    pass.contribute(node.inputs[0], (to, add) => {
      pass.kernels.gemm(
        1,
        rows,
        inputs,
        outputs,
        d,
        0,
        outputs,
        1,
        pass.parameter(weight),
        0,
        inputs,
        1,
        to,
        0,
        inputs,
        1,
        add,
      );
    });
  },
};

/** y = s ⊙ x + t, or one of the two */
export const scaleShift: Primitive<undefined> = {
  name: "scaleShift",
  shape([x], _, site) {
    const { size } = site as ElementwiseSite;
    if (x.length === 0 || x[x.length - 1] !== size) {
      throw new ShapeError(`scaleShift: the layer takes ${size} inputs, but its input has shape ${shapeText(x)}.`);
    }
    return x;
  },
  forward(node, pass) {
    const { size, scale, shift } = node.site as ElementwiseSite;
    const rows = rowsOf(node, pass);
    const [x, y] = [pass.value(node.inputs[0]), pass.value(node)];
    if (scale === undefined) pass.kernels.copyRows(1, rows * size, x, 0, y, 0, false);
    else pass.kernels.multiply(rows, size, x, pass.parameter(scale), y, false);
    if (shift !== undefined) pass.kernels.addToRows(rows, size, pass.parameter(shift), y);
  },
  pushforward(node, pass) {
    const { size, scale, shift } = node.site as ElementwiseSite;
    const { kernels } = pass;
    const rows = rowsOf(node, pass);
    const [x, dx, dy] = [pass.value(node.inputs[0]), pass.tangent(node.inputs[0]), pass.tangent(node)];
    if (dx === 0) kernels.fill(rows * size, 0, dy);
    else if (scale === undefined) kernels.copyRows(1, rows * size, dx, 0, dy, 0, false);
    else kernels.multiply(rows, size, dx, pass.parameter(scale), dy, false);
    const ds = scale === undefined ? 0 : pass.parameterTangent(scale);
    const dt = shift === undefined ? 0 : pass.parameterTangent(shift);
    if (ds !== 0) kernels.multiply(rows, size, x, ds, dy, true);
    if (dt !== 0) kernels.addToRows(rows, size, dt, dy);
  },
  pullback(node, pass) {
    const { size, scale } = node.site as ElementwiseSite;
    const rows = pass.columns * rowsOf(node, pass);
    const d = pass.cotangent(node);
    pass.contribute(node.inputs[0], (to, add) => {
      if (scale === undefined) pass.kernels.copyRows(1, rows * size, d, 0, to, 0, add);
      else pass.kernels.multiply(rows, size, d, pass.parameter(scale), to, add);
    });
  },
};
