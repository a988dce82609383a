// The kernels' memory: one growing WebAssembly memory, shared with worker threads where the runtime allows it. A heap of
// blocks serves scopes, which are a stack: everything a call allocates is released when its scope ends, also when it
// throws; and it serves arrays that live here until they are freed. Scopes are synchronous and end before an `await`.

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
const SCOPE_BLOCK = 2 ** 20; // bytes the stack of scopes takes from the heap at a time, at least

/** The first bytes belong to the kernels' static data, and the next to their scratch; the loader checks that they suffice. */
export const SCRATCH: Pointer = 65536;
export const STATIC_BYTES: number = 2 * 2 ** 20;

/** Whether other threads can see the memory. */
export const shared: boolean = "SharedArrayBuffer" in globalThis;

/** What is used of a WebAssembly.Memory: its own type would ask users' projects for the library "DOM". */
interface Memory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

export const memory: Memory = new WebAssembly.Memory({ initial: 64, maximum: MAXIMUM_PAGES, shared });
let f32 = new Float32Array(memory.buffer);
let f64 = new Float64Array(memory.buffer);
let u32 = new Uint32Array(memory.buffer);
/** Every buffer the memory has had: a shared one keeps its old buffers valid when it grows. */
const buffers = new WeakSet<ArrayBufferLike>([memory.buffer]);

interface Block {
  readonly start: Pointer;
  readonly end: Pointer;
}

/** Free blocks by address, never adjacent to each other. */
let free: Block[] = [{ start: STATIC_BYTES, end: memory.buffer.byteLength }];
let inUse = 0;

const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** A block of the heap, the first that is large enough. @throws LaplaceError beyond the 4 GiB a memory can have */
export function takeBlock(bytes: number): Pointer {
  const start = take(bytes);
  observer?.();
  return start;
}

function take(bytes: number): Pointer {
  const size = align(bytes);
  let index = free.findIndex(({ start, end }) => end - start >= size);
  if (index < 0) {
    grow(size);
    index = free.length - 1;
  }
  const { start, end } = free[index];
  if (end - start === size) free.splice(index, 1);
  else free[index] = { start: start + size, end };
  inUse += size;
  return start;
}

/** A block for good, which does not count as in use. */
export function reserveBlock(bytes: number): Pointer {
  const pointer = take(bytes);
  inUse -= align(bytes);
  return pointer;
}

/** Gives a block back. */
export function giveBlock(start: Pointer, bytes: number): void {
  const size = align(bytes);
  inUse -= size;
  addFree({ start, end: start + size });
}

function addFree(block: Block): void {
  const index = free.findIndex(({ start }) => start > block.start);
  const at = index < 0 ? free.length : index;
  const before = free[at - 1];
  const after = free[at];
  const joinsBefore = before !== undefined && before.end === block.start;
  const joinsAfter = after !== undefined && after.start === block.end;
  const start = joinsBefore ? before.start : block.start;
  const end = joinsAfter ? after.end : block.end;
  free = [...free.slice(0, joinsBefore ? at - 1 : at), { start, end }, ...free.slice(joinsAfter ? at + 1 : at)];
}

/** Adds `bytes` at the end of memory, or what is missing where the last free block reaches the end. */
function grow(bytes: number): void {
  const have = memory.buffer.byteLength;
  const last = free.at(-1);
  const start = last !== undefined && last.end === have ? last.start : have;
  const pages = Math.ceil((start + bytes) / PAGE);
  // Growing by a half at least keeps the number of growths, each of which renews every view, logarithmic.
  const wanted = Math.min(Math.max(pages, Math.ceil((1.5 * have) / PAGE)), MAXIMUM_PAGES);
  try {
    if (pages > MAXIMUM_PAGES) throw new RangeError("beyond 4 GiB");
    memory.grow(wanted - have / PAGE);
  } catch (cause) {
    const message = `The kernels' memory cannot grow to ${start + bytes} bytes (it has ${have}).`;
    throw new LaplaceError(message, { cause });
  }
  addFree({ start: have, end: wanted * PAGE });
  buffers.add(memory.buffer);
  f32 = new Float32Array(memory.buffer);
  f64 = new Float64Array(memory.buffer);
  u32 = new Uint32Array(memory.buffer);
}

/** The stack of scopes: blocks of the heap, filled from their start. The first is kept. */
const stack: Block[] = [];
let top: Pointer = 0;
/** Bytes that scopes hold, without what is left over in their blocks. */
let scoped = 0;
let observer: (() => void) | undefined;

/** Tests: calls `next` after each allocation and before each release; undefined ends it. */
export function observeMemory(next: (() => void) | undefined): void {
  observer = next;
}

/** Runs `body`, then releases what it allocated. */
export function scope<Result>(body: () => Result): Result {
  const mark = top;
  const blocks = stack.length;
  const held = scoped;
  try {
    const result = body();
    observer?.();
    return result;
  } finally {
    scoped = held;
    while (stack.length > Math.max(blocks, 1)) {
      const { start, end } = stack.pop() as Block;
      giveBlock(start, end - start);
    }
    top = blocks === 0 ? (stack[0]?.start ?? 0) : mark;
  }
}

/** Memory of the current scope, not cleared. @throws LaplaceError beyond the 4 GiB a WebAssembly memory can have */
export function allocate(bytes: number): Pointer {
  const size = align(bytes);
  const block = stack.at(-1);
  if (block === undefined || top + size > block.end) {
    const length = Math.max(size, SCOPE_BLOCK);
    const start = take(length);
    stack.push({ start, end: start + length });
    top = start;
  }
  const address = top;
  top += size;
  scoped += size;
  observer?.();
  return address;
}

export function bytesPerElement(dtype: DType): number {
  return dtype === "float32" ? 4 : 8;
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

/** Where an array lies that is in the kernels' memory already; undefined for one in JavaScript's. */
export function placeOf(values: FloatArray): Pointer | undefined {
  return buffers.has(values.buffer) ? values.byteOffset : undefined;
}

/** Elements of the kernels' memory as an array that shows them, until an unshared memory grows. */
export function viewOf(dtype: DType, pointer: Pointer, length: number): FloatArray {
  const start = pointer / bytesPerElement(dtype);
  return floats(dtype).subarray(start, start + length);
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

/** Bytes the kernels' memory has, and bytes of it in use by scopes and arrays. */
export function memoryUse(): { bytes: number; inUse: number } {
  const [first] = stack;
  // The stack's first block is kept between calls; only what is filled of it counts.
  const kept = first === undefined || stack.length > 1 ? 0 : first.end - top;
  return { bytes: memory.buffer.byteLength, inUse: inUse - kept };
}

/** Bytes in use that were asked for: the stack of scopes takes whole blocks. */
export function allocatedBytes(): number {
  return inUse - stack.reduce((sum, { start, end }) => sum + end - start, 0) + scoped;
}
