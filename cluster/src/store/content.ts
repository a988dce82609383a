// Objects that are named by their own digest: the same bytes are there once, whoever writes them.

import { StoreError } from "../errors.ts";
import { digestOf } from "./digest.ts";
import type { Store } from "./store.ts";

/** Where they are. */
export const CONTENT = "content/";

const nameOf = (digest: string) => `${CONTENT}${digest}`;

/** Writes bytes, unless they are there already. Gives their digest, by which they are found. */
export async function putContent(store: Store, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const name = nameOf(digest);
  while (!(await store.putIfAbsent(name, bytes))) {
    const found = await store.stat(name);
    if (found?.size === bytes.length) break;
    // Part of an object is as good as none.
    if (found !== undefined) await store.delete(name);
  }
  return digest;
}

/**
 * The bytes of that digest.
 * @throws StoreError where they are missing, truncated or altered: what is there is removed then, so that it can be written again
 */
export async function getContent(store: Store, digest: string): Promise<Uint8Array> {
  const name = nameOf(digest);
  const bytes = await store.get(name);
  const again = "Run what wrote it once more: it writes what is missing.";
  if (bytes === undefined) {
    throw new StoreError("missing", `The object ${name} is not in the store ${store.address}. ${again}`);
  }
  if (digestOf(bytes) === digest) return bytes;
  await store.delete(name);
  throw new StoreError(
    "altered",
    `The object ${name} in the store ${store.address} had ${bytes.length} bytes that are not those that were written; it was removed. ${again}`,
  );
}
