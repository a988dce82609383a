// Which store it is: machines may have one disk under several paths, and one queue for several stores.

import { randomBytes } from "node:crypto";
import { StoreError } from "../errors.ts";
import type { Store } from "./store.ts";

const NAME = "store";

/** A word that a store was given once, the same for all who use it. */
export async function identityOf(store: Store): Promise<string> {
  for (;;) {
    const found = await store.get(NAME);
    const word = found && new TextDecoder().decode(found);
    if (word !== undefined && /^[0-9a-f]{12}$/.test(word)) return word;
    if (word !== undefined) {
      throw new StoreError(
        "altered",
        `The object ${NAME} in the store ${store.address} is not what was written there.`,
      );
    }
    await store.putIfAbsent(NAME, new TextEncoder().encode(randomBytes(6).toString("hex")));
  }
}
