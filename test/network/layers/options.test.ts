// Names, options and errors of the layers of sequences and norms.

import { describe, expect, test } from "vitest";
import {
  adam,
  array,
  batchNorm,
  chain,
  dense,
  dropout,
  flatten,
  groupNorm,
  gru,
  LaplaceError,
  type Layer,
  layerNorm,
  loadWeights,
  lstm,
  matmul,
  mean,
  mse,
  multiHeadAttention,
  type Network,
  network,
  OptionError,
  paddingMask,
  permute,
  positionalEmbedding,
  randomNormal,
  rmsNorm,
  ShapeError,
  slice,
  split,
  stack,
  sum,
  train,
  transpose,
} from "../../../src/index.ts";

const make = (layer: Layer, inputs: number[] = [4, 6]) => network({ inputs, dtype: "float64", seed: 1 }, layer);
const names = (net: Network) => net.parameterTable.map(({ name, shape }) => `${name} ${shape.join("x")}`);

describe("parameters", () => {
  test("of a layer with several projections have the layer's number and the part's name", () => {
    const net = chain(
      { inputs: [4, 6] },
      positionalEmbedding(),
      multiHeadAttention(2),
      layerNorm(),
      lstm(3, { name: "memory" }),
      gru(2, { output: "last", bias: false }),
      dense(1),
    );
    expect(names(net)).toEqual([
      "0.weight 4x6",
      ...["1.qkv.weight 18x6", "1.qkv.bias 18", "1.out.weight 6x6", "1.out.bias 6"],
      ...["2.scale 6", "2.shift 6"],
      ...["memory.ih.weight 12x6", "memory.ih.bias 12", "memory.hh.weight 12x3", "memory.hh.bias 12"],
      ...["4.ih.weight 6x3", "4.hh.weight 6x2"],
      ...["5.weight 1x2", "5.bias 1"],
    ]);
    expect([...net.freeze("1", "memory.hh").frozen].sort()).toEqual([
      ...["1.out.bias", "1.out.weight", "1.qkv.bias", "1.qkv.weight", "memory.hh.bias", "memory.hh.weight"],
    ]);
  });

  test("of a layer that is applied twice are shared", () => {
    const [attention, memory] = [multiHeadAttention(1, { bias: false }), lstm(6)];
    const net = make(chain(attention, attention, memory, memory));
    expect(net.parameterTable.length).toBe(2 + 4);
    expect(() => make(chain(lstm(2, { name: "a" }), gru(2, { name: "a" })))).toThrow(/Two layers are named "a"/);
  });

  test("begin as they should", () => {
    const net = chain({ inputs: [50, 40], dtype: "float64" }, positionalEmbedding(), layerNorm(), lstm(25));
    const { "0.weight": table, "1.scale": scale, "1.shift": shift, "2.hh.weight": recurrent } = net.named();
    const deviation = Math.sqrt(Array.from(table.data).reduce((all, x) => all + x * x, 0) / table.size);
    expect(deviation).toBeCloseTo(0.02, 2);
    expect([...new Set(scale.data), ...new Set(shift.data)]).toEqual([1, 0]);
    const largest = Array.from(recurrent.data).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(largest).toBeLessThanOrEqual(0.2);
    expect(largest).toBeGreaterThan(0.19);
  });

  test("take PyTorch's arrays by name", () => {
    const net = chain({ inputs: [4, 6], dtype: "float64" }, multiHeadAttention(2), lstm(3));
    const own = net.clone(randomNormal([net.parameterCount], { seed: 3 })).named();
    const torch = {
      "attention.in_proj_weight": own["0.qkv.weight"],
      "attention.in_proj_bias": own["0.qkv.bias"],
      "attention.out_proj.weight": own["0.out.weight"],
      "attention.out_proj.bias": own["0.out.bias"],
      "memory.weight_ih_l0": own["1.ih.weight"],
      "memory.weight_hh_l0": own["1.hh.weight"],
      "memory.bias_ih_l0": own["1.ih.bias"],
      "memory.bias_hh_l0": own["1.hh.bias"],
    };
    loadWeights(net, torch, {
      rename: (name) =>
        name
          .replace(/^attention\.in_proj_/, "0.qkv.")
          .replace(/^attention\.out_proj\./, "0.out.")
          .replace(/^memory\.(weight|bias)_(ih|hh)_l0$/, "1.$2.$1"),
    });
    for (const [name, values] of Object.entries(net.named())) expect(values).toEqual(own[name]);
  });
});

describe("shapes that do not fit are refused", () => {
  const table = positionalEmbedding();
  const norm = batchNorm();
  test.each<[string, () => unknown, RegExp]>([
    ["a norm of a number", () => make((x) => layerNorm()(sum(flatten(x), 0))), /layerNorm: expected a vector as input/],
    ["groups that do not divide", () => make(groupNorm(3)), /groupNorm: the channels of \[4, 6\] do not divide into 3/],
    ["other channels", () => make((x) => norm(transpose(norm(x)))), /batchNormalise: .* 4 channels, .* \[6, 4\]/],
    ["a longer table", () => make((x) => table(slice(table(x), 0, 3, 0))), /table is \[4, 6\], its input \[3, 6\]/],
    ["a vector for a sequence", () => make(lstm(2), [6]), /lstm: expected a sequence \[positions, width\], got \[6\]/],
    ["a vector for sines", () => make(positionalEmbedding({ kind: "sinusoidal" }), [6]), /expected .*, got \[6\]/],
    ["an axis there is not", () => make((x) => sum(x, 2)), /sum: a value of shape \[4, 6\] has no axis 2/],
    ["an axis that is not an integer", () => make((x) => mean(x, 0.5)), /mean: .* has no axis 0\.5/],
    ["an axis before the first", () => make((x) => slice(x, 0, 1, -3)), /slice: .* has no axis -3/],
    [
      "entries there are not",
      () => make((x) => slice(x, 2, 7)),
      /axis 1 of \[4, 6\] has no entries from 2 to before 7/,
    ],
    ["no entries", () => make((x) => slice(x, 2, 2)), /no entries from 2 to before 2/],
    [
      "parts that are not equal",
      () => make((x) => split(x, 4)[0]),
      /axis 1 of \[4, 6\] cannot be cut into 4 equal parts/,
    ],
    ["parts that leave some", () => make((x) => split(x, [1, 2])[0]), /cannot be cut into parts of 1, 2/],
    ["parts of nothing", () => make((x) => split(x, [6, 0])[0]), /cannot be cut into parts of 6, 0/],
    ["axes twice", () => make((x) => permute(x, [0, 0])), /permute: axes must be 0 to 1 in some order .* not \[0, 0\]/],
    ["too few axes", () => make((x) => permute(x, [0])), /not \[0\]/],
    ["a vector transposed", () => make(transpose, [6]), /transpose: a value of shape \[6\] has no axis -2/],
    [
      "matrices that do not fit",
      () => make((x) => matmul(x, x)),
      /\[..., m, k\] by \[..., k, n\] .* \[4, 6\] by \[4, 6\]/,
    ],
    [
      "transposed ones",
      () => make((x) => matmul(x, slice(x, 0, 3), { transposed: true })),
      /\[..., m, k\] by \[..., n, k\] .* \[4, 6\] by \[4, 3\]/,
    ],
    ["a vector in a product", () => make((x) => matmul(x, sum(x, 0))), /got \[4, 6\] by \[6\]/],
    ["a stack of two shapes", () => make((x) => stack(x, flatten(x))), /stack: the shapes \[4, 6\] and \[24\] differ/],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(ShapeError);
    expect(act).toThrow(message);
  });
});

test("options are checked", () => {
  const cases: [make: () => unknown, message: RegExp][] = [
    [() => layerNorm({ eps: 1 } as never), /layerNorm: unknown option "eps"\. Did you mean "epsilon"\?/],
    [() => layerNorm({ epsilon: 0 }), /epsilon must be a finite number above 0/],
    [() => rmsNorm({ shift: true } as never), /rmsNorm: unknown option "shift"/],
    [() => groupNorm(0), /groups must be an integer of at least 1/],
    [() => batchNorm({ momentum: 0 }), /momentum must be a finite number above 0/],
    [() => batchNorm({ momentum: 1.5 }), /momentum must be at most 1, not 1.5/],
    [() => multiHeadAttention(1.5), /heads must be an integer/],
    [() => multiHeadAttention(1, { causal: 1 as never }), /causal must be true or false/],
    [() => positionalEmbedding({ kind: "rotary" as never }), /kind must be one of "learned", "sinusoidal"/],
    [() => lstm(0), /units must be an integer of at least 1/],
    [() => gru(2, { output: "all" as never }), /output must be one of "sequence", "last"/],
    [() => make((x) => paddingMask(x, Number.NaN)), /padding must be a finite number/],
    [() => make((x) => permute(x, 1 as never)), /axes must be a list/],
    [() => stack(), /there is nothing to stack/],
  ];
  for (const [act, message] of cases) {
    expect(act).toThrow(OptionError);
    expect(act).toThrow(message);
  }
  const layers: ((x: never) => unknown)[] = [
    ...[layerNorm(), rmsNorm(), groupNorm(1), batchNorm(), dropout(0.1), multiHeadAttention(1), lstm(1), gru(1)],
    ...[positionalEmbedding(), paddingMask, transpose, stack],
  ];
  for (const layer of layers) expect(() => layer(3 as never)).toThrow(LaplaceError);
});

test("statistics whose layer does not reach the output are refused", () => {
  const stray = (x: Parameters<Layer>[0]) => {
    batchNorm({ scale: false, shift: false })(x);
    return dense(1)(x);
  };
  expect(() => make(stray)).toThrow(
    /The layer with "0.running_mean" is applied, but its value does not reach the output/,
  );
});

test("a transformer, a recurrent net and norms of channels learn", async () => {
  // The first position's number, told to the last: 0 or 1.
  const x = randomNormal([64, 5, 2], { seed: 1 });
  const y = array(Array.from({ length: 64 }, (_, i) => [x.at(i, 0, 0) > 0 ? 1 : 0]));
  const optimizer = adam({ learningRate: 0.01 });
  const ways: Layer[] = [
    chain(
      dense(8),
      positionalEmbedding(),
      layerNorm(),
      multiHeadAttention(2, { causal: true }),
      (z) => flatten(slice(z, 4, 5, 0)),
      dense(1),
    ),
    chain(lstm(8, { output: "last" }), dense(1)),
    chain(gru(8, { output: "last" }), dense(1)),
    chain(batchNorm(), dropout(0.05), flatten, dense(8), batchNorm(), (z) => mean(stack(z, z), 0), dense(1)),
  ];
  for (const way of ways) {
    const net = network({ inputs: [5, 2], seed: 2 }, way);
    const { history } = await train(net, { x, y }, { loss: mse, optimizer, epochs: 150, batchSize: 32 });
    expect(history.at(-1)?.loss).toBeLessThan(0.6 * history[0].loss);
    expect(mse(net.forward(x), y)).toBeLessThan(0.15);
  }
});
