// Blocks of shards: whatever is missing, each shard is in one of them, and each is a subtree.

import fc from "fast-check";
import { NDArray } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { ShardError, StoreError } from "../src/errors.ts";
import type { Block } from "../src/fits/blocks.ts";
import { blocksOf, runOf, runsOf, without } from "../src/fits/blocks.ts";
import { nameOfFit, placeOfSum, sumName } from "../src/fits/fit.ts";
import { Counts } from "../src/fits/shards.ts";
import { failureOf, failureText, jobId, jobOf, NOBODY, readJob } from "../src/queue/jobs.ts";
import { connectRedis, withoutPassword, withoutSecrets } from "../src/queue/redis.ts";

const shardsIn = (block: Block) => {
  const [first, end] = runOf(block);
  return Array.from({ length: end - first }, (_, i) => first + i);
};
/** Which of 301 shards are done, where some are missing. */
const doneBut = (missing: readonly number[]) =>
  Uint8Array.from({ length: 301 }, (_, i) => Number(!missing.includes(i)));

describe("blocks", () => {
  test("have each missing shard once, and are as many as are wanted, where there are as many", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300)), fc.integer({ min: 1, max: 40 }), (some, count) => {
        const shards = some.sort((a, b) => a - b);
        const blocks = blocksOf(runsOf(doneBut(shards)), count);
        const all = blocks.flatMap(shardsIn);
        expect(all).toEqual(shards);
        expect(blocks.length).toBeGreaterThanOrEqual(Math.min(count, shards.length));
        expect(blocks.every(({ place }) => Number.isInteger(place))).toBe(true);
      }),
    );
  });

  test("of many shards are few", () => {
    expect(blocksOf([[0, 10_000]], 64).length).toBeLessThan(2 * 64 + 16);
  });

  test("that are whole yet stay, and what is missing besides is known", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(300)),
        fc.uniqueArray(fc.nat(300)),
        fc.integer({ min: 1, max: 40 }),
        (a, b, n) => {
          const before = blocksOf(runsOf(doneBut(a)), n);
          const { kept, left } = without(runsOf(doneBut(b)), before);
          expect(kept).toEqual(before.filter((block) => shardsIn(block).every((shard) => b.includes(shard))));
          const rest = left.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i));
          expect([...rest, ...kept.flatMap(shardsIn)].sort((x, y) => x - y)).toEqual(b.sort((x, y) => x - y));
        },
      ),
    );
  });

  test("have as many examples as their shards", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3)), fc.nat(40), fc.nat(40), (all, a, b) => {
        const [first, end] = [Math.min(a, b, all.length), Math.min(Math.max(a, b), all.length)];
        const counts = Counts.of(all);
        expect(counts.of(first, end)).toBe(all.slice(first, end).reduce((sum, one) => sum + one, 0));
        expect(Counts.from(counts.toArray())).toEqual(counts);
      }),
    );
    const wrong = [
      [1, -1],
      [0, 3],
      [0.5, 2],
      [2, Number.NaN],
      [2 ** 40, 2 ** 40],
    ];
    for (const run of wrong) expect(Counts.from(new NDArray(Float64Array.from(run), [1, 2]))).toBeUndefined();
  });
});

describe("what the queue says", () => {
  const fit = "0123456789abcdef0123456789abcdef01234567";

  test("names come back, and others are refused", () => {
    const job = { fit, level: 3, place: 12 };
    expect(jobOf(jobId(job))).toEqual(job);
    expect(readJob(job)).toEqual(job);
    for (const id of ["", "a-1-2", `${fit}-1`, `${fit}--1-2`, `${fit}-1-2-3`]) expect(jobOf(id)).toBeUndefined();
    const wrong: unknown[] = [
      undefined,
      null,
      {},
      { ...job, fit: "../x" },
      { ...job, level: -1 },
      { ...job, place: 0.5 },
    ];
    for (const one of [...wrong, { ...job, level: 31 }])
      expect(() => readJob(one)).toThrow(/^The queue has a job that is not/);
    expect(placeOfSum(sumName(fit, 3, 12))).toEqual({ level: 3, place: 12 });
    expect(placeOfSum(`fits/${fit}/fit`)).toBeUndefined();
  });

  test("errors come back with their class and fields, and words of the queue's own are an error too", () => {
    const job = { fit, level: 1, place: 2 };
    const full = failureOf(failureText(new StoreError("full", "The disk is full.")), job);
    expect(full).toBeInstanceOf(StoreError);
    expect(full).toMatchObject({ reason: "full", message: "The disk is full." });
    const lost = failureOf("job stalled more than allowable limit", job);
    expect(lost).toBeInstanceOf(ShardError);
    expect(lost).toMatchObject({ fit, shard: 4, message: expect.stringContaining("shards 4 to 5") });
    expect(failureOf(NOBODY, job)).toBeInstanceOf(ShardError);
    expect(failureOf('{"name":1}', job)).toBeInstanceOf(ShardError);
  });

  test("a fit's name is of all that it depends on", () => {
    const of = { work: "a", shards: 2, pages: ["b", "c"], arithmetic: "d" };
    const names = [
      of,
      { ...of, work: "x" },
      { ...of, pages: ["c", "b"] },
      { ...of, pages: ["b"] },
      { ...of, shards: 1 },
      { ...of, arithmetic: "x" },
    ];
    expect(new Set(names.map(nameOfFit)).size).toBe(names.length);
    expect(nameOfFit({ ...of })).toBe(nameOfFit(of));
  });
});

describe("an address of the queue", () => {
  const secret = "rediss://someone:s3cret%2Fword@host.example:6380/2";

  test("is said without its password", () => {
    expect(withoutPassword("test", secret)).toBe("rediss://host.example:6380/2");
    const text = `cannot reach ${secret}; s3cret/word, s3cret%2Fword`;
    expect(withoutSecrets(text, secret)).not.toMatch(/s3cret|someone:/);
  });

  test("that cannot be one is an error, which does not repeat it", () => {
    for (const address of ["", "host:6379", "http://user:s3cret@host", "redis://", "s3cret"]) {
      const connect = () => connectRedis("test", address, () => {});
      expect(connect).toThrow(/^test: queue must be the address of Redis or Valkey/);
      expect(connect).not.toThrow(/s3cret/);
    }
  });
});
