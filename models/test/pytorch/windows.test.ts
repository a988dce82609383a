// Windows of every kind, drawn at random: convolutions and pooling with strides, dilations, pads, ceil_mode and auto_pad, against
// onnxruntime-web.

import fc from "fast-check";
import { array, Random } from "laplace-ts";
import { fromOnnx, ModelError } from "laplace-ts-models";
import { expect, test } from "vitest";
import { type Drafted, written } from "../written.ts";
import { runOnnx } from "./onnx-runtime.ts";

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
const windows = fc.record({
  op: fc.constantFrom("MaxPool", "AveragePool", "Conv", "ConvTranspose"),
  sequence: fc.boolean(),
  size: pair(5, 9),
  kernel: pair(1, 3),
  strides: pair(1, 3),
  dilations: pair(1, 2),
  pads: fc.tuple(pair(0, 1), pair(0, 1)),
  auto: fc.constantFrom("NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
  ceil: fc.integer({ min: 0, max: 1 }),
  count: fc.integer({ min: 0, max: 1 }),
  groups: fc.integer({ min: 1, max: 2 }),
  seed: fc.nat(1000),
});

type Case = typeof windows extends fc.Arbitrary<infer Value> ? Value : never;

/** Whether outputs are the same, or windows refused; undefined where onnxruntime refuses them. */
async function compare(one: Case): Promise<"same" | "refused" | undefined> {
  const { op, size, kernel, strides, dilations, pads, auto, groups } = one;
  const axes = <T>(all: readonly T[]) => (one.sequence ? all.slice(0, 1) : all);
  const [ks, spatial] = [axes(kernel), axes(size)];
  const pool = op.endsWith("Pool");
  const transposed = op === "ConvTranspose";
  // Pads are smaller than windows.
  const padded = pads.flatMap((end) => axes(end).map((n, i) => Math.min(n, ks[i] - 1)));
  const attributes: Drafted["attributes"] = {
    strides: { ints: axes(strides) },
    dilations: { ints: axes(dilations) },
    ...(auto === "NOTSET" || transposed ? { pads: { ints: padded } } : { auto_pad: { text: auto } }),
    ...(pool ? { kernel_shape: { ints: ks }, ceil_mode: { int: one.ceil } } : { group: { int: groups } }),
    ...(op === "AveragePool" && { count_include_pad: { int: one.count } }),
  };
  const random = new Random(one.seed);
  const dims = transposed ? [2, 3, ...ks] : [4, 2 / groups, ...ks];
  const weight = Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal());
  const bytes = written({
    opset: 19,
    inputs: [{ name: "x", dims: ["batch", 2, ...spatial] }],
    outputs: [{ name: "y", dims: ["batch", "c", ...spatial.map((_, i) => `length${i}`)] }],
    arrays: pool ? [] : [{ name: "w", dims, data: weight }],
    nodes: [{ op, inputs: pool ? ["x"] : ["x", "w"], outputs: ["y"], attributes }],
  });
  const shape = [2, 2, ...spatial];
  const x = array(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
    { shape },
  );
  // It refuses convolutions with dilations and auto_pad, and windows that are larger than the input.
  const expected = await runOnnx(bytes, x).catch(() => undefined);
  if (expected === undefined) return undefined;
  try {
    const own = fromOnnx(bytes).network.forward(x);
    expect(own.shape).toEqual([...(expected.y as unknown as { dims: readonly number[] }).dims]);
    const worst = Math.max(...Array.from(own.data, (value, i) => Math.abs(value - expected.y.data[i])));
    expect(worst, JSON.stringify(one)).toBeLessThanOrEqual(1e-4);
    return "same";
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    expect(cause.message, JSON.stringify(one)).toMatch(/runtimes differ in its auto_pad/);
    return "refused";
  }
}

test("outputs are onnxruntime's, or windows are refused", { timeout: 300_000 }, async () => {
  const found = [];
  for (const one of fc.sample(windows, 120)) found.push(await compare(one));
  expect(found.filter((result) => result === "same").length).toBeGreaterThan(60);
});
