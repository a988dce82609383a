import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OptionError, Random, randomNormal, randomUniform } from "../../src/index.ts";
import { normalCdf } from "../reference/functions.ts";
import { stateAt, stateFor, xoshiro128 } from "../reference/xoshiro.ts";

const draws = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);
const DRAWS = 20_000;

/** The largest distance between the draws' distribution function and `cdf` (Kolmogorov & Smirnov). */
function distance(values: readonly number[], cdf: (x: number) => number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const gaps = sorted.map((x, i) => Math.max(cdf(x) - i / sorted.length, (i + 1) / sorted.length - cdf(x)));
  return gaps.reduce((a, b) => Math.max(a, b), 0);
}

/** The mean of f over the draws. */
function mean(values: readonly number[], f: (x: number) => number): number {
  return values.reduce((sum, x) => sum + f(x), 0) / values.length;
}

describe("the reference's xoshiro128**", () => {
  test("begins as its authors' program does", () => {
    const stream = xoshiro128([1n, 2n, 3n, 4n]);
    expect(draws(5, () => stream.next().value)).toEqual([11520, 0, 5927040, 70819200, 2031721883]);
  });
});

describe("Random", () => {
  test("is xoshiro128** with the state splitmix32 gives, for any seed", () => {
    const seed = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
    fc.assert(
      fc.property(seed, (value) => {
        const [random, stream] = [new Random(value), xoshiro128(stateFor(value))];
        expect(draws(20, () => random.uint32())).toEqual(draws(20, () => stream.next().value));
      }),
    );
  });

  // Pinned: another value here is another stream for every seeded program there is.
  test.each<[number, number[], number, number, number, number[]]>([
    [0, [3809008728, 1133695204, 53579671], 0.8868539502021594, 0.12177618600477014, 995, [1, 0, 6, 2, 7, 4, 5, 3]],
    [1, [2442144158, 3238099751, 3819917871], 0.5686059948349658, 0.1681321120958473, 764, [6, 7, 1, 0, 5, 2, 3, 4]],
    [
      2 ** 32 + 1,
      [1983090555, 3764615383, 210695124],
      0.4617242505886988,
      -0.053403329650067936,
      371,
      [1, 6, 0, 2, 4, 7, 5, 3],
    ],
  ])("with seed %d has its own stream, forever", (seed, words, uniform, normal, integer, permutation) => {
    const random = new Random(seed);
    expect(draws(3, () => random.uint32())).toEqual(words);
    expect(new Random(seed).uniform()).toBe(uniform);
    expect(new Random(seed).normal()).toBe(normal);
    expect(new Random(seed).integer(1000)).toBe(integer);
    expect(Array.from(new Random(seed).permutation(8))).toEqual(permutation);
  });

  test("begins anew at a place as its key and the place say", () => {
    const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const place = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), place, (key, value) => {
        const random = new Random(1);
        random.normal();
        const stream = xoshiro128(stateAt(key, value));
        random.restart(Uint32Array.from(key), value);
        expect(draws(9, () => random.uint32())).toEqual(draws(9, () => stream.next().value));
        // A spare normal number belongs to the place before.
        const [a, b] = [random, new Random(2)].map((one) => one.restart(Uint32Array.from(key), value).normal());
        expect(a).toBe(b);
      }),
    );
  });

  test("draws of places are as those of one stream: uniform, and unrelated to those next to them", () => {
    const [random, key] = [new Random(), Uint32Array.of(1, 2, 3, 4)];
    const first = draws(DRAWS, () => 0).map((_, place) => random.restart(key, place).uniform());
    expect(distance(first, (x) => x)).toBeLessThan(2 / Math.sqrt(DRAWS));
    const other = draws(DRAWS, () => 0).map((_, place) => random.restart(Uint32Array.of(1, 5, 3, 4), place).uniform());
    const related = (a: readonly number[], b: readonly number[]) =>
      12 *
      mean(
        a.map((_, i) => i),
        (i) => (a[i] - 0.5) * (b[i] - 0.5),
      );
    for (const b of [first.slice(1), first.slice(256), other]) {
      expect(Math.abs(related(first.slice(0, b.length), b))).toBeLessThan(4 / Math.sqrt(b.length));
    }
    expect(new Set(first).size).toBe(DRAWS);
  });

  test("gives the same numbers for the same seed, and others for another", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const mixed = (random: Random) => [random.normal(), random.uniform(), random.integer(100), random.normal()];
        expect(mixed(new Random(seed))).toEqual(mixed(new Random(seed)));
        expect(mixed(new Random(seed))).not.toEqual(mixed(new Random(seed + 1)));
        expect(mixed(new Random(seed))).not.toEqual(mixed(new Random(seed + 2 ** 32)));
      }),
    );
    // The halves of a seed do not make up for each other.
    let same = 0;
    for (let seed = 0; seed < 1000; seed++) {
      if (new Random(seed).uint32() === new Random(seed + 2 ** 32 + 1).uint32()) same++;
    }
    expect(same).toBe(0);
    expect(new Random().uint32()).toBe(new Random(0).uint32());
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null, 2 ** 53])("refuses the seed %o", (seed) => {
    expect(() => new Random(seed as number)).toThrow(/seed/);
    expect(() => new Random(seed as number)).toThrow(OptionError);
  });

  test("uniform takes 53 bits of two draws", () => {
    const [random, words] = [new Random(3), new Random(3)];
    for (let i = 0; i < 100; i++) {
      const [high, low] = [words.uint32(), words.uint32()];
      const bits = BigInt(high >>> 5) * 2n ** 26n + BigInt(low >>> 6);
      expect(random.uniform()).toBe(Number(bits) / 2 ** 53);
    }
  });

  test("uniform has the moments and the distribution of its name", () => {
    const random = new Random(11);
    const values = draws(DRAWS, () => random.uniform());
    expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(distance(values, (x) => x)).toBeLessThan(1.63 / Math.sqrt(DRAWS)); // one sample in a hundred is beyond
    expect(Math.abs(mean(values, (x) => x) - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / DRAWS));
    expect(Math.abs(mean(values, (x) => (x - 0.5) ** 2) - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / DRAWS));
    // Neighbours are not correlated.
    const pairs = mean(values.slice(1), (x) => x) ** 2;
    const product = values.slice(1).reduce((sum, x, i) => sum + x * values[i], 0) / (DRAWS - 1);
    expect(Math.abs(product - pairs)).toBeLessThan(4 * Math.sqrt(1 / 144 / DRAWS));
  });

  test("normal has the moments and the distribution of its name", () => {
    const random = new Random(12);
    const values = draws(DRAWS, () => random.normal());
    expect(distance(values, normalCdf)).toBeLessThan(1.63 / Math.sqrt(DRAWS));
    const moments: [number, number, number][] = [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ];
    for (const [power, expected, variance] of moments) {
      expect(Math.abs(mean(values, (x) => x ** power) - expected)).toBeLessThan(4 * Math.sqrt(variance / DRAWS));
    }
    // The two numbers of a pair are not correlated.
    const product = mean(
      values.filter((_, i) => i % 2 === 1).map((x, i) => x * values[2 * i]),
      (x) => x,
    );
    expect(Math.abs(product)).toBeLessThan(4 / Math.sqrt(DRAWS / 2));
  });

  test("normal is the polar method with the exact logarithm", () => {
    const [random, uniforms] = [new Random(7), new Random(7)];
    for (let i = 0; i < 500; i++) {
      let [u, v, s] = [0, 0, 2];
      while (s >= 1 || s === 0) {
        [u, v] = [2 * uniforms.uniform() - 1, 2 * uniforms.uniform() - 1];
        s = u * u + v * v;
      }
      const factor = Math.sqrt((-2 * Math.log(s)) / s);
      // Near s = 1 the logarithm is of a number that is itself rounded, the same one for both.
      expect([random.normal(), random.normal()]).toBeAllClose([u * factor, v * factor], { relative: 1e-15 });
    }
  });

  test.each([1, 2, 3, 7, 10])("integer below %d takes every value equally often", (bound) => {
    const random = new Random(bound);
    const counts = new Array(bound).fill(0);
    for (let i = 0; i < DRAWS; i++) counts[random.integer(bound)]++;
    const expected = DRAWS / bound;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.length).toBe(bound);
    expect(chiSquare).toBeLessThanOrEqual(bound - 1 + 4 * Math.sqrt(2 * (bound - 1)));
  });

  test("integer is without bias for a bound of which few fit into 2^53", () => {
    // Without the second draw the lower half would come up twice as often.
    const bound = 3 * 2 ** 51;
    const random = new Random(5);
    const low = draws(4000, () => random.integer(bound)).filter((x) => x < 2 ** 51).length;
    expect(Math.abs(low - 4000 / 3)).toBeLessThan(4 * Math.sqrt((4000 * 2) / 9));
    expect(new Random(1).integer(2 ** 53)).toBeLessThan(2 ** 53);
  });

  test.each([0, -1, 2.5, Number.NaN, 2 ** 54, 1e300])("integer refuses the bound %d", (bound) => {
    expect(() => new Random(0).integer(bound)).toThrow(/Random.integer: bound/);
  });

  test("permutation has every number once", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(), (n, seed) => {
        const order = new Random(seed).permutation(n);
        expect(Array.from(order).sort((a, b) => a - b)).toEqual(draws(n, () => 0).map((_, i) => i));
      }),
    );
    expect(() => new Random(0).permutation(-1)).toThrow(/Random.permutation: n must be an integer of at least 0/);
    expect(() => new Random(0).permutation(2.5)).toThrow(/Random.permutation/);
  });

  test("permutation has every order equally often", () => {
    const random = new Random(9);
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const order = random.permutation(4).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0);
    expect(chiSquare).toBeLessThan(23 + 4 * Math.sqrt(2 * 23));
  });
});

describe("randomUniform and randomNormal", () => {
  test("are the stream of their seed in a shape, rounded to the type", () => {
    const [uniforms, normals] = [new Random(4), new Random(4)];
    const u = randomUniform([2, 3], { seed: 4 });
    const n = randomNormal([3], { seed: 4, dtype: "float32" });
    expect([u.shape, u.dtype, n.shape, n.dtype]).toEqual([[2, 3], "float64", [3], "float32"]);
    expect(Array.from(u.data)).toEqual(draws(6, () => uniforms.uniform()));
    expect(Array.from(n.data)).toEqual(draws(3, () => Math.fround(normals.normal())));
    expect(randomNormal([5]).data).toEqual(randomNormal([5], { seed: 0 }).data);
  });

  test("stay below 1 where float32 would round up to it", () => {
    expect(Math.fround(new Random(58978816).uniform())).toBe(1);
    const [value, next] = randomUniform([2], { seed: 58978816, dtype: "float32" }).data;
    const random = new Random(58978816);
    random.uniform();
    expect([value, next]).toEqual([Math.fround(random.uniform()), Math.fround(random.uniform())]);
    expect(value).toBeLessThan(1);
  });

  test("refuse options they do not know", () => {
    expect(() => randomUniform([1], { sed: 1 } as never)).toThrow(/randomUniform: unknown option "sed"/);
    expect(() => randomNormal([1], { size: 1 } as never)).toThrow(/randomNormal: unknown option "size"/);
    expect(() => randomNormal([1], { seed: -1 })).toThrow(OptionError);
  });
});
