// Trees of sums: whoever brings the results of shards, and in whatever order, they are added in one.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tree } from "../../src/shards/tree.ts";

/** The same by its definition: halves of the smallest power of 2 that holds all. */
function slow(texts: readonly string[]): string | undefined {
  if (texts.length <= 1) return texts[0];
  const half = 2 ** (Math.ceil(Math.log2(texts.length)) - 1);
  return `(${slow(texts.slice(0, half))}+${slow(texts.slice(half))})`;
}

const add = (a: string, b: string) => `(${a}+${b})`;
const names = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

describe("a tree of sums", () => {
  test("is that of its definition, for results in any order, some of which come twice", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }).chain((count) => {
          const places = names(count).map(Number);
          const twice = count === 0 ? fc.constant([]) : fc.array(fc.integer({ min: 0, max: count - 1 }));
          return fc.tuple(fc.constant(count), twice).chain(([n, again]) => {
            const all = [...places, ...again];
            return fc.tuple(fc.constant(n), fc.shuffledSubarray(all, { minLength: all.length }));
          });
        }),
        ([count, order]) => {
          const tree = new Tree(add);
          for (const place of order) tree.take(place, `${place}`);
          expect(tree.total()).toBe(slow(names(count)));
        },
      ),
    );
  });

  test("takes sums of neighbours in the place of these, whoever added them", () => {
    const cases = fc.record({ count: fc.integer({ min: 1, max: 40 }), seed: fc.infiniteStream(fc.nat(5)) });
    fc.assert(
      fc.property(cases, ({ count, seed }) => {
        // Whole subtrees of a tree's own choice.
        const blocks: [level: number, place: number][] = [];
        const cut = (level: number, place: number) => {
          const [first, end] = [place * 2 ** level, (place + 1) * 2 ** level];
          if (first >= count) return;
          if (end <= count && (level === 0 || seed.next().value % 2 === 0)) blocks.push([level, place]);
          else for (const half of [2 * place, 2 * place + 1]) cut(level - 1, half);
        };
        cut(6, 0);
        const tree = new Tree(add);
        const of = ([level, place]: [number, number]) =>
          slow(names(count).slice(place * 2 ** level, (place + 1) * 2 ** level)) as string;
        blocks.sort((a, b) => ((a[1] * 7 + a[0]) % 5) - ((b[1] * 7 + b[0]) % 5));
        for (const block of [...blocks, ...blocks]) tree.take(block[1], of(block), block[0]);
        expect(tree.total()).toBe(slow(names(count)));
      }),
    );
  });

  test("holds the logarithm of their number, where they come in order", () => {
    const held: number[] = [];
    const tree = new Tree((a: number, b: number) => {
      held.push(-1);
      return a + b;
    });
    for (let place = 0; place < 1000; place++) tree.take(place, 1);
    // Additions so far: all but the ones in 1000 = 1111101000.
    expect(held.length).toBe(1000 - 6);
    expect(tree.total()).toBe(1000);
  });
});
