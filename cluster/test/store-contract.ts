// What every store must do. The suite of real processes is in machines/.

import fc from "fast-check";
import { NDArray } from "laplace-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreError } from "../src/errors.ts";
import { getContent, putContent } from "../src/store/content.ts";
import { digestOf } from "../src/store/digest.ts";
import { retrying } from "../src/store/retrying.ts";
import { getSealed, getWhole, putSealed } from "../src/store/sealed.ts";
import type { Store, StoredObject } from "../src/store/store.ts";
import { faulty } from "./faulty.ts";

/** A store of a test. */
export interface StoreOfTest {
  readonly store: Store;
  /** Puts bytes in the place of an object, as a broken disk would. */
  break(name: string, bytes: Uint8Array): Promise<void>;
  /** Makes objects older, or says that it cannot. */
  age?(name: string, milliseconds: number): Promise<void>;
  end(): Promise<void>;
}

const bytes = (...values: number[]) => Uint8Array.from(values);

export async function listed(store: Store, prefix: string): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const page of store.list(prefix)) all.push(...page);
  return all;
}

export const reasonOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StoreError) return error.reason;
    throw error;
  }
  return "none";
};

/** @param many how many objects go over more than a page of a listing */
export function describeStore(name: string, make: () => Promise<StoreOfTest>, many: number): void {
  describe(name, () => {
    let given: StoreOfTest;
    let store: Store;
    beforeAll(async () => {
      given = await make();
      store = given.store;
    });
    afterAll(() => given.end());

    test("gives what was written, once; the second of a name is not written", async () => {
      expect(await store.get("one/a")).toBeUndefined();
      expect(await store.stat("one/a")).toBeUndefined();
      expect(await store.putIfAbsent("one/a", bytes(1, 2, 3))).toBe(true);
      expect(await store.putIfAbsent("one/a", bytes(4))).toBe(false);
      expect(Array.from((await store.get("one/a")) ?? [])).toEqual([1, 2, 3]);
      expect(await store.stat("one/a")).toMatchObject({ name: "one/a", size: 3 });
      const { age } = (await store.stat("one/a")) as StoredObject;
      expect(age).toBeGreaterThan(-10_000);
      expect(age).toBeLessThan(60_000);
      expect(await store.putIfAbsent("one/empty", bytes())).toBe(true);
      expect((await store.get("one/empty"))?.length).toBe(0);
    });

    test("of writers at the same time one succeeds, and its object is whole", async () => {
      const large = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000).fill(i));
      for (const name of ["race/a", "race/b", "race/c"]) {
        const won = await Promise.all(large.map((own) => store.putIfAbsent(name, own)));
        expect(won.filter(Boolean)).toHaveLength(1);
        const found = (await store.get(name)) as Uint8Array;
        expect(digestOf(found)).toBe(digestOf(large[won.indexOf(true)]));
      }
    });

    test("lists in the order of names, over pages, without what begins otherwise", async () => {
      const names = Array.from({ length: many }, (_, i) => `many/${"abc"[i % 3]}${["/", "-", ".", "_"][i % 4]}${i}`);
      await Promise.all(names.map((name, i) => store.putIfAbsent(name, new Uint8Array(i % 7))));
      let pages = 0;
      for await (const _ of store.list("many/")) pages++;
      expect(pages).toBeGreaterThan(1);
      const all = await listed(store, "many/");
      expect(all.map(({ name }) => name)).toEqual([...names].sort());
      expect(all.every(({ name, size }) => size === names.indexOf(name) % 7)).toBe(true);
      const some = names.filter((name) => name.startsWith("many/a-")).sort();
      expect((await listed(store, "many/a-")).map(({ name }) => name)).toEqual(some);
      expect(await listed(store, "nothing/")).toEqual([]);
    });

    test("forgets what is removed; removing nothing throws nothing", async () => {
      await store.putIfAbsent("gone/a", bytes(1));
      await store.delete("gone/a");
      await store.delete("gone/a");
      expect(await store.get("gone/a")).toBeUndefined();
      expect(await listed(store, "gone/")).toEqual([]);
      expect(await store.putIfAbsent("gone/a", bytes(2))).toBe(true);
      expect(Array.from((await store.get("gone/a")) ?? [])).toEqual([2]);
    });

    test("refuses names that lead elsewhere", async () => {
      for (const name of ["", "/a", "a/", "../a", "a/../b", "a//b", ".a", "a b", "A", "a\\b", "a".repeat(801), "é"]) {
        await expect(store.putIfAbsent(name, bytes(1))).rejects.toThrow(/An object's name is words/);
        await expect(store.get(name)).rejects.toThrow(/An object's name is words/);
      }
    });

    test("content is there once, by its digest; what is not that is refused, removed and written again", async () => {
      const own = bytes(1, 2, 3, 4, 5);
      const digest = await putContent(store, own);
      expect(await putContent(store, own)).toBe(digest);
      expect(Array.from(await getContent(store, digest))).toEqual([1, 2, 3, 4, 5]);
      await given.break(`content/${digest}`, bytes(1, 2));
      expect(await putContent(store, own)).toBe(digest);
      expect(Array.from(await getContent(store, digest))).toEqual([1, 2, 3, 4, 5]);
      await given.break(`content/${digest}`, bytes(1, 2, 3, 4, 6));
      expect(await reasonOf(getContent(store, digest))).toBe("altered");
      expect(await reasonOf(getContent(store, digest))).toBe("missing");
      expect(await putContent(store, own)).toBe(digest);
      expect((await getContent(store, digest)).length).toBe(5);
    });

    const contents = (value: number, text = "a") => ({
      tensors: { h: new NDArray(Float64Array.of(value, -0, Number.NaN), [3]), g: new NDArray(Float32Array.of(1), [1]) },
      metadata: { text },
    });

    test("a result is written once; the same bits again are accepted, others are an error that names both", async () => {
      expect(await putSealed(store, "results/1", contents(7), "first@host")).toBe(true);
      expect(await putSealed(store, "results/1", contents(7), "second@host")).toBe(false);
      const found = await getSealed(store, "results/1");
      expect(found).toMatchObject({ by: "first@host", metadata: { text: "a" } });
      expect(found && Array.from(found.tensors.h.data)).toEqual([7, -0, Number.NaN]);
      for (const other of [contents(8), contents(7, "b")]) {
        const failed = putSealed(store, "results/1", other, "second@host");
        await expect(failed).rejects.toThrow(/results\/1 was written by first@host .* those of second@host/);
        expect(await reasonOf(putSealed(store, "results/1", other, "second@host"))).toBe("conflict");
      }
      expect(Array.from((await getSealed(store, "results/1"))?.tensors.h.data ?? [])[0]).toBe(7);
      expect(await getSealed(store, "results/none")).toBeUndefined();
    });

    test("a result that is cut or changed anywhere is named so, and counts as absent for who writes it again", async () => {
      await putSealed(store, "broken/0", contents(7), "first@host");
      const whole = (await store.get("broken/0")) as Uint8Array;
      let at = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            fc.record({ cut: fc.nat(whole.length - 1) }),
            fc.record({ place: fc.nat(whole.length - 1), change: fc.integer({ min: 1, max: 255 }) }),
          ),
          async (how) => {
            const name = `broken/${++at}`;
            const own = "cut" in how ? whole.slice(0, how.cut) : whole.slice();
            if ("place" in how) own[how.place] ^= how.change;
            await store.putIfAbsent(name, own);
            // The name of who wrote it does not belong to the result.
            const found = await getSealed(store, name).catch((error: unknown) => error);
            if (found instanceof StoreError) {
              expect(["truncated", "altered"]).toContain(found.reason);
              expect(await putSealed(store, name, contents(7), "again@host")).toBe(true);
            } else {
              expect("place" in how).toBe(true);
              expect(await putSealed(store, name, contents(7), "again@host")).toBe(false);
            }
            expect((await getWhole(store, name))?.tensors.h.data[0]).toBe(7);
          },
        ),
        { numRuns: 30 },
      );
    });

    test("a store that fails a third of its calls, before or after they are done, does all of it when it is asked again", async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (seed) => {
          const weak = retrying(faulty(store, 1 / 3, seed), { wait: 0, times: 50 });
          const names = Array.from({ length: 5 }, (_, i) => `weak/${seed}/${i}`);
          for (const name of names) await putSealed(weak, name, contents(seed), "one@host");
          for (const name of names) expect(await putSealed(weak, name, contents(seed), "two@host")).toBe(false);
          expect((await listed(weak, `weak/${seed}/`)).map(({ name }) => name)).toEqual(names);
          expect((await getSealed(weak, names[3]))?.tensors.h.data[0]).toBe(seed);
          await weak.delete(names[0]);
          expect(await listed(weak, `weak/${seed}/`)).toHaveLength(4);
        }),
        { numRuns: 5 },
      );
    });

    test("a store that does not answer at all is an error, not a wait without end", async () => {
      const none = retrying(faulty(store, 1, 1), { wait: 0, times: 3 });
      expect(await reasonOf(none.putIfAbsent("none/a", bytes(1)))).toBe("unreachable");
      expect(await reasonOf(none.get("none/a"))).toBe("unreachable");
    });
  });
}
