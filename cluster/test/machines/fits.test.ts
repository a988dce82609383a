// Fits through the store, on one machine: the same bits as on one thread, whoever does a shard, in whatever order, twice, or after
// somebody gave up.

import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { Executor } from "../../../src/shards/executor.ts";
import { type Case, cases, everyStructure, given } from "../../../test/shards/given.ts";
import type { Block } from "../../src/fits/blocks.ts";
import { FitWork } from "../../src/fits/doing.ts";
import { folderStore } from "../../src/store/folder.ts";
import { retrying } from "../../src/store/retrying.ts";
import { faulty } from "../faulty.ts";
import { reasonOf } from "../store-contract.ts";
import { byStore } from "./by-store.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-fits-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (place: number): Block => ({ level: 0, place });

describe("a fit through the store", () => {
  test("is the same bits as on one thread, for every structure and type", async () => {
    for (const kind of everyStructure) {
      await fc.assert(
        fc.asyncProperty(cases, async (some) => {
          const one = { ...some, ...kind };
          const { sums, numbers } = given(one);
          const store = folderStore(mkdtempSync(join(folder, "one-")));
          expect(numbers(await sums(byStore(store, one.seed)))).toBe(numbers(await sums()));
        }),
        { numRuns: 4 },
      );
    }
  });

  const fixed: Case = {
    structure: "ekfac",
    curvature: "ggn",
    sharing: "expand",
    dtype: "float32",
    convolution: false,
    examples: 23,
    length: 3,
    batch: 5,
    seed: 7,
  };

  test("goes on after somebody gave up, with what is there; what is cut or lost is done again", async () => {
    const { sums, numbers } = given(fixed);
    const due = numbers(await sums());
    const path = mkdtempSync(join(folder, "resumed-"));
    const store = folderStore(path);
    const gives = byStore(store, 1, async (_, work) => {
      for (const shard of [0, 1, 2, 6]) await work.do(at(shard), "first");
      throw new Error("gave up");
    });
    await expect(sums(gives)).rejects.toThrow("gave up");
    const [fit] = readdirSync(join(path, "fits"));
    const results = join(path, "fits", fit, "sums");
    expect(readdirSync(results)).toEqual(
      [0, 1, 2, 6]
        .map((shard) => `00-00000000${shard}`)
        .concat("01-000000000")
        .sort(),
    );
    truncateSync(join(results, "01-000000000"), 100);
    truncateSync(join(results, "00-000000006"), 1000);
    rmSync(join(results, "00-000000001"));
    expect(numbers(await sums(byStore(store, 2)))).toBe(due);
    expect(readdirSync(results)).toContain("02-000000000");
    // Again: all of it is there.
    const nobody: Executor = byStore(store, 3, async () => {
      throw new Error("nothing was to be done");
    });
    expect(numbers(await sums(nobody))).toBe(due);
  });

  test("in a store that fails a third of its calls", async () => {
    const { sums, numbers } = given({ ...fixed, structure: "kronecker" });
    const path = mkdtempSync(join(folder, "weak-"));
    const store = retrying(faulty(folderStore(path), 1 / 3, 5), { wait: 0, times: 100 });
    expect(numbers(await sums(byStore(store, 1)))).toBe(numbers(await sums()));
    expect(readdirSync(join(path, ".incoming"))).toEqual([]);
  });

  test("whose data or work are not those that were written ends with a named error, and goes on when they are written again", async () => {
    const { sums, numbers } = given(fixed);
    const path = mkdtempSync(join(folder, "altered-"));
    const store = folderStore(path);
    const content = join(path, "content");
    const gives = byStore(store, 1, async (fit, work) => {
      for (const name of readdirSync(content)) truncateSync(join(content, name), 50);
      expect(await reasonOf(work.do(at(0), "first"))).toBe("altered");
      expect(await reasonOf(FitWork.open(store, fit))).toBe("altered");
      expect(await reasonOf(work.do({ level: 2, place: 2 }, "first"))).toBe("refused");
      throw new Error("gave up");
    });
    await expect(sums(gives)).rejects.toThrow("gave up");
    expect(numbers(await sums(byStore(store, 2)))).toBe(numbers(await sums()));
    expect(existsSync(content)).toBe(true);
    expect(await reasonOf(FitWork.open(store, "0".repeat(40)))).toBe("missing");
  });

  test("has the same name for the same work and data alone", async () => {
    const namesOf = async (one: Case) => {
      const path = mkdtempSync(join(folder, "named-"));
      await given(one).sums(byStore(folderStore(path), 1));
      return readdirSync(join(path, "fits")).sort();
    };
    const one: Case = { ...fixed, structure: "diagonal", examples: 7 };
    const names = await namesOf(one);
    expect(await namesOf(one)).toEqual(names);
    const others: Partial<Case>[] = [
      { seed: 8 },
      { dtype: "float64" },
      { structure: "full" },
      { curvature: "empiricalFisher" },
      { examples: 8 },
    ];
    for (const other of others) expect(await namesOf({ ...one, ...other })).not.toEqual(names);
  });
});
