// onnxruntime-web and onnxruntime-node, which callers bring: what is used of them.

import { NDArray, ValueError } from "laplace-ts";
import { half } from "../onnx/numbers.ts";

/** A tensor of the runtime. */
export interface OnnxTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  getData?(releaseData?: boolean): Promise<unknown>;
  dispose?(): void;
}

/** An `InferenceSession` of the runtime. */
export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: object, fetches: readonly string[]): Promise<object>;
  release?(): Promise<void>;
}

/** What `import * as ort from "onnxruntime-web"`, or from "onnxruntime-node", gives. */
export interface OnnxRuntime {
  readonly Tensor: new (...args: never[]) => object;
  readonly InferenceSession: { create(model: Uint8Array, options?: object): Promise<OnnxSession> };
}

interface Element {
  readonly name: string;
  from(numbers: NDArray["data"]): unknown;
}

type Numbers = NDArray["data"];

/** A number's bits as a 16-bit float of IEEE 754, rounded to the nearest, ties to even. */
export function halfBits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-9)));
  const steps = size / 2 ** (exponent - 10);
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 === 1) ? 1 : 0;
  const units = below + up;
  // Units of 1024 and more have the exponent above; a carry goes into it by itself.
  return sign | (exponent === -14 && units < 1024 ? units : ((exponent + 14) << 10) + units);
}

const whole = (numbers: Numbers) => {
  const wrong = numbers.findIndex((x) => !Number.isSafeInteger(x));
  if (wrong >= 0)
    throw new ValueError(`withFeatures: the input takes integers; element ${wrong} is ${numbers[wrong]}.`);
  return numbers;
};

/** Element types by ONNX's numbers. */
const elements: Readonly<Record<number, Element>> = {
  1: { name: "float32", from: (x) => Float32Array.from(x) },
  2: { name: "uint8", from: (x) => Uint8Array.from(whole(x)) },
  3: { name: "int8", from: (x) => Int8Array.from(whole(x)) },
  6: { name: "int32", from: (x) => Int32Array.from(whole(x)) },
  7: { name: "int64", from: (x) => BigInt64Array.from(Array.from(whole(x), BigInt)) },
  9: { name: "bool", from: (x) => Uint8Array.from(x, (one) => Number(one !== 0)) },
  10: { name: "float16", from: (x) => Uint16Array.from(x, halfBits) },
  11: { name: "float64", from: (x) => Float64Array.from(x) },
};

export const elementName = (type: number): string | undefined => elements[type]?.name;

/** Numbers as the runtime's tensor. */
export function feed({ Tensor }: OnnxRuntime, type: number, numbers: Numbers, dims: readonly number[]): object {
  const { name, from } = elements[type];
  const Made = Tensor as unknown as new (type: string, data: unknown, dims: readonly number[]) => object;
  return new Made(name, from(numbers), [...dims]);
}

const floats: Readonly<Record<string, number>> = { float32: 1, float16: 10, float64: 11 };

/** What a tensor of the runtime holds, and its element type by ONNX's number; it is released. @throws ValueError */
export async function fetched(
  where: string,
  name: string,
  tensor: unknown,
): Promise<{ values: NDArray; type: number }> {
  const one = tensor as OnnxTensor;
  const { type, dims } = (tensor ?? {}) as Partial<OnnxTensor>;
  if (type === undefined || dims === undefined || (floats[type] === undefined && type !== "int64")) {
    throw new ValueError(`${where}: "${name}" has elements of type ${type}; features are floating-point numbers.`);
  }
  // Where the numbers lie on a graphics card, only getData has them.
  const data = (one.getData === undefined ? one.data : await one.getData()) as ArrayLike<number | bigint>;
  const size = dims.reduce((product, length) => product * length, 1);
  if (data.length !== size) {
    throw new ValueError(`${where}: "${name}" has ${data.length} numbers for the shape [${dims.join(", ")}].`);
  }
  const to = type === "float32" || type === "float16" ? new Float32Array(size) : new Float64Array(size);
  if (data instanceof Float32Array || data instanceof Float64Array) to.set(data);
  else if (type === "float16" && data instanceof Uint16Array) to.set(Float32Array.from(data, half));
  else for (let i = 0; i < size; i++) to[i] = Number(data[i]);
  one.dispose?.();
  return { values: new NDArray(to, [...dims]), type: floats[type] ?? 7 };
}
