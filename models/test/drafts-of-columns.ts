// Files of ai.onnx.ml's operators on columns, as scikit-learn's exporters write them, with rows for them.

import type { Drafted, GraphDraft } from "./written.ts";

export const rows = (n: number) => [{ name: "x", dims: ["batch", n] }];
export const y = [{ name: "y", dims: ["batch", "n"] }];
const ml = (op: string, attributes: Drafted["attributes"], inputs = ["x"], outputs = ["y"]): Drafted => ({
  op,
  domain: "ai.onnx.ml",
  inputs,
  outputs,
  ...(attributes && { attributes }),
});
export const half: Drafted = { op: "Mul", inputs: ["x", "half"], outputs: ["y"] };
export const cast = (to: number, input: string, output: string): Drafted => ({
  op: "Cast",
  inputs: [input],
  outputs: [output],
  attributes: { to: { int: to } },
});
export const three = [
  [1, -2, 0.5],
  [0.5, 3, -1],
];

export const columns: Readonly<Record<string, readonly [GraphDraft, readonly (readonly number[])[]]>> = {
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
  LinearRegressor: [
    {
      inputs: rows(3),
      outputs: [{ name: "y", dims: ["batch", 2] }],
      nodes: [
        ml("LinearRegressor", {
          coefficients: { floats: [1, 2, -1, 0.5, 0, 3] },
          intercepts: { floats: [0.5, -1] },
          targets: { int: 2 },
        }),
      ],
    },
    three,
  ],
};

/** What scikit-learn's LogisticRegression becomes: labels, and probabilities that are divided by their sum. */
export function logistic(classes: number, rows_: number, transform: "LOGISTIC" | "SOFTMAX"): GraphDraft {
  const own = Array.from({ length: rows_ * 3 }, (_, i) => Math.fround(Math.sin(1.3 * i)));
  const signed = (n: number, all: readonly number[]) =>
    transform === "LOGISTIC" && rows_ === 2 ? all.map((_, i) => (i < n ? -all[n + i] : all[i])) : all;
  return {
    inputs: rows(3),
    outputs: [
      { name: "label", dims: ["batch"], type: 7 },
      { name: "probabilities", dims: ["batch", classes] },
    ],
    nodes: [
      ml(
        "LinearClassifier",
        {
          coefficients: { floats: signed(3, own) },
          intercepts: { floats: signed(1, own.slice(0, rows_)) },
          classlabels_ints: { ints: Array.from({ length: classes }, (_, i) => i) },
          post_transform: { text: transform },
        },
        ["x"],
        ["label", "scores"],
      ),
      ml("Normalizer", { norm: { text: "L1" } }, ["scores"], ["probabilities"]),
    ],
  };
}
