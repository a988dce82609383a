// A fit in the store: what its shards have in common, the shards, and what came of them, by names alone. Its own name says what it
// is of: the same work on the same data has the same name, whoever asks for it and when.

import { version } from "laplace-ts/executor";
import { StoreError } from "../errors.ts";
import { digestOf } from "../store/digest.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";
import { type Block, type Run, runOf, runsOf } from "./blocks.ts";
import { Counts, digestsOf, PAGE, wordsOf } from "./shards.ts";

/** Where fits are. */
export const FITS = "fits/";
const FORMAT = "2";
const DIGITS = 40;

/** A fit, or whatever is done in shards. */
export interface FitOfShards {
  readonly name: string;
  /** The digest of what all shards have in common: network, plan, likelihood, seed. */
  readonly work: string;
  /** The digests of files beside that, such as a posterior's. */
  readonly files: readonly string[];
  /** How many shards there are. */
  readonly shards: number;
  /** The digests of pages, which have the digests of the shards' data, in order. */
  readonly pages: readonly string[];
  /** How many examples each shard has. */
  readonly examples: Counts;
  /** The arithmetic of all machines that do shards, or "mixed". */
  readonly arithmetic: string;
}

/** The name of a fit: a digest of all that its results depend on. */
export function nameOfFit({
  work,
  shards,
  pages,
  arithmetic,
}: Pick<FitOfShards, "work" | "shards" | "pages" | "arithmetic">): string {
  const texts = ["laplace-ts-cluster", FORMAT, version, arithmetic, work, `${shards}`, ...pages];
  return digestOf(new TextEncoder().encode(JSON.stringify(texts))).slice(0, DIGITS);
}

export const isFitName = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{40}$/.test(text);

const manifestName = (fit: string) => `${FITS}${fit}/fit`;

/** Where the results of a fit are. */
const sumsOf = (fit: string): string => `${FITS}${fit}/sums/`;

/** The name of what came of 2^level shards, the first of which is place · 2^level. */
export const sumName = (fit: string, level: number, place: number): string =>
  `${sumsOf(fit)}${String(level).padStart(2, "0")}-${String(place).padStart(9, "0")}`;

/** What a name of `sumName` says; undefined for another name. */
export function placeOfSum(name: string): Block | undefined {
  const found = /\/sums\/(\d{2})-(\d{9})$/.exec(name);
  return found === null ? undefined : { level: Number(found[1]), place: Number(found[2]) };
}

/** The shards of a fit of which nothing came yet. @throws StoreError */
export async function missingOf(store: Store, fit: string, shards: number): Promise<Run[]> {
  const done = new Uint8Array(shards);
  for await (const page of store.list(sumsOf(fit))) {
    for (const { name } of page) {
      const found = placeOfSum(name);
      if (found !== undefined) done.fill(1, ...runOf(found));
    }
  }
  return runsOf(done);
}

/** Writes what a fit is of, once. */
export async function putFit(store: Store, fit: FitOfShards, by: string): Promise<void> {
  const { work, files, pages, examples, arithmetic } = fit;
  const tensors = { pages: wordsOf(pages), examples: examples.toArray() };
  await putSealed(
    store,
    manifestName(fit.name),
    { tensors, metadata: { format: FORMAT, library: version, work, arithmetic, files: files.join() } },
    by,
  );
}

/** What a fit is of. @throws StoreError where nothing is known of it, or where it says something else than its name */
export async function getFit(store: Store, name: string): Promise<FitOfShards> {
  const found = await getWhole(store, manifestName(name));
  if (found === undefined) {
    throw new StoreError(
      "missing",
      `The fit ${name} is not in the store ${store.address}. Likely cause: this machine has another store than the one that began the fit.`,
    );
  }
  const wrong = (why: string) =>
    new StoreError("altered", `The fit ${name} in the store is not what was written: ${why}.`);
  const { format, library, work, arithmetic, files = "" } = found.metadata;
  if (format !== FORMAT || library !== version) {
    throw new StoreError(
      "refused",
      `The fit ${name} was begun by laplace-ts ${library}, and this is ${version}: all machines of a fit need the same version.`,
    );
  }
  const pages = digestsOf(found.tensors.pages);
  const examples = Counts.from(found.tensors.examples);
  if (work === undefined || arithmetic === undefined || pages === undefined || examples === undefined) {
    throw wrong("it has no list of shards");
  }
  const { shards } = examples;
  if (pages.length !== Math.ceil(shards / PAGE)) throw wrong("it has other pages than its shards need");
  const own = { work, shards, pages, arithmetic };
  if (nameOfFit(own) !== name) throw wrong("its shards are not those that its name says");
  return { ...own, name, files: files.split(",").filter((file) => file !== ""), examples };
}
