// Fits in shards: the bits depend neither on who sums a shard, nor on their order, nor on one that is done twice.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CurvatureOptions, readPlan } from "../../src/curvature/plan.ts";
import { lengthOfShard } from "../../src/curvature/shards.ts";
import { chain, dense, tanh } from "../../src/index.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import type { Fit } from "../../src/posterior/fit.ts";
import { bringAll } from "../../src/structures/all.ts";
import { needsBasis } from "../stored-structures.ts";
import { casesOf, everyStructure, given, lanes, permuting } from "./given.ts";

bringAll();

describe("a fit in shards", () => {
  test.each(everyStructure)(
    "of $structure, $dtype, is the same bits by 1, 2, 3 and 8 in any order, and the tree's sum of its shards' fits",
    async ({ structure, dtype }) => {
      await fc.assert(
        fc.asyncProperty(casesOf(structure, dtype), async (one) => {
          const { batches, approximation, sums, numbers, bytes } = given(one);
          const due = numbers(await sums());
          expect(numbers(await sums(permuting(one.seed))) === due).toBe(true);
          for (const count of [1, 2, 3, 8]) {
            expect(numbers(await sums(lanes(count, one.seed))) === due, `by ${count}`).toBe(true);
          }
          if (needsBasis(one.structure)) return;
          const sumOf = async (first: number, end: number): Promise<Fit> => {
            if (end - first <= 1) {
              const at = first * one.length;
              return approximation.sum(batches(at, Math.min(one.examples, at + one.length)), { first: at });
            }
            const half = first + 2 ** (Math.ceil(Math.log2(end - first)) - 1);
            return (await sumOf(first, half)).merge(await sumOf(half, end));
          };
          // Of "operator" products are of all data, and not of sums.
          const whole = await sumOf(0, Math.ceil(one.examples / one.length));
          if (structure !== "operator") expect(due.startsWith(bytes(whole))).toBe(true);
        }),
        { numRuns: 3 },
      );
    },
  );

  test("that is small is one shard; a shard is a power of 2 of examples, or all", () => {
    const net = chain({ inputs: 784, seed: 1 }, dense(256, tanh), dense(10));
    const lengthOf = (options: CurvatureOptions) =>
      lengthOfShard(
        readPlan("", net, () => readLikelihood("", "classification", net), options),
        0,
      );
    expect(lengthOf({ structure: "kronecker" })).toBe(2048);
    expect(lengthOf({ structure: "diagonal" })).toBe(2048);
    expect(lengthOf({ structure: "full" })).toBe(Number.POSITIVE_INFINITY);
    const tiny = chain({ inputs: 3, seed: 5 }, dense(5, tanh), dense(2));
    const small = readPlan("", tiny, () => readLikelihood("", "regression", tiny), { structure: "full" });
    expect(lengthOfShard(small, 0)).toBeGreaterThan(10_000);
  });
});
