// Operators that neither PyTorch nor toOnnx writes, against onnxruntime-web: preprocessing of ai.onnx.ml, If, kinds of recurrence.

import { array } from "laplace-ts";
import { fromOnnx } from "laplace-ts-models";
import { expect, test } from "vitest";
import { drafts } from "../drafts.ts";
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
