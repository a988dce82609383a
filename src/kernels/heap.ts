// The heap of the kernels' memory: one growing WebAssembly memory, shared with worker threads where the runtime allows it, and
// blocks of it. memory.ts is what everything else uses.

import { LaplaceError, PlatformError } from "../errors.ts";

/** A byte address in the kernels' memory. */
export type Pointer = number;

const PAGE = 65536;
const MAXIMUM_PAGES = 65536;
const ALIGNMENT = 64; // a cache line

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
/** All of memory; renewed when it grows. */
export let f32: Float32Array = new Float32Array();
export let f64: Float64Array = new Float64Array();
/** Every buffer the memory has had: a shared one keeps its old buffers valid when it grows. */
const buffers = new WeakSet<ArrayBufferLike>();

/** Bytes from `start` up to but not `end`. */
export interface Block {
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

let moving = false;

/** Tests: memory that is not shared moves at every allocation, release and end of a loan, as if it grew. */
export function moveAlways(): void {
  if (shared) throw new Error("Shared memory does not move.");
  moving = true;
}

/** Moves the memory, in those tests. */
export function moveNow(): void {
  if (!moving || memory === undefined) return;
  memory.grow(0);
  renewViews(memory);
}

export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** A block of the heap, the first that is large enough. @throws LaplaceError beyond the 4 GiB a memory can have */
export function take(bytes: number): Pointer {
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
export function give(start: Pointer, bytes: number): void {
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

/** Bytes of blocks that are taken. */
export function blockBytes(): number {
  return inUse;
}

/** Whether a buffer is, or was, the memory's. */
export function isMemory(buffer: ArrayBufferLike): boolean {
  return buffers.has(buffer);
}
