import fc from "fast-check";
import {
  add,
  averagePool2d,
  batchNorm,
  chain,
  concatenate,
  conv1d,
  conv2d,
  convTranspose2d,
  dense,
  dropout,
  elu,
  embedding,
  flatten,
  gelu,
  globalAveragePool,
  globalMaxPool,
  gru,
  LaplaceError,
  type Layer,
  laplace,
  layerNorm,
  leakyRelu,
  loadPosterior,
  lstm,
  maxPool2d,
  mse,
  multiHeadAttention,
  multiply,
  type NDArray,
  type Network,
  perSampleGradients,
  positionalEmbedding,
  Random,
  randomNormal,
  relu,
  residual,
  rmsNorm,
  savePosterior,
  scaleShift,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  sum,
  tanh,
  zeros,
} from "laplace-ts";
import { fromOnnx, ModelError, toOnnx } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { type ModelDraft, writeModel } from "../src/onnx/write.ts";
import { thrown } from "./thrown.ts";

const f64 = "float64";
const inputsOf = (net: Network, batch = 3) => randomNormal([batch, ...net.inputShape], { seed: 2 });

/** The package has the built library's arrays, which the matcher knows by their numbers. */
function close(actual: NDArray, expected: NDArray, tolerance: { relative?: number; absolute?: number } = {}): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data).toBeAllClose(expected.data, tolerance);
}

/** Moves a network away from weights that are 0 and 1. */
function shaken(net: Network): Network {
  const random = new Random(3);
  net.setParameters(Array.from(net.parameters.data, (x) => x + 0.3 * random.normal()));
  net.buffers.data.set(Array.from(net.buffers.data, (x) => x + random.uniform()));
  return net;
}

const build = (inputs: number | number[], ...layers: Layer[]) => shaken(chain({ inputs, dtype: f64 }, ...layers));

const networks: Record<string, Network> = {
  "a perceptron": build(4, dense(5, tanh), dense(3, relu), dense(2)),
  functions: build(
    3,
    dense(4, silu),
    dense(4, gelu),
    dense(4, softplus),
    dense(4, (x) => leakyRelu(x, 0.25)),
    dense(4, sigmoid),
    dense(4, (x) => elu(x, 0.5)),
    dense(2),
  ),
  selu: build(3, dense(4, selu), dense(2)),
  "a network without biases": build(4, dense(5, tanh, { bias: false }), scaleShift(), dense(1)),
  images: build(
    [2, 7, 8],
    conv2d(4, 3, relu, { padding: 1, groups: 2 }),
    maxPool2d(2),
    batchNorm(),
    conv2d(3, [2, 1], tanh),
    averagePool2d(2, { padding: 1, countPadding: false }),
    flatten,
    dropout(0.5),
    dense(2),
  ),
  "a transposed convolution": build(
    [2, 4, 4],
    convTranspose2d(3, 3, relu, { stride: 2, padding: 1, outputPadding: 1 }),
    globalAveragePool,
    dense(2),
  ),
  channels: build([2, 9], conv1d(3, 3, relu, { stride: 2 }), globalMaxPool, dense(2)),
  "a transformer": build(
    [4, 6],
    positionalEmbedding(),
    (x) => add(x, multiHeadAttention(2, { causal: true })(layerNorm()(x))),
    residual(rmsNorm(), dense(5, gelu), dense(6)),
    dense(2),
  ),
  "an lstm": build([3, 4], lstm(3, { output: "last" }), dense(2)),
  "a gru": build([3, 4], gru(3), dense(2)),
  products: build(
    [3, 4],
    (x) => concatenate(multiply(x, softmax(x)), x),
    (x) => sum(x, 0),
    dense(2),
  ),
};

describe("what toOnnx writes", () => {
  test.each(Object.entries(networks))("%s comes back with the same outputs and gradients", (_, net) => {
    const { network: back, report } = fromOnnx(toOnnx(net));
    expect(back.dtype).toBe(f64);
    const x = inputsOf(net);
    // ε of norms and slopes are float32 in a file.
    const tolerance = { relative: 1e-6, absolute: 1e-7 };
    close(back.forward(x), net.forward(x), tolerance);
    const y = zeros([3, ...net.outputShape]);
    const gradients = back.named(perSampleGradients(back, mse, { x, y }));
    const expected = net.named(perSampleGradients(net, mse, { x, y }));
    for (const { array: name, parameter } of report.parameters) {
      if (net.parameterTable.some((one) => one.name === name)) close(gradients[parameter], expected[name], tolerance);
    }
    expect(report.parameters.length).toBeGreaterThan(0);
    expect(report.producer).toBe("laplace-ts");
  });

  test("tokens are looked up in a table", () => {
    const net = shaken(chain({ inputs: 3, dtype: f64 }, embedding(7, 4), flatten, dense(2)));
    const x = [
      [0, 3, 6],
      [1, 1, 2],
    ];
    close(fromOnnx(toOnnx(net)).network.forward(x), net.forward(x));
  });

  test("a posterior of a network that was read is written and loaded", async () => {
    const { network: net } = fromOnnx(toOnnx(build(2, dense(4, tanh), dense(1))));
    const x = inputsOf(net, 8);
    const posterior = await laplace(net, { likelihood: "regression" }).fit({ x, y: zeros([8, 1]) });
    const again = loadPosterior(savePosterior(posterior));
    close(again.predict(x).mean, posterior.predict(x).mean);
  });
});

type Draft = Partial<ModelDraft> & Pick<ModelDraft, "nodes">;
const float = "float32";
const one = { name: "x", type: float, dims: ["batch", 3] } as const;
const weights = [
  { name: "fc.weight", dims: [2, 3], type: float, data: [1, 2, 3, 4, 5, 6] },
  { name: "fc.bias", dims: [2], type: float, data: [0.5, -0.5] },
] as const;
const gemm = { op: "Gemm", inputs: ["x", "fc.weight", "fc.bias"], outputs: ["logits"], attributes: { transB: 1 } };

/** A file of x [batch, 3] and a layer, with more nodes behind it. */
const file = ({ nodes, ...more }: Draft) =>
  writeModel({
    initializers: weights,
    inputs: [one],
    outputs: [{ name: "y", type: float, dims: ["batch", 2] }],
    ...more,
    nodes,
  });

describe("fromOnnx", () => {
  test("names parameters after the file's arrays, and turns weights that are [inputs, outputs]", () => {
    const direct = fromOnnx(file({ nodes: [{ ...gemm, outputs: ["y"] }] }));
    expect(direct.network.parameterTable.map(({ name }) => name)).toEqual(["fc.weight", "fc.bias"]);
    expect([...direct.network.forward([[1, 0, -1]]).data]).toEqual([-1.5, -2.5]);
    const turned = fromOnnx(
      file({
        initializers: [{ name: "onnx::MatMul_7", dims: [3, 2], type: float, data: [1, 4, 2, 5, 3, 6] }, weights[1]],
        nodes: [
          { op: "MatMul", inputs: ["x", "onnx::MatMul_7"], outputs: ["h"] },
          { op: "Add", inputs: ["fc.bias", "h"], outputs: ["y"] },
        ],
      }),
    );
    expect(turned.report.parameters).toEqual([
      { parameter: "fc.weight", array: "onnx::MatMul_7", moved: true },
      { parameter: "fc.bias", array: "fc.bias", moved: false },
    ]);
    expect(turned.network.parameters).toEqual(direct.network.parameters);
  });

  const ends: [string, Draft["nodes"], string[], string][] = [
    ["softmax", [{ op: "Softmax", inputs: ["logits"], outputs: ["y"] }], ["Softmax"], "classification"],
    ["a sigmoid", [{ op: "Sigmoid", inputs: ["logits"], outputs: ["y"] }], ["Sigmoid"], "binary"],
    [
      "argmax",
      [
        { op: "ArgMax", inputs: ["logits"], outputs: ["a"] },
        { op: "Cast", inputs: ["a"], outputs: ["y"], attributes: { to: 6 } },
      ],
      ["ArgMax"],
      "classification",
    ],
    [
      "softmax and a change of shape",
      [
        { op: "LogSoftmax", inputs: ["logits"], outputs: ["p"] },
        { op: "Flatten", inputs: ["p"], outputs: ["y"] },
      ],
      ["LogSoftmax"],
      "classification",
    ],
    ["nothing", [{ op: "Identity", inputs: ["logits"], outputs: ["y"] }], [], "regression"],
  ];
  test.each(ends)("takes %s off the end", (_, nodes, removed, task) => {
    const { network: net, report } = fromOnnx(file({ nodes: [gemm, ...nodes] }));
    expect(report.removed.map(({ operator }) => operator)).toEqual(removed);
    expect(report.task).toBe(task);
    expect([...net.forward([[1, 0, -1]]).data]).toEqual([-1.5, -2.5]);
  });

  test("takes off what scikit-learn writes for two classes, whose labels and probabilities are outputs", () => {
    const bytes = file({
      outputs: ["labels", "probabilities"].map((name) => ({ name, type: float, dims: ["batch", 2] })),
      initializers: [...weights, { name: "one", dims: [1], type: float, data: [1] }],
      nodes: [
        gemm,
        { op: "Sigmoid", inputs: ["logits"], outputs: ["p"] },
        { op: "Sub", inputs: ["one", "p"], outputs: ["q"] },
        { op: "Concat", inputs: ["q", "p"], outputs: ["both"], attributes: { axis: 1 } },
        { op: "ArgMax", inputs: ["both"], outputs: ["labels"] },
        { op: "Identity", inputs: ["both"], outputs: ["probabilities"] },
      ],
    });
    const { report } = fromOnnx(bytes);
    expect(report.output).toBe("logits");
    expect(report.task).toBe("binary");
  });

  test("folds what a shape is computed by", () => {
    const { network: net } = fromOnnx(
      file({
        initializers: [
          ...weights,
          { name: "i", dims: [], type: "int64", data: [0] },
          { name: "rest", dims: [1], type: "int64", data: [-1] },
          { name: "axes", dims: [1], type: "int64", data: [0] },
        ],
        nodes: [
          gemm,
          { op: "Shape", inputs: ["logits"], outputs: ["s"] },
          { op: "Gather", inputs: ["s", "i"], outputs: ["b"] },
          { op: "Unsqueeze", inputs: ["b", "axes"], outputs: ["u"] },
          { op: "Concat", inputs: ["u", "rest"], outputs: ["shape"], attributes: { axis: 0 } },
          { op: "Reshape", inputs: ["logits", "shape"], outputs: ["y"] },
        ],
      }),
    );
    expect(net.outputShape).toEqual([2]);
  });

  test("lists everything that it cannot read, at once", () => {
    const bytes = file({
      nodes: [
        gemm,
        { op: "NonMaxSuppression", inputs: ["logits"], outputs: ["a"] },
        { op: "Frobnicate", inputs: ["logits"], outputs: ["b"] },
        { op: "Add", inputs: ["a", "b"], outputs: ["y"] },
      ],
    });
    const error = thrown(() => fromOnnx(bytes)) as ModelError;
    expect(error).toBeInstanceOf(ModelError);
    expect(error.problems.map(({ operator, node }) => [operator, node])).toEqual([
      ["NonMaxSuppression", "a"],
      ["Frobnicate", "b"],
    ]);
    expect(error.message).toMatch(/NonMaxSuppression.*Frobnicate/);
  });

  test("images are made larger by whole factors, and come back from the file that toOnnx writes", () => {
    const image = { name: "x", type: float, dims: ["batch", 1, 2, 2] } as const;
    const resized = (attributes: Record<string, string>) =>
      file({
        inputs: [image],
        initializers: [{ name: "scales", dims: [4], type: float, data: [1, 1, 2, 3] }],
        nodes: [
          { op: "Resize", inputs: ["x", "", "scales"], outputs: ["y"], attributes: { mode: "nearest", ...attributes } },
        ],
      });
    const plain = { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
    const { network: net } = fromOnnx(resized(plain));
    const x = [
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
      [
        [
          [5, 6],
          [7, 8],
        ],
      ],
    ];
    const row = (a: number, b: number) => [a, a, a, b, b, b];
    const expected = [
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ].flatMap(([a, b]) => [...row(a, b), ...row(a, b)]);
    expect([...net.forward(x).data]).toEqual(expected);
    expect([...fromOnnx(toOnnx(net)).network.forward(x).data]).toEqual(expected);
    expect(() => fromOnnx(resized({ ...plain, mode: "cubic" }))).toThrow(/1 × 1 × 2 × 3 times as large \(cubic/);
  });

  test("images are interpolated: an example of ONNX's documentation, and its file", () => {
    const { network: net } = fromOnnx(
      file({
        inputs: [{ name: "x", type: float, dims: ["batch", 1, 2, 2] }],
        initializers: [{ name: "scales", dims: [4], type: float, data: [1, 1, 2, 2] }],
        nodes: [{ op: "Resize", inputs: ["x", "", "scales"], outputs: ["y"], attributes: { mode: "linear" } }],
      }),
    );
    const x = [
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ];
    const rows = [1, 1.5, 2.5, 3].map((a) => [a, a + 0.25, a + 0.75, a + 1]);
    for (const one of [net, fromOnnx(toOnnx(net)).network]) expect([...one.forward(x).data]).toEqual(rows.flat());
  });

  test("several inputs: one stays, the others are fixed", () => {
    const mask = { name: "mask", type: float, dims: ["batch", 2] } as const;
    const bytes = file({
      inputs: [one, mask],
      nodes: [gemm, { op: "Mul", inputs: ["logits", "mask"], outputs: ["y"] }],
    });
    expect(() => fromOnnx(bytes)).toThrow(/"x", "mask".*option input.*option fixed/);
    const { network: net, report } = fromOnnx(bytes, { input: "x", fixed: { mask: { shape: [1, 2], data: [1, 0] } } });
    expect([...net.forward([[1, 0, -1]]).data]).toEqual([-1.5, -0]);
    expect([...net.frozen]).toEqual(report.constants);
  });

  test("lengths that have a name are asked for, and taken", () => {
    const bytes = file({
      inputs: [{ ...one, dims: ["batch", "time", 3] }],
      nodes: [{ ...gemm, op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
      initializers: [{ name: "w", dims: [3, 2], type: float, data: [1, 2, 3, 4, 5, 6] }],
    });
    expect(() => fromOnnx(bytes)).toThrow(/"time".*option dimensions/);
    expect(fromOnnx(bytes, { dimensions: { time: 4 } }).network.outputShape).toEqual([4, 2]);
  });

  test("a batch of a fixed size that is written into a shape is refused, with what to do", () => {
    const bytes = file({
      inputs: [{ ...one, dims: [4, 3] }],
      initializers: [...weights, { name: "shape", dims: [2], type: "int64", data: [4, 2] }],
      nodes: [gemm, { op: "Reshape", inputs: ["logits", "shape"], outputs: ["y"] }],
    });
    expect(() => fromOnnx(bytes)).toThrow(/batch of a fixed size/);
  });

  test("options are checked", () => {
    expect(() => fromOnnx(new Uint8Array(3), { cute: true } as never)).toThrow(/unknown option "cute"/);
    expect(() => fromOnnx("model.onnx" as never)).toThrow(/Uint8Array/);
    expect(() => fromOnnx(new Uint8Array([1, 2, 3]))).toThrow(ModelError);
    expect(() => toOnnx({} as never)).toThrow(/expected a network/);
  });

  // A file is somebody else's: altered ones are networks or errors with a name, in bounded time and memory.
  const bytes = Object.values(networks)
    .slice(0, 4)
    .map((net) => toOnnx(net));
  test("altered files are networks or errors of this package", () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
      to: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...bytes),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (from, changes, cut) => {
          const altered = cut ? from.slice(0, Math.floor(changes[0].at * from.length)) : from.slice();
          for (const { at, to } of cut ? [] : changes) altered[Math.floor(at * Math.min(altered.length, 900))] = to;
          const result = thrown(() => fromOnnx(altered));
          if (result !== undefined) expect(result).toBeInstanceOf(LaplaceError);
        },
      ),
      { numRuns: 300 },
    );
  });
});
