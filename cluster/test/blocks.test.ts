// Blocks of shards: whatever is missing, each shard is in one of them, and each is a subtree.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ShardError, StoreError } from "../src/errors.ts";
import { blocksOf, examplesOf } from "../src/fits/blocks.ts";
import { nameOfFit, placeOfSum, sumName } from "../src/fits/fit.ts";
import { failureOf, failureText, jobId, jobOf, NOBODY, readJob } from "../src/queue/jobs.ts";
import { connectRedis, withoutPassword, withoutSecrets } from "../src/queue/redis.ts";

describe("blocks", () => {
  test("have each missing shard once, and are as many as are wanted, where there are as many", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300)), fc.integer({ min: 1, max: 40 }), (some, count) => {
        const shards = some.sort((a, b) => a - b);
        const blocks = blocksOf(shards, count);
        const all = blocks.flatMap(({ level, place }) =>
          Array.from({ length: 2 ** level }, (_, i) => place * 2 ** level + i),
        );
        expect(all).toEqual(shards);
        expect(blocks.length).toBeGreaterThanOrEqual(Math.min(count, shards.length));
        expect(blocks.every(({ place }) => Number.isInteger(place))).toBe(true);
      }),
    );
  });

  test("of many shards are few", () => {
    const shards = Array.from({ length: 10_000 }, (_, i) => i);
    expect(blocksOf(shards, 64).length).toBeLessThan(2 * 64 + 16);
    expect(examplesOf({ level: 2, place: 1 }, [1, 2, 4, 8, 16, 32, 64, 128])).toBe(240);
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
    const of = { work: "a", shards: ["b", "c"], arithmetic: "d" };
    const names = [
      of,
      { ...of, work: "x" },
      { ...of, shards: ["c", "b"] },
      { ...of, shards: ["b"] },
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
