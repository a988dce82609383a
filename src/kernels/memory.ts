// The kernels' memory: one growing WebAssembly memory, used as a stack of scopes. Everything a call allocates is
// released when its scope ends, also when it throws. Scopes are synchronous; nothing lives across an `await`.

import { LaplaceError } from "../errors.ts";

/** The element types of arrays and networks. */
export type DType = "float32" | "float64";

/** The typed arrays that hold them. */
export type FloatArray = Float32Array | Float64Array;

/** A byte address in the kernels' memory. */
export type Pointer = number;

const PAGE = 65536;
const MAXIMUM_PAGES = 65536;
const ALIGNMENT = 64; // a cache line

/** The first bytes belong to the kernels' static data; the loader checks that they suffice. */
export const STATIC_BYTES = 65536;

export const memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16, maximum: MAXIMUM_PAGES });
let f32 = new Float32Array(memory.buffer);
let f64 = new Float64Array(memory.buffer);
let u32 = new Uint32Array(memory.buffer);
let top: Pointer = STATIC_BYTES;

export function bytesPerElement(dtype: DType): number {
  return dtype === "float32" ? 4 : 8;
}

/** Runs `body`, then releases what it allocated. */
export function scope<Result>(body: () => Result): Result {
  const mark = top;
  try {
    return body();
  } finally {
    top = mark;
  }
}

/** Memory of the current scope, not cleared. @throws LaplaceError beyond the 4 GiB a WebAssembly memory can have. */
export function allocate(bytes: number): Pointer {
  const address = top;
  const end = address + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  if (end > f64.byteLength) grow(end);
  top = end;
  return address;
}

function grow(end: number): void {
  const pages = Math.ceil(end / PAGE);
  const have = memory.buffer.byteLength / PAGE;
  // Growing by a half at least keeps the number of growths, each of which renews every view, logarithmic.
  const wanted = Math.min(Math.max(pages, Math.ceil(have * 1.5)), MAXIMUM_PAGES);
  try {
    if (pages > MAXIMUM_PAGES) throw new RangeError("beyond 4 GiB");
    memory.grow(wanted - have);
  } catch (cause) {
    const message = `The kernels' memory cannot grow to ${end} bytes (it has ${memory.buffer.byteLength}).`;
    throw new LaplaceError(message, { cause });
  }
  f32 = new Float32Array(memory.buffer);
  f64 = new Float64Array(memory.buffer);
  u32 = new Uint32Array(memory.buffer);
}

export function allocateFloats(dtype: DType, length: number): Pointer {
  return allocate(length * bytesPerElement(dtype));
}

/** All of memory as one array, for element access at `pointer / bytesPerElement`. Renewed when memory grows. */
export function floats(dtype: DType): FloatArray {
  return dtype === "float32" ? f32 : f64;
}

/** As `floats`, for the 32-bit integers of shapes and strides. */
export function integers(): Uint32Array {
  return u32;
}

/** A fresh allocation that holds a copy of `source`, converted to `dtype`. */
export function copyIn(dtype: DType, source: ArrayLike<number>): Pointer {
  const pointer = allocateFloats(dtype, source.length);
  copyTo(dtype, pointer, source);
  return pointer;
}

export function copyTo(dtype: DType, pointer: Pointer, source: ArrayLike<number>): void {
  floats(dtype).set(source, pointer / bytesPerElement(dtype));
}

/** A copy of `length` elements outside the kernels' memory. */
export function copyOut(dtype: DType, pointer: Pointer, length: number): FloatArray {
  const start = pointer / bytesPerElement(dtype);
  return floats(dtype).slice(start, start + length);
}

/** Copies `length` elements into `out` from `offset` on. */
export function copyOutTo(dtype: DType, pointer: Pointer, length: number, out: FloatArray, offset: number): void {
  const start = pointer / bytesPerElement(dtype);
  out.set(floats(dtype).subarray(start, start + length), offset);
}

/** Bytes the kernels' memory has, and bytes of it in use. */
export function memoryUse(): { bytes: number; inUse: number } {
  return { bytes: memory.buffer.byteLength, inUse: top - STATIC_BYTES };
}
