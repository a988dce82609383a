// Vectors for tokens.

import { checkInteger, checkOptions, OptionError } from "../../errors.ts";
import { type Layer, requireTraced } from "../layers.ts";
import { paddedEmbedding, embedding as primitive } from "../primitives/embedding.ts";
import { linear } from "../primitives/linear.ts";
import type { Initialiser, Traced } from "../trace.ts";

/** Options of `embedding`. */
export interface EmbeddingOptions {
  /** The token of padding: its row begins at 0 and has no derivative, so that neither training nor data move it (default: none). */
  paddingIndex?: number;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

const standardNormal: Initialiser = (values, random) => {
  for (let i = 0; i < values.length; i++) values[i] = random.normal();
};

/** Tokens that are exact in float32. */
const MOST_TOKENS = 2 ** 24;

/**
 * A vector for each token: inputs are whole numbers from 0 to vocabulary − 1, of any shape [...], outputs
 * [..., dimensions]. The weight [vocabulary, dimensions] begins standard normal, as in PyTorch. There are no derivatives with
 * respect to tokens.
 *
 * Gradients, norms and diagonal curvature touch only the rows that are looked up. The factor of a table's rows in
 * "kronecker" and "ekfac" is a whole matrix [vocabulary, vocabulary]: for more than some thousand tokens take "diagonal", or
 * leave the table out, with `weights` or `net.freeze`.
 *
 * With `paddingIndex` as PyTorch's padding_idx: the vector of that token is what the table has (0 at first, or what was loaded), a
 * constant. Of its weights a posterior keeps the prior, which no prediction sees.
 * @throws OptionError; ValueError, when the network is run, for what is not such a token
 */
export function embedding(vocabulary: number, dimensions: number, options: EmbeddingOptions = {}): Layer {
  checkInteger("embedding", "the vocabulary", vocabulary, 1);
  checkInteger("embedding", "the number of dimensions", dimensions, 1);
  checkOptions("embedding", options, ["name", "paddingIndex"]);
  const { name, paddingIndex } = options;
  if (vocabulary > MOST_TOKENS) {
    throw new OptionError(`embedding: the vocabulary must be at most ${MOST_TOKENS}, not ${vocabulary}.`);
  }
  if (paddingIndex !== undefined) {
    checkInteger("embedding", "paddingIndex", paddingIndex, 0);
    if (paddingIndex >= vocabulary) {
      throw new OptionError(
        `embedding: the paddingIndex ${paddingIndex} is not among the tokens, 0 to ${vocabulary - 1}.`,
      );
    }
  }
  const initialise: Initialiser = (values, random) => {
    standardNormal(values, random);
    if (paddingIndex !== undefined) values.fill(0, paddingIndex * dimensions, (paddingIndex + 1) * dimensions);
  };
  const draft = { vocabulary, dimensions, initialise, name };
  const layer: Layer = (x) => {
    requireTraced("embedding", x);
    return applyTable(layer, x, draft, paddingIndex);
  };
  drafts.set(layer, draft);
  return layer;
}

/** A table of vectors, as a layer asks for it. */
interface TableDraft {
  readonly vocabulary: number;
  readonly dimensions: number;
  readonly initialise: Initialiser;
  readonly name: string | undefined;
}

/** The rows of a layer's table that tokens name. */
export function applyTable(layer: object, tokens: Traced, draft: TableDraft, padding?: number): Traced {
  const site = siteOf(layer, tokens, draft);
  return padding === undefined
    ? tokens.trace.emit(primitive, [tokens], undefined, site)
    : tokens.trace.emit(paddedEmbedding, [tokens], { padding }, site);
}

function siteOf(layer: object, { trace }: Traced, { vocabulary, dimensions, initialise, name }: TableDraft) {
  return trace.site(layer, name, (parameter) => ({
    kind: "linear",
    inputs: dimensions,
    outputs: vocabulary,
    transposed: true,
    weight: parameter({ role: "weight", shape: [vocabulary, dimensions], initialise }),
  }));
}

/** Tables that layers may be tied to. */
const drafts = new WeakMap<object, TableDraft>();

/**
 * y = W x, [..., dimensions] to [..., vocabulary], with the table W of an embedding: one parameter in two layers (Press & Wolf 2017), as
 * language models have their last. It has no bias; `scaleShift({ scale: false })` behind it adds one. The structures "kronecker" and
 * "ekfac" do not take a table in two roles.
 *
 * A file of weights that has the tensor twice, or once by the name of the embedding, is read by `loadWeights` with
 * `rename: (name) => name === "lm_head.weight" ? undefined : name`.
 * @throws OptionError for what `embedding` did not give
 */
export function tied(table: Layer): Layer {
  const draft = typeof table === "function" ? drafts.get(table) : undefined;
  if (draft === undefined) throw new OptionError("tied: expected the layer that embedding(…) gave.");
  return (x) => {
    requireTraced("tied", x);
    return x.trace.emit(linear, [x], undefined, siteOf(table, x, draft));
  };
}
