// A clock for bursts of work, of the tests of a file.

import { afterEach, beforeEach } from "vitest";
import { setClock } from "../src/kernels/steps.ts";

/** By it every burst is over at its first look: as many turns as there can be. `looks` are those since a test's begin. */
export function burstsOverAtOnce(): { looks: number } {
  const clock = { looks: 0 };
  beforeEach(() => {
    clock.looks = 0;
    setClock(() => 1000 * clock.looks++);
  });
  afterEach(() => setClock(undefined));
  return clock;
}
