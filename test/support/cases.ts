// One small network for every layer and function that the library exports, and for the options that change what is
// computed, as plain data for the reference. The documentation's table of support is made of these, and tested on these.

import { type Activation, activations } from "../reference/dual.ts";
import type { ImageBlock } from "../reference/images.ts";
import type { Block, DenseBlock, ScaleShiftBlock } from "../reference/network.ts";
import type { EmbeddingBlock } from "../reference/tokens.ts";

export interface SupportCase {
  /** The exports that it shows, which the network is made with; the first is the row's name. */
  readonly layers: readonly string[];
  readonly options: string;
  readonly blocks: readonly Block[];
  readonly inputs: readonly number[];
  /** Inputs are tokens below this. */
  readonly vocabulary?: number;
  /** Names of the operations that there are not. */
  readonly missing?: readonly string[];
}

const dense = (outputs: number, activation: Activation = "identity", bias = true): DenseBlock => ({
  kind: "dense",
  outputs,
  bias,
  activation,
});

const affine = (more: Partial<ScaleShiftBlock> = {}): ScaleShiftBlock => ({
  kind: "scaleShift",
  scale: true,
  shift: true,
  ...more,
});

const function_ = (activation: Activation): Block => ({ kind: "activation", activation });

const unit = { kernel: [2, 2], stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1, bias: true } as const;
type Convolution = ImageBlock & { readonly kind: "convolution" };
type Transposed = ImageBlock & { readonly kind: "transposed" };

const image = (more: Partial<Convolution> = {}): Block => ({ ...unit, kind: "convolution", outputs: 2, ...more });
const row = (more: Partial<Convolution> = {}): Block => image({ kernel: [1, 2], ...more });
const transposed = (more: Partial<Transposed> = {}): Block => ({
  ...unit,
  kind: "transposed",
  outputs: 2,
  outputPadding: [0, 0],
  ...more,
});

const scalars: readonly Activation[] = activations.filter((name) => name !== "identity");
const epsilon = 0.05;

/** Layers and functions of values of any shape. */
const general: readonly SupportCase[] = [
  { layers: ["dense"], options: "", blocks: [dense(2)], inputs: [3] },
  {
    layers: ["dense"],
    options: "bias: false",
    blocks: [dense(3, "tanh", false), dense(1, "identity", false)],
    inputs: [2],
  },
  { layers: ["dense"], options: "at every position", blocks: [dense(3, "tanh"), dense(2)], inputs: [3, 2] },
  {
    layers: ["dense"],
    options: "applied twice",
    blocks: [{ kind: "twice", inSeries: true, layer: dense(2, "tanh") }, dense(1)],
    inputs: [2],
  },
  {
    layers: ["residual"],
    options: "",
    blocks: [{ kind: "residual", body: [dense(3, "tanh"), dense(2)] }],
    inputs: [2],
  },
  { layers: ["scaleShift"], options: "", blocks: [dense(2), affine()], inputs: [3, 2] },
  { layers: ["scaleShift"], options: "shift: false", blocks: [dense(2), affine({ shift: false })], inputs: [2] },
  { layers: ["scaleShift"], options: "scale: false", blocks: [dense(2), affine({ scale: false })], inputs: [2] },
  {
    layers: ["scaleShift"],
    options: 'axis: "channels"',
    blocks: [image(), affine({ channels: true })],
    inputs: [1, 3, 2],
  },
  { layers: ["identity"], options: "", blocks: [dense(2), function_("identity")], inputs: [2] },
  ...scalars.map((name) => ({
    layers: [name],
    options: "",
    blocks: [dense(3), function_(name), dense(2)],
    inputs: [2],
  })),
  {
    layers: ["log"],
    options: "",
    // Of numbers above 1: x² + 1
    blocks: [
      dense(3),
      { kind: "multiply", left: [], right: [] },
      { kind: "add", left: [], right: 1 },
      function_("log"),
      dense(2),
    ],
    inputs: [2],
  },
  { layers: ["softmax"], options: "", blocks: [dense(3), { kind: "softmax" }, dense(2)], inputs: [2, 2] },
  ...(["add", "subtract", "multiply"] as const).flatMap((kind): SupportCase[] => [
    {
      layers: [kind],
      options: "of two values",
      blocks: [{ kind, left: [dense(2, "tanh")], right: [dense(2)] }],
      inputs: [3],
    },
    {
      layers: [kind],
      options: "of a constant",
      blocks: [dense(2, "tanh"), { kind, left: [], right: 2 }, dense(1)],
      inputs: [2],
    },
  ]),
];

/** Functions that rearrange, join and sum. */
const rearranging: readonly SupportCase[] = [
  {
    layers: ["concatenate"],
    options: "",
    blocks: [{ kind: "concatenate", parts: [[dense(2, "tanh")], [], [dense(1)]] }, dense(1)],
    inputs: [2, 2],
  },
  {
    layers: ["concatenate"],
    options: "axis: 0",
    blocks: [{ kind: "concatenate", axis: 0, parts: [[row({ same: true })], [function_("tanh")]] }, row()],
    inputs: [1, 3],
  },
  {
    layers: ["reshape"],
    options: "",
    blocks: [dense(6, "tanh"), { kind: "reshape", shape: [2, 3] }, dense(1)],
    inputs: [2],
  },
  { layers: ["flatten"], options: "", blocks: [dense(2, "tanh"), { kind: "flatten" }, dense(2)], inputs: [3, 2] },
  {
    layers: ["permute"],
    options: "",
    blocks: [dense(3), { kind: "permute", axes: [2, 0, 1] }, dense(1)],
    inputs: [1, 2, 2],
  },
  { layers: ["transpose"], options: "", blocks: [dense(3, "tanh"), { kind: "transpose" }, dense(2)], inputs: [2, 2] },
  {
    layers: ["slice"],
    options: "",
    blocks: [dense(2), { kind: "slice", axis: 0, start: 1, end: 3 }, dense(1)],
    inputs: [3, 2],
  },
  { layers: ["split"], options: "", blocks: [dense(3), { kind: "splitProduct", axis: 1 }], inputs: [2, 2] },
  { layers: ["stack"], options: "", blocks: [dense(2, "tanh"), { kind: "stack" }, dense(1)], inputs: [2] },
  { layers: ["sum"], options: "", blocks: [dense(2, "tanh"), { kind: "sum", axis: 0 }], inputs: [3, 2] },
  { layers: ["mean"], options: "", blocks: [dense(2, "tanh"), { kind: "mean", axis: 0 }], inputs: [3, 2] },
  {
    layers: ["matmul"],
    options: "",
    blocks: [{ kind: "matmul", transposed: false, left: [dense(2)], right: [{ kind: "transpose" }, dense(2)] }],
    inputs: [2, 2],
  },
  {
    layers: ["matmul"],
    options: "transposed: true",
    blocks: [{ kind: "matmul", transposed: true, left: [dense(2)], right: [dense(2, "tanh")] }],
    inputs: [3, 2],
  },
];

/** Convolutions and pooling. */
const images: readonly SupportCase[] = [
  { layers: ["conv1d"], options: "", blocks: [row({ outputs: 3 })], inputs: [2, 4] },
  {
    layers: ["conv1d"],
    options: "stride, padding",
    blocks: [row({ stride: [1, 2], padding: [0, 1] })],
    inputs: [2, 4],
  },
  { layers: ["conv1d"], options: "dilation", blocks: [row({ dilation: [1, 2] })], inputs: [1, 5] },
  { layers: ["conv1d"], options: "groups", blocks: [row({ groups: 2 })], inputs: [2, 4] },
  {
    layers: ["conv1d"],
    options: 'padding: "same", bias: false',
    blocks: [row({ same: true, bias: false })],
    inputs: [2, 3],
  },
  { layers: ["conv2d"], options: "", blocks: [image({ outputs: 3 })], inputs: [2, 3, 3] },
  {
    layers: ["conv2d"],
    options: "stride, padding",
    blocks: [image({ stride: [2, 1], padding: [1, 0] })],
    inputs: [2, 3, 3],
  },
  { layers: ["conv2d"], options: "dilation", blocks: [image({ dilation: [2, 1] })], inputs: [1, 4, 3] },
  { layers: ["conv2d"], options: "groups", blocks: [image({ groups: 2 })], inputs: [2, 3, 2] },
  {
    layers: ["conv2d"],
    options: 'padding: "same", bias: false',
    blocks: [image({ same: true, bias: false })],
    inputs: [1, 3, 2],
  },
  { layers: ["convTranspose2d"], options: "", blocks: [transposed()], inputs: [2, 2, 2] },
  {
    layers: ["convTranspose2d"],
    options: "stride, padding, outputPadding",
    blocks: [transposed({ stride: [2, 2], padding: [1, 0], outputPadding: [1, 0] })],
    inputs: [1, 2, 2],
  },
  { layers: ["convTranspose2d"], options: "dilation", blocks: [transposed({ dilation: [2, 1] })], inputs: [1, 2, 2] },
  {
    layers: ["convTranspose2d"],
    options: "groups, bias: false",
    blocks: [transposed({ groups: 2, bias: false })],
    inputs: [2, 2, 1],
  },
  ...(["maxPool", "averagePool"] as const).flatMap((kind): SupportCase[] => {
    const pool = { kind, stride: [1, 1], padding: [0, 0], countPadding: true } as const;
    const [flat, square] = [{ ...pool, kernel: [1, 2] } as const, { ...pool, kernel: [2, 2] } as const];
    const padded = { ...square, kernel: [3, 2], stride: [2, 1], padding: [1, 1] } as const;
    return [
      { layers: [`${kind}1d`], options: "", blocks: [row(), flat], inputs: [1, 4] },
      { layers: [`${kind}2d`], options: "", blocks: [image(), square], inputs: [1, 4, 3] },
      { layers: [`${kind}2d`], options: "stride, padding", blocks: [image(), padded], inputs: [1, 4, 3] },
      ...(kind === "averagePool"
        ? [
            {
              layers: [`${kind}2d`],
              options: "padding, countPadding: false",
              blocks: [image(), { ...padded, countPadding: false }],
              inputs: [1, 4, 3],
            },
          ]
        : []),
    ];
  }),
  ...[true, false].map((mean): SupportCase => {
    const layers = [mean ? "globalAveragePool" : "globalMaxPool"];
    return { layers, options: "", blocks: [image(), { kind: "globalPool", mean }, dense(2)], inputs: [1, 3, 3] };
  }),
];

const norm = (kind: "layerNorm" | "rmsNorm" | "groupNorm", groups: number, scaled?: ScaleShiftBlock): Block => ({
  kind,
  groups,
  epsilon,
  affine: scaled,
});
const statistics = { kind: "batchNorm", mean: [0.3, -1], variance: [0.5, 2], epsilon } as const;

/** Norms, and what only training sees. */
const norms: readonly SupportCase[] = [
  { layers: ["layerNorm"], options: "", blocks: [dense(3), norm("layerNorm", 1, affine())], inputs: [2, 2] },
  {
    layers: ["layerNorm"],
    options: "scale: false, shift: false",
    blocks: [dense(3), norm("layerNorm", 1), dense(2)],
    inputs: [2],
  },
  {
    layers: ["rmsNorm"],
    options: "",
    blocks: [dense(3), norm("rmsNorm", 1, affine({ shift: false }))],
    inputs: [2, 2],
  },
  {
    layers: ["groupNorm"],
    options: "",
    blocks: [image({ outputs: 4, kernel: [1, 1] }), norm("groupNorm", 2, affine({ channels: true }))],
    inputs: [1, 2, 1],
  },
  {
    layers: ["batchNorm"],
    options: "",
    blocks: [dense(2), { ...statistics, affine: affine({ channels: true }) }],
    inputs: [3],
  },
  {
    layers: ["batchNorm"],
    options: "of images",
    blocks: [image(), { ...statistics, affine: affine({ channels: true }) }],
    inputs: [1, 3, 2],
  },
  {
    layers: ["batchNorm"],
    options: "scale: false, shift: false",
    blocks: [dense(2), { ...statistics, affine: undefined }, dense(1)],
    inputs: [3],
  },
  {
    layers: ["fourierFeatures"],
    options: "",
    blocks: [{ kind: "fourier", relevance: undefined, frequencies: dense(3) }, dense(1)],
    inputs: [2],
  },
  {
    layers: ["fourierFeatures"],
    options: "relevance: true",
    blocks: [{ kind: "fourier", relevance: affine({ shift: false }), frequencies: dense(3) }, dense(1)],
    inputs: [2],
  },
  { layers: ["dropout"], options: "", blocks: [dense(3, "tanh"), { kind: "dropout" }, dense(2)], inputs: [2] },
];

const attention = (width: number, heads: number, causal: boolean, bias = true) =>
  ({ heads, causal, qkv: dense(3 * width, "identity", bias), out: dense(width, "identity", bias) }) as const;
const vectors: EmbeddingBlock = { kind: "embedding", vocabulary: 3, dimensions: 2 };
const byInputs = { missing: ["with respect to inputs"], vocabulary: 3 } as const;

/** Sequences [positions, width], and tokens. */
const sequences: readonly SupportCase[] = [
  {
    layers: ["multiHeadAttention"],
    options: "",
    blocks: [{ kind: "attention", ...attention(4, 2, false) }],
    inputs: [2, 4],
  },
  {
    layers: ["multiHeadAttention"],
    options: "causal: true, bias: false",
    blocks: [{ kind: "attention", ...attention(2, 1, true, false) }, dense(1)],
    inputs: [3, 2],
  },
  {
    layers: ["paddingMask", "multiHeadAttention", "embedding"],
    options: "of tokens, in attention",
    blocks: [{ kind: "padded", embedding: vectors, ...attention(2, 1, false) }],
    inputs: [3],
    ...byInputs,
  },
  {
    layers: ["lastPosition", "paddingMask", "embedding"],
    options: "of tokens",
    blocks: [{ kind: "lastToken", embedding: vectors }, dense(2)],
    inputs: [3],
    ...byInputs,
  },
  { layers: ["embedding"], options: "", blocks: [vectors, dense(2)], inputs: [3], ...byInputs },
  { layers: ["positionalEmbedding"], options: "", blocks: [{ kind: "table" }, dense(2)], inputs: [3, 2] },
  {
    layers: ["positionalEmbedding"],
    options: 'kind: "sinusoidal"',
    blocks: [dense(2), { kind: "sinusoids" }, dense(1)],
    inputs: [3, 2],
  },
  ...(["lstm", "gru"] as const).flatMap((kind): SupportCase[] => {
    const cell = (units: number, bias: boolean, output: "sequence" | "last"): Block => {
      const gates = (kind === "lstm" ? 4 : 3) * units;
      return { kind, units, output, ih: dense(gates, "identity", bias), hh: dense(gates, "identity", bias) };
    };
    return [
      { layers: [kind], options: "", blocks: [cell(2, true, "sequence"), dense(1)], inputs: [3, 2] },
      { layers: [kind], options: 'output: "last", bias: false', blocks: [cell(2, false, "last")], inputs: [2, 2] },
    ];
  }),
];

export const supportCases: readonly SupportCase[] = [...general, ...rearranging, ...images, ...norms, ...sequences];
