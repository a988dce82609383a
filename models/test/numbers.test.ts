// Numbers of files: 16-bit floats, quantised weights, and what is in files beside the model.

import { fromOnnx, ModelError } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { thrown } from "./thrown.ts";
import { type Array_, type GraphDraft, written } from "./written.ts";

const numbers = [1, -2, 0.5, 65504, 2 ** -24, 3.140625];
const shape = [2, 3];

/** W x, its weight an array as it is given. */
const product = (weight: Omit<Array_, "name" | "dims">, more: Partial<GraphDraft> = {}): GraphDraft => ({
  inputs: [{ name: "x", dims: ["batch", 3] }],
  outputs: [{ name: "y", dims: ["batch", 2] }],
  arrays: [{ name: "fc.weight", dims: shape, ...weight }],
  nodes: [{ op: "Gemm", inputs: ["x", "fc.weight"], outputs: ["y"], attributes: { transB: { int: 1 } } }],
  ...more,
});
const weightOf = (graph: GraphDraft, options = {}) => fromOnnx(written(graph), options).network.parameters;

/** The bits of 16-bit floats of IEEE 754, by hand: sign, exponent from 15 on, fraction. */
const halves = [0x3c00, 0xc000, 0x3800, 0x7bff, 0x0001, 0x4248];
/** The upper halves of 32-bit floats. */
const brains = numbers.map((x) => new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16);
const bytesOf = (bits: readonly number[]) => new Uint8Array(Uint16Array.from(bits).buffer);

describe("weights of 16 bits", () => {
  test.each([
    ["float16", halves],
    ["bfloat16", brains],
  ] as const)("%s, by its bytes and in fields", (type, bits) => {
    const expected =
      type === "float16" ? numbers : brains.map((b) => new Float32Array(Uint32Array.of(b << 16).buffer)[0]);
    for (const given of [{ data: bits }, { data: [], raw: bytesOf(bits) }]) {
      const weight = weightOf(product({ type, ...given }));
      expect(weight.dtype).toBe("float32");
      expect([...weight.data]).toEqual(expected.map(Math.fround));
    }
  });

  test("a whole graph of float16 computes in float32", () => {
    const graph = product({ type: "float16", data: halves });
    const inputs = [{ name: "x", dims: ["batch", 3], type: 10 }];
    expect([...fromOnnx(written({ ...graph, inputs })).network.forward([[1, 1, 2]]).data]).toEqual([0, 65510.28125]);
  });
});

test("quantised weights are what DequantizeLinear makes of them, for each output", () => {
  const graph = product(
    { type: "int8", data: [1, -2, 3, 10, 20, -30] },
    {
      arrays: [
        { name: "q", dims: shape, type: "int8", data: [1, -2, 3, 10, 20, -30] },
        { name: "scale", dims: [2], data: [0.5, 0.25] },
        { name: "zero", dims: [2], type: "int8", data: [1, 0] },
      ],
      nodes: [
        { op: "DequantizeLinear", inputs: ["q", "scale", "zero"], outputs: ["w"], attributes: { axis: { int: 0 } } },
        { op: "Gemm", inputs: ["x", "w"], outputs: ["y"], attributes: { transB: { int: 1 } } },
      ],
    },
  );
  expect([...weightOf(graph).data]).toEqual([0, -1.5, 1, 2.5, 5, -7.5]);
});

describe("weights in a file beside the model", () => {
  const external = { location: "model.onnx.data", offset: "8", length: "24" };
  const file = new Uint8Array(40);
  new Float32Array(file.buffer).set(numbers, 2);
  const bytes = written(product({ data: [], external }));

  test("are taken by the callback, at their offset", () => {
    const asked: string[] = [];
    const { network } = fromOnnx(bytes, { externalData: (location) => file.subarray(0, 40 * asked.push(location)) });
    expect([...network.parameters.data]).toEqual(numbers.map(Math.fround));
    expect(asked).toEqual(["model.onnx.data"]);
  });

  test.each<[string, object, RegExp]>([
    ["without the callback", {}, /"fc.weight" is in the file "model.onnx.data".*option externalData/],
    [
      "a file that is too short",
      { externalData: () => file.subarray(0, 20) },
      /"model.onnx.data" ends before "fc.weight"/,
    ],
    ["no bytes", { externalData: () => "text" }, /gave no Uint8Array for "model.onnx.data"/],
  ])("%s is refused", (_, options, message) => {
    const error = thrown(() => fromOnnx(bytes, options));
    expect(error).toBeInstanceOf(ModelError);
    expect((error as Error).message).toMatch(message);
  });
});

describe("axes that are moved and moved back", () => {
  const moved = (perm: readonly number[], from: string, to: string) => ({
    op: "Transpose",
    inputs: [from],
    outputs: [to],
    attributes: { perm: { ints: perm } },
  });
  const [toChannels, back] = [
    [0, 3, 1, 2],
    [0, 2, 3, 1],
  ];
  const convolution = (from: string, to: string) => ({ op: "Conv", inputs: [from, "w"], outputs: [to] });

  test("as exporters of [height, width, channels] write them, they are not moved at all between layers", () => {
    const bytes = written({
      inputs: [{ name: "x", dims: ["batch", 4, 5, 2] }],
      outputs: [{ name: "y", dims: ["batch", 2, 4, 5] }],
      arrays: [{ name: "w", dims: [2, 2, 1, 1], data: [1, 2, 3, -4] }],
      nodes: [
        moved(toChannels, "x", "a"),
        convolution("a", "b"),
        moved(back, "b", "c"),
        { op: "Relu", inputs: ["c"], outputs: ["d"] },
        { op: "Add", inputs: ["c", "d"], outputs: ["e"] },
        { op: "Clip", inputs: ["e"], outputs: ["f"], attributes: { max: { float: 6 } } },
        moved(toChannels, "f", "g"),
        convolution("g", "y"),
      ],
    });
    const { network } = fromOnnx(bytes);
    const names = network.graph.nodes.map(({ primitive }) => primitive.name);
    // The input is [height, width, channels], and stays so.
    expect(names.filter((name) => name === "permute").length).toBe(1);
    const x = Array.from({ length: 40 }, (_, i) => Math.sin(i));
    const image = Array.from({ length: 4 }, (_, i) =>
      Array.from({ length: 5 }, (_, j) => x.slice(10 * i + 2 * j, 10 * i + 2 * j + 2)),
    );
    const layer = ([p, q]: number[]) => [p + 2 * q, 3 * p - 4 * q];
    const bent = (v: number) => Math.min(v + Math.max(v, 0), 6);
    const pixels = image.flat().map((pixel) => layer(layer(pixel).map(bent)));
    expect(network.forward([image]).data).toBeAllClose(
      [0, 1].flatMap((c) => pixels.map((pixel) => pixel[c])),
      { relative: 1e-5, absolute: 1e-5 },
    );
  });

  test("by different orders they are moved once", () => {
    const bytes = written({
      inputs: [{ name: "x", dims: ["batch", 2, 3, 4] }],
      outputs: [{ name: "y", dims: ["batch", 3, 2, 4] }],
      nodes: [
        moved(toChannels, "x", "a"),
        { op: "Tanh", inputs: ["a"], outputs: ["b"] },
        moved([0, 3, 2, 1], "b", "y"),
      ],
    });
    const { network } = fromOnnx(bytes);
    expect(network.graph.nodes.filter(({ primitive }) => primitive.name === "permute").length).toBe(1);
    const x = Array.from({ length: 24 }, (_, i) => Math.tanh(i / 9));
    const y = [0, 1, 2].flatMap((j) => [0, 1].flatMap((i) => [0, 1, 2, 3].map((k) => x[12 * i + 4 * j + k])));
    const rows = Array.from({ length: 2 }, (_, i) =>
      Array.from({ length: 3 }, (_, j) => Array.from({ length: 4 }, (_, k) => (12 * i + 4 * j + k) / 9)),
    );
    expect(network.forward([rows]).data).toBeAllClose(y, { relative: 1e-5 });
  });
});
