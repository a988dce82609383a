// Attention, and what tells it where positions are.

import { sameShape, shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkChoice, checkInteger, checkOptions, ShapeError } from "../../errors.ts";
import { add, applyLinear, initialiserOf, type Layer, multiply, requireTraced, reshape } from "../layers.ts";
import type { LinearSite } from "../parameters.ts";
import { addSinusoids, maskedSoftmax, positions } from "../primitives/attention.ts";
import type { Initialiser, Traced } from "../trace.ts";
import { applyTable } from "./embedding.ts";
import { checkMask, type MaskedLayer } from "./masks.ts";
import { matmul, permute, split } from "./rearrange.ts";

/** Options of `multiHeadAttention`. */
export interface AttentionOptions {
  /** Whether a position sees itself and those before it only (default false). */
  causal?: boolean;
  /** Whether both projections add a bias (default true). */
  bias?: boolean;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/**
 * Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762) over a sequence [positions, width]: for each head
 * softmax(Q Kᵀ/√d) V, with Q, K and V from one projection to 3 · width ("qkv"), and a projection to width of the heads side
 * by side ("out"). d is width / heads.
 *
 * Positions that the second argument marks by 0 are seen by none: `attention(x, mask)`, with a mask [positions] that does
 * not depend on parameters, such as `paddingMask(tokens, 0)` or a column of the input. Their weights and derivatives are
 * exactly 0. Where a query sees nothing at all, the heads give 0.
 *
 * In PyTorch's names "qkv.weight" is in_proj_weight and "qkv.bias" in_proj_bias, "out" is out_proj: see `rename` of
 * `loadWeights`.
 * @param heads how many; a divisor of the width
 * @throws OptionError, ShapeError, LaplaceError for a mask that depends on parameters
 */
export function multiHeadAttention(heads: number, options: AttentionOptions = {}): MaskedLayer {
  const where = "multiHeadAttention";
  checkInteger(where, "heads", heads, 1);
  checkOptions(where, options, ["causal", "bias", "name"]);
  const { causal = false, bias = true, name } = options;
  checkBoolean(where, "causal", causal);
  checkBoolean(where, "bias", bias);
  const layer: MaskedLayer = (x, mask) => {
    requireTraced(where, x);
    const [positions, width] = x.shape;
    if (x.shape.length !== 2 || width % heads !== 0) {
      throw new ShapeError(
        `${where}: expected a sequence [positions, width], with a width that ${heads} heads divide, got ${shapeText(x.shape)}.`,
      );
    }
    if (mask !== undefined) checkMask(where, mask, positions);
    // Queries, keys and values begin as projections of their own.
    const weights = (inputs: number) => initialiserOf("glorotUniform", inputs, width);
    const project = (value: Traced, outputs: number, part: string) =>
      applyLinear(layer, value, { outputs, bias, weights, name, part });
    const projected = reshape(project(x, 3 * width, "qkv"), [positions, 3, heads, width / heads]);
    const parts = split(permute(projected, [1, 2, 0, 3]), 3, 0);
    const [q, k, v] = parts.map((part) => reshape(part, [heads, positions, width / heads]));
    const scores = matmul(multiply(q, Math.sqrt(heads / width)), k, { transposed: true });
    const weighted = x.trace.emit(maskedSoftmax, mask === undefined ? [scores] : [scores, mask], { causal });
    const attended = matmul(weighted, v);
    return project(reshape(permute(attended, [1, 0, 2]), [positions, width]), width, "out");
  };
  return layer;
}

/** Options of `positionalEmbedding`. */
export interface PositionalOptions {
  /** Whether positions are learned (default), or sines and cosines of fixed wavelengths. */
  kind?: "learned" | "sinusoidal";
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/**
 * Positions told to a sequence [positions, width]: x + P. Learned, P is a parameter [positions, width] ("weight", as of an
 * `embedding` of the positions), which begins with normal numbers of deviation 0.02. Sinusoidal, it is
 * P[t, 2i] = sin(t / 10000^(2i/width)), P[t, 2i + 1] the cosine of the same (Vaswani et al. 2017, arXiv:1706.03762),
 * without parameters.
 * @throws OptionError, ShapeError
 */
export function positionalEmbedding(options: PositionalOptions = {}): Layer {
  const where = "positionalEmbedding";
  checkOptions(where, options, ["kind", "name"]);
  const { kind = "learned", name } = options;
  checkChoice(where, "kind", kind, ["learned", "sinusoidal"]);
  const layer: Layer = (x) => {
    requireTraced(where, x);
    if (x.shape.length !== 2) {
      throw new ShapeError(`${where}: expected a sequence [positions, width], got ${shapeText(x.shape)}.`);
    }
    if (kind === "sinusoidal") return x.trace.emit(addSinusoids, [x], { base: 10_000 });
    const [vocabulary, dimensions] = x.shape;
    const numbers = x.trace.emit(positions, [], { length: vocabulary });
    const table = applyTable(layer, numbers, { vocabulary, dimensions, initialise: small, name });
    const { weight } = table.node.site as LinearSite;
    if (!sameShape(weight.shape, x.shape)) {
      throw new ShapeError(
        `${where}: the layer's table is ${shapeText(weight.shape)}, its input ${shapeText(x.shape)}.`,
      );
    }
    return add(x, table);
  };
  return layer;
}

const small: Initialiser = (values, random) => {
  for (let i = 0; i < values.length; i++) values[i] = 0.02 * random.normal();
};
