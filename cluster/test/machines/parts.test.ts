// Fits without a queue: parts, and who adds them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { cases, given } from "../../../test/shards/given.ts";
import { part, UnfinishedError } from "../../src/parts.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-parts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a fit in parts", () => {
  test("is the same bits as on one thread, in any number of parts and in any order", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 4 }), fc.boolean(), async (one, parts, backwards) => {
        const store = mkdtempSync(join(folder, "store-"));
        const { sums, numbers } = given(one);
        const due = numbers(await sums());
        const order = Array.from({ length: parts }, (_, i) => (backwards ? parts - i : i + 1));
        const does = async (own?: number) => {
          const on = part(own === undefined ? { store } : { store, part: own, parts });
          const found = await sums(on).then(numbers, (error: unknown) => error);
          if (typeof found === "string") expect(found).toBe(due);
          else expect(found).toBeInstanceOf(UnfinishedError);
          return typeof found === "string";
        };
        // A pass after the other: "kfoc" has up to 25. The last part of a pass begins the next one.
        for (let rounds = 0; !(await does()); rounds++) {
          expect(rounds).toBeLessThan(40);
          for (const own of order) await does(own);
        }
      }),
      { numRuns: 15 },
    );
  });

  test("says what is missing, and refuses parts that there are not", async () => {
    const store = mkdtempSync(join(folder, "store-"));
    const one = {
      structure: "diagonal",
      curvature: "ggn",
      sharing: "expand",
      dtype: "float64",
      convolution: false,
    } as const;
    const { sums } = given({ ...one, examples: 9, length: 1, batch: 4, seed: 1 });
    await expect(sums(part({ store }))).rejects.toThrow(/^Of 9 shards .* 9 are not done: 0, 1, 2/);
    const error: unknown = await sums(part({ store, part: 2, parts: 3 })).catch((own: unknown) => own);
    expect(error).toMatchObject({ shards: 9, missing: [0, 2, 3, 5, 6, 8] });
    expect(() => part({ store, part: 4, parts: 3 })).toThrow("part: there are 3 parts, and this is to be the 4th.");
    expect(() => part({ store, part: 1 })).toThrow("part: give both part and parts, or neither.");
    expect(() => part({ store, part: 0, parts: 1 })).toThrow(/^part: part must be a whole number/);
  });
});
