import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataLoader, dataset, OptionError, ShapeError, splitDataset, take } from "../../src/index.ts";

const numbered = (n: number, labels = 2) =>
  dataset(
    Array.from({ length: n }, (_, i) => [i]),
    Array.from({ length: n }, (_, i) => i % labels),
  );

describe("take", () => {
  test("gives samples in the order of their positions, as a copy", () => {
    const data = numbered(5);
    const some = take(data, [3, 0, -1, 3]);
    expect([some.x.toArray(), some.y.toArray()]).toEqual([
      [[3], [0], [4], [3]],
      [1, 0, 0, 1],
    ]);
    some.x.data.fill(9);
    expect(data.x.at(3, 0)).toBe(3);
    expect(take(new DataLoader(data), [1]).x.toArray()).toEqual([[1]]);
  });

  test("refuses positions that are not there", () => {
    for (const rows of [[5], [-6], [0.5], [], [[0]]]) {
      expect(() => take(numbered(5), rows)).toThrow(ShapeError);
    }
  });
});

describe("splitDataset", () => {
  const shares = fc
    .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.map((part) => part / parts.reduce((a, b) => a + b, 0)));

  test("has every sample once, of each part its share, the same for a seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 90 }), shares, fc.nat(99), fc.boolean(), (n, cut, seed, stratify) => {
        const parts = splitDataset(numbered(n), cut, { seed, stratify });
        const rows = parts.flatMap(({ x }) => [...x]);
        expect(rows.toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        parts.forEach(({ x, y }, i) => {
          expect(Math.abs(x.shape[0] - cut[i] * n)).toBeLessThanOrEqual(1);
          expect([...y]).toEqual(Array.from(x, (row) => row % 2));
          if (stratify)
            expect(Math.abs([...y].filter((label) => label === 1).length - x.shape[0] / 2)).toBeLessThanOrEqual(2);
        });
        expect(splitDataset(numbered(n), cut, { seed, stratify })).toEqual(parts);
      }),
    );
  });

  test("stratified, a rare label is in both halves", () => {
    const y = Array.from({ length: 100 }, (_, i) => (i < 4 ? 1 : 0));
    for (let seed = 0; seed < 20; seed++) {
      const halves = splitDataset({ x: y.map((label) => [label]), y }, [0.5, 0.5], { seed, stratify: true });
      expect(halves.map((half) => [...half.y].filter((label) => label === 1).length)).toEqual([2, 2]);
    }
  });

  test("cut as they lie, or by numbers of samples", () => {
    const parts = splitDataset(numbered(5), [3, 2], { shuffle: false });
    expect(parts.map(({ x }) => [...x])).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
  });

  test("refuses shares that do not make a whole", () => {
    for (const bad of [[0.5, 0.4], [1.2, -0.2], [], [Number.NaN], [3, 3], 0.8]) {
      expect(() => splitDataset(numbered(5), bad as never)).toThrow(OptionError);
    }
    expect(() => splitDataset(numbered(5), [0.99, 0.01])).toThrow(/the share 0.01 of 5 samples has no sample/);
    expect(() => splitDataset(numbered(5), [1], { shuffle: false, stratify: true })).toThrow(OptionError);
  });
});
