// Files whose few bytes ask for more than any machine holds, or for a day of work.

import { fromOnnx, ModelError } from "laplace-ts-models";
import { expect, test } from "vitest";
import { thrown } from "./thrown.ts";
import { type GraphDraft, written } from "./written.ts";

const whole = (name: string, ...data: number[]) => ({ name, dims: [data.length], type: "int64", data }) as const;
const rows = [
  { op: "Transpose", inputs: ["long"], outputs: ["t"], attributes: { perm: { ints: [1, 0, 2] } } },
  { op: "RNN", inputs: ["t", "w", "r"], outputs: ["", "y"], attributes: { hidden_size: { int: 1 } } },
] as const;
const cells = ["w", "r"].map((name) => ({ name, dims: [1, 1, 1], data: [0.5] }));
const huge: readonly [string, RegExp, Omit<GraphDraft, "inputs" | "outputs">][] = [
  [
    "Expand",
    /array of shape \[1, 1000000000, 1\]/,
    { nodes: [{ op: "Expand", inputs: ["x", "to"], outputs: ["y"] }], arrays: [whole("to", 1, 1e9, 1)] },
  ],
  [
    "Pad",
    /array of shape/,
    { nodes: [{ op: "Pad", inputs: ["x", "by"], outputs: ["y"] }], arrays: [whole("by", 0, 0, 0, 0, 2 ** 30, 0)] },
  ],
  [
    "Pad",
    /1073741825 parts; at most 8192/,
    {
      nodes: [{ op: "Pad", inputs: ["x", "by"], outputs: ["y"], attributes: { mode: { text: "edge" } } }],
      arrays: [whole("by", 0, 0, 0, 0, 2 ** 30, 0)],
    },
  ],
  [
    "RNN",
    /1000000 parts; at most 8192/,
    {
      nodes: [{ op: "Tile", inputs: ["x", "times"], outputs: ["long"] }, ...rows],
      arrays: [whole("times", 1, 1e6, 1), ...cells],
    },
  ],
  [
    "Gather",
    /1048576 parts; at most 8192/,
    {
      nodes: [
        { op: "ConstantOfShape", inputs: ["many"], outputs: ["zeros"] },
        { op: "Cast", inputs: ["zeros"], outputs: ["first"], attributes: { to: { int: 7 } } },
        { op: "Concat", inputs: ["first", "last"], outputs: ["places"], attributes: { axis: { int: 0 } } },
        { op: "Tile", inputs: ["x", "times"], outputs: ["two"] },
        { op: "Gather", inputs: ["two", "places"], outputs: ["y"], attributes: { axis: { int: 1 } } },
      ],
      arrays: [whole("many", 2 ** 20 - 1), whole("last", 1), whole("times", 1, 2, 1)],
    },
  ],
];
test.each(huge)("%s beyond all bounds is refused: %s", (operator, why, graph) => {
  const bytes = written({
    inputs: [{ name: "x", dims: ["batch", 1, 1] }],
    outputs: [{ name: "y", dims: ["batch", "n", 1] }],
    ...graph,
  });
  const error = thrown(() => fromOnnx(bytes)) as ModelError;
  expect(error).toBeInstanceOf(ModelError);
  expect(error.problems[0].operator).toBe(operator);
  expect(error.problems[0].why).toMatch(why);
});
