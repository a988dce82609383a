// Arrays after a clone; what is said of an entry that is not a number, and where it stands.

import { ValueError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";

/** An array as structuredClone and postMessage leave it. */
export interface PlainArray {
  readonly shape: readonly number[];
  /** The elements, row-major. */
  readonly data: FloatArray;
}

/** Whether something is an array after a clone. */
export function isPlainArray(value: unknown): value is PlainArray {
  if (value === null || typeof value !== "object") return false;
  const { shape, data } = value as Partial<PlainArray>;
  return Array.isArray(shape) && (data instanceof Float32Array || data instanceof Float64Array);
}

/** The indices of element i of an array of that shape. */
export function indicesOf(shape: readonly number[], i: number): number[] {
  const position: number[] = [];
  let rest = i;
  for (const length of shape.toReversed()) {
    position.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return position;
}

/** Whether something is to be awaited. */
export function isPromise(value: unknown): boolean {
  return value !== null && typeof value === "object" && typeof (value as { then?: unknown }).then === "function";
}

function adviceFor(value: unknown): string {
  if (isPromise(value)) return "It is a promise: write await before it.";
  if (value === null || value === undefined) {
    return "Likely cause: a missing value; leave its row out, or fill it in.";
  }
  if (typeof value === "bigint") return "Number(value) makes a number of it.";
  if (typeof value !== "string") return "Numbers stand in lists nested to any depth, or in typed arrays.";
  if (value.trim() !== "" && Number.isFinite(Number(value))) return "Number(text) makes a number of it.";
  return "Labels of classes are integers from 0: with a list of the classes, labels.map((label) => classes.indexOf(label)).";
}

/** The error for entry `i`, row-major, of what should be numbers. */
export function noNumber(where: string, name: string, shape: readonly number[], i: number, value: unknown): ValueError {
  const seen = typeof value === "string" ? JSON.stringify(value) : valueText(value);
  const of = name === "" ? "" : ` of ${name}`;
  const at = shape.length === 0 ? "the value" : `the entry${of} at [${indicesOf(shape, i).join(", ")}]`;
  const kind = value === undefined ? "" : ` (${typeof value})`;
  return new ValueError(`${where}: ${at}, ${seen}${kind}, is not a number. ${adviceFor(value)}`);
}

/**
 * @throws ValueError for a typed array whose memory was transferred: it has no elements any more, and some of its methods throw
 */
export function refuseDetached(where: string, name: string, view: ArrayBufferView): void {
  if (view.byteLength > 0 || view.buffer.byteLength > 0) return;
  try {
    new Uint8Array(view.buffer);
  } catch {
    const of = name === "" ? "a typed array" : name;
    throw new ValueError(
      `${where}: the memory of ${of} was transferred, by postMessage or structuredClone, so that its numbers are elsewhere. Transfer a copy (slice()) instead.`,
    );
  }
}
