// The kernels' memory as it is used: scopes and loans. Blocks of the heap serve scopes, which are a stack: everything a call
// allocates is released when its scope ends, also when it throws; and arrays that live here until they are freed. Scopes are
// synchronous; long work that goes on after a turn of the event loop has a stack of its own.
//
// Memory that is not shared moves when it grows: every array that showed it is detached, reads as nothing and swallows what
// is written. So this file gives out pointers, which stay right, and lends views: `inMemory` has one for as long as its body
// runs, and what allocates there is an error at once, whether memory had to grow or not.

import { count as countBytes, counted } from "./dry-run.ts";
import {
  align,
  type Block,
  blockBytes,
  f32,
  f64,
  give,
  isMemory,
  moveNow,
  type Pointer,
  STATIC_BYTES,
  shared,
  take,
  theMemory,
} from "./heap.ts";
import * as tape from "./tape.ts";

export { moveAlways, type Pointer, shared } from "./heap.ts";

/** The element types of arrays and networks. */
export type DType = "float32" | "float64";

/** The typed arrays that hold them. */
export type FloatArray = Float32Array | Float64Array;

const SCOPE_BLOCK = 2 ** 20; // bytes a stack of scopes takes from the heap at a time, at least
const COPIED = 2 ** 18; // numbers that are copied at once where work is written down

/** How many bodies of `inMemory` run, one within the other. */
let lent = 0;

/** In the tests of memory that moves. */
function move(): void {
  if (lent === 0) moveNow();
}

/** @throws Error where memory is asked for while a view of it is lent */
function refuseWhileLent(): void {
  if (lent > 0) throw new Error("Memory is allocated while a view of it is lent: allocate before `inMemory`.");
}

/** A block of the heap, the first that is large enough. @throws LaplaceError beyond the 4 GiB a memory can have */
export function takeBlock(bytes: number): Pointer {
  refuseWhileLent();
  const start = take(bytes);
  move();
  observer?.();
  return start;
}

/** Gives a block back. */
export function giveBlock(start: Pointer, bytes: number): void {
  catchUp();
  give(start, bytes);
}

/** A stack of scopes: blocks of the heap, filled from their start. */
export interface ScopeStack {
  readonly blocks: Block[];
  top: Pointer;
  /** Bytes that scopes hold, without what is left over in their blocks. */
  held: number;
  /** Blocks that scopes gave back while work was written down that is still to use them. */
  readonly spare: Block[];
}

const newStack = (): ScopeStack => ({ blocks: [], top: 0, held: 0, spare: [] });

/** That of all calls but long work; its first block is kept. */
const common = newStack();
let stack = common;
/** Those of long work. */
const others = new Set<ScopeStack>();
let observer: (() => void) | undefined;

/** Tests: calls `next` after each allocation and before each release; undefined ends it. */
export function observeMemory(next: (() => void) | undefined): void {
  observer = next;
}

/** A stack for work that goes on after others had their turn: until `endStack`. */
export function beginStack(): ScopeStack {
  const made = newStack();
  others.add(made);
  return made;
}

/** Runs `body` with scopes on that stack. */
export function onStack<Result>(own: ScopeStack, body: () => Result): Result {
  const before = stack;
  stack = own;
  try {
    return body();
  } finally {
    stack = before;
  }
}

/** Gives back all that a stack holds. */
export function endStack(own: ScopeStack): void {
  others.delete(own);
  for (const { start, end } of [...own.blocks.splice(0), ...own.spare.splice(0)]) give(start, end - start);
  move();
}

/** Runs `body` with scopes on a stack of its own, so that nothing is touched that waits on the one there is. */
export function onOwnStack(body: () => void): void {
  const own = beginStack();
  try {
    onStack(own, body);
  } finally {
    endStack(own);
  }
}

/** Does work, or writes it down where a pass is written down. A dry run leaves it out. */
export function later(work: tape.Work): void {
  if (counted === undefined) tape.later(work);
}

/** Does what is written down: what comes next reads a value. It may allocate: not where scopes that are written down did. */
export function catchUp(): void {
  if (tape.pending()) onOwnStack(tape.play);
}

/** Runs `body`, then releases what it allocated. */
export function scope<Result>(body: () => Result): Result {
  const count = counted;
  const now = count?.now ?? 0;
  const own = stack;
  const { top, held, blocks } = own;
  const { length } = blocks;
  try {
    const result = body();
    observer?.();
    return result;
  } finally {
    if (count === undefined) release(own, length, top, held);
    else count.now = now;
  }
}

/** Opens a scope that ends when the function that it gives is called, on the same stack: scopes in between have ended by then. */
export function openScope(): () => void {
  if (counted !== undefined) {
    const [count, { now }] = [counted, counted];
    return () => {
      count.now = now;
    };
  }
  const own = stack;
  const { top, held, blocks } = own;
  const { length } = blocks;
  return () => release(own, length, top, held);
}

/** Releases what a stack holds beyond so many blocks, the last of them up to `top`. */
function release(own: ScopeStack, length: number, top: Pointer, held: number): void {
  const { blocks } = own;
  own.held = held;
  while (blocks.length > Math.max(length, 1)) {
    const block = blocks.pop() as Block;
    if (tape.pending()) own.spare.push(block);
    else give(block.start, block.end - block.start);
  }
  own.top = length === 0 ? (blocks[0]?.start ?? 0) : top;
  move();
}

/** Memory of the current scope, not cleared. @throws LaplaceError beyond the 4 GiB a WebAssembly memory can have */
export function allocate(bytes: number): Pointer {
  if (counted !== undefined) return countBytes(counted, bytes);
  refuseWhileLent();
  const size = align(bytes);
  const { blocks } = stack;
  const block = blocks.at(-1);
  if (block === undefined || stack.top + size > block.end) {
    const next = spareOf(stack, size) ?? newBlock(Math.max(size, SCOPE_BLOCK));
    blocks.push(next);
    stack.top = next.start;
  }
  const address = stack.top;
  stack.top += size;
  stack.held += size;
  move();
  observer?.();
  return address;
}

function newBlock(length: number): Block {
  const start = take(length);
  return { start, end: start + length };
}

function spareOf({ spare }: ScopeStack, size: number): Block | undefined {
  const at = spare.findIndex(({ start, end }) => end - start >= size);
  return at < 0 ? undefined : spare.splice(at, 1)[0];
}

/** 4 or 8: an array at a pointer begins at the element `pointer / bytesPerElement(dtype)` of `inMemory`. */
export function bytesPerElement(dtype: DType): number {
  return dtype === "float32" ? 4 : 8;
}

export function allocateFloats(dtype: DType, length: number): Pointer {
  return allocate(length * bytesPerElement(dtype));
}

const floats = (dtype: DType): FloatArray => (dtype === "float32" ? f32 : f64);

/**
 * Lends all of memory as one array, for element access at `pointer / bytesPerElement`, for as long as `body` runs. Loans may
 * lie within one another. @param instead the result in a dry run, where `body` does not run: one that gives none is written
 * down where work is
 * @throws Error where `body` allocates, or gives a view away as its result
 */
export function inMemory<Result>(dtype: DType, body: (memory: FloatArray) => Result, instead?: Result): Result {
  if (counted !== undefined) return instead as Result;
  if (!tape.recording()) return lend(dtype, body);
  if (instead === undefined) {
    later(() => {
      if (lend(dtype, body) !== undefined)
        throw new Error("What reads memory and gives a value says what it gives `instead`.");
    });
    return undefined as Result;
  }
  catchUp();
  return lend(dtype, body);
}

function lend<Result>(dtype: DType, body: (memory: FloatArray) => Result): Result {
  lent++;
  let result: Result;
  try {
    result = body(floats(dtype));
  } finally {
    lent--;
    move();
  }
  if (ArrayBuffer.isView(result) && isMemory(result.buffer)) {
    throw new Error("A view of memory leaves `inMemory`, where it may be detached: copy what it shows.");
  }
  return result;
}

/** A fresh allocation that holds a copy of `source`, converted to `dtype`. @param stays as of `copyTo` */
export function copyIn(dtype: DType, source: ArrayLike<number>, stays = false): Pointer {
  const pointer = allocateFloats(dtype, source.length);
  copyTo(dtype, pointer, source, stays);
  return pointer;
}

/** Where an array lies that is in the kernels' memory already; undefined for one in JavaScript's. */
export function placeOf(values: FloatArray): Pointer | undefined {
  // The buffer is asked for last: of a small array it is made only then.
  return values.byteOffset >= STATIC_BYTES && isMemory(values.buffer) ? values.byteOffset : undefined;
}

/** Elements of a shared memory as an array that shows them: it never moves. */
export function sharedView(dtype: DType, pointer: Pointer, length: number): FloatArray {
  if (!shared) throw new Error("Memory that is not shared moves: a view of it cannot be kept.");
  const start = pointer / bytesPerElement(dtype);
  return floats(dtype).subarray(start, start + length);
}

/** @param stays whether the source is the same until what is written down is done, so that it need not be kept */
export function copyTo(dtype: DType, pointer: Pointer, source: ArrayLike<number>, stays = false): void {
  if (counted !== undefined) return;
  const at = pointer / bytesPerElement(dtype);
  const writing = tape.writing();
  if (tape.recording() && ArrayBuffer.isView(source) && (source.length > COPIED || (stays && writing))) {
    // A view of the same numbers: what is written down does not change them.
    const from = source as FloatArray;
    for (let start = 0; start < from.length; start += COPIED) {
      later(() => floats(dtype).set(from.subarray(start, start + COPIED), at + start));
    }
    return;
  }
  const kept = writing ? Float64Array.from(source) : source;
  later(() => floats(dtype).set(kept, at));
}

/** The sum of `length` elements, or of their roots, those of negative ones being 0. */
export function sumOf(dtype: DType, pointer: Pointer, length: number, roots = false): number {
  const start = pointer / bytesPerElement(dtype);
  const sum = (memory: FloatArray) => {
    let sum = 0;
    if (roots) for (let i = start; i < start + length; i++) sum += Math.sqrt(Math.max(memory[i], 0));
    else for (let i = start; i < start + length; i++) sum += memory[i];
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
  later(() => new Uint32Array(f32.buffer, pointer, source.length).set(source));
}

/** A copy of `length` elements outside the kernels' memory. */
export function copyOut(dtype: DType, pointer: Pointer, length: number): FloatArray {
  const out = dtype === "float32" ? new Float32Array(length) : new Float64Array(length);
  copyOutTo(dtype, pointer, length, out, 0);
  return out;
}

/** Numbers in the kernels' memory. */
export interface Numbers {
  readonly dtype: DType;
  readonly at: Pointer;
  readonly length: number;
}

/** A copy of them in float64. */
export function copyOutWide({ dtype, at, length }: Numbers): Float64Array {
  if (counted !== undefined) return new Float64Array(length);
  catchUp();
  const start = at / bytesPerElement(dtype);
  return new Float64Array(floats(dtype).subarray(start, start + length));
}

/** Copies `length` elements into `out` from `offset` on. */
export function copyOutTo(dtype: DType, pointer: Pointer, length: number, out: FloatArray, offset: number): void {
  if (counted !== undefined) return;
  catchUp();
  const start = pointer / bytesPerElement(dtype);
  out.set(floats(dtype).subarray(start, start + length), offset);
}

/** As `copyOutTo`, but written down where work is, some at a time: the copy is there when that is done. */
export function bringOut(dtype: DType, pointer: Pointer, length: number, out: FloatArray, offset: number): void {
  for (let first = 0; first < length; first += COPIED) {
    const place = pointer + first * bytesPerElement(dtype);
    later(() => copyOutTo(dtype, place, Math.min(COPIED, length - first), out, offset + first));
  }
}

/** Bytes the kernels' memory has, and bytes of it in use by scopes and arrays. */
export function memoryUse(): { bytes: number; inUse: number } {
  const [first] = common.blocks;
  // The common stack's first block is kept between calls; only what is filled of it counts.
  const kept = first === undefined || common.blocks.length > 1 ? 0 : first.end - common.top;
  return { bytes: theMemory().buffer.byteLength, inUse: blockBytes() - kept };
}

/** Bytes in use that were asked for: stacks of scopes take whole blocks. */
export function allocatedBytes(): number {
  const beyond = ({ blocks, spare, held }: ScopeStack) =>
    [...blocks, ...spare].reduce((sum, { start, end }) => sum + end - start, 0) - held;
  return [common, ...others].reduce((bytes, one) => bytes - beyond(one), blockBytes());
}
