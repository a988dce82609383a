// Data that are read where they are summed: arrays in safetensors files. The bits of the same arrays in memory, whoever reads them;
// what is missing, cut or altered is an error of its own name.

import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { NDArray, randomNormal, writeSafetensors } from "laplace-ts";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Case, cases, given } from "../../../test/shards/given.ts";
import { BLOCK } from "../../src/data/blocks.ts";
import { inStore } from "../../src/data/in-store.ts";
import { readRows } from "../../src/data/reading.ts";
import { sweep } from "../../src/fits/sweep.ts";
import { part } from "../../src/parts.ts";
import { folderStore } from "../../src/store/folder.ts";
import { reasonOf } from "../store-contract.ts";
import { byStore } from "./by-store.ts";
import { Fleet, RedisOfTest } from "./hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-in-store-"));
const fleet = new Fleet();
let redis: RedisOfTest;
beforeAll(async () => {
  redis = await RedisOfTest.start();
});
afterEach(() => fleet.end());
afterAll(async () => {
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

/** The data of a case, as one batch, in so many files; what they are of. */
function written(some: Case, parts: number) {
  const one = { ...some, batch: some.examples };
  const { batches, sums, numbers } = given(one);
  const at = mkdtempSync(join(folder, "data-"));
  const files: string[] = [];
  for (let part = 0; part < parts; part++) {
    const [first, end] = [part, part + 1].map((i) => Math.floor((i * one.examples) / parts));
    const [rows] = first < end ? batches(first, end) : [];
    if (rows === undefined) continue;
    const array = ({ data, shape }: { data: Float64Array; shape: readonly number[] }) => new NDArray(data, shape);
    const file = join(at, `${part}.safetensors`);
    writeFileSync(
      file,
      writeSafetensors({ pad: new NDArray(new Float64Array(part), [part]), x: array(rows.x), y: array(rows.y) }, {}),
    );
    files.push(file);
  }
  const store = mkdtempSync(join(folder, "store-"));
  return { one, sums, numbers, files, store };
}

const keeping: readonly Case["structure"][] = ["operator"];
const small: Case = {
  structure: "ekfac",
  curvature: "ggn",
  sharing: "expand",
  dtype: "float32",
  convolution: true,
  examples: 23,
  length: 3,
  batch: 23,
  seed: 7,
};

describe("arrays in files that all machines see", () => {
  test("give the bits of arrays in memory, in any number of files, for structures and types", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 4 }), async (some, parts) => {
        if (keeping.includes(some.structure)) return;
        const { one, sums, numbers, files, store } = written(some, parts);
        const data = await inStore({ store, files });
        const due = numbers(await sums());
        expect(data.examples).toBe(one.examples);
        expect(numbers(await sums(undefined, {}, data)) === due).toBe(true);
        expect(numbers(await sums(byStore(folderStore(store), one.seed), {}, data)) === due).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  test("are read by 1 to 4 worker processes, digests too, to the same bits", async () => {
    const { sums, numbers, files, store } = written(small, 3);
    const due = numbers(await sums());
    for (const count of [1, 2, 3, 4]) {
      const own = mkdtempSync(join(folder, "store-"));
      const options = { queue: redis.address, store: own };
      const workers = Array.from({ length: count }, () => fleet.worker(options));
      await Promise.all(workers.map((one) => one.saw("ready")));
      const on = fleet.machines(options);
      const data = await inStore({ store: own, files, on });
      expect(numbers(await sums(on, {}, data)) === due, `by ${count}`).toBe(true);
      expect(workers.reduce((sum, one) => sum + one.count("done"), 0)).toBeGreaterThan(3);
      await fleet.end();
    }
    // Without a queue as well, and what was begun is found.
    const on = part({ store, part: 1, parts: 1 });
    expect(numbers(await sums(on, {}, await inStore({ store, files, on }))) === due).toBe(true);
  });

  test("that are missing, cut or altered are errors of their own names, also when workers read them", async () => {
    const { sums, files, store } = written(small, 2);
    const options = { queue: redis.address, store };
    const worker = fleet.worker(options);
    await worker.saw("ready");
    const on = fleet.machines({ ...options, attempts: 1 });
    const data = await inStore({ store, files, on });
    const whole = readFileSync(files[1]);
    const { atime, mtime } = statSync(files[1]);
    const spoil = (bytes: Uint8Array) => {
      writeFileSync(files[1], bytes);
      utimesSync(files[1], atime, mtime);
    };
    const reason = async () => ({
      here: await reasonOf(sums(undefined, {}, data)),
      there: await reasonOf(sums(on, {}, data)),
    });
    const altered = Uint8Array.from(whole);
    altered[altered.length - 1] ^= 1;
    spoil(altered);
    expect(await reason()).toEqual({ here: "altered", there: "altered" });
    truncateSync(files[1], whole.length - 5);
    expect(await reason()).toEqual({ here: "truncated", there: "truncated" });
    rmSync(files[1]);
    expect(await reason()).toEqual({ here: "missing", there: "missing" });
    expect(await reasonOf(inStore({ store, files }))).toBe("missing");
    // As it was, it is read again.
    spoil(whole);
    await expect(sums(on, {}, data)).resolves.toBeDefined();
  });

  test("of more than one block are read in ranges; other rows than there are, and other files, are refused", async () => {
    const rows = Math.ceil((2.5 * BLOCK) / 24);
    const x = randomNormal([rows, 3], { seed: 1 });
    const y = randomNormal([rows, 2], { seed: 2 });
    const file = join(folder, "large.safetensors");
    writeFileSync(file, writeSafetensors({ x, y }, {}));
    const path = mkdtempSync(join(folder, "store-"));
    const data = await inStore({ store: path, files: [file] });
    for (const [first, end] of [
      [0, 1],
      [rows - 1, rows],
      [Math.floor(BLOCK / 24) - 2, Math.floor(BLOCK / 24) + 3],
      [0, rows],
    ]) {
      const found = await data.rowsAt(first, end).read();
      expect(Array.from((found.x as NDArray).data)).toEqual(Array.from(x.data.subarray(3 * first, 3 * end)));
      expect(Array.from((found.y as NDArray).data)).toEqual(Array.from(y.data.subarray(2 * first, 2 * end)));
    }
    await expect(data.rowsAt(0, rows + 1).read()).rejects.toThrow(`there are ${rows} rows, and none up to ${rows + 1}`);
    const store = folderStore(path);
    for (const at of [
      undefined,
      {},
      { index: "../..", first: 0, end: 1 },
      { index: "0".repeat(64), first: 0, end: 1 },
    ]) {
      await expect(readRows(store, at)).rejects.toThrow(/does not say where its rows are|is not in the store/);
    }
    await expect(inStore({ store: path, files: [file], x: "inputs" })).rejects.toThrow('there is no array "inputs"');
    await expect(inStore({ store: path, files: ["rows.safetensors"] })).rejects.toThrow("must be an absolute path");
    writeFileSync(join(folder, "other.safetensors"), "no safetensors at all");
    await expect(inStore({ store: path, files: [join(folder, "other.safetensors")] })).rejects.toThrow(/its header/);
  });

  test("keep their index as long as their fit is there", async () => {
    const { sums, files, store } = written(small, 1);
    const on = part({ store, part: 1, parts: 1 });
    const data = await inStore({ store, files, on });
    await sums(on, {}, data);
    const { index } = data.rowsAt(0, 1).at as { readonly index: string };
    const day = 24 * 3600;
    const old = Date.now() / 1000 - 10 * day;
    utimesSync(join(store, "content", index), old, old);
    mkdirSync(join(store, "fits"), { recursive: true });
    await sweep(folderStore(store), 5 * 1000 * day);
    expect(statSync(join(store, "content", index)).isFile()).toBe(true);
  });
});
