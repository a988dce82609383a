// Values of a file have the batch's axis in front. No layer is to see it: what knows a last layer by its place, such as the closed
// form of many classes, would not find it behind an axis of one entry, and a fit of 1000 classes would take twenty times as long.

import { fromOnnx } from "laplace-ts-models";
import { expect, test } from "vitest";
import { type NodeDraft, writeModel } from "../src/onnx/write.ts";

const float = "float32" as const;
const numbers = (n: number) => Array.from({ length: n }, (_, i) => Math.sin(i));
const matrix = (name: string, ...dims: number[]) => ({
  name,
  dims,
  type: float,
  data: numbers(dims.reduce((a, b) => a * b, 1)),
});
const initializers = [matrix("k", 4, 3, 1, 1), matrix("w", 6, 4), matrix("c", 6), matrix("v", 6, 6), matrix("o", 2, 6)];
const gemm = (x: string, w: string, y: string) => ({
  op: "Gemm",
  inputs: [x, w],
  outputs: [y],
  attributes: { transB: 1 },
});

const files: Record<string, NodeDraft[]> = {
  "one layer": [
    { op: "GlobalAveragePool", inputs: ["p"], outputs: ["g"] },
    { op: "Flatten", inputs: ["g"], outputs: ["h"] },
    gemm("h", "w", "y"),
  ],
  "a residual block before it": [
    { op: "GlobalAveragePool", inputs: ["p"], outputs: ["g"] },
    { op: "Flatten", inputs: ["g"], outputs: ["h"] },
    gemm("h", "w", "a"),
    { op: "Relu", inputs: ["a"], outputs: ["b"] },
    gemm("b", "v", "d"),
    { op: "Add", inputs: ["b", "d"], outputs: ["e"] },
    gemm("e", "o", "y"),
  ],
  "a product and a shift": [
    { op: "GlobalAveragePool", inputs: ["p"], outputs: ["g"] },
    { op: "Flatten", inputs: ["g"], outputs: ["h"] },
    gemm("h", "w", "a"),
    { op: "MatMul", inputs: ["a", "v"], outputs: ["b"] },
    { op: "Add", inputs: ["c", "b"], outputs: ["y"] },
  ],
};

test.each(Object.entries(files))("%s: nothing between a last layer and the outputs", (_, nodes) => {
  const bytes = writeModel({
    initializers,
    inputs: [{ name: "x", type: float, dims: ["batch", 3, 5, 5] }],
    outputs: [{ name: "y", type: float, dims: ["batch", nodes.length > 5 ? 2 : 6] }],
    nodes: [{ op: "Conv", inputs: ["x", "k"], outputs: ["p"] }, ...nodes],
  });
  const { graph } = fromOnnx(bytes).network;
  expect(graph.output.site?.kind).toBe("linear");
  const shapes = graph.nodes.filter(({ primitive }) => primitive.name === "reshape").map(({ shape }) => shape);
  // Pixels in a row for their mean, at most.
  expect(shapes.every(([length, ...more]) => length === 4 && more.length <= 1)).toBe(true);
});
