// Layers with PyTorch's own weights, loaded by name, against PyTorch's outputs, derivatives and running statistics
// (test/fixtures/pytorch-layers.py).

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  add,
  array,
  averagePool1d,
  averagePool2d,
  batchNorm,
  chain,
  conv1d,
  conv2d,
  convTranspose2d,
  dense,
  embedding,
  flatten,
  gelu,
  globalAveragePool,
  groupNorm,
  gru,
  type Layer,
  layerNorm,
  loadWeights,
  lstm,
  maxPool1d,
  maxPool2d,
  mse,
  multiHeadAttention,
  type NDArray,
  network,
  relu,
  reshape,
  residual,
  rmsNorm,
  sgd,
  slice,
  tanh,
  train,
  vjp,
} from "../../../src/index.ts";

interface Table {
  readonly shape: number[];
  readonly data: number[];
}

type Tables = Readonly<Record<string, Table>>;

interface Case {
  readonly state: Tables;
  readonly x: Table;
  readonly y: Table;
  readonly c: Table;
  readonly gradients: Tables;
  readonly inputGradient?: Table;
  /** [B, T], with 0 for what attention does not see. */
  readonly mask?: Table;
}

interface Training {
  readonly state: Tables;
  readonly x: Table;
  readonly y: Table;
  readonly target: Table;
  readonly rate: number;
  readonly steps: readonly { readonly loss: number; readonly state: Tables }[];
}

const file = new URL("../../fixtures/pytorch_layers.json", import.meta.url);
const { cases, training } = JSON.parse(readFileSync(file, "utf8")) as {
  readonly cases: Readonly<Record<string, Case>>;
  readonly training: Training;
};

const close = { relative: 1e-10, absolute: 1e-10 };
const asArray = ({ shape, data }: Table): NDArray => array(data, { shape, dtype: "float64" });
const asArrays = (tables: Tables): Record<string, NDArray> =>
  Object.fromEntries(Object.entries(tables).map(([key, table]) => [key, asArray(table)]));

/** PyTorch's name of a parameter as the name within a layer here. */
function within(name: string): string {
  return name
    .replace("in_proj_", "qkv.")
    .replace("out_proj.", "out.")
    .replace(/(weight|bias)_(ih|hh)_l0$/, "$2.$1");
}

/** Of a layer that is a network by itself. */
const alone = (name: string): string => `0.${within(name)}`;

/** Weight and bias of a layer that normalises. */
const normalised = (name: string): string => name.replace(/weight$/, "scale").replace(/bias$/, "shift");

const sequence =
  (layers: readonly Layer[]): Layer =>
  (x) =>
    layers.reduce((value, layer) => layer(value), x);

/** The mask is the last column of the input. */
const lastColumn = (layer: (x: Parameters<Layer>[0], mask: Parameters<Layer>[0]) => Parameters<Layer>[0]): Layer => {
  return (x) => {
    const [positions, width] = x.shape;
    const mask = reshape(slice(x, width - 1, width), [positions]);
    return layer(slice(x, 0, width - 1), mask);
  };
};

const downsample = () =>
  sequence([
    conv2d(3, 1, undefined, { stride: 2, bias: false, name: "downsample.0" }),
    batchNorm({ name: "downsample.1" }),
  ]);

function residualBlock(): Layer {
  const around = downsample();
  const inner = sequence([
    conv2d(3, 3, undefined, { stride: 2, padding: 1, bias: false, name: "conv1" }),
    batchNorm({ name: "bn1" }),
    relu,
    conv2d(3, 3, undefined, { padding: 1, bias: false, name: "conv2" }),
    batchNorm({ name: "bn2" }),
  ]);
  return (x) => relu(add(inner(x), around(x)));
}

function transformerBlock(): Layer {
  return sequence([
    residual(layerNorm({ name: "norm1" }), multiHeadAttention(3, { name: "self_attn" })),
    residual(
      layerNorm({ name: "norm2" }),
      dense(8, gelu, { name: "linear1" }),
      dense(6, undefined, { name: "linear2" }),
    ),
  ]);
}

interface Model {
  readonly layer: Layer;
  /** The parameter's name here (default: that of the first layer of a chain). */
  readonly rename?: (name: string) => string | undefined;
}

const norm = (layer: Layer): Model => ({
  layer,
  rename: (name) => (name === "num_batches_tracked" ? undefined : `0.${normalised(name)}`),
});

const models: Readonly<Record<string, Model>> = {
  conv1d: { layer: conv1d(3, 3, undefined, { stride: 2, padding: 1 }) },
  "conv1d dilated in groups": { layer: conv1d(6, 2, undefined, { dilation: 3, groups: 2, bias: false }) },
  "conv1d same": { layer: conv1d(2, 4, undefined, { padding: "same", dilation: 2 }) },
  conv2d: { layer: conv2d(3, [3, 2], undefined, { stride: [2, 1], padding: [1, 0] }) },
  "conv2d dilated in groups": { layer: conv2d(4, 3, undefined, { padding: 2, dilation: 2, groups: 2 }) },
  "conv2d depthwise": { layer: conv2d(6, 3, undefined, { groups: 3, bias: false }) },
  "conv2d same": { layer: conv2d(2, [2, 3], undefined, { padding: "same" }) },
  "conv2d kernel of the image, stride beyond it": { layer: conv2d(2, [4, 3], undefined, { stride: 5 }) },
  "conv2d strides over elements": { layer: conv2d(2, 2, undefined, { stride: 3 }) },
  convTranspose2d: {
    layer: convTranspose2d(2, [3, 2], undefined, { stride: 2, padding: 1, outputPadding: [1, 0] }),
  },
  "convTranspose2d in groups": {
    layer: convTranspose2d(6, 2, undefined, { stride: [1, 3], groups: 2, dilation: 2, bias: false }),
  },
  "convTranspose2d dilated": { layer: convTranspose2d(1, 3, undefined, { dilation: 2, stride: 2, outputPadding: 1 }) },
  maxPool2d: { layer: maxPool2d(3, { stride: 2, padding: 1 }) },
  maxPool1d: { layer: maxPool1d(2) },
  averagePool2d: { layer: averagePool2d([3, 2], { stride: [2, 1], padding: 1 }) },
  "averagePool2d without padding": { layer: averagePool2d(3, { stride: 2, padding: 1, countPadding: false }) },
  "averagePool1d without padding": { layer: averagePool1d(3, { stride: 2, padding: 1, countPadding: false }) },
  globalAveragePool: { layer: (x) => reshape(globalAveragePool(x), [3, 1, 1]) },
  layerNorm: norm(layerNorm()),
  "layerNorm epsilon": norm(layerNorm({ epsilon: 0.1 })),
  groupNorm: norm(groupNorm(2)),
  "groupNorm of channels alone": norm(groupNorm(3, { epsilon: 1e-3 })),
  rmsNorm: norm(rmsNorm()),
  batchNorm2d: norm(batchNorm()),
  batchNorm1d: norm(batchNorm({ epsilon: 1e-3 })),
  embedding: { layer: embedding(7, 3) },
  "multiHeadAttention plain": { layer: multiHeadAttention(2, { bias: false }) },
  "multiHeadAttention causal": { layer: multiHeadAttention(2, { causal: true }) },
  "multiHeadAttention padded": { layer: lastColumn(multiHeadAttention(2, { name: "0" })) },
  "multiHeadAttention both": { layer: lastColumn(multiHeadAttention(2, { causal: true, name: "0" })) },
  lstm: { layer: lstm(4) },
  gru: { layer: gru(4) },
  "lstm without bias": { layer: lstm(4, { bias: false }) },
  "gru without bias": { layer: gru(4, { bias: false }) },
  "lstm last": { layer: lstm(2, { output: "last" }) },
  "gru one position": { layer: gru(2) },
  "residual block": {
    layer: residualBlock(),
    rename: (name) => (/bn|downsample\.1/.test(name) ? normalised(name) : name),
  },
  "transformer block": {
    layer: transformerBlock(),
    rename: (name) => within(name.startsWith("norm") ? normalised(name) : name),
  },
};

/** An input with the mask as a further column, where there is one. */
function inputOf({ x, mask }: Case): NDArray {
  if (mask === undefined) return asArray(x);
  const width = x.shape[2];
  const data = mask.data.flatMap((seen, row) => [...x.data.slice(row * width, (row + 1) * width), seen]);
  return array(data, { shape: [x.shape[0], x.shape[1], width + 1], dtype: "float64" });
}

test("every case has a layer", () => {
  expect(Object.keys(models)).toEqual(Object.keys(cases));
});

describe.each(Object.entries(models))("%s", (name, { layer, rename = alone }) => {
  const given = cases[name];
  const x = inputOf(given);
  const net = network({ inputs: x.shape.slice(1), dtype: "float64" }, layer);
  if (net.parameterCount > 0) loadWeights(net, asArrays(given.state), { rename });

  test("gives the outputs", () => {
    expect(net.forward(x)).toBeAllClose(asArray(given.y), close);
  });

  test("has the derivatives", () => {
    const c = asArray(given.c);
    const found = net.named(vjp(net, x, c));
    const due = Object.entries(given.gradients);
    expect(Object.keys(found)).toHaveLength(due.length);
    for (const [key, gradient] of due) expect(found[rename(key) as string]).toBeAllClose(asArray(gradient), close);
    if (given.inputGradient === undefined) return;
    const inputs = vjp(net, x, c, { withRespectTo: "inputs" });
    const [width, all] = [given.x.shape.at(-1) as number, x.shape.at(-1) as number];
    const own = Array.from(inputs.data).filter((_, i) => i % all < width);
    expect(own).toBeAllClose(given.inputGradient.data, close);
  });
});

test("two steps of training with a batch's statistics", async () => {
  const { state, x, y, target, rate, steps } = training;
  const batch = { x: asArray(x), y: asArray(target) };
  const inputs = x.shape.slice(1);
  const momentum = 0.3;
  // The numbers that PyTorch's Sequential gives, in which layers without parameters count.
  const last = [dense(2, undefined, { name: "4" }), batchNorm({ momentum, name: "5" })];
  const layers = [conv2d(3, 2), batchNorm(), tanh, flatten, ...last];
  const net = chain({ inputs, dtype: "float64" }, ...layers);
  const rename = (name: string) => (/^[15]\./.test(name) ? normalised(name) : name);
  loadWeights(net, asArrays(state), { rename });
  for (const step of steps) {
    const { history } = await train(net, batch, {
      loss: mse,
      optimizer: sgd({ learningRate: rate }),
      epochs: 1,
      batchSize: batch.x.shape[0],
    });
    expect(history.map(({ loss }) => loss)).toBeAllClose([step.loss], close);
    const found = net.named();
    for (const [key, table] of Object.entries(step.state))
      expect(found[rename(key)]).toBeAllClose(asArray(table), close);
  }
  expect(net.forward(batch.x)).toBeAllClose(asArray(y), close);
});
