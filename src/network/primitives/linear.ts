// The primitives at which parameters enter: linear maps over the last axis of their input, and elementwise scale and shift
// over the last axis or the channels. Their parameters' own derivatives are contractions (src/derivatives/contractions.ts), not rules here.

import { shapeText } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import type { Pointer } from "../../kernels/memory.ts";
import { oneOf } from "../attributes.ts";
import type { ElementwiseSite, LinearSite } from "../parameters.ts";
import { type ForwardPass, lastAxis, type Node, type Primitive, type SiteUse } from "../primitive.ts";
import { product } from "../product.ts";
import { siteRules } from "../rules.ts";

const rows = { channelsFirst: false };

/** y = W x + b */
export const linear: Primitive<undefined> = {
  name: "linear",
  inputs: 1,
  site: "linear",
  shape([x], _, site) {
    const { inputs, outputs, transposed, groups = 1, weight, bias } = site as LinearSite;
    // The table of an embedding is also that of a layer that is tied to it.
    if (groups !== 1 || (transposed && (bias || weight.shape[2])))
      throw new ShapeError("linear: the layer's weight is not that of a dense layer.");
    if (x.length === 0 || x[x.length - 1] !== inputs) {
      throw new ShapeError(`linear: the layer takes ${inputs} inputs, but its input has shape ${shapeText(x)}.`);
    }
    return [...x.slice(0, -1), outputs];
  },
  ...siteRules({
    apply(node, { kernels, batch }, x, w, y, add) {
      const { inputs, outputs } = node.site as LinearSite;
      const rows = { at: x, rows: (batch * node.size) / outputs, columns: inputs };
      product(kernels, 1, rows, { at: w, rows: outputs, columns: inputs, transposed: true }, y, add);
    },
    transpose(node, { kernels, batch, columns }, d, w, to, add) {
      const { inputs, outputs } = node.site as LinearSite;
      const rows = { at: d, rows: (columns * batch * node.size) / outputs, columns: outputs };
      product(kernels, 1, rows, { at: w, rows: outputs, columns: inputs }, to, add);
    },
    shift(node, { kernels, batch }, bias, y) {
      const { outputs } = node.site as LinearSite;
      kernels.addToRows((batch * node.size) / outputs, outputs, bias, y);
    },
  }),
  rowwise: lastAxis,
  siteUse(node): SiteUse {
    const positions = node.size / (node.site as LinearSite).outputs;
    return { channelsFirst: false, positions, transposed: false, left: rows, right: rows };
  },
};

/** Which axis a scale and a shift are over: the last, or the first, the channels. */
export interface ScaleShiftAttributes {
  readonly axis: "last" | "channels";
}

/**
 * For each of `slabs` batches y = s ⊙ x + t (or +=), with pointers that are 0 for what there is not. The bytes of x and y may
 * be the same.
 */
function stretch(
  node: Node<ScaleShiftAttributes>,
  pass: ForwardPass,
  slabs: number,
  x: Pointer,
  scale: Pointer,
  shift: Pointer,
  y: Pointer,
  add: boolean,
): void {
  const { size } = node.site as ElementwiseSite;
  const { kernels } = pass;
  const all = slabs * pass.batch;
  const positions = node.size / size;
  if (node.attributes.axis === "channels") {
    withLayers(kernels).channelAffine(all, size, positions, x, scale, shift, y, add);
    return;
  }
  if (scale !== 0) kernels.multiply(all * positions, size, x, scale, y, add);
  else if (x !== y) kernels.copyRows(1, all * node.size, x, 0, y, 0, add);
  if (shift !== 0) kernels.addToRows(all * positions, size, shift, y);
}

/** y = s ⊙ x + t, or one of the two */
export const scaleShift: Primitive<ScaleShiftAttributes> = {
  name: "scaleShift",
  order: "bilinear",
  inputs: 1,
  site: "elementwise",
  attributes: { axis: oneOf("last", "channels") },
  shape([x], { axis }, site) {
    const { size } = site as ElementwiseSite;
    if (x.length === 0 || x[axis === "last" ? x.length - 1 : 0] !== size) {
      const what = axis === "last" ? "inputs" : "channels";
      throw new ShapeError(`scaleShift: the layer takes ${size} ${what}, but its input has shape ${shapeText(x)}.`);
    }
    return x;
  },
  forward(node, pass) {
    const { scale, shift } = node.site as ElementwiseSite;
    const [s, t] = [scale, shift].map((one) => (one === undefined ? 0 : pass.parameter(one)));
    stretch(node, pass, 1, pass.value(node.inputs[0]), s, t, pass.value(node), false);
  },
  pushforward(node, pass) {
    const { scale, shift } = node.site as ElementwiseSite;
    const [x, dx, dy] = [pass.value(node.inputs[0]), pass.tangent(node.inputs[0]), pass.tangent(node)];
    if (dx === 0) pass.kernels.fill(pass.batch * node.size, 0, dy);
    else stretch(node, pass, 1, dx, scale === undefined ? 0 : pass.parameter(scale), 0, dy, false);
    const [ds, dt] = [scale, shift].map((one) => (one === undefined ? 0 : pass.parameterTangent(one)));
    if (ds !== 0) stretch(node, pass, 1, x, ds, 0, dy, true);
    if (dt !== 0) stretch(node, pass, 1, dy, 0, dt, dy, false);
  },
  pullback(node, pass) {
    const { scale } = node.site as ElementwiseSite;
    pass.contribute(node.inputs[0], (to, add) => {
      const s = scale === undefined ? 0 : pass.parameter(scale);
      stretch(node, pass, pass.columns, pass.cotangent(node), s, 0, to, add);
    });
  },
  rowwise: ({ attributes, site, size }) => (attributes.axis === "last" ? (site as ElementwiseSite).size : size),
  siteUse(node): SiteUse {
    const positions = node.size / (node.site as ElementwiseSite).size;
    return { channelsFirst: node.attributes.axis === "channels", positions };
  },
};
