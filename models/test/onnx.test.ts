import fc from "fast-check";
import { array, LaplaceError } from "laplace-ts";
import { fromOnnx, ModelError, toOnnx } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { type ModelDraft, writeModel } from "../src/onnx/write.ts";
import { drafts } from "./drafts.ts";
import { logistic } from "./drafts-of-columns.ts";
import { networks } from "./networks.ts";
import { thrown } from "./thrown.ts";
import { type Drafted, type GraphDraft, written } from "./written.ts";

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

  test("a branch of If that cannot be read is listed with what is in it; a condition by the input is refused", () => {
    const value = { name: "x", dims: ["batch", 2] };
    const branch = (op: string) => ({
      graph: { nodes: [{ op, inputs: ["x"], outputs: ["o"] }], outputs: [{ name: "o" }] },
    });
    const attributes = { then_branch: branch("Frobnicate"), else_branch: branch("Tanh") };
    const of = (input: string, truth: number) =>
      written({
        inputs: [value],
        outputs: [{ name: "y" }],
        arrays: [{ name: "test", dims: [1], type: "bool", data: [truth] }],
        nodes: [{ op: "If", inputs: [input], outputs: ["y"], attributes }],
      });
    const { problems } = thrown(() => fromOnnx(of("test", 1))) as ModelError;
    expect(problems.map(({ operator }) => operator)).toEqual(["Frobnicate", "If"]);
    expect([...fromOnnx(of("test", 0)).network.forward([[0, 1]]).data]).toBeAllClose([0, Math.tanh(1)], {
      relative: 1e-6,
    });
    expect(() => fromOnnx(of("x", 0))).toThrow(/If.*condition depends on the network's input/);
  });

  test("a product that a branch of If takes too does not become one layer with the bias behind it", () => {
    const bytes = written({
      inputs: [{ name: "x", dims: ["batch", 2] }],
      outputs: [{ name: "y" }],
      arrays: [
        { name: "test", dims: [], type: "bool", data: [1] },
        { name: "w", dims: [2, 2], data: [1, 2, 3, 4] },
        { name: "b", dims: [2], data: [10, 20] },
      ],
      nodes: [
        { op: "MatMul", inputs: ["x", "w"], outputs: ["m"] },
        { op: "Add", inputs: ["m", "b"], outputs: ["a"] },
        {
          op: "If",
          inputs: ["test"],
          outputs: ["i"],
          attributes: {
            then_branch: {
              graph: { nodes: [{ op: "Relu", inputs: ["m"], outputs: ["o"] }], outputs: [{ name: "o" }] },
            },
          },
        },
        { op: "Add", inputs: ["a", "i"], outputs: ["y"] },
      ],
    });
    expect([...fromOnnx(bytes).network.forward([[1, 1]]).data]).toEqual([18, 32]);
  });

  test("graphs are within each other a bounded number of times", () => {
    let graph: GraphDraft = { nodes: [{ op: "Tanh", inputs: ["x"], outputs: ["o"] }], outputs: [{ name: "o" }] };
    for (let i = 0; i < 40; i++) {
      graph = {
        nodes: [{ op: "If", inputs: ["x"], outputs: ["o"], attributes: { else_branch: { graph } } }],
        outputs: [{ name: "o" }],
      };
    }
    expect(() => fromOnnx(written(graph))).toThrow(/not an ONNX file: graphs are within each other/);
  });

  const texts: readonly [string, Drafted["attributes"], RegExp][] = [
    ["OneHotEncoder", { cats_strings: { texts: ["a", "b"] } }, /categories are texts, and a network takes numbers/],
    ["LabelEncoder", { keys_strings: { texts: ["a"] }, values_int64s: { ints: [1] } }, /keys_strings are texts/],
    ["CategoryMapper", { cats_strings: { texts: ["a"] }, cats_int64s: { ints: [1] } }, /it maps texts/],
    ["Imputer", { imputed_value_floats: { floats: [1, 2, 3] } }, /3 values for 2 columns/],
    ["OneHotEncoder", {}, /no categories/],
    ["LabelEncoder", { keys_int64s: { ints: [1] } }, /1 keys and 0 values/],
  ];
  test("a linear classifier whose classes have a sigmoid each, or whose labels are asked for, is refused", () => {
    expect(() => fromOnnx(written(logistic(3, 3, "LOGISTIC")))).toThrow(
      /post_transform is LOGISTIC, of 3 scores for 3/,
    );
    expect(() => fromOnnx(written(logistic(2, 2, "LOGISTIC")), { cut: false, output: "label" })).toThrow(/not made/);
  });

  test.each(texts)("%s is refused where it is not of numbers", (op, attributes, message) => {
    const nodes: Drafted[] = [
      { op, domain: "ai.onnx.ml", inputs: ["x"], outputs: ["y"], ...(attributes && { attributes }) },
    ];
    const bytes = written({ inputs: [{ name: "x", dims: ["batch", 2] }], outputs: [{ name: "y" }], nodes });
    expect(() => fromOnnx(bytes)).toThrow(ModelError);
    expect(() => fromOnnx(bytes)).toThrow(message);
  });

  test.each(Object.entries(drafts))("%s comes back from the file that toOnnx writes", (_, [graph, rows]) => {
    const { network: net } = fromOnnx(written(graph));
    const x = array(rows.flat(), { shape: [rows.length, ...net.inputShape] });
    expect(fromOnnx(toOnnx(net)).network.forward(x).data).toBeAllClose(net.forward(x).data, {
      relative: 1e-5,
      absolute: 1e-6,
    });
  });

  test("options are checked", () => {
    expect(() => fromOnnx(new Uint8Array(3), { cute: true } as never)).toThrow(/unknown option "cute"/);
    expect(() => fromOnnx("model.onnx" as never)).toThrow(/Uint8Array/);
    expect(() => fromOnnx(new Uint8Array(3), { constants: "mean" } as never)).toThrow(
      /constants must be a list of names/,
    );
    expect(() => fromOnnx(new Uint8Array(3), { fixed: { mask: [1] } } as never)).toThrow(
      /fixed must have \{ shape, data \}/,
    );
    const bytes = file({ nodes: [{ ...gemm, outputs: ["y"] }] });
    expect(() => fromOnnx(bytes, { fixed: { mask: { shape: [1], data: [1] } } })).toThrow(/inputs "x", not "mask" of/);
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
