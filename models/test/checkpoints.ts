// Networks that are often trained in PyTorch, in the library's layers: those that checkpoints are matched with.

import {
  add,
  batchNorm,
  chain,
  concatenate,
  conv2d,
  type DType,
  dense,
  embedding,
  flatten,
  gelu,
  globalAveragePool,
  type Layer,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  multiply,
  type Network,
  network,
  paddingMask,
  permute,
  positionalEmbedding,
  relu,
  reshape,
  residual,
  scaleShift,
  slice,
  type Traced,
  tanh,
  tied,
} from "laplace-ts";

interface Sizes {
  readonly width: number;
  readonly classes: number;
  readonly dtype?: DType;
}

const steps =
  (...layers: Layer[]): Layer =>
  (x) =>
    layers.reduce((value, layer) => layer(value), x);

/** torchvision's ResNet-18 (He et al. 2016, arXiv:1512.03385) for images of side × side. */
export function resnet18({ width, classes, side, dtype = "float32" }: Sizes & { readonly side: number }): Network {
  const conv = (channels: number, kernel: number, stride: number, padding: number) =>
    conv2d(channels, kernel, undefined, { stride, padding, bias: false });
  const block = (channels: number, stride: number): Layer => {
    const inner = steps(conv(channels, 3, stride, 1), batchNorm(), relu, conv(channels, 3, 1, 1), batchNorm());
    const around = steps(conv(channels, 1, stride, 0), batchNorm());
    return (x) => relu(add(inner(x), stride === 1 ? x : around(x)));
  };
  const blocks = [1, 2, 4, 8].flatMap((k, i) => [block(k * width, i === 0 ? 1 : 2), block(k * width, 1)]);
  const first = [conv(width, 7, 2, 3), batchNorm(), relu, maxPool2d(3, { stride: 2, padding: 1 })];
  return chain({ inputs: [3, side, side], dtype }, ...first, ...blocks, globalAveragePool, dense(classes));
}

export interface BertSizes extends Sizes {
  readonly vocabulary: number;
  readonly length: number;
  readonly heads: number;
  readonly inner: number;
  readonly layers: number;
  /** Whether the token 0 is padding. */
  readonly padded?: boolean;
}

/** transformers' BertForSequenceClassification (Devlin et al. 2019, arXiv:1810.04805) for sequences of one length, of one type. */
export function bert(sizes: BertSizes): Network {
  const { vocabulary, length, width, heads, inner, layers, classes, padded = false, dtype = "float32" } = sizes;
  const norm = () => layerNorm({ epsilon: 1e-12 });
  return network({ inputs: [length], dtype }, (tokens) => {
    const mask = padded ? paddingMask(tokens) : undefined;
    const types = embedding(2, width)(multiply(tokens, 0));
    let x = norm()(positionalEmbedding()(add(embedding(vocabulary, width)(tokens), types)));
    for (let i = 0; i < layers; i++) {
      x = norm()(add(x, multiHeadAttention(heads)(x, mask)));
      x = norm()(residual(dense(inner, gelu), dense(width))(x));
    }
    return dense(classes)(dense(width, tanh)(flatten(slice(x, 0, 1, 0))));
  });
}

/** torchvision's ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) for images of 8 × 8 in patches of 4 × 4. */
export function vit({
  width,
  heads,
  inner,
  layers,
  classes,
  dtype = "float32",
}: Omit<BertSizes, "vocabulary" | "length">): Network {
  const norm = () => layerNorm({ epsilon: 1e-6 });
  return network({ inputs: [3, 8, 8], dtype }, (image) => {
    const patches = conv2d(width, 4, undefined, { stride: 4 })(image);
    const rows = permute(reshape(patches, [width, 4]), [1, 0]);
    const none = multiply(slice(rows, 0, 1, 0), 0);
    let x = positionalEmbedding()(concatenate(scaleShift({ scale: false })(none), rows, { axis: 0 }));
    for (let i = 0; i < layers; i++) {
      x = residual(norm(), multiHeadAttention(heads))(x);
      x = residual(norm(), dense(inner, gelu), dense(width))(x);
    }
    return dense(classes)(flatten(slice(norm()(x), 0, 1, 0)));
  });
}

/** transformers' GPT-2 (Radford et al. 2019) with the tied last layer, whose logits are those of the last position. */
export function gpt2({
  vocabulary,
  length,
  width,
  heads,
  layers,
  dtype = "float32",
}: Omit<BertSizes, "inner" | "classes">): Network {
  const tanhGelu: Layer = (x) => {
    const cube = multiply(multiply(x, multiply(x, x)), 0.044715);
    return multiply(multiply(x, 0.5), add(tanh(multiply(add(x, cube), Math.sqrt(2 / Math.PI))), 1));
  };
  const table = embedding(vocabulary, width);
  return network({ inputs: [length], dtype }, (tokens: Traced) => {
    let x = positionalEmbedding()(table(tokens));
    for (let i = 0; i < layers; i++) {
      x = residual(layerNorm(), multiHeadAttention(heads, { causal: true }))(x);
      x = residual(layerNorm(), dense(4 * width, tanhGelu), dense(width))(x);
    }
    return tied(table)(flatten(slice(layerNorm()(x), length - 1, length, 0)));
  });
}

/** PyTorch's nn.LSTM of several layers, and a Linear on the last state. */
export function lstms({
  inputs,
  units,
  layers,
  dtype = "float32",
}: {
  inputs: number;
  units: number;
  layers: number;
  dtype?: DType;
}): Network {
  const all = Array.from({ length: layers }, (_, i) => lstm(units, { output: i === layers - 1 ? "last" : "sequence" }));
  return chain({ inputs: [4, inputs], dtype }, ...all, dense(2));
}
