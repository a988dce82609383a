// Arrays of NumPy (.npz): a zip of .npy files, as numpy.savez and savez_compressed write it. The formats are PKWARE's APPNOTE and
// NumPy's own (numpy.lib.format).

import { readFile } from "node:fs/promises";
import { inflateRawSync } from "node:zlib";
import { TableError } from "../errors.ts";

/** An array of a file; texts are those of labels. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly values: readonly string[] | Float64Array;
}

const [END, ENTRY] = [0x06054b50, 0x02014b50];
/** Bytes that an array may have, unpacked. */
const LARGEST = 2 ** 32;

/** Whether a path is one of arrays. */
export const isNpz = (path: string): boolean => /\.npz$/i.test(path);

/** The arrays of a file, by their names. @throws TableError for what is not one; errors of the operating system */
export async function readNpz(path: string): Promise<Map<string, NpyArray>> {
  const bytes = await readFile(path);
  try {
    return new Map(Array.from(entriesOf(bytes), ([name, content]) => [name.replace(/\.npy$/, ""), readNpy(content())]));
  } catch (cause) {
    if (cause instanceof TableError) throw cause;
    throw new TableError(`${path} cannot be read as arrays (.npz): ${cause instanceof Error ? cause.message : cause}.`);
  }
}

/** What a zip holds, by its list at the end. */
function* entriesOf(bytes: Buffer): Generator<[string, () => Uint8Array]> {
  let end = bytes.length - 22;
  while (end >= 0 && bytes.readUInt32LE(end) !== END) end--;
  if (end < 0) throw new TableError("the file is not a zip of arrays: its list is missing.");
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    if (bytes.readUInt32LE(at) !== ENTRY) throw new Error("its list is broken");
    const [method, packed, size] = [
      bytes.readUInt16LE(at + 10),
      bytes.readUInt32LE(at + 20),
      bytes.readUInt32LE(at + 24),
    ];
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
    const start = bytes.readUInt32LE(at + 42);
    const name = bytes.toString("utf8", at + 46, at + 46 + nameLength);
    at += 46 + nameLength + extra + comment;
    yield [name, () => contentOf(bytes, { start, method, packed, size, name })];
  }
}

interface Entry {
  readonly start: number;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  readonly name: string;
}

function contentOf(bytes: Buffer, { start, method, packed, size, name }: Entry): Uint8Array {
  if (size >= LARGEST - 1 || packed >= LARGEST - 1) throw new Error(`"${name}" is larger than 4 GB`);
  const first = start + 30 + bytes.readUInt16LE(start + 26) + bytes.readUInt16LE(start + 28);
  const content = bytes.subarray(first, first + packed);
  if (content.length !== packed) throw new Error(`"${name}" ends too soon`);
  if (method === 0) return content;
  if (method === 8) return inflateRawSync(content, { maxOutputLength: Math.max(1, size) });
  throw new Error(`"${name}" is packed in a way that is not known (${method})`);
}

/** Readers of numbers by NumPy's names of their types. */
const types: Readonly<Record<string, (view: DataView, at: number) => number>> = {
  "<f4": (v, at) => v.getFloat32(at, true),
  "<f8": (v, at) => v.getFloat64(at, true),
  "<i2": (v, at) => v.getInt16(at, true),
  "<i4": (v, at) => v.getInt32(at, true),
  "<i8": (v, at) => Number(v.getBigInt64(at, true)),
  "<u2": (v, at) => v.getUint16(at, true),
  "<u4": (v, at) => v.getUint32(at, true),
  "<u8": (v, at) => Number(v.getBigUint64(at, true)),
  "|i1": (v, at) => v.getInt8(at),
  "|u1": (v, at) => v.getUint8(at),
  "|b1": (v, at) => v.getUint8(at),
};

function readNpy(bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== 0x93 || Buffer.from(bytes.subarray(1, 6)).toString("latin1") !== "NUMPY") {
    throw new Error("it holds a file that is not an array");
  }
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = Buffer.from(bytes.subarray(long ? 12 : 10, start)).toString("latin1");
  const type = header.match(/'descr': '([^']*)'/)?.[1] ?? "";
  const shape = [...(header.match(/'shape': \(([^)]*)\)/)?.[1] ?? "").matchAll(/\d+/g)].map(([n]) => Number(n));
  if (header.includes("'fortran_order': True") && shape.length > 1) {
    throw new Error("an array is stored by columns: write it by numpy.ascontiguousarray");
  }
  const size = shape.reduce((product, n) => product * n, 1);
  const read = Object.hasOwn(types, type) ? types[type] : undefined;
  const characters = Number(/^<U(\d+)$/.exec(type)?.[1]);
  const width = read ? Number(type.slice(2)) : 4 * characters;
  if (!(width > 0)) throw new Error(`an array has the type "${type}"; known are numbers and texts`);
  if (bytes.length - start !== size * width) throw new Error("an array has not as many bytes as its shape says");
  if (read) return { shape, values: Float64Array.from({ length: size }, (_, i) => read(view, start + i * width)) };
  const textAt = (i: number) => {
    const codes = Array.from({ length: characters }, (_, k) => view.getUint32(start + i * width + 4 * k, true));
    return String.fromCodePoint(...codes.filter((code) => code > 0 && code <= 0x10ffff));
  };
  return { shape, values: Array.from({ length: size }, (_, i) => textAt(i)) };
}
