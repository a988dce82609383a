// Workers that are killed in each phase of long work: the bits of one thread. Pages do the same (tools/test-workers.mjs).

import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";

test("a worker that is killed in each phase, and at each of its first steps, changes nothing", async () => {
  // By the built library.
  const { killedInEach, phases } = await import(new URL("../../tools/workers/killed.js", import.meta.url).href);
  const own = new URL(import.meta.resolve("laplace-ts/worker"));
  const found = await killedInEach(() => new Worker(own));
  expect(found.split(" ").length).toBeGreaterThan(Object.keys(phases).length);
});
