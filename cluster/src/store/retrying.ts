// A store that asks again where an error may pass.

import { mayPass } from "../errors.ts";
import type { Store, StoredObject } from "./store.ts";

/** Options of `retrying`. */
export interface RetryOptions {
  /** How often it is asked at most (default 5). */
  readonly times?: number | undefined;
  /** Milliseconds of the first wait (default 200), which doubles each time, by chance up to a half less. */
  readonly wait?: number | undefined;
  /** Stops the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Waits. @throws the signal's reason */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** What something gives; what fails with an error that may pass is asked again. */
export async function again<T>(
  ask: () => Promise<T>,
  { times = 5, wait = 200, signal }: RetryOptions = {},
): Promise<T> {
  for (let asked = 1; ; asked++) {
    try {
      return await ask();
    } catch (error) {
      if (asked >= times || !mayPass(error)) throw error;
      await pause(wait * 2 ** (asked - 1) * (1 - Math.random() / 2), signal);
    }
  }
}

/** The same store; what fails with an error that may pass is asked again. */
export function retrying(store: Store, options: RetryOptions = {}): Store {
  const { times = 5, wait = 200, signal } = options;
  const asked = <T>(ask: () => Promise<T>) => again(ask, options);
  return {
    address: store.address,
    putIfAbsent: (name, bytes) => asked(() => store.putIfAbsent(name, bytes)),
    get: (name) => asked(() => store.get(name)),
    stat: (name) => asked(() => store.stat(name)),
    delete: (name) => asked(() => store.delete(name)),
    tidy: (olderThan) => asked(() => store.tidy(olderThan)),
    async *list(prefix) {
      // What was listed is not listed again: names come in order.
      let last = "";
      for (let asked = 1; ; asked++) {
        try {
          for await (const page of store.list(prefix)) {
            const fresh: readonly StoredObject[] = page.filter(({ name }) => name > last);
            if (fresh.length === 0) continue;
            last = fresh[fresh.length - 1].name;
            asked = 1;
            yield fresh;
          }
          return;
        } catch (error) {
          if (asked >= times || !mayPass(error)) throw error;
          await pause(wait * 2 ** (asked - 1) * (1 - Math.random() / 2), signal);
        }
      }
    },
  };
}
