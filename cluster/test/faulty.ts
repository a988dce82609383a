// A store with faults, by a seed: calls that fail before or after they did something.

import { StoreError } from "../src/errors.ts";
import type { Store } from "../src/store/store.ts";

/** Numbers from 0 to 1 by a seed (mulberry32). */
export function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same store, which fails in a part of its calls, half of those after the work was done. */
export function faulty(store: Store, part: number, seed: number): Store {
  const next = chances(seed);
  const fail = () => {
    throw new StoreError("unreachable", "The store did not answer, as the test wants.");
  };
  const perhaps = async <T>(ask: () => Promise<T>): Promise<T> => {
    const chance = next();
    if (chance < part / 2) fail();
    const result = await ask();
    if (chance < part) fail();
    return result;
  };
  return {
    address: store.address,
    putIfAbsent: (name, bytes) => perhaps(() => store.putIfAbsent(name, bytes)),
    get: (name) => perhaps(() => store.get(name)),
    stat: (name) => perhaps(() => store.stat(name)),
    delete: (name) => perhaps(() => store.delete(name)),
    tidy: (olderThan) => perhaps(() => store.tidy(olderThan)),
    async *list(prefix) {
      for await (const page of store.list(prefix)) {
        if (next() < part) fail();
        yield page;
      }
    },
  };
}
