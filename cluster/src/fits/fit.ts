// A fit in the store: what its shards have in common, the shards, and what came of them, by names alone. Its own name says what it
// is of: the same work on the same data has the same name, whoever asks for it and when.

import { NDArray } from "laplace-ts";
import { version } from "laplace-ts/executor";
import { StoreError } from "../errors.ts";
import { digestOf } from "../store/digest.ts";
import { getWhole, putSealed } from "../store/sealed.ts";
import type { Store } from "../store/store.ts";

/** Where fits are. */
export const FITS = "fits/";
const FORMAT = "1";
const DIGITS = 40;
/** 32-bit words of a digest. */
const WORDS = 8;

/** A fit, or whatever is done in shards. */
export interface FitOfShards {
  readonly name: string;
  /** The digest of what all shards have in common: network, plan, likelihood, seed. */
  readonly work: string;
  /** The digests of files beside that, such as a posterior's. */
  readonly files: readonly string[];
  /** The digests of the shards' data, in order. */
  readonly shards: readonly string[];
  /** How many examples each has. */
  readonly examples: readonly number[];
  /** The arithmetic of all machines that do shards, or "mixed". */
  readonly arithmetic: string;
}

/** The name of a fit: a digest of all that its results depend on. */
export function nameOfFit({ work, shards, arithmetic }: Omit<FitOfShards, "name" | "examples" | "files">): string {
  const texts = ["laplace-ts-cluster", FORMAT, version, arithmetic, work, ...shards];
  return digestOf(new TextEncoder().encode(JSON.stringify(texts))).slice(0, DIGITS);
}

export const isFitName = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{40}$/.test(text);

const manifestName = (fit: string) => `${FITS}${fit}/fit`;

/** Where the results of a fit are. */
export const sumsOf = (fit: string): string => `${FITS}${fit}/sums/`;

/** The name of what came of 2^level shards, the first of which is place · 2^level. */
export const sumName = (fit: string, level: number, place: number): string =>
  `${sumsOf(fit)}${String(level).padStart(2, "0")}-${String(place).padStart(9, "0")}`;

/** What a name of `sumName` says; undefined for another name. */
export function placeOfSum(name: string): { readonly level: number; readonly place: number } | undefined {
  const found = /\/sums\/(\d{2})-(\d{9})$/.exec(name);
  return found === null ? undefined : { level: Number(found[1]), place: Number(found[2]) };
}

/** Writes what a fit is of, once. */
export async function putFit(store: Store, fit: FitOfShards, by: string): Promise<void> {
  const { work, files, shards, examples, arithmetic } = fit;
  const words = new Float64Array(WORDS * shards.length);
  shards.forEach((digest, i) => {
    for (let word = 0; word < WORDS; word++) {
      words[WORDS * i + word] = Number.parseInt(digest.slice(8 * word, 8 * word + 8), 16);
    }
  });
  const tensors = {
    shards: new NDArray(words, [shards.length, WORDS]),
    examples: new NDArray(Float64Array.from(examples), [examples.length]),
  };
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
  const { shards: words, examples } = found.tensors;
  const count = words?.shape[0] ?? 0;
  if (work === undefined || arithmetic === undefined || words?.shape[1] !== WORDS || examples?.shape[0] !== count) {
    throw wrong("it has no list of shards");
  }
  const hexadecimal = (word: number) => word.toString(16).padStart(8, "0");
  const shards = Array.from({ length: count }, (_, i) =>
    Array.from(words.data.subarray(WORDS * i, WORDS * (i + 1)), hexadecimal).join(""),
  );
  const fit = {
    name,
    work,
    files: files.split(",").filter((file) => file !== ""),
    shards,
    examples: Array.from(examples.data),
    arithmetic,
  };
  if (!fit.examples.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw wrong("its numbers of examples are not counts");
  }
  if (nameOfFit(fit) !== name) throw wrong("its shards are not those that its name says");
  return fit;
}
