// The element types of safetensors files, as arrays of floats. Bytes are little-endian, as everywhere that WebAssembly
// runs, so typed arrays read them as they lie.

import { FileError } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";
import { malformed } from "./json.ts";

/** Bytes in memory of their own, which begins with them. */
type OwnBytes = Uint8Array<ArrayBuffer>;

/** An element type: its bytes for each element, and how they become floats. */
export interface ElementType {
  readonly bytes: number;
  /** @throws FileError for values that the type does not have, or that a float does not hold */
  read(where: string, bytes: OwnBytes): FloatArray;
}

/** Float64 from 64-bit integers. */
function fromInteger64(where: string, { buffer }: OwnBytes): Float64Array {
  return Float64Array.from(new BigInt64Array(buffer), (value) => {
    const number = Number(value);
    if (BigInt(number) === value) return number;
    throw new FileError("unsupported", `${where}: the integer ${value} is not exact in float64.`);
  });
}

/** Float32 from its upper half. */
function fromBfloat16(_: string, { buffer }: OwnBytes): Float32Array {
  const bits = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/** The bits of a float32 that equals a float16. */
function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Below 2⁻¹⁴ a float16 has no leading 1; a float32 does.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

function fromFloat16(_: string, { buffer }: OwnBytes): Float32Array {
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), halfBits).buffer);
}

function fromBooleans(where: string, bytes: OwnBytes): Float32Array {
  return Float32Array.from(bytes, (byte) => {
    if (byte <= 1) return byte;
    throw malformed(where, `the byte ${byte} is not a truth value`);
  });
}

/** By their names in files; a Map, because names come from files. */
export const elementTypes: ReadonlyMap<string, ElementType> = new Map<string, ElementType>([
  ["F64", { bytes: 8, read: (_, { buffer }) => new Float64Array(buffer) }],
  ["F32", { bytes: 4, read: (_, { buffer }) => new Float32Array(buffer) }],
  ["F16", { bytes: 2, read: fromFloat16 }],
  ["BF16", { bytes: 2, read: fromBfloat16 }],
  ["I64", { bytes: 8, read: fromInteger64 }],
  ["I32", { bytes: 4, read: (_, { buffer }) => Float64Array.from(new Int32Array(buffer)) }],
  ["U8", { bytes: 1, read: (_, bytes) => Float32Array.from(bytes) }],
  ["BOOL", { bytes: 1, read: fromBooleans }],
]);

/** Bytes for each element of types that are not read, but may stand in a file beside others. */
export const otherBytes: ReadonlyMap<string, number> = new Map([
  ["I8", 1],
  ["I16", 2],
  ["U16", 2],
  ["U32", 4],
  ["U64", 8],
  ["F8_E4M3", 1],
  ["F8_E5M2", 1],
  ["F8_E8M0", 1],
  ["C64", 8],
]);
