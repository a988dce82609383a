// Seeded random numbers, equal to the bit in every runtime: integers and exactly rounded operations only. The
// generator is xoshiro128** (Blackman & Vigna, 2021), its state filled from the seed by splitmix32.

import { checkInteger, checkOptions, OptionError, refuseCopies } from "../errors.ts";
import { type ArrayOptions, inspect, type NDArray, zeros } from "./ndarray.ts";
import { portableLog } from "./portable.ts";

/** The finaliser of splitmix32: a bijection of 32 bits. */
function mix(bits: number): number {
  let z = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return z ^ (z >>> 16);
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a Random: copy its seed, and make a new Random of it";

/** A stream of random numbers that depends on its seed only. */
export class Random {
  readonly #state: Uint32Array = new Uint32Array(4);
  #spare: number | undefined;

  /** @param seed an integer of at least 0. @throws OptionError */
  constructor(seed = 0) {
    checkInteger("Random", "seed", seed, 0);
    if (!Number.isSafeInteger(seed)) throw new OptionError(`Random: seed ${seed} is beyond 2^53.`);
    let low = seed >>> 0;
    // Mixed, so that no sum of both halves stands for another; 0 stays 0.
    const high = mix(Math.floor(seed / 2 ** 32));
    for (let i = 0; i < 4; i++) {
      low = (low + 0x9e3779b9) >>> 0;
      this.#state[i] = mix(i % 2 === 0 ? low : low ^ high);
    }
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
    refuseCopies(this, copies);
  }

  [inspect](): string {
    return "Random";
  }

  /**
   * @internal Begins anew, at the stream of one place of many: bits of the key and the place only, at the cost of a few draws.
   * Word j is mix(key_j + mix(low + (j + 1) φ ^ mix(high))) of the place's halves, φ the golden ratio's bits.
   */
  restart(key: Uint32Array, place: number): this {
    const s = this.#state;
    const high = place < 2 ** 32 ? 0 : mix(Math.floor(place / 2 ** 32));
    let low = place | 0;
    for (let j = 0; j < 4; j++) {
      low = (low + 0x9e3779b9) | 0;
      s[j] = mix((key[j] + mix(low ^ high)) | 0);
    }
    if ((s[0] | s[1] | s[2] | s[3]) === 0) s[0] = 1;
    this.#spare = undefined;
    return this;
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const s = this.#state;
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** A number in [0, 1), uniform over the multiples of 2^-53. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** A standard normal number, by the polar method (Marsaglia & Bray, 1964). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const factor = Math.sqrt((-2 * portableLog(s)) / s);
      this.#spare = v * factor;
      return u * factor;
    }
  }

  /** An integer in [0, bound), without bias. */
  integer(bound: number): number {
    checkInteger("Random.integer", "bound", bound, 1);
    if (bound > 2 ** 53) throw new OptionError(`Random.integer: bound ${bound} is beyond 2^53.`);
    // 53 random bits; the few at the top that would favour small results are drawn again.
    const limit = 2 ** 53 - (2 ** 53 % bound);
    for (;;) {
      const value = (this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6);
      if (value < limit) return value % bound;
    }
  }

  /** The integers 0 … n − 1 in random order (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    checkInteger("Random.permutation", "n", n, 0);
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

/** Options of `randomUniform` and `randomNormal`. */
export interface RandomOptions extends ArrayOptions {
  /** Seed of the stream (default 0). */
  seed?: number;
}

/** Numbers uniform in [0, 1). */
export function randomUniform(shape: readonly number[], options: RandomOptions = {}): NDArray {
  checkOptions("randomUniform", options, ["dtype", "seed"]);
  const random = new Random(options.seed);
  const result = zeros(shape, { dtype: options.dtype });
  const { data } = result;
  for (let i = 0; i < data.length; i++) {
    // A number within 2^-25 of 1 rounds to 1 in float32 and is drawn again.
    do data[i] = random.uniform();
    while (data[i] === 1);
  }
  return result;
}

/** Standard normal numbers. */
export function randomNormal(shape: readonly number[], options: RandomOptions = {}): NDArray {
  checkOptions("randomNormal", options, ["dtype", "seed"]);
  const random = new Random(options.seed);
  const result = zeros(shape, { dtype: options.dtype });
  for (let i = 0; i < result.size; i++) result.data[i] = random.normal();
  return result;
}
