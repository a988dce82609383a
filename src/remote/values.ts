// Values as messages: structured clones, in which a mark stands for what a clone would not keep.

import { refuseDetached } from "../array/entries.ts";
import { NDArray } from "../array/ndarray.ts";
import type { FloatArray } from "../kernels/memory.ts";

/** The name by which a mark is known among objects. Its value says what the mark stands for. */
const MARK = "laplace-ts.stands-for";

/** What stands in a message for something else. */
export interface Mark {
  readonly [MARK]: string;
  readonly [name: string]: unknown;
}

/** A mark of a kind, with what is to be known. */
export const mark = (kind: string, known: object = {}): Mark => ({ ...known, [MARK]: kind });

/** What a mark stands for; undefined for other objects. */
export const kindOfMark = (value: object): string | undefined =>
  MARK in value ? String((value as Mark)[MARK]) : undefined;

/** How one side packs its values. */
export interface Packing {
  /** What is called, for messages. */
  readonly where: string;
  /** Whether the memory of the values' own arrays goes over, and is gone here. */
  readonly give: boolean;
  /** What goes over with the message. */
  readonly transfer: Set<unknown>;
  /** What stands for an object or function that is neither plain nor an array. @throws LaplaceError where nothing does */
  readonly stand: (value: object, name: string) => unknown;
}

type View = ArrayBufferView & { slice?(): View };

const isShared = (buffer: unknown) => "SharedArrayBuffer" in globalThis && buffer instanceof SharedArrayBuffer;

/** A typed array without the memory around it: a clone would copy, and a transfer take, all of that. */
function packView(view: View, name: string, { where, give, transfer }: Packing): View {
  refuseDetached(where, name, view);
  if (isShared(view.buffer) || view.slice === undefined) return view;
  const whole = view.byteLength === view.buffer.byteLength;
  if (whole && !give) return view;
  const own = whole ? view : view.slice();
  transfer.add(own.buffer);
  return own;
}

const isPlain = (value: object) => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

/** A value to be posted. @param name what it is called, for messages */
export function pack(value: unknown, packing: Packing, name = ""): unknown {
  if (typeof value === "symbol") return packing.stand(Object(value), name);
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return value;
  if (value instanceof NDArray) {
    // What lies in the kernels' memory stays there.
    const { data, shape } = value.place === undefined ? value : value.clone();
    return mark("array", { data: packView(data, name, packing), shape });
  }
  if (ArrayBuffer.isView(value)) return packView(value as View, name, packing);
  if (value instanceof ArrayBuffer) {
    if (packing.give) packing.transfer.add(value);
    return value;
  }
  if (isShared(value) || value instanceof WebAssembly.Module) return value;
  if (Array.isArray(value)) {
    // Rows of numbers are as they are, and there are many.
    return typeof value[0] === "number" ? value : value.map((one) => pack(one, packing, name));
  }
  if (typeof value === "function" || !isPlain(value)) return packing.stand(value, name);
  // Likelihoods and optimisers are plain objects of functions.
  const { root, step, begin, minimise, learn } = value as Readonly<Record<string, unknown>>;
  const functions = [root, step, begin, minimise, learn];
  if (functions.some((one) => typeof one === "function")) return packing.stand(value, name);
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [key, pack(one, packing, key)]));
}

/** A value from a message. @param read what a mark stood for, but for arrays */
export function unpack(value: unknown, read: (kind: string, known: Mark) => unknown): unknown {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((one) => unpack(one, read));
  if (!isPlain(value)) return value;
  if (MARK in value) {
    const known = value as Mark;
    if (known[MARK] !== "array") return read(known[MARK], known);
    const { data, shape } = value as { data?: FloatArray; shape?: readonly number[] };
    return new NDArray(data as FloatArray, shape as readonly number[]);
  }
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [key, unpack(one, read)]));
}
