// Operators that neither PyTorch nor toOnnx writes, against onnxruntime-web: preprocessing of ai.onnx.ml, If, kinds of recurrence.

import { array } from "laplace-ts";
import { fromOnnx } from "laplace-ts-models";
import { expect, test } from "vitest";
import { drafts } from "../drafts.ts";
import { logistic } from "../drafts-of-columns.ts";
import { written } from "../written.ts";
import { runOnnx } from "./onnx-runtime.ts";

test.each(Object.entries(drafts))("%s", async (_, [graph, rows]) => {
  const bytes = written(graph);
  const { network } = fromOnnx(bytes);
  const x = array(rows.flat(), { shape: [rows.length, ...network.inputShape], dtype: "float32" });
  const found = network.forward(x).data;
  const [output] = Object.values(await runOnnx(bytes, x));
  expect(found.length).toBe(output.data.length);
  const scale = Math.max(...Array.from(output.data, Math.abs));
  expect(scale).toBeGreaterThan(0.1);
  found.forEach((value, i) => {
    expect(Math.abs(value - output.data[i])).toBeLessThanOrEqual(1e-5 * scale);
  });
});

test.each([
  [2, 2, "LOGISTIC"],
  [3, 3, "SOFTMAX"],
  [2, 2, "SOFTMAX"],
] as const)("LinearClassifier of %i classes, %i rows of coefficients, %s", async (classes, count, transform) => {
  const bytes = written(logistic(classes, count, transform));
  const { network, report } = fromOnnx(bytes);
  const binary = transform === "LOGISTIC";
  expect(report).toMatchObject({ task: binary ? "binary" : "classification", constants: [] });
  expect(report.removed.map(({ operator }) => operator)).toEqual([binary ? "Sigmoid" : "Softmax"]);
  expect(network.parameterCount).toBe(4 * (binary ? 1 : count));
  const x = array([1, -2, 0.5, 0.5, 3, -1], { shape: [2, 3], dtype: "float32" });
  const { probabilities } = await runOnnx(bytes, x);
  const logits = network.forward(x).toArray() as number[][];
  const own = logits.flatMap((row) => {
    const whole = binary ? [0, ...row] : row;
    const sum = whole.reduce((total, value) => total + Math.exp(value), 0);
    return whole.map((value) => Math.exp(value) / sum);
  });
  expect(own.length).toBe(probabilities.data.length);
  own.forEach((value, i) => {
    expect(Math.abs(value - probabilities.data[i])).toBeLessThanOrEqual(1e-5);
  });
});
