// What attention needs besides matrix products: softmax over the positions that may be seen, and which those are.

import { sameShape, shapeText } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { allocateFloats, bytesPerElement, inMemory, type Pointer } from "../../kernels/memory.ts";
import { boolean, count, finite } from "../attributes.ts";
import { type ForwardPass, lastAxis, type Node, type Primitive } from "../primitive.ts";
import { copyRules } from "../rules.ts";
import { softmax } from "./softmax.ts";

interface MaskedSoftmaxAttributes {
  /** Whether query q sees keys 0 to q only. */
  readonly causal: boolean;
}

/**
 * Softmax over the last axis of scores [..., queries, keys], without the keys that are hidden: those after the query if
 * causal, and those at which the second input [keys], if there is one, is 0. What is hidden gets exactly 0, and so does a
 * row that sees nothing.
 */
export const maskedSoftmax: Primitive<MaskedSoftmaxAttributes> = {
  name: "maskedSoftmax",
  order: "general",
  inputs: "some",
  attributes: { causal: boolean },
  shape([x, mask, ...others], { causal }) {
    const [queries, keys] = x.slice(-2);
    if (x.length < 2 || (causal && queries !== keys)) {
      const expected = causal ? "as many queries as keys, [..., n, n]" : "[..., queries, keys]";
      throw new ShapeError(`maskedSoftmax: expected scores of ${expected}, got ${shapeText(x)}.`);
    }
    if (others.length > 0 || (mask !== undefined && !sameShape(mask, [keys]))) {
      const found = [mask, ...others].map(shapeText).join(" and ");
      throw new ShapeError(`maskedSoftmax: expected a mask [${keys}] of the keys, got ${found}.`);
    }
    return x;
  },
  forward(node, pass) {
    const [x, mask] = node.inputs;
    const [queries, keys] = node.shape.slice(-2);
    const keep = mask === undefined ? 0 : pass.value(mask);
    const last = node.attributes.causal ? queries : 0;
    withLayers(pass.kernels).maskedSoftmax(
      pass.batch,
      node.size / keys,
      keys,
      last,
      pass.value(x),
      keep,
      pass.value(node),
    );
  },
  pushforward(node, pass) {
    // Where the mask alone has a tangent: it is constant between its jumps.
    if (pass.tangent(node.inputs[0]) === 0) pass.kernels.fill(pass.batch * node.size, 0, pass.tangent(node));
    else softmax.pushforward(node as Node<never>, pass);
  },
  pullback(node, pass) {
    // The Jacobian of softmax at weights that are 0 is 0 there.
    softmax.pullback(node as Node<never>, pass);
    const [, mask] = node.inputs;
    if (mask === undefined) return;
    pass.contribute(mask, (to, add) => {
      if (!add) pass.kernels.fill(pass.columns * pass.batch * mask.size, 0, to);
    });
  },
  // A mask is not cut as the scores are.
  rowwise: (node) => (node.inputs.length === 1 ? lastAxis(node) : node.size),
};

interface DiffersAttributes {
  readonly from: number;
}

/** 1 where x is not that number, and 0 where it is; its derivative is 0. */
export const differs: Primitive<DiffersAttributes> = {
  name: "differs",
  order: "general",
  inputs: 1,
  attributes: { from: finite },
  shape: ([x]) => x,
  forward(node, pass) {
    const from = pass.dtype === "float32" ? Math.fround(node.attributes.from) : node.attributes.from;
    const [x, y] = [node.inputs[0], node].map((one) => pass.value(one) / bytesPerElement(pass.dtype));
    inMemory(pass.dtype, (memory) => {
      for (let i = 0; i < pass.batch * node.size; i++) memory[y + i] = memory[x + i] === from ? 0 : 1;
    });
  },
  pushforward(node, pass) {
    pass.kernels.fill(pass.batch * node.size, 0, pass.tangent(node));
  },
  pullback(node, pass) {
    const [x] = node.inputs;
    pass.contribute(x, (to, add) => {
      if (!add) pass.kernels.fill(pass.columns * pass.batch * x.size, 0, to);
    });
  },
  rowwise: () => 1,
};

/** 0, 1, … for each example: a constant. */
export const positions: Primitive<{ readonly length: number }> = {
  name: "positions",
  order: "linear",
  inputs: 0,
  attributes: { length: count },
  shape: (_, { length }) => [length],
  forward(node, pass) {
    const start = pass.value(node) / bytesPerElement(pass.dtype);
    inMemory(pass.dtype, (memory) => {
      for (let i = 0; i < pass.batch * node.size; i++) memory[start + i] = i % node.size;
    });
  },
  pushforward() {},
  pullback() {},
};

interface SinusoidalAttributes {
  /** The longest wavelength is 2π times this. */
  readonly base: number;
}

/** x + P, with P[t, 2i] = sin(t / base^(2i/n)) and P[t, 2i + 1] the cosine, over the last two axes (Vaswani et al. 2017). */
export const addSinusoids: Primitive<SinusoidalAttributes> = {
  name: "addSinusoids",
  inputs: 1,
  attributes: { base: finite },
  shape([x]) {
    if (x.length === 2) return x;
    throw new ShapeError(`addSinusoids: expected [positions, width], got ${shapeText(x)}.`);
  },
  ...copyRules,
  forward(node, pass) {
    const [x, y] = [pass.value(node.inputs[0]), pass.value(node)];
    pass.kernels.copyRows(1, pass.batch * node.size, x, 0, y, 0, false);
    pass.kernels.addToRows(pass.batch, node.size, sinusoids(node, pass), y);
  },
  rowwise: () => 1,
};

function sinusoids(
  { shape: [positions, width], size, attributes: { base } }: Node<SinusoidalAttributes>,
  pass: ForwardPass,
): Pointer {
  const table = allocateFloats(pass.dtype, size);
  const start = table / bytesPerElement(pass.dtype);
  inMemory(pass.dtype, (memory) => {
    for (let t = 0; t < positions; t++) {
      for (let i = 0; i < width; i++) {
        const angle = t / base ** ((i - (i % 2)) / width);
        memory[start + t * width + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
      }
    }
  });
  return table;
}
