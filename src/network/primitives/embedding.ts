// A table's row for each token. As a weight [vocabulary, dimensions], its derivative is the sum of one-hot tokens times what
// arrives at their rows.

import { shapeText } from "../../array/ndarray.ts";
import { LaplaceError, ShapeError, ValueError } from "../../errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, inMemory, type Pointer } from "../../kernels/memory.ts";
import type { LinearSite } from "../parameters.ts";
import { type ForwardPass, lastAxis, type Node, type Primitive, type SiteSide, type SiteUse } from "../primitive.ts";

/** Copies the rows of a table [vocabulary, dimensions] that tokens name. @throws ValueError for what is not a token */
function copyRows(node: Node, pass: ForwardPass, table: Pointer, to: Pointer): void {
  const { outputs: vocabulary, inputs: dimensions } = node.site as LinearSite;
  const bytes = bytesPerElement(pass.dtype);
  const [tokens, from] = [pass.value(node.inputs[0]) / bytes, table / bytes];
  const count = pass.batch * node.inputs[0].size;
  inMemory(pass.dtype, (memory) => {
    for (let i = 0, at = to / bytes; i < count; i++, at += dimensions) {
      const token = memory[tokens + i];
      if (!(Number.isInteger(token) && token >= 0 && token < vocabulary)) {
        throw new ValueError(
          `embedding: tokens must be whole numbers from 0 to ${vocabulary - 1}, not ${token}. The network's inputs are the tokens themselves, not one-hot vectors; a larger vocabulary is the layer's first argument.`,
        );
      }
      memory.copyWithin(at, from + token * dimensions, from + (token + 1) * dimensions);
    }
  });
}

function refuse(): never {
  throw new LaplaceError(
    "embedding: its inputs are tokens, whole numbers, with respect to which there are no derivatives.",
  );
}

/** y_t = W[x_t, :] */
export const embedding: Primitive<undefined> = {
  name: "embedding",
  order: "general",
  inputs: 1,
  site: "linear",
  shape([x], _, site) {
    const { inputs, outputs, weight, transposed, groups = 1 } = site as LinearSite;
    if (!transposed || groups !== 1 || weight.shape.length !== 2 || weight.size !== inputs * outputs) {
      throw new ShapeError(`embedding: its table must be [vocabulary, dimensions], not ${shapeText(weight.shape)}.`);
    }
    return [...x, inputs];
  },
  forward(node, pass) {
    copyRows(node as Node, pass, pass.parameter((node.site as LinearSite).weight), pass.value(node));
  },
  pushforward(node, pass) {
    if (pass.tangent(node.inputs[0]) !== 0) refuse();
    copyRows(node as Node, pass, pass.parameterTangent((node.site as LinearSite).weight), pass.tangent(node));
  },
  pullback(node, pass) {
    pass.contribute(node.inputs[0], refuse);
  },
  rowwise: lastAxis,
  siteUse(node): SiteUse {
    const { inputs, outputs: vocabulary } = node.site as LinearSite;
    const positions = node.size / inputs;
    /** Tokens as one-hot rows. */
    const unfold = (kernels: Kernels, from: Pointer, count: number, to: Pointer) => {
      kernels.oneHot(count * positions, vocabulary, from, to);
    };
    return {
      channelsFirst: false,
      positions,
      table: true,
      left: { channelsFirst: false, unfold },
      right: { channelsFirst: false },
    };
  },
};

interface PaddedAttributes {
  readonly padding: number;
}

/** The same, with a row that is constant: it has no derivative. */
export const paddedEmbedding: Primitive<PaddedAttributes> = {
  ...(embedding as Primitive<never>),
  name: "paddedEmbedding",
  attributes: { padding: (from, name) => from.integer(name, 0) },
  shape(inputs, { padding }, site) {
    const shape = embedding.shape(inputs, undefined, site);
    const { outputs: vocabulary } = site as LinearSite;
    if (padding < vocabulary) return shape;
    throw new ShapeError(`embedding: its table must have the row ${padding}.`);
  },
  pushforward(node, pass) {
    embedding.pushforward(node as Node<never>, pass);
    const bytes = bytesPerElement(pass.dtype);
    const [tokens, to] = [pass.value(node.inputs[0]) / bytes, pass.tangent(node) / bytes];
    const [count, n] = [pass.batch * node.inputs[0].size, lastAxis(node)];
    inMemory(pass.dtype, (memory) => {
      for (let i = 0; i < count; i++) {
        if (memory[tokens + i] === node.attributes.padding) memory.fill(0, to + i * n, to + (i + 1) * n);
      }
    });
  },
  siteUse(node): SiteUse {
    const use = embedding.siteUse?.(node as Node<never>) as SiteUse;
    const { outputs: vocabulary } = node.site as LinearSite;
    const { padding } = node.attributes;
    const unfold: SiteSide["unfold"] = (kernels, from, count, to, dtype) => {
      use.left?.unfold?.(kernels, from, count, to, dtype);
      const zero = allocateFloats(dtype, 1);
      kernels.fill(1, 0, zero);
      const column = to + padding * bytesPerElement(dtype);
      kernels.copyRows(count * use.positions, 1, zero, 0, column, vocabulary, false);
    };
    return { ...use, padding, left: { channelsFirst: false, unfold } };
  },
};
