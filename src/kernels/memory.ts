// The kernels' memory: one growing WebAssembly memory, shared with worker threads where the runtime allows it. A heap of
// blocks serves scopes, which are a stack: everything a call allocates is released when its scope ends, also when it
// throws; and it serves arrays that live here until they are freed. Scopes are synchronous and end before an `await`.
//
// Memory that is not shared moves when it grows: every array that showed it is detached, reads as nothing and swallows what
// is written. So this file gives out pointers, which stay right, and lends views: `inMemory` has one for as long as its body
// runs, and what allocates there is an error at once, whether memory had to grow or not.

import { LaplaceError, PlatformError } from "../errors.ts";

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

const INITIAL_PAGES = 64;
let memory: Memory | undefined;
let f32: Float32Array = new Float32Array();
let f64: Float64Array = new Float64Array();
/** Every buffer the memory has had: a shared one keeps its old buffers valid when it grows. */
const buffers = new WeakSet<ArrayBufferLike>();

interface Block {
  readonly start: Pointer;
  readonly end: Pointer;
}

/** Free blocks by address, never adjacent to each other. */
let free: Block[] = [];
let inUse = 0;

/** The memory, made when it is first needed: importing the library asks nothing of the runtime. @throws PlatformError */
export function theMemory(): Memory {
  if (memory !== undefined) return memory;
  if (!("WebAssembly" in globalThis)) {
    throw new PlatformError(
      "This runtime has no WebAssembly, in which the library computes. Likely causes: Node's option --jitless, or a browser's lockdown mode; run it without.",
    );
  }
  try {
    memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES, shared });
  } catch (cause) {
    throw new PlatformError(
      "The runtime gives no WebAssembly memory. A likely cause: a limit on the process's address space (`ulimit -v`), of which WebAssembly reserves some 10 GB without using them.",
      { cause },
    );
  }
  free = [{ start: STATIC_BYTES, end: INITIAL_PAGES * PAGE }];
  renewViews(memory);
  return memory;
}

function renewViews({ buffer }: Memory): void {
  buffers.add(buffer);
  f32 = new Float32Array(buffer);
  f64 = new Float64Array(buffer);
}

/** How many bodies of `inMemory` run, one within the other. */
let lent = 0;
let moving = false;

/** Tests: memory that is not shared moves at every allocation, release and end of a loan, as if it grew. */
export function moveAlways(): void {
  if (shared) throw new Error("Shared memory does not move.");
  moving = true;
}

function moveNow(): void {
  if (!moving || lent > 0 || memory === undefined) return;
  memory.grow(0);
  renewViews(memory);
}

/** @throws Error where memory is asked for while a view of it is lent */
function refuseWhileLent(): void {
  if (lent > 0) throw new Error("Memory is allocated while a view of it is lent: allocate before `inMemory`.");
}

const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Bytes that a dry run has counted, and the most of them at once; undefined where memory is real. */
let counted: { now: number; most: number } | undefined;

/**
 * Runs `body` with memory that is only counted and kernels that do nothing, and gives the most bytes it held at once. What it
 * reads is 0, and bodies of `inMemory` are left out.
 */
export function dryRun(body: () => void): number {
  const before = counted;
  counted = { now: 0, most: 0 };
  try {
    body();
    return counted.most;
  } finally {
    counted = before;
  }
}

/** Bytes that a dry run holds now; undefined outside of one. */
export function dryBytes(): number | undefined {
  return counted?.now;
}

function count(count: { now: number; most: number }, bytes: number): Pointer {
  const at = STATIC_BYTES + count.now;
  count.now += align(bytes);
  count.most = Math.max(count.most, count.now);
  return at;
}

/** A block of the heap, the first that is large enough. @throws LaplaceError beyond the 4 GiB a memory can have */
export function takeBlock(bytes: number): Pointer {
  refuseWhileLent();
  const start = take(bytes);
  moveNow();
  observer?.();
  return start;
}

function take(bytes: number): Pointer {
  theMemory();
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
  const memory = theMemory();
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
  renewViews(memory);
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
  if (counted !== undefined) {
    const { now } = counted;
    const result = body();
    counted.now = now;
    return result;
  }
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
    moveNow();
  }
}

/** Memory of the current scope, not cleared. @throws LaplaceError beyond the 4 GiB a WebAssembly memory can have */
export function allocate(bytes: number): Pointer {
  if (counted !== undefined) return count(counted, bytes);
  refuseWhileLent();
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
  moveNow();
  observer?.();
  return address;
}

export function bytesPerElement(dtype: DType): number {
  return dtype === "float32" ? 4 : 8;
}

export function allocateFloats(dtype: DType, length: number): Pointer {
  return allocate(length * bytesPerElement(dtype));
}

const floats = (dtype: DType): FloatArray => (dtype === "float32" ? f32 : f64);

/**
 * Lends all of memory as one array, for element access at `pointer / bytesPerElement`, for as long as `body` runs. Loans may
 * lie within one another. @param instead the result in a dry run, where `body` does not run
 * @throws Error where `body` allocates, or gives a view away as its result
 */
export function inMemory<Result>(dtype: DType, body: (memory: FloatArray) => Result, instead?: Result): Result {
  if (counted !== undefined) return instead as Result;
  lent++;
  let result: Result;
  try {
    result = body(floats(dtype));
  } finally {
    lent--;
    moveNow();
  }
  if (ArrayBuffer.isView(result) && buffers.has(result.buffer)) {
    throw new Error("A view of memory leaves `inMemory`, where it may be detached: copy what it shows.");
  }
  return result;
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

/** Elements of a shared memory as an array that shows them: it never moves. */
export function sharedView(dtype: DType, pointer: Pointer, length: number): FloatArray {
  if (!shared) throw new Error("Memory that is not shared moves: a view of it cannot be kept.");
  const start = pointer / bytesPerElement(dtype);
  return floats(dtype).subarray(start, start + length);
}

export function copyTo(dtype: DType, pointer: Pointer, source: ArrayLike<number>): void {
  if (counted !== undefined) return;
  floats(dtype).set(source, pointer / bytesPerElement(dtype));
}

/** Σ term(x) over `length` elements, x itself unless told. */
export function sumOf(dtype: DType, pointer: Pointer, length: number, term = (x: number): number => x): number {
  const start = pointer / bytesPerElement(dtype);
  const sum = (memory: FloatArray) => {
    let sum = 0;
    for (let i = start; i < start + length; i++) sum += term(memory[i]);
    return sum;
  };
  return inMemory(dtype, sum, 0);
}

/** Adds a number to the diagonal of a float64 matrix [n, n]. */
export function addToDiagonal(n: number, value: number, matrix: Pointer): void {
  inMemory("float64", (memory) => {
    for (let i = 0; i < n; i++) memory[matrix / 8 + i * (n + 1)] += value;
  });
}

/** Writes 32-bit integers, as shapes and strides are. */
export function writeIntegers(pointer: Pointer, source: readonly number[]): void {
  if (counted !== undefined) return;
  new Uint32Array(f32.buffer, pointer, source.length).set(source);
}

/** Copies `length` numbers within memory, from one element type to another. */
export function convert(from: DType, source: Pointer, length: number, to: DType, target: Pointer): void {
  if (counted !== undefined) return;
  const start = source / bytesPerElement(from);
  floats(to).set(floats(from).subarray(start, start + length), target / bytesPerElement(to));
}

/** A copy of `length` elements outside the kernels' memory. */
export function copyOut(dtype: DType, pointer: Pointer, length: number): FloatArray {
  if (counted !== undefined) return dtype === "float32" ? new Float32Array(length) : new Float64Array(length);
  const start = pointer / bytesPerElement(dtype);
  return floats(dtype).slice(start, start + length);
}

/** Copies `length` elements into `out` from `offset` on. */
export function copyOutTo(dtype: DType, pointer: Pointer, length: number, out: FloatArray, offset: number): void {
  if (counted !== undefined) return;
  const start = pointer / bytesPerElement(dtype);
  out.set(floats(dtype).subarray(start, start + length), offset);
}

/** Bytes the kernels' memory has, and bytes of it in use by scopes and arrays. */
export function memoryUse(): { bytes: number; inUse: number } {
  const [first] = stack;
  // The stack's first block is kept between calls; only what is filled of it counts.
  const kept = first === undefined || stack.length > 1 ? 0 : first.end - top;
  return { bytes: theMemory().buffer.byteLength, inUse: inUse - kept };
}

/** Bytes in use that were asked for: the stack of scopes takes whole blocks. */
export function allocatedBytes(): number {
  return inUse - stack.reduce((sum, { start, end }) => sum + end - start, 0) + scoped;
}
