// Files of operators that neither PyTorch nor this library writes, with inputs for them; models/test/pytorch compares what they
// give with onnxruntime-web.

import type { Drafted, GraphDraft } from "./written.ts";

const rows = (n: number) => [{ name: "x", dims: ["batch", n] }];
const y = [{ name: "y", dims: ["batch", "n"] }];
const ml = (op: string, attributes: Drafted["attributes"], inputs = ["x"], outputs = ["y"]): Drafted => ({
  op,
  domain: "ai.onnx.ml",
  inputs,
  outputs,
  ...(attributes && { attributes }),
});
const half: Drafted = { op: "Mul", inputs: ["x", "half"], outputs: ["y"] };
const cast = (to: number, input: string, output: string): Drafted => ({
  op: "Cast",
  inputs: [input],
  outputs: [output],
  attributes: { to: { int: to } },
});

/** A recurrence over [batch, positions, 2], its units 3. */
function recurrence(op: string, gates: number, attributes: Drafted["attributes"], directions = 1): GraphDraft {
  const numbers = (n: number, phase: number) => Array.from({ length: n }, (_, i) => Math.sin(2.3 * i + phase));
  return {
    inputs: [{ name: "x", dims: ["batch", 4, 2] }],
    outputs: [{ name: "y", dims: [directions, "batch", 3] }],
    arrays: [
      { name: "w", dims: [directions, gates * 3, 2], data: numbers(directions * gates * 6, 1) },
      { name: "r", dims: [directions, gates * 3, 3], data: numbers(directions * gates * 9, 2) },
      { name: "b", dims: [directions, gates * 6], data: numbers(directions * gates * 6, 3) },
    ],
    nodes: [
      { op: "Transpose", inputs: ["x"], outputs: ["t"], attributes: { perm: { ints: [1, 0, 2] } } },
      {
        op,
        inputs: ["t", "w", "r", "b"],
        outputs: ["", "h"],
        attributes: { hidden_size: { int: 3 }, ...attributes },
      },
      { op: "Transpose", inputs: ["h"], outputs: ["y"], attributes: { perm: { ints: [1, 0, 2] } } },
    ].map((node) => node as Drafted),
  };
}

const branches = (condition: number): GraphDraft => ({
  inputs: rows(3),
  outputs: y,
  arrays: [
    { name: "half", dims: [], data: [0.5] },
    { name: "test", dims: [], type: "bool", data: [condition] },
  ],
  nodes: [
    half,
    {
      op: "If",
      inputs: ["test"],
      outputs: ["z"],
      attributes: {
        then_branch: {
          graph: {
            nodes: [
              { op: "Mul", inputs: ["y", "w"], outputs: ["inner"] },
              { op: "Add", inputs: ["inner", "x"], outputs: ["out"] },
            ],
            arrays: [{ name: "w", dims: [3], data: [1, 2, 3] }],
            outputs: [{ name: "out" }],
          },
        },
        else_branch: { graph: { nodes: [{ op: "Exp", inputs: ["y"], outputs: ["out"] }], outputs: [{ name: "out" }] } },
      },
    },
    { op: "Tanh", inputs: ["z"], outputs: ["tanh"] },
  ].map((node) => node as Drafted),
});

const tanh = [{ name: "tanh", dims: ["batch", 3] }];
const plain = { activations: { texts: ["HardSigmoid", "Softsign"] } };

/** Each a file, and rows of its input. */
export const drafts: Readonly<Record<string, readonly [GraphDraft, readonly (readonly number[])[]]>> = {
  Scaler: [
    {
      inputs: rows(3),
      outputs: y,
      nodes: [ml("Scaler", { offset: { floats: [1, 2, 3] }, scale: { floats: [0.5, 2, 1] } })],
    },
    [
      [1, 2, 4],
      [0, -1, 2],
    ],
  ],
  "Imputer of a number": [
    {
      inputs: rows(3),
      outputs: y,
      nodes: [ml("Imputer", { imputed_value_floats: { floats: [0.1, 7, -2] }, replaced_value_float: { float: -1 } })],
    },
    [
      [1, -1, 4],
      [-1, 3, -1],
    ],
  ],
  "Imputer of one value": [
    {
      inputs: rows(2),
      outputs: y,
      nodes: [ml("Imputer", { imputed_value_floats: { floats: [0.3] }, replaced_value_float: { float: 9 } })],
    },
    [
      [9, 1],
      [2, 9],
    ],
  ],
  "Imputer of what is missing": [
    {
      inputs: rows(2),
      outputs: y,
      nodes: [
        ml("Imputer", { imputed_value_floats: { floats: [0.3, 1] }, replaced_value_float: { float: Number.NaN } }),
      ],
    },
    [
      [9, 1],
      [2, 9],
    ],
  ],
  OneHotEncoder: [
    {
      inputs: rows(1),
      outputs: [{ name: "y", dims: ["batch", 3] }],
      nodes: [
        cast(7, "x", "whole"),
        ml("OneHotEncoder", { cats_int64s: { ints: [2, 0, 5] }, zeros: { int: 1 } }, ["whole"], ["hot"]),
        { op: "Reshape", inputs: ["hot", "shape"], outputs: ["y"] },
      ],
      arrays: [{ name: "shape", dims: [2], type: "int64", data: [-1, 3] }],
    },
    [[0], [2], [5], [3], [2.7], [-0.4]],
  ],
  "LabelEncoder of numbers": [
    {
      inputs: rows(2),
      outputs: y,
      nodes: [
        cast(7, "x", "whole"),
        ml(
          "LabelEncoder",
          { keys_int64s: { ints: [1, 3, -2] }, values_floats: { floats: [0.5, -1.5, 4] }, default_float: { float: 9 } },
          ["whole"],
        ),
      ],
    },
    [
      [1, 3],
      [-2, 0],
      [7, 1],
    ],
  ],
  "what scikit-learn's columns become": [
    {
      inputs: rows(3),
      outputs: [{ name: "y", dims: ["batch", 1] }],
      arrays: [
        { name: "numbers", dims: [2], type: "int64", data: [0, 2] },
        { name: "category", dims: [1], type: "int64", data: [1] },
        { name: "shape", dims: [2], type: "int64", data: [-1, 2] },
        { name: "weight", dims: [4, 1], data: [0.5, -1, 2, 3] },
        { name: "bias", dims: [1], data: [0.25] },
      ],
      nodes: [
        ml("ArrayFeatureExtractor", undefined, ["x", "numbers"], ["ns"]),
        ml("Imputer", { imputed_value_floats: { floats: [1, 2] }, replaced_value_float: { float: -9 } }, ["ns"], ["i"]),
        ml("Scaler", { offset: { floats: [1, 2] }, scale: { floats: [0.5, 2] } }, ["i"], ["s"]),
        { op: "Gather", inputs: ["x", "category"], outputs: ["c"], attributes: { axis: { int: 1 } } },
        cast(7, "c", "whole"),
        ml("OneHotEncoder", { cats_int64s: { ints: [1, 2] }, zeros: { int: 1 } }, ["whole"], ["hot"]),
        { op: "Reshape", inputs: ["hot", "shape"], outputs: ["h"] },
        { op: "Concat", inputs: ["s", "h"], outputs: ["all"], attributes: { axis: { int: 1 } } },
        { op: "Gemm", inputs: ["all", "weight", "bias"], outputs: ["y"] },
      ],
    },
    [
      [1, 2, 3],
      [-9, 1, 0.5],
      [0, 3, -9],
    ],
  ],
  "If, whose condition is true": [{ ...branches(1), outputs: tanh }, [[1, -2, 0.5]]],
  "If, whose condition is not true": [{ ...branches(0), outputs: tanh }, [[1, -2, 0.5]]],
  "GRU, its reset gate first": [recurrence("GRU", 3, {}), [[1, 0, -1, 2, 0.5, 0.25, -2, 1]]],
  "GRU with functions of its own": [recurrence("GRU", 3, plain), [[1, 0, -1, 2, 0.5, 0.25, -2, 1]]],
  "GRU backwards": [
    recurrence("GRU", 3, { direction: { text: "reverse" }, linear_before_reset: { int: 1 } }),
    [[1, 0, -1, 2, 0.5, 0.25, -2, 1]],
  ],
  "GRU in both directions": [
    recurrence("GRU", 3, { direction: { text: "bidirectional" } }, 2),
    [[1, 0, -1, 2, 0.5, 0.25, -2, 1]],
  ],
  "RNN with relu": [recurrence("RNN", 1, { activations: { texts: ["Relu"] } }), [[1, 0, -1, 2, 0.5, 0.25, -2, 1]]],
  "LSTM in both directions": [
    recurrence("LSTM", 4, { direction: { text: "bidirectional" } }, 2),
    [[1, 0, -1, 2, 0.5, 0.25, -2, 1]],
  ],
};
