// Files are somebody else's: altered ones are networks or errors with a name, in bounded time and memory.

import fc from "fast-check";
import { averagePool2d, chain, conv2d, dense, flatten, LaplaceError, lstm, relu, tanh } from "laplace-ts";
import { fromOnnx, fromTensorFlowJs, toOnnx } from "laplace-ts-models";
import { expect, test } from "vitest";
import { drafts } from "./drafts.ts";
import { thrown } from "./thrown.ts";
import { written } from "./written.ts";

const RUNS = 2500;
/** Resident bytes beyond those at the beginning. */
const MOST_BYTES = 2 ** 30;

const change = fc.record({
  at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
  to: fc.integer({ min: 0, max: 255 }),
});
const changes = fc.array(change, { minLength: 1, maxLength: 4 });

/** What a call gives is a network, or an error of ours. */
function harmless(body: () => unknown): void {
  const result = thrown(body);
  if (result !== undefined) expect(result).toBeInstanceOf(LaplaceError);
}

const onnx = [
  chain({ inputs: 4 }, dense(5, tanh), dense(2)),
  chain({ inputs: [2, 6, 6] }, conv2d(3, 3, relu, { padding: 1 }), averagePool2d(2), flatten, dense(2)),
  chain({ inputs: [3, 4] }, lstm(3, { output: "last" }), dense(2)),
].map((net) => toOnnx(net));
const others = Object.values(drafts).map(([graph]) => written(graph));

test("altered ONNX files", { timeout: 600_000 }, () => {
  const before = process.memoryUsage().rss;
  fc.assert(
    fc.property(fc.constantFrom(...onnx, ...others), changes, fc.boolean(), (from, all, cut) => {
      const altered = cut ? from.slice(0, Math.floor(all[0].at * from.length)) : from.slice();
      for (const { at, to } of cut ? [] : all) altered[Math.floor(at * altered.length)] = to;
      harmless(() => fromOnnx(altered));
    }),
    { numRuns: RUNS },
  );
  expect(process.memoryUsage().rss - before).toBeLessThan(MOST_BYTES);
});

const layer = (class_name: string, name: string, config: object, from: string[] = []) => ({
  class_name,
  name,
  config: { name, ...config },
  inbound_nodes: from.length > 0 ? [from.map((one) => [one, 0, 0, {}])] : [],
});
const weights = [
  { name: "c/kernel", shape: [3, 3, 2, 4], dtype: "float32" },
  { name: "c/bias", shape: [4], dtype: "float32", quantization: { dtype: "uint8", scale: 0.01, min: -1 } },
  { name: "n/gamma", shape: [4], dtype: "float32" },
  { name: "n/moving_mean", shape: [4], dtype: "float32" },
  { name: "n/moving_variance", shape: [4], dtype: "float16" },
  ...["forward", "backward"].flatMap((way) => [
    { name: `b/${way}_l/kernel`, shape: [4, 8], dtype: "float32" },
    { name: `b/${way}_l/recurrent_kernel`, shape: [2, 8], dtype: "float32" },
    { name: `b/${way}_l/bias`, shape: [8], dtype: "float32" },
  ]),
  { name: "d/kernel", shape: [4, 3], dtype: "float32" },
];
const bytes = 4 * 72 + 4 + 2 * 4 * 4 + 2 * 4 + 2 * 4 * (32 + 16 + 8) + 4 * 12;
const model = {
  modelTopology: {
    class_name: "Functional",
    config: {
      layers: [
        layer("InputLayer", "in", { batch_input_shape: [null, 6, 6, 2] }),
        layer("Conv2D", "c", { activation: "relu", padding: "same", strides: [1, 1], use_bias: true }, ["in"]),
        layer("BatchNormalization", "n", { epsilon: 0.001, center: false }, ["c"]),
        layer("UpSampling2D", "u", { size: [2, 2] }, ["n"]),
        layer("MaxPooling2D", "m", { pool_size: [2, 2], strides: [2, 2], padding: "valid" }, ["u"]),
        layer("Add", "a", {}, ["m", "c"]),
        layer("GlobalAveragePooling2D", "g", {}, ["a"]),
        layer("RepeatVector", "r", { n: 3 }, ["g"]),
        layer("Bidirectional", "b", { merge_mode: "concat", layer: { class_name: "LSTM", config: { units: 2 } } }, [
          "r",
        ]),
        layer("Dense", "d", { units: 3, activation: "softmax", use_bias: false }, ["b"]),
      ],
      input_layers: [["in", 0, 0]],
      output_layers: [["d", 0, 0]],
    },
  },
  weightsManifest: [{ paths: ["w"], weights }],
};

type Json = { [name: string]: Json } | Json[] | string | number | boolean | null;
/** Where a value stands in JSON. */
function* places(json: Json, path: readonly string[] = []): Generator<readonly string[]> {
  yield path;
  if (typeof json !== "object" || json === null) return;
  for (const [name, value] of Object.entries(json)) yield* places(value, [...path, name]);
}
const all = [...places(model as unknown as Json)].filter((path) => path.length > 0);

test("altered layers models of TensorFlow.js", { timeout: 600_000 }, () => {
  const plain = Uint8Array.from({ length: bytes }, (_, i) => (i % 4 === 3 ? 62 : i % 251));
  expect(fromTensorFlowJs(model, plain).network.outputShape).toEqual([3]);
  const before = process.memoryUsage().rss;
  const odd = fc.oneof(
    fc.constantFrom<Json>(
      null,
      -1,
      0,
      1,
      2,
      3,
      7,
      1.5,
      1e9,
      2 ** 40,
      "",
      "relu",
      "same",
      "d",
      "in",
      true,
      [],
      {},
      [null],
      [[1e6, 1e6]],
    ),
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
  );
  const altered = fc.array(fc.tuple(fc.constantFrom(...all), odd), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(altered, changes, fc.boolean(), (json, octets, cut) => {
      const copy = structuredClone(model) as unknown as Json;
      for (const [path, value] of json) {
        let at: unknown = copy;
        for (const name of path.slice(0, -1)) at = (at as Record<string, unknown> | null | undefined)?.[name];
        if (typeof at !== "object" || at === null) continue;
        (at as Record<string, unknown>)[path[path.length - 1]] = structuredClone(value);
      }
      const data = plain.slice(0, cut ? Math.floor(octets[0].at * plain.length) : plain.length);
      for (const { at, to } of octets) if (data.length > 0) data[Math.floor(at * data.length)] = to;
      harmless(() => fromTensorFlowJs(copy as object, data));
    }),
    { numRuns: RUNS },
  );
  expect(process.memoryUsage().rss - before).toBeLessThan(MOST_BYTES);
});
