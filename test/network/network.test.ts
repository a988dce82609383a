// A network's parameters, their names and initial values, its summary, its copies.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  erf,
  exp,
  type Initialisation,
  jacobian,
  log,
  multiply,
  network,
  OptionError,
  randomNormal,
  relu,
  reshape,
  residual,
  ShapeError,
  scaleShift,
  sigmoid,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const small = () =>
  chain({ inputs: 2, seed: 1 }, dense(3, relu), scaleShift({ name: "stretch" }), dense(1, undefined, { bias: false }));

test("the table of parameters runs layer by layer, weight then bias, without gaps", () => {
  const net = small();
  expect(net.parameterCount).toBe(6 + 3 + 3 + 3 + 3);
  expect(net.parameterTable).toEqual([
    { name: "0.weight", shape: [3, 2], size: 6, offset: 0 },
    { name: "0.bias", shape: [3], size: 3, offset: 6 },
    { name: "stretch.scale", shape: [3], size: 3, offset: 9 },
    { name: "stretch.shift", shape: [3], size: 3, offset: 12 },
    { name: "2.weight", shape: [1, 3], size: 3, offset: 15 },
  ]);
  expect([net.inputShape, net.outputShape, net.dtype]).toEqual([[2], [1], "float32"]);
});

test("named views of a vector share its memory", () => {
  const net = small();
  const parts = net.named();
  expect(Object.keys(parts)).toEqual(net.parameterTable.map(({ name }) => name));
  parts["0.bias"].data[1] = 7;
  expect(net.parameters.data[7]).toBe(7);
  expect(parts["0.weight"].shape).toEqual([3, 2]);
  const vector = randomNormal([18]);
  net.named(vector)["2.weight"].data[2] = 5;
  expect(vector.data[17]).toBe(5);
});

test("named parts of a matrix are copies that lie row by row", () => {
  const net = small();
  const rows = randomNormal([2, 2, 18]);
  const parts = net.named(rows);
  for (const { name, shape, size, offset } of net.parameterTable) {
    expect(parts[name].shape).toEqual([2, 2, ...shape]);
    expect([...parts[name].sub(1).sub(0).data]).toEqual([
      ...rows
        .sub(1)
        .sub(0)
        .data.slice(offset, offset + size),
    ]);
  }
  const before = rows.clone();
  parts["0.bias"].data.fill(9);
  expect(rows).toEqual(before);
  expect(() => net.named(randomNormal([18, 2]))).toThrow(/last axis must run over the network's 18 parameters/);
});

test("setParameters replaces all parameters, or none", () => {
  const net = small();
  const values = Array.from({ length: 18 }, (_, i) => i / 4);
  net.setParameters(values);
  expect([...net.parameters.data]).toEqual(values);
  expect(() => net.setParameters(values.slice(1))).toThrow(ShapeError);
  expect(() => net.setParameters(values.slice(1))).toThrow(
    /a vector of the network's 18 parameters, not of shape \[17\]/,
  );
  expect(() => net.setParameters([values])).toThrow(/not of shape \[1, 18\]/);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => net.setParameters([...values.slice(1), bad])).toThrow(ValueError);
    expect(() => net.setParameters([...values.slice(1), bad])).toThrow(`has the value ${bad} at [17]`);
  }
  expect(() => net.setParameters([...values.slice(1), 1e300])).toThrow(/as float32 has the value Infinity at \[17\]/);
  expect([...net.parameters.data]).toEqual(values);
});

test("a clone has parameters of its own", () => {
  const net = small();
  const copy = net.clone();
  expect(copy.parameters).toEqual(net.parameters);
  copy.parameters.data[0] += 1;
  expect(copy.parameters.data[0]).not.toBe(net.parameters.data[0]);
  const vector = randomNormal([18], { dtype: "float32" });
  const other = net.clone(vector);
  expect(other.parameters).toEqual(vector);
  other.parameters.data[0] += 1;
  expect(other.parameters.data[0]).not.toBe(vector.data[0]);
  expect(() => net.clone([1, 2])).toThrow(ShapeError);
});

describe("freezing", () => {
  test("takes parameters by name and whole layers, and is undone by name or for all", () => {
    const net = small();
    expect([...net.frozen]).toEqual([]);
    expect(net.freeze("0.weight", "stretch")).toBe(net);
    expect([...net.frozen]).toEqual(["0.weight", "stretch.scale", "stretch.shift"]);
    net.freeze("0", "0.bias");
    expect([...net.frozen].sort()).toEqual(["0.bias", "0.weight", "stretch.scale", "stretch.shift"]);
    expect([...net.unfreeze("0.bias", "stretch.shift").frozen]).toEqual(["0.weight", "stretch.scale"]);
    expect([...net.unfreeze("2").frozen]).toEqual(["0.weight", "stretch.scale"]);
    expect([...net.unfreeze().frozen]).toEqual([]);
  });

  test("refuses unknown names, and then changes nothing", () => {
    const net = small().freeze("2");
    for (const name of ["1", "weight", "0.weigh", "", "stretch.", "0.weight.0"]) {
      expect(() => net.freeze("0", name)).toThrow(OptionError);
      expect(() => net.unfreeze("2", name)).toThrow(
        `unfreeze: the network has no parameter or layer "${name}". It has 0.weight, 0.bias, stretch.scale`,
      );
    }
    expect([...net.frozen]).toEqual(["2.weight"]);
  });

  test("is kept by a clone, which has a set of its own", () => {
    const net = small().freeze("0");
    const copies = [net.clone(), net.clone(net.parameters)];
    net.unfreeze();
    for (const copy of copies) expect([...copy.freeze("2").frozen]).toEqual(["0.weight", "0.bias", "2.weight"]);
    expect([...net.frozen]).toEqual([]);
  });

  test("does not change derivatives", () => {
    const [net, frozen] = [small(), small().freeze("0")];
    const x = randomNormal([3, 2]);
    expect(jacobian(frozen, x)).toEqual(jacobian(net, x));
  });

  test("shows in the summary", () => {
    const text = small().freeze("0.bias", "2").summary();
    expect(text).toContain("0.weight [3, 2], 0.bias [3] frozen ");
    expect(text).toContain("2.weight [1, 3] frozen ");
    expect(text).toMatch(/Total: 5 arrays, 18 parameters \(6 frozen\), 72 bytes \(float32\)$/);
  });
});

test("the summary is a table with a total", () => {
  const net = chain({ inputs: 1, seed: 1 }, dense(32, sigmoid), dense(1));
  expect(net.summary()).toBe(
    [
      "layer    output  parameters                     count",
      "input    [1]",
      "linear   [32]    0.weight [32, 1], 0.bias [32]     64",
      "sigmoid  [32]",
      "linear   [1]     1.weight [1, 32], 1.bias [1]      33",
      "Total: 4 arrays, 97 parameters, 388 bytes (float32)",
    ].join("\n"),
  );
  expect(String(net)).toBe(net.summary());
});

test("a shared layer counts once, and the summary says so", () => {
  const shared = dense(3, relu, { name: "same" });
  const net = chain({ inputs: 3, dtype: "float64" }, shared, residual(shared), shared);
  expect(net.parameterCount).toBe(12);
  expect(net.summary().match(/shared with same\.weight/g)).toHaveLength(2);
  expect(net.summary()).toMatch(/Total: 2 arrays, 12 parameters, 96 bytes \(float64\)$/);
});

test("a layer in two networks has parameters in each", () => {
  const layer = dense(2);
  const [wide, narrow] = [chain({ inputs: 3 }, layer), chain({ inputs: 1 }, layer)];
  expect([wide.parameterCount, narrow.parameterCount]).toEqual([8, 4]);
});

test("chains nest in chains", () => {
  const flat = chain({ inputs: 2, seed: 3 }, dense(3, sigmoid), dense(3, sigmoid), dense(2));
  const nested = chain({ inputs: 2, seed: 3 }, chain(dense(3, sigmoid), chain(dense(3, sigmoid))), dense(2));
  expect(nested.parameters).toEqual(flat.parameters);
  const x = randomNormal([4, 2]);
  expect(nested.forward(x)).toEqual(flat.forward(x));
  expect(nested.summary()).toBe(flat.summary());
});

test("one number may be an example's input and its output", () => {
  const net = network({ inputs: [], dtype: "float64" }, (x) => multiply(exp(x), 2));
  expect([net.inputShape, net.outputShape]).toEqual([[], []]);
  expect(net.forward([0, 1])).toBeAllClose(array([2, 2 * Math.E]));
  expect(jacobian(net, [0, 1], { withRespectTo: "inputs" })).toBeAllClose(array([2, 2 * Math.E]));
  const column = network({ inputs: [], dtype: "float64" }, (x) => dense(1)(reshape(x, [1])));
  expect(jacobian(column, [3])).toEqual(array([[[3, 1]]]));
});

test("log and erf are what their definitions say, with their derivatives", () => {
  const x = [0.5, 2, 40];
  const inverse = network({ inputs: [], dtype: "float64" }, (x) => log(exp(x)));
  expect(inverse.forward(x)).toBeAllClose(array(x));
  expect(jacobian(inverse, x, { withRespectTo: "inputs" })).toBeAllClose(array([1, 1, 1]));
  const error = network({ inputs: [], dtype: "float64" }, erf);
  expect(error.forward(x)).toBeAllClose(array([0.5204998778130465, 0.9953222650189527, 1]));
  expect(jacobian(error, [0], { withRespectTo: "inputs" })).toBeAllClose(array([2 / Math.sqrt(Math.PI)]));
});

describe("initial parameters", () => {
  test("are the same bits for one seed, and differ between seeds", () => {
    const make = (seed: number) => chain({ inputs: 5, seed }, dense(7), dense(2)).parameters.data;
    expect(make(4)).toEqual(make(4));
    expect(make(4)).not.toEqual(make(5));
    const unseeded = () => chain({ inputs: 5 }, dense(7), dense(2)).parameters.data;
    expect(unseeded()).toEqual(make(0));
  });

  test.each<[Initialisation, number]>([
    ["glorotUniform", 2 / (60 + 90)],
    ["glorotNormal", 2 / (60 + 90)],
    ["heUniform", 2 / 60],
    ["heNormal", 2 / 60],
    ["zeros", 0],
  ])("of %s have its variance, with biases 0", (init, variance) => {
    const net = chain({ inputs: 60, seed: 2, dtype: "float64" }, dense(90, undefined, { init }));
    const { "0.weight": weight, "0.bias": bias } = net.named();
    expect(bias.data.every((value) => value === 0)).toBe(true);
    const values = Array.from(weight.data);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const square = values.reduce((a, b) => a + b * b, 0) / values.length;
    // 5400 weights: four standard deviations of the mean and of the (normal) mean square.
    expect(Math.abs(mean)).toBeLessThanOrEqual(4 * Math.sqrt(variance / 5400));
    expect(Math.abs(square - variance)).toBeLessThanOrEqual(4 * variance * Math.sqrt(2 / 5400));
    const largest = Math.max(...values.map(Math.abs));
    const limit = Math.sqrt(3 * variance);
    if (init.endsWith("Uniform")) expect(largest).toBeLessThanOrEqual(limit);
    if (init.endsWith("Uniform")) expect(largest).toBeGreaterThan(0.99 * limit);
    if (init.endsWith("Normal")) expect(largest).toBeGreaterThan(limit);
  });

  test("of scaleShift change nothing", () => {
    const net = chain({ inputs: 3, dtype: "float64" }, scaleShift());
    const x = randomNormal([4, 3]);
    expect(net.forward(x)).toEqual(x);
  });
});

test("options of a network are checked", () => {
  const cases: [options: object, message: RegExp][] = [
    [{ inputs: 0 }, /inputs must be an integer of at least 1, not 0/],
    [{ inputs: [2, 1.5] }, /inputs must be an integer of at least 1, not 1\.5/],
    [{}, /inputs must be the shape of one example/],
    [{ inputs: 1, dtype: "float16" }, /dtype must be one of "float32", "float64", not "float16"/],
    [{ inputs: 1, sead: 1 }, /network: unknown option "sead"/],
    [{ inputs: 1, seed: -1 }, /seed must be an integer of at least 0, not -1/],
  ];
  for (const [options, message] of cases) {
    expect(() => chain(options as never, dense(1))).toThrow(OptionError);
    expect(() => chain(options as never, dense(1))).toThrow(message);
  }
  expect(() => network({ inputs: 1 }, 3 as never)).toThrow(/the model must be a function, not number/);
  expect(() => network({ inputs: 1 }, class {} as never)).toThrow(/the model must be a function, not a class/);
});

test("forward refuses inputs it cannot use", () => {
  const net = small();
  const cases: [x: Parameters<typeof net.forward>[0], error: typeof ShapeError, message: RegExp][] = [
    [[[1, 2, 3]], ShapeError, /inputs of shape \[B, 2\], B examples, got \[1, 3\]\.$/],
    [[1, 2], ShapeError, /got \[2\]\. One example is a batch of one: add an axis in front\./],
    [array([], { shape: [0, 2] }), ShapeError, /the batch is empty/],
    [[[1, Number.NaN]], ValueError, /forward: x has the value NaN at \[0, 1\]/],
    [[[1, 1e39]], ValueError, /forward: x as float32 has the value Infinity at \[0, 1\]/],
  ];
  for (const [x, error, message] of cases) {
    expect(() => net.forward(x)).toThrow(error);
    expect(() => net.forward(x)).toThrow(message);
  }
  expect(memoryUse().inUse).toBe(0);
});
