// Tables of vectors, of tokens and of positions, as linear maps of one-hot rows; and attention that sees no padding.

import {
  embedding,
  type Layer,
  lastPosition,
  multiHeadAttention,
  paddingMask,
  positionalEmbedding,
} from "../../src/index.ts";
import { type Dual, plus, scaled, through } from "./dual.ts";
import type { Recorder } from "./images.ts";
import { attention } from "./layers.ts";
import type { Block, DenseBlock, Value } from "./network.ts";

export interface EmbeddingBlock {
  readonly kind: "embedding";
  readonly vocabulary: number;
  readonly dimensions: number;
}

export type TokenBlock =
  /** x and a parameter of its shape, a row for each position */
  | { readonly kind: "table" }
  | EmbeddingBlock
  /** The vector of the last token that is not 0. */
  | { readonly kind: "lastToken"; readonly embedding: EmbeddingBlock }
  /** Attention over the vectors of tokens, of which 0 is padding. */
  | {
      readonly kind: "padded";
      readonly heads: number;
      readonly causal: boolean;
      readonly embedding: EmbeddingBlock;
      readonly qkv: DenseBlock;
      readonly out: DenseBlock;
    };

const kinds: ReadonlySet<string> = new Set([
  "table",
  "embedding",
  "lastToken",
  "padded",
] satisfies TokenBlock["kind"][]);

export const isTokenBlock = (block: Block): block is TokenBlock => kinds.has(block.kind);

/** Rows of a table [count, width] by number, which are its parameters. */
function lookUp(x: Value, numbers: readonly number[], count: number, width: number, recorder: Recorder): Dual[] {
  const theta = recorder.parameters(count * width);
  const rows = numbers.map((number) => theta.slice(number * width, (number + 1) * width));
  const [one, zero] = [1, 0].map((constant) => through(x.elements[0], constant, 0));
  const oneHot = numbers.map((number) => Array.from({ length: count }, (_, i) => (i === number ? one : zero)));
  return recorder.record(oneHot, rows, { transposed: true }).flat();
}

export function applyTokens(
  block: TokenBlock,
  x: Value,
  recorder: Recorder,
  apply: (block: Block, x: Value) => Value,
): Value {
  switch (block.kind) {
    case "table": {
      const [count, width] = x.shape;
      const rows = lookUp(
        x,
        Array.from({ length: count }, (_, t) => t),
        count,
        width,
        recorder,
      );
      return { shape: x.shape, elements: x.elements.map((element, i) => plus(element, rows[i])) };
    }
    case "embedding": {
      const tokens = x.elements.map(({ value }) => value);
      const elements = lookUp(x, tokens, block.vocabulary, block.dimensions, recorder);
      return { shape: [...x.shape, block.dimensions], elements };
    }
    case "lastToken": {
      const vectors = apply(block.embedding, x);
      const { dimensions } = block.embedding;
      const last = x.elements.findLastIndex(({ value }) => value !== 0);
      const kept = vectors.elements.slice(Math.max(last, 0) * dimensions, (Math.max(last, 0) + 1) * dimensions);
      return { shape: [dimensions], elements: kept.map((one) => scaled(one, last < 0 ? 0 : 1)) };
    }
    case "padded":
      return attention(
        block,
        apply(block.embedding, x),
        (query, key) => x.elements[key].value !== 0 && (!block.causal || key <= query),
        apply,
      );
  }
}

/** The library's layer. */
export function tokenLayer(block: TokenBlock): Layer {
  switch (block.kind) {
    case "table":
      return positionalEmbedding();
    case "embedding":
      return embedding(block.vocabulary, block.dimensions);
    case "lastToken": {
      const table = embedding(block.embedding.vocabulary, block.embedding.dimensions);
      return (x) => lastPosition(table(x), paddingMask(x, 0));
    }
    case "padded": {
      const table = embedding(block.embedding.vocabulary, block.embedding.dimensions);
      const attend = multiHeadAttention(block.heads, { causal: block.causal, bias: block.qkv.bias });
      return (x) => attend(table(x), paddingMask(x, 0));
    }
  }
}
