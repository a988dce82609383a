// The numbers of a stored tensor, of every element type that ONNX has numbers for.

import { unsupported } from "../errors.ts";
import { sizeOf, type Tensor, tensor } from "../tensor.ts";
import type { StoredTensor } from "./file.ts";

/** Gives the bytes of a file beside the model, by the location that the model names. */
export type ExternalData = (location: string) => Uint8Array;

interface ElementType {
  readonly bytes: number;
  readonly float?: boolean;
  read(view: DataView, at: number): number;
  /** From an integer field: of types that are stored as their bits. */
  ofBits?(bits: number): number;
}

/** A 16-bit float of IEEE 754. */
export function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

const four = new DataView(new ArrayBuffer(4));
/** The upper half of a 32-bit float. */
function brain(bits: number): number {
  four.setUint32(0, (bits & 0xffff) << 16);
  return four.getFloat32(0);
}

const types: Readonly<Record<number, ElementType>> = {
  1: { bytes: 4, float: true, read: (v, at) => v.getFloat32(at, true) },
  2: { bytes: 1, read: (v, at) => v.getUint8(at) },
  3: { bytes: 1, read: (v, at) => v.getInt8(at) },
  4: { bytes: 2, read: (v, at) => v.getUint16(at, true) },
  5: { bytes: 2, read: (v, at) => v.getInt16(at, true) },
  6: { bytes: 4, read: (v, at) => v.getInt32(at, true) },
  7: { bytes: 8, read: (v, at) => Number(v.getBigInt64(at, true)) },
  9: { bytes: 1, read: (v, at) => v.getUint8(at) },
  10: { bytes: 2, float: true, read: (v, at) => half(v.getUint16(at, true)), ofBits: half },
  11: { bytes: 8, float: true, read: (v, at) => v.getFloat64(at, true) },
  12: { bytes: 4, read: (v, at) => v.getUint32(at, true) },
  13: { bytes: 8, read: (v, at) => Number(v.getBigUint64(at, true)) },
  16: { bytes: 2, float: true, read: (v, at) => brain(v.getUint16(at, true)), ofBits: brain },
};

/** Whether an element type is a floating-point one. */
export const isFloat = (type: number): boolean => types[type]?.float === true;

/** Whether there are numbers of that type. */
export const isNumeric = (type: number): boolean => types[type] !== undefined;

function bytesOf(stored: StoredTensor, size: number, external: ExternalData | undefined): Uint8Array {
  const { raw, external: where, name } = stored;
  if (where.size === 0) return raw ?? new Uint8Array(0);
  const location = where.get("location") ?? "";
  if (external === undefined) {
    unsupported(`"${name}" is in the file "${location}" beside the model: give its bytes by the option externalData.`);
  }
  const all = external(location);
  if (!(all instanceof Uint8Array)) unsupported(`externalData gave no Uint8Array for "${location}".`);
  const offset = Number(where.get("offset") ?? 0);
  const length = Number(where.get("length") ?? size);
  if (Number.isInteger(offset) && offset >= 0 && offset + length <= all.length) {
    return all.subarray(offset, offset + length);
  }
  return unsupported(`"${location}" ends before "${name}", which is at ${offset} and ${length} bytes long.`);
}

/** Reads a tensor. @throws Unsupported */
export function numbersOf(stored: StoredTensor, external: ExternalData | undefined, name?: string): Tensor {
  const type = types[stored.type];
  if (type === undefined) unsupported(`"${stored.name}" has elements of type ${stored.type}, not numbers.`);
  const size = sizeOf(stored.dims);
  const float = type.float === true;
  if (stored.raw === undefined && stored.external.size === 0) {
    const { ofBits } = type;
    return tensor(stored.dims, ofBits ? stored.numbers.map(ofBits) : stored.numbers, float, name);
  }
  const bytes = bytesOf(stored, size * type.bytes, external);
  if (bytes.length !== size * type.bytes) {
    unsupported(`"${stored.name}" has ${bytes.length} bytes, not those of [${stored.dims.join(", ")}].`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = stored.type === 1 ? new Float32Array(size) : new Float64Array(size);
  for (let i = 0; i < size; i++) data[i] = type.read(view, i * type.bytes);
  return tensor(stored.dims, data, float, name);
}
