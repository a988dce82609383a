// Digests: SHA-256, in 64 hexadecimal digits.

import { createHash } from "node:crypto";
import type { NDArray } from "laplace-ts";

/** What arrays and texts are in a file: arrays by name, texts by name. */
export interface Contents {
  readonly tensors: Readonly<Record<string, NDArray>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The digest of bytes. */
export const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The digest of arrays and texts, whatever the order in which a file holds them. */
export function contentsDigest({ tensors, metadata }: Contents): string {
  const hash = createHash("sha256");
  // JSON sets every text apart from the next.
  const add = (...texts: readonly string[]) => hash.update(JSON.stringify(texts));
  for (const name of Object.keys(metadata).sort()) add(name, metadata[name]);
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, shape, data } = tensors[name];
    add(name, dtype, shape.join());
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
