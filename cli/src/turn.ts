// A turn of the event loop between pieces of long work.

import { setImmediate } from "node:timers/promises";

/** As long as steps are taken without a turn, in milliseconds. */
const BURST = 50;

/** Lets signals that have come be heard: two turns, because the first may be the rest of one that looked before. */
export async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

/** Takes the steps of work, with turns between them. */
export async function inTurns<Result>(steps: Iterator<unknown, Result>): Promise<Result> {
  for (let burst = performance.now(); ; ) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - burst < BURST) continue;
    await turn();
    burst = performance.now();
  }
}
