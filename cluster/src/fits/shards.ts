// What a fit's shards are, in a size that does not grow with their number: the digests of their data stand in pages in the store, of
// which one is read at a time, and how many examples they have is said once for all that have as many.

import { NDArray, readSafetensors, writeSafetensors } from "laplace-ts";
import { StoreError } from "../errors.ts";
import { getContent, putContent } from "../store/content.ts";
import type { Store } from "../store/store.ts";

/** Shards of a page. */
export const PAGE = 1024;
/** 32-bit words of a digest. */
const WORDS = 8;

/** Digests as an array: [digests, words]. */
export function wordsOf(digests: readonly string[]): NDArray {
  const words = new Float64Array(WORDS * digests.length);
  digests.forEach((digest, i) => {
    for (let word = 0; word < WORDS; word++) {
      words[WORDS * i + word] = Number.parseInt(digest.slice(8 * word, 8 * word + 8), 16);
    }
  });
  return new NDArray(words, [digests.length, WORDS]);
}

/** The digests of such an array; undefined for another one, of a stranger. */
export function digestsOf(words: NDArray | undefined): string[] | undefined {
  if (words?.rank !== 2 || words.shape[1] !== WORDS) return undefined;
  const hexadecimal = (word: number) => word.toString(16).padStart(8, "0");
  const digests = Array.from({ length: words.shape[0] }, (_, i) =>
    Array.from(words.data.subarray(WORDS * i, WORDS * (i + 1)), hexadecimal).join(""),
  );
  return digests.every((digest) => /^[0-9a-f]{64}$/.test(digest)) ? digests : undefined;
}

/** How many examples shards have: runs of shards that have as many. */
export class Counts {
  /** Of each run: the shards up to its end, the examples of these, and how many examples each of its shards has. */
  readonly ends: number[] = [];
  readonly sums: number[] = [];
  readonly each: number[] = [];

  static of(examples: Iterable<number>): Counts {
    const counts = new Counts();
    for (const one of examples) counts.add(one);
    return counts;
  }

  /** Counts more shards, of so many examples each. */
  add(examples: number, shards = 1): void {
    const last = this.each.length - 1;
    const [end, sum] = [this.shards + shards, this.total + shards * examples];
    if (this.each[last] === examples) [this.ends[last], this.sums[last]] = [end, sum];
    else {
      this.ends.push(end);
      this.sums.push(sum);
      this.each.push(examples);
    }
  }

  /** How many shards there are. */
  get shards(): number {
    return this.ends.at(-1) ?? 0;
  }

  /** The examples of all shards. */
  get total(): number {
    return this.sums.at(-1) ?? 0;
  }

  /** The examples of shards from one to before another. */
  of(first: number, end: number): number {
    return this.#before(end) - this.#before(first);
  }

  #before(shard: number): number {
    // The first run that ends there or later.
    let [low, high] = [0, this.ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] < shard) low = middle + 1;
      else high = middle;
    }
    return low === this.ends.length ? this.total : this.sums[low] - (this.ends[low] - shard) * this.each[low];
  }

  /** As an array: [runs, 2], the shards of each and the examples of one of them. */
  toArray(): NDArray {
    const numbers = this.each.flatMap((each, i) => [this.ends[i] - (this.ends[i - 1] ?? 0), each]);
    return new NDArray(Float64Array.from(numbers), [this.each.length, 2]);
  }

  /** Of such an array; undefined for another one, of a stranger. */
  static from(runs: NDArray | undefined): Counts | undefined {
    if (runs?.rank !== 2 || runs.shape[1] !== 2) return undefined;
    const counts = new Counts();
    for (let i = 0; i < runs.shape[0]; i++) {
      const [shards, examples] = runs.data.subarray(2 * i, 2 * i + 2);
      if (!(shards >= 1) || !(examples >= 0) || !Number.isSafeInteger(shards * (examples + 1))) return undefined;
      counts.add(examples, shards);
    }
    return Number.isSafeInteger(counts.total) ? counts : undefined;
  }
}

/** Writes the digests of the data of up to `PAGE` shards. Gives the page's own. */
export async function putPage(store: Store, digests: readonly string[]): Promise<string> {
  return putContent(store, writeSafetensors({ shards: wordsOf(digests) }, {}));
}

/** The pages of a fit, of which the last one that was asked for is kept. */
export class Pages {
  readonly #store: Store;
  readonly #pages: readonly string[];
  readonly #shards: number;
  #kept: { readonly page: number; readonly digests: readonly string[] } | undefined;

  /** @param shards how many there are */
  constructor(store: Store, pages: readonly string[], shards: number) {
    this.#store = store;
    this.#pages = pages;
    this.#shards = shards;
  }

  /** The digest of a shard's data. @throws StoreError for a page that is missing or is not a list of digests */
  async digest(shard: number): Promise<string> {
    const page = Math.floor(shard / PAGE);
    if (this.#kept?.page !== page) this.#kept = { page, digests: await this.page(page) };
    return this.#kept.digests[shard % PAGE];
  }

  /** The digests of a page. @throws StoreError */
  async page(page: number): Promise<string[]> {
    const { tensors } = readSafetensors(await getContent(this.#store, this.#pages[page]));
    const digests = digestsOf(tensors.shards);
    if (digests?.length === Math.min(PAGE, this.#shards - PAGE * page)) return digests;
    throw new StoreError("altered", `The page ${this.#pages[page]} in the store is not a list of shards.`);
  }
}
