// The bytes of the kernels, which the program has as text, packed, with a module beside them that unpacks.

import type { Text } from "./generated/bytes.ts";

/** Bytes that are not shared. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes of base64 text, by the runtime's own means where it has them: a loop is interpreted for milliseconds. */
export function decode(base64: string): Bytes {
  const runtime = globalThis as unknown as {
    Uint8Array: { fromBase64?(text: string): Bytes };
    Buffer?: { from(text: string, encoding: "base64"): Bytes };
  };
  if (runtime.Uint8Array.fromBase64 !== undefined) return runtime.Uint8Array.fromBase64(base64);
  if (runtime.Buffer !== undefined) return runtime.Buffer.from(base64, "base64");
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

interface Unpacker {
  readonly memory: { readonly buffer: ArrayBuffer };
  unpack(before: number, size: number): void;
}

/** Where in the unpacker's memory the results begin. */
const START = 77824;

/**
 * What tools/pack.mjs packed, one after the other; the last of them. A loop in JavaScript would be interpreted for
 * milliseconds; this is compiled.
 * @param unpacker the module of assembly/unpack.ts, as base64 text
 */
export function unpack(unpacker: string, ...texts: readonly Pick<Text, "packed" | "size">[]): Bytes {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(decode(unpacker)));
  const { memory, unpack } = exports as unknown as Unpacker;
  const bytes = new Uint8Array(memory.buffer);
  let [before, end] = [0, 0];
  for (const { packed, size } of texts) {
    before = end;
    end += size;
    bytes.set(decode(packed), START + end);
    unpack(before, size);
  }
  return bytes.slice(START + before, START + end);
}
