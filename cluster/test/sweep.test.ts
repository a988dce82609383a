// What is old is removed, and nothing that somebody needs.

import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NDArray } from "laplace-ts";
import { afterAll, describe, expect, test } from "vitest";
import { type FitOfShards, getFit, nameOfFit, putFit, sumName } from "../src/fits/fit.ts";
import { Counts, Pages, putPage } from "../src/fits/shards.ts";
import { beginning, sweep, use } from "../src/fits/sweep.ts";
import { putContent } from "../src/store/content.ts";
import { folderStore } from "../src/store/folder.ts";
import { putSealed } from "../src/store/sealed.ts";
import type { Store } from "../src/store/store.ts";
import { faulty } from "./faulty.ts";
import { listed, reasonOf } from "./store-contract.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-sweep-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DAY = 24 * 3600 * 1000;
const newStore = () => {
  const path = mkdtempSync(join(folder, "store-"));
  return { path, store: folderStore(path) };
};

/** A fit of so many shards, whose data are these numbers. */
async function write(store: Store, work: string, data: readonly number[]): Promise<FitOfShards> {
  const put = (text: string) => putContent(store, new TextEncoder().encode(text));
  const of = {
    work: await put(work),
    shards: data.length,
    pages: [await putPage(store, await Promise.all(data.map((one) => put(`data ${one}`))))],
    arithmetic: "a",
  };
  const fit = { ...of, files: [await put(`file of ${work}`)], examples: Counts.of(data), name: nameOfFit(of) };
  await putFit(store, fit, "test");
  const tensors = { sum: new NDArray(Float64Array.of(1), [1]) };
  await putSealed(store, sumName(fit.name, 0, 0), { tensors, metadata: {} }, "test");
  return fit;
}

/** Makes all that is there older. */
function age(path: string, days: number): void {
  const then = new Date(Date.now() - days * DAY);
  for (const name of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) utimesSync(join(name.parentPath, name.name), then, then);
  }
}

describe("a sweep", () => {
  test("removes old fits, and data that no younger fit has", async () => {
    const { path, store } = newStore();
    await write(store, "old", [1, 2, 3]);
    age(path, 10);
    const young = await write(store, "young", [3, 4]);
    const swept = await sweep(store, 7 * DAY);
    // The old fit, its sum, its work, file and page, and the data that it has alone.
    expect(swept).toMatchObject({ fits: 1, objects: 7 });
    expect(await getFit(store, young.name)).toEqual(young);
    const data = await new Pages(store, young.pages, young.shards).page(0);
    const left = (await listed(store, "content/")).map(({ name }) => name.slice("content/".length));
    expect(left).toEqual([young.work, ...young.files, ...young.pages, ...data].sort());
    expect(await sweep(store, 7 * DAY)).toEqual({ fits: 0, objects: 0, bytes: 0 });
  });

  test("asks a store that fails a third of its calls again", { timeout: 60_000 }, async () => {
    const { path, store } = newStore();
    await write(store, "old", [1, 2, 3]);
    age(path, 10);
    await write(store, "young", [3, 4]);
    expect(await sweep(faulty(store, 1 / 3, 5), 7 * DAY)).toMatchObject({ fits: 1, objects: 7 });
    expect(await sweep(store, 7 * DAY)).toEqual({ fits: 0, objects: 0, bytes: 0 });
  });

  test("leaves an old fit that somebody waits for", async () => {
    const { path, store } = newStore();
    const fit = await write(store, "old", [1, 2]);
    age(path, 10);
    await use(store, fit.name);
    await use(store, fit.name);
    expect(await sweep(store, 7 * DAY)).toEqual({ fits: 0, objects: 0, bytes: 0 });
    expect(await listed(store, `fits/${fit.name}/used/`)).toHaveLength(1);
    expect(await getFit(store, fit.name)).toEqual(fit);
  });

  test("leaves data while somebody begins a fit, unless that was long ago", async () => {
    const { path, store } = newStore();
    await putContent(store, Uint8Array.of(1));
    age(path, 10);
    const written = await beginning(store);
    expect(await sweep(store, 7 * DAY)).toMatchObject({ objects: 0 });
    await written();
    await beginning(store);
    age(path, 10);
    expect(await sweep(store, 7 * DAY)).toMatchObject({ objects: 1 });
    expect(await listed(store, "")).toEqual([]);
  });

  test("of what is young is refused", async () => {
    expect(await reasonOf(sweep(newStore().store, 3600 * 1000))).toBe("refused");
    expect(await reasonOf(sweep(newStore().store, Number.NaN))).toBe("refused");
  });
});
