// Removes what is old, and nothing that a running fit needs.

import { randomUUID } from "node:crypto";
import { StoreError } from "../errors.ts";
import { CONTENT } from "../store/content.ts";
import { retrying } from "../store/retrying.ts";
import type { Store } from "../store/store.ts";
import { FITS, getFit, isFitName } from "./fit.ts";
import { Pages } from "./shards.ts";

/** What was removed. */
export interface Swept {
  readonly fits: number;
  readonly objects: number;
  readonly bytes: number;
}

/** Where it is said that somebody writes data for a fit that has no name yet. */
const BEGINNING = "beginning/";
/** Milliseconds after which whoever writes data is thought to be gone. */
const GONE = 24 * 3600 * 1000;

const usedPrefix = (fit: string) => `${FITS}${fit}/used/`;

/** Says that data are written for a fit to come, which may need what is there already. Gives what says that they are written. */
export async function beginning(store: Store): Promise<() => Promise<void>> {
  const name = `${BEGINNING}${randomUUID()}`;
  await store.putIfAbsent(name, new Uint8Array());
  return () => store.delete(name);
}

/** Says that somebody wants a fit now. What said so before is removed. */
export async function use(store: Store, fit: string): Promise<void> {
  const before: string[] = [];
  for await (const page of store.list(usedPrefix(fit))) before.push(...page.map(({ name }) => name));
  await store.putIfAbsent(`${usedPrefix(fit)}${Date.now()}-${randomUUID()}`, new Uint8Array());
  for (const name of before) await store.delete(name);
}

/**
 * Removes fits of which nothing was written for so long, and data that no other fit has.
 * @param olderThan milliseconds; a day at least, so that nothing is removed that is just about to be used
 * @throws StoreError
 */
export async function sweep(given: Store, olderThan: number): Promise<Swept> {
  const store = retrying(given);
  if (!(olderThan >= GONE)) {
    throw new StoreError("refused", `A sweep removes what is older than a day at least, not than ${olderThan} ms.`);
  }
  let [fits, objects, bytes] = [0, 0, 0];
  const remove = async (name: string, size: number) => {
    await store.delete(name);
    objects++;
    bytes += size;
  };
  await store.tidy(olderThan);
  const youngest = new Map<string, number>();
  for await (const page of store.list(FITS)) {
    for (const { name, age } of page) {
      const fit = name.slice(FITS.length).split("/")[0];
      youngest.set(fit, Math.min(age, youngest.get(fit) ?? Number.POSITIVE_INFINITY));
    }
  }
  const needed = new Set<string>();
  for (const [fit, age] of youngest) {
    if (age <= olderThan) {
      if (isFitName(fit)) await need(store, fit, needed);
      continue;
    }
    fits++;
    for await (const page of store.list(`${FITS}${fit}/`)) for (const { name, size } of page) await remove(name, size);
  }
  let writing = false;
  for await (const page of store.list(BEGINNING)) {
    for (const { name, age } of page) {
      if (age <= GONE) writing = true;
      else await store.delete(name);
    }
  }
  // A fit that is being begun may have found its data there.
  if (writing) return { fits, objects, bytes };
  for await (const page of store.list(CONTENT)) {
    for (const { name, size, age } of page) {
      if (age > olderThan && !needed.has(name.slice(CONTENT.length))) await remove(name, size);
    }
  }
  return { fits, objects, bytes };
}

/** What a fit needs. */
async function need(store: Store, fit: string, needed: Set<string>): Promise<void> {
  try {
    const { work, files, pages, shards } = await getFit(store, fit);
    for (const digest of [work, ...files, ...pages]) needed.add(digest);
    const lists = new Pages(store, pages, shards);
    for (const page of pages.keys()) for (const digest of await lists.page(page)) needed.add(digest);
  } catch (error) {
    // Without what it is of, nobody can go on with it; one of another version is that version's.
    if (error instanceof StoreError && (error.reason === "missing" || error.reason === "altered")) return;
    throw error;
  }
}
