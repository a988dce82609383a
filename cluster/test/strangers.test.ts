// What a stranger may put into the queue or the store: named errors, never another kind, and never wrong sums.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { LaplaceError, readSafetensors, writeSafetensors } from "laplace-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, given } from "../../test/shards/given.ts";
import { errorFrom, ShardError } from "../src/errors.ts";
import { FitWork } from "../src/fits/doing.ts";
import { type FitOfShards, getFit, nameOfFit, putFit } from "../src/fits/fit.ts";
import { Pages, putPage } from "../src/fits/shards.ts";
import { part } from "../src/parts.ts";
import { failureOf, failureText, jobId, jobOf, readJob } from "../src/queue/jobs.ts";
import { isTrace } from "../src/spans.ts";
import { getContent, putContent } from "../src/store/content.ts";
import { folderStore } from "../src/store/folder.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-strangers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: count, maxLength: count });
const names = digits(40);
const traces = fc.tuple(digits(32), digits(16), digits(2)).map(([a, b, c]) => `00-${a}-${b}-${c}`);
const jobs = fc.record(
  { fit: names, level: fc.nat(30), place: fc.nat(1e9 - 1), trace: traces.filter(isTrace) },
  { requiredKeys: ["fit", "level", "place"] },
);
const junk = fc.oneof(
  fc.anything(),
  fc.record({
    fit: fc.oneof(names, fc.anything()),
    level: fc.oneof(fc.nat(30), fc.anything()),
    place: fc.oneof(fc.nat(1e9), fc.anything()),
    trace: fc.oneof(traces, fc.anything()),
  }),
);

describe("a job of the queue", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(jobs, (job) => {
        const { trace: _, ...block } = job;
        expect(readJob(JSON.parse(JSON.stringify(job)))).toEqual(job);
        expect(jobOf(jobId(job))).toEqual(block);
      }),
    );
  });

  test("of a stranger's is a job as they are written, or a named error", () => {
    fc.assert(
      fc.property(junk, (data) => {
        let read: ReturnType<typeof readJob>;
        try {
          read = readJob(data);
        } catch (error) {
          expect(error).toBeInstanceOf(LaplaceError);
          return;
        }
        expect(Object.keys(read).every((name) => ["fit", "level", "place", "trace"].includes(name))).toBe(true);
        expect(jobOf(jobId(read))).toMatchObject({ fit: read.fit, level: read.level, place: read.place });
        expect(read.trace === undefined || isTrace(read.trace)).toBe(true);
      }),
    );
  });

  test("that failed says why, whatever text it has", () => {
    const job = { fit: "0".repeat(40), level: 1, place: 3 };
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          junk.map((data) => String(JSON.stringify(data))),
        ),
        (text) => {
          const error = failureOf(text, job);
          expect(error).toBeInstanceOf(Error);
          expect(typeof error.message).toBe("string");
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.record({
          name: fc.oneof(fc.string(), fc.constantFrom("ShardError", "__proto__", "StoreError")),
          message: fc.string(),
          reason: fc.anything(),
          cause: fc.anything(),
        }),
        (message) => {
          const error = failureOf(String(JSON.stringify(message)), job);
          expect(error).toBeInstanceOf(Error);
          expect(message.name === "" || error.message.includes(message.message)).toBe(true);
        },
      ),
    );
    const because = failureText(new Error("It ended.", { cause: new TypeError("no") }));
    expect(failureOf(because, job).cause).toMatchObject({ name: "TypeError", message: "no" });
    expect(failureOf('{"name":"ShardError","message":" \\"","cause":null}', job).message).toBe(' "');
    const own = failureOf(failureText(new ShardError(job.fit, 6, "It ended.")), job);
    expect(own).toBeInstanceOf(ShardError);
    expect(own).toMatchObject({ shard: 6, message: "It ended." });
    expect(errorFrom({ name: "ShardError", message: "x" })).toBeInstanceOf(ShardError);
  });
});

const fixed: Case = {
  structure: "kronecker",
  curvature: "ggn",
  sharing: "expand",
  dtype: "float32",
  convolution: false,
  examples: 8,
  length: 4,
  batch: 4,
  seed: 7,
};

describe("an object of the store", () => {
  const path = mkdtempSync(join(folder, "store-"));
  const store = folderStore(path);
  let fit: FitOfShards;
  /** The digests of its shards' data. */
  let data: string[];
  /** The sums of a shard, as bytes. */
  let due: string;

  /** Does the first shard anew; gives its sum, but for who wrote it. */
  async function sum(name: string): Promise<string> {
    const sums = join(path, "fits", name, "sums");
    rmSync(sums, { recursive: true, force: true });
    const work = await FitWork.open(store, name);
    await work.do({ level: 0, place: 0 }, "test");
    return readFileSync(join(sums, "00-000000000"), "latin1");
  }

  /** Whether it is the right sum or a named error; gives the error. */
  async function sumOrNamed(name: string): Promise<void> {
    const found = await sum(name).catch((error: unknown) => error);
    if (typeof found !== "string") expect(found).toBeInstanceOf(LaplaceError);
    else expect(found).toBe(due);
  }

  beforeAll(async () => {
    await given(fixed).sums(part({ store, part: 1, parts: 1 }));
    const [name] = readdirSync(join(path, "fits"));
    fit = await getFit(store, name);
    data = await new Pages(store, fit.pages, fit.shards).page(0);
    due = await sum(name);
  });

  test("with any byte changed, cut or added is as good as none", async () => {
    const objects = [`content/${fit.work}`, `content/${data[0]}`, `content/${fit.pages[0]}`, `fits/${fit.name}/fit`];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...objects),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom("change", "cut", "add"),
        async (object, where, by, how) => {
          const file = join(path, object);
          const before = readFileSync(file);
          const at = Math.floor(where * before.length);
          let after: Buffer = Buffer.from(before);
          if (how === "change") after[at] ^= by;
          else if (how === "cut") after = after.subarray(0, at);
          else after = Buffer.concat([before, Buffer.alloc(by, by)]);
          writeFileSync(file, after);
          try {
            await sumOrNamed(fit.name);
          } finally {
            writeFileSync(file, before);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  /** A document with one of its parts changed. */
  function changed(json: unknown, at: number, to: unknown): unknown {
    let left = at;
    const walk = (one: unknown): unknown => {
      if (left-- === 0) return to;
      if (Array.isArray(one)) return one.map(walk);
      if (one === null || typeof one !== "object") return one;
      return Object.fromEntries(Object.entries(one).map(([key, own]) => [key, walk(own)]));
    };
    return walk(json);
  }
  const partsOf = (json: unknown): number =>
    json === null || typeof json !== "object"
      ? 1
      : Object.values(json).reduce((total: number, one) => total + partsOf(one), 1);

  test("of a stranger who knows how they are written is done, or a named error", async () => {
    const document = "laplace-ts.document";
    const values = fc.oneof(
      fc.constantFrom<unknown>(null, -1, 0, 1.5, 1e300, "", "toString", "__proto__", true, [], {}),
      fc.constantFrom<unknown>({ undefined: true }, { number: "NaN" }, { list: [] }, { object: {} }),
      fc.constantFrom<unknown>({ object: { length: 1e9 } }, { array: "0", type: "Float64Array" }),
      fc.nat(100),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("work", "shard"), fc.nat(), values, async (which, place, to) => {
        const { tensors, metadata } = readSafetensors(await getContent(store, which === "work" ? fit.work : data[0]));
        const json: unknown = JSON.parse(metadata[document]);
        const own = JSON.stringify(changed(json, place % partsOf(json), to));
        const digest = await putContent(store, writeSafetensors({ ...tensors }, { ...metadata, [document]: own }));
        const pages = which === "shard" ? [await putPage(store, [digest, ...data.slice(1)])] : fit.pages;
        const other = { ...fit, pages, work: which === "work" ? digest : fit.work };
        const name = nameOfFit(other);
        await putFit(store, { ...other, name }, "stranger");
        const found = await sum(name).catch((error: unknown) => error);
        if (typeof found !== "string") expect(found, own.slice(0, 2000)).toBeInstanceOf(LaplaceError);
      }),
      { numRuns: Number(process.env.STRANGERS ?? 100) },
    );
  });
});
