// A turn of the event loop between pieces of long work.

import { setImmediate } from "node:timers/promises";

/** Lets signals that have come be heard: two turns, because the first may be the rest of one that looked before. */
export async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}
