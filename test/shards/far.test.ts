// Fits to data that lie elsewhere: who sums a shard reads its rows, and the bits are those of data in memory.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { farData } from "../../src/curvature/far.ts";
import type { FarData, RowsElsewhere } from "../../src/data/far-data.ts";
import { chain, dense, laplace, tanh, workers } from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import { type Case, cases, given, permuting } from "./given.ts";

bringAll();

/** The one batch of a case as data that lie elsewhere, and which rows were read. */
function far(one: Case): { readonly data: FarData; readonly read: [number, number][]; readonly one: Case } {
  const whole = { ...one, batch: one.examples };
  const { batches } = given(whole);
  const read: [number, number][] = [];
  const rowsAt = (first: number, end: number) => ({
    at: { first, end },
    read: async () => {
      read.push([first, end]);
      return batches(first, end)[0];
    },
  });
  return { data: farData({ examples: one.examples, rowsAt }), read, one: whole };
}

/** Structures that keep or draw rows of the data. */
const keeping: readonly Case["structure"][] = ["operator"];

describe("data that lie elsewhere", () => {
  test("give the bits of data in memory, each row being read once in a pass", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (some) => {
        const { data, read, one } = far(some);
        if (keeping.includes(one.structure)) return;
        const { sums, numbers } = given(one);
        expect(numbers(await sums(undefined, {}, data)) === numbers(await sums())).toBe(true);
        const rows = read.reduce((sum, [first, end]) => sum + end - first, 0);
        expect(rows % one.examples).toBe(0);
        for (const [first, end] of read) expect([first % one.length, end - first <= one.length]).toEqual([0, true]);
      }),
      { numRuns: 25 },
    );
  });

  const one: Case = {
    structure: "diagonal",
    curvature: "ggn",
    sharing: "expand",
    dtype: "float64",
    convolution: false,
    examples: 9,
    length: 2,
    batch: 9,
    seed: 1,
  };

  test("that are other rows, or cannot be read, are errors of their own", async () => {
    const { sums } = given(one);
    const { data } = far(one);
    const other = (some: Partial<RowsElsewhere>) => farData({ ...data, ...some });
    const fewer = other({ rowsAt: (first) => data.rowsAt(first, first + 1) });
    await expect(sums(undefined, {}, fewer)).rejects.toThrow("fit: expected 2 rows of [3] that lie elsewhere, got 1.");
    const lost = other({
      rowsAt: (first, end) => ({ at: {}, read: () => Promise.reject(new RangeError(`${first} to ${end}`)) }),
    });
    await expect(sums(undefined, {}, lost)).rejects.toThrow("0 to 2");
    await expect(sums(undefined, {}, other({ examples: 0 }))).rejects.toThrow("there are no data");
    // Whoever does shards at once cannot wait for rows.
    await expect(sums(permuting(1), {}, data)).rejects.toThrow("need a call that waits for them");
  });

  test("are refused where rows are kept, and where the sums are one piece", async () => {
    const { sums } = given({ ...one, structure: "operator" });
    await expect(sums(undefined, {}, far(one).data)).rejects.toThrow(/needs them in memory/);
    const net = chain({ inputs: 3, seed: 1 }, dense(2));
    const drawn = laplace(net, { likelihood: "regression", structure: "functional", points: 3 });
    await expect(drawn.fit(far(one).data)).rejects.toThrow(/needs them in memory/);
    const wide = chain({ inputs: 3, seed: 1 }, dense(2000, tanh), dense(1));
    const rows = farData({
      examples: 4,
      rowsAt: () => ({ at: {}, read: async () => ({ x: [[1, 2, 3]], y: [[1]] }) }),
    });
    const fits = laplace(wide, { likelihood: "regression", structure: "full", memoryBudget: 2 ** 50 });
    await expect(fits.fit(rows)).rejects.toThrow(/is summed in one piece, so its data must be in memory/);
  });

  test("of one shard are read by this thread, whoever is asked", async () => {
    const on = workers({ count: 2 });
    const { data } = far(one);
    const { approximation } = given(one);
    await expect(approximation.fit(data, { on })).resolves.toBeDefined();
    on.close();
  });
});
