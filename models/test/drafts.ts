// Files of operators that neither PyTorch nor this library writes, with inputs for them; models/test/pytorch compares what they
// give with onnxruntime-web.

import { cast, columns, half, rows, three, y } from "./drafts-of-columns.ts";
import type { Drafted, GraphDraft } from "./written.ts";

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

/** One operator, whose other inputs are arrays. */
function single(
  op: string,
  inputs: readonly string[],
  attributes: Drafted["attributes"] = {},
  more: Partial<GraphDraft> = {},
): GraphDraft {
  return { inputs: rows(3), outputs: y, nodes: [{ op, inputs, outputs: ["y"], attributes }], ...more };
}
const limits = [{ name: "a", dims: [3], data: [0.5, 0.5, -1] }];
/** What a comparison gives, as numbers. */
const truth = (op: string, inputs: readonly string[]): GraphDraft => ({
  inputs: rows(3),
  outputs: y,
  arrays: limits,
  nodes: [{ op, inputs, outputs: ["t"] }, cast(1, "t", "y")],
});
const pixels = (channels: number, side: number, of: GraphDraft): GraphDraft => ({
  ...of,
  inputs: [{ name: "x", dims: ["batch", channels, side, side] }],
  outputs: [{ name: "y", dims: ["batch", "c", "h", "w"] }],
});
const sines = (n: number, phase = 0) => Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + phase));
const both = (op: string): GraphDraft => ({
  inputs: rows(3),
  outputs: y,
  arrays: limits,
  nodes: [
    { op: "Greater", inputs: ["x", "a"], outputs: ["g"] },
    { op: "Less", inputs: ["half", "x"], outputs: ["l"] },
    { op: "Constant", outputs: ["half"], attributes: { value_float: { float: 0.75 } } },
    { op, inputs: ["g", "l"], outputs: ["t"] },
    cast(1, "t", "y"),
  ].sort((one) => (one.op === "Constant" ? -1 : 0)) as Drafted[],
});
const own = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes?: Drafted["attributes"],
): Drafted => ({
  op,
  domain: "own",
  inputs,
  outputs,
  ...(attributes && { attributes }),
});

const tanh = [{ name: "tanh", dims: ["batch", 3] }];
const plain = { activations: { texts: ["HardSigmoid", "Softsign"] } };

/** Each a file, and rows of its input. */
export const drafts: Readonly<Record<string, readonly [GraphDraft, readonly (readonly number[])[]]>> = {
  ...columns,
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
  LogSoftmax: [
    single(
      "Mul",
      ["l", "x"],
      {},
      {
        nodes: [
          { op: "LogSoftmax", inputs: ["x"], outputs: ["l"] },
          { op: "Mul", inputs: ["l", "x"], outputs: ["y"] },
        ],
      },
    ),
    [[100, -200, 50], ...three],
  ],
  "LogSoftmax over channels": [
    pixels(
      2,
      2,
      single(
        "Mul",
        ["l", "x"],
        {},
        {
          nodes: [
            { op: "LogSoftmax", inputs: ["x"], outputs: ["l"], attributes: { axis: { int: 1 } } },
            { op: "Mul", inputs: ["l", "x"], outputs: ["y"] },
          ],
        },
      ),
    ),
    [sines(8), sines(8, 1)],
  ],
  Mean: [single("Mean", ["x", "a", "x"], {}, { arrays: limits }), three],
  ReduceL1: [single("ReduceL1", ["x"], { axes: { ints: [1] }, keepdims: { int: 1 } }), three],
  CastLike: [single("CastLike", ["x", "a"], {}, { arrays: limits }), three],
  "Less, of each column": [truth("Less", ["x", "a"]), three],
  "Less, turned round": [truth("Less", ["a", "x"]), three],
  LessOrEqual: [truth("LessOrEqual", ["x", "a"]), three],
  GreaterOrEqual: [truth("GreaterOrEqual", ["a", "x"]), three],
  "Equal, of each column": [truth("Equal", ["x", "a"]), three],
  And: [both("And"), three],
  Or: [both("Or"), three],
  "DepthToSpace by depth": [
    pixels(8, 2, single("DepthToSpace", ["x"], { blocksize: { int: 2 } })),
    [sines(32), sines(32, 1)],
  ],
  "DepthToSpace by columns": [
    pixels(8, 2, single("DepthToSpace", ["x"], { blocksize: { int: 2 }, mode: { text: "CRD" } })),
    [sines(32), sines(32, 1)],
  ],
  SpaceToDepth: [pixels(2, 4, single("SpaceToDepth", ["x"], { blocksize: { int: 2 } })), [sines(32), sines(32, 1)]],
  Tile: [
    pixels(
      2,
      3,
      single("Tile", ["x", "times"], {}, { arrays: [{ name: "times", dims: [4], type: "int64", data: [1, 2, 1, 3] }] }),
    ),
    [sines(18), sines(18, 1)],
  ],
  "functions within functions, with attributes and without": [
    {
      inputs: rows(3),
      outputs: y,
      arrays: limits,
      functions: [
        {
          name: "bend",
          inputs: ["u"],
          outputs: ["v"],
          defaults: { slope: { float: 0.25 } },
          nodes: [{ op: "LeakyRelu", inputs: ["u"], outputs: ["v"], attributes: { alpha: { ref: "slope", kind: 1 } } }],
        },
        {
          name: "layer",
          inputs: ["u", "bias"],
          outputs: ["v", "v1"],
          needs: ["slope"],
          nodes: [
            own("bend", ["u"], ["v1"], { slope: { ref: "slope", kind: 1 } }),
            own("bend", ["v1"], ["v2"]),
            { op: "Add", inputs: ["v2", "bias"], outputs: ["v"] },
          ],
        },
      ],
      nodes: [
        own("layer", ["x", "a"], ["h", "same"], { slope: { float: 0.5 } }),
        own("layer", ["h", "a"], ["z", "before"], { slope: { float: -1 } }),
        { op: "Add", inputs: ["z", "same"], outputs: ["y"] },
      ],
    },
    three,
  ],
  GlobalMaxPool: [pixels(2, 3, single("GlobalMaxPool", ["x"])), [sines(18), sines(18, 1)]],
  LayerNormalization: [
    single(
      "LayerNormalization",
      ["x", "a", "b"],
      { epsilon: { float: 0.01 } },
      { arrays: [...limits, { ...limits[0], name: "b" }] },
    ),
    three,
  ],
  "GroupNormalization, a scale for each channel": [
    pixels(
      4,
      2,
      single(
        "GroupNormalization",
        ["x", "s", "t"],
        { num_groups: { int: 2 } },
        {
          opset: 21,
          arrays: [
            { name: "s", dims: [4], data: [1, 2, -1, 0.5] },
            { name: "t", dims: [4], data: [0, 1, 0.5, -1] },
          ],
        },
      ),
    ),
    [sines(16), sines(16, 1)],
  ],
  Gelu: [single("Gelu", ["x"], {}, { opset: 20 }), three],
  "Gelu by tanh": [single("Gelu", ["x"], { approximate: { text: "tanh" } }, { opset: 20 }), three],
  Mish: [single("Mish", ["x"], {}, { opset: 18 }), three],
  Softsign: [single("Softsign", ["x"]), three],
  ThresholdedRelu: [single("ThresholdedRelu", ["x"], { alpha: { float: 0.75 } }), three],
  Log: [single("Log", ["x"]), [[1, 2, 0.1]]],
  Sign: [single("Sign", ["x"]), three],
  Neg: [single("Neg", ["x"]), three],
  Sum: [single("Sum", ["x", "a", "x"], {}, { arrays: limits }), three],
  Not: [
    {
      inputs: rows(3),
      outputs: y,
      arrays: limits,
      nodes: [
        { op: "Greater", inputs: ["x", "a"], outputs: ["g"] },
        { op: "Not", inputs: ["g"], outputs: ["n"] },
        cast(1, "n", "y"),
      ],
    },
    three,
  ],
  ReduceL2: [single("ReduceL2", ["x"], { axes: { ints: [1] }, keepdims: { int: 1 } }), three],
  ReduceSumSquare: [single("ReduceSumSquare", ["x"], { axes: { ints: [-1] }, keepdims: { int: 1 } }), three],
  "Split, by the number of its parts": [
    {
      opset: 18,
      inputs: rows(5),
      outputs: y,
      nodes: [
        { op: "Split", inputs: ["x"], outputs: ["p", "q"], attributes: { axis: { int: 1 }, num_outputs: { int: 2 } } },
        { op: "Concat", inputs: ["q", "p"], outputs: ["y"], attributes: { axis: { int: 1 } } },
      ],
    },
    [sines(5), sines(5, 1)],
  ],
  Expand: [
    pixels(
      2,
      2,
      single(
        "Expand",
        ["n", "shape"],
        {},
        {
          arrays: [
            { name: "shape", dims: [5], type: "int64", data: [1, 2, 3, 2, 2] },
            { name: "axis", dims: [1], type: "int64", data: [2] },
            { name: "flat", dims: [4], type: "int64", data: [-1, 6, 2, 2] },
          ],
          nodes: [
            { op: "Unsqueeze", inputs: ["x", "axis"], outputs: ["n"] },
            { op: "Expand", inputs: ["n", "shape"], outputs: ["e"] },
            { op: "Reshape", inputs: ["e", "flat"], outputs: ["y"] },
          ],
        },
      ),
    ),
    [sines(8), sines(8, 1)],
  ],
  Upsample: [
    pixels(
      1,
      2,
      single(
        "Upsample",
        ["x", "scales"],
        { mode: { text: "nearest" } },
        {
          opset: 9,
          arrays: [{ name: "scales", dims: [4], data: [1, 1, 2, 3] }],
        },
      ),
    ),
    [sines(4), sines(4, 1)],
  ],
  "Identity and Dropout within": [
    {
      inputs: rows(3),
      outputs: y,
      nodes: [
        { op: "Identity", inputs: ["x"], outputs: ["i"] },
        { op: "Dropout", inputs: ["i"], outputs: ["d"] },
        { op: "Tanh", inputs: ["d"], outputs: ["y"] },
      ],
    },
    three,
  ],
};
