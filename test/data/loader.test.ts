import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inPlace } from "../../src/data/loader.ts";
import {
  array,
  DataLoader,
  type DataLoaderOptions,
  type Dataset,
  OptionError,
  ShapeError,
  ValueError,
  zeros,
} from "../../src/index.ts";

/** Samples that can be told apart: x[i] = [i, -i], y[i] = 10 i. */
function samples(count: number) {
  return {
    x: Array.from({ length: count }, (_, i) => [i, -i]),
    y: Array.from({ length: count }, (_, i) => 10 * i),
  };
}

/** The order in which an epoch goes through the samples, after a check that x and y stay together. */
function order(batches: Iterable<Dataset>): number[] {
  return [...batches].flatMap(({ x, y }) => {
    expect(x.shape).toEqual([y.size, 2]);
    return Array.from(y.data, (value, i) => {
      expect([x.at(i, 0), x.at(i, 1)]).toEqual([value / 10, -value / 10]);
      return value / 10;
    });
  });
}

const settings = fc.record({
  count: fc.integer({ min: 1, max: 40 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  shuffle: fc.boolean(),
  dropLast: fc.boolean(),
  seed: fc.nat(),
});

test("inPlace gives the same batches, without copies where nothing is shuffled", () => {
  const plain = ({ x, y, weights }: Dataset) =>
    [x, y, weights].map((some) => some && { shape: some.shape, numbers: [...some] });
  fc.assert(
    fc.property(settings, fc.boolean(), ({ count, ...options }, weighted) => {
      const { x, y } = samples(count);
      const data = { x: array(x), y: array(y), ...(weighted && { weights: y.map((value) => value + 1) }) };
      const [loader, same] = [new DataLoader(data, options), new DataLoader(data, options)];
      for (let epoch = 0; epoch < 2; epoch++) {
        const found = [...inPlace(loader)];
        expect(found.map(plain)).toEqual([...same].map(plain));
        for (const batch of found) expect(batch.x.data.buffer === data.x.data.buffer).toBe(!options.shuffle);
      }
    }),
  );
  // What goes through its data in a way of its own is left to do so.
  class Own extends DataLoader {}
  const own = new Own(samples(3));
  expect(inPlace(own)).toBe(own);
  const changed = new DataLoader(samples(3));
  changed[Symbol.iterator] = function* () {};
  expect(inPlace(changed)).toBe(changed);
  expect(inPlace(null)).toBe(null);
});

describe("DataLoader", () => {
  test("covers every sample exactly once an epoch, but for a short last batch that is dropped", () => {
    fc.assert(
      fc.property(settings, ({ count, ...options }) => {
        const loader = new DataLoader(samples(count), options);
        for (let epoch = 0; epoch < 3; epoch++) {
          const batches = [...loader];
          expect(batches.length).toBe(loader.length);
          const full = Math.floor(count / options.batchSize);
          const rest = count % options.batchSize;
          const sizes = new Array(full).fill(options.batchSize);
          if (rest > 0 && !options.dropLast) sizes.push(rest);
          expect(batches.map(({ y }) => y.size)).toEqual(sizes);
          const seen = order(batches);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.length).toBe(options.dropLast ? count - rest : count);
          if (!options.shuffle) expect(seen).toEqual(seen.map((_, i) => i));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("goes through the samples in order, one by one, without options", () => {
    const loader = new DataLoader(samples(3));
    expect([loader.batchSize, loader.length, loader.samples]).toEqual([1, 3, 3]);
    expect(order(loader)).toEqual([0, 1, 2]);
    expect(order(loader)).toEqual([0, 1, 2]);
  });

  test("with shuffle has a new order every epoch, and the same ones from the same seed", () => {
    const orders = (seed: number) => {
      const loader = new DataLoader(samples(30), { shuffle: true, batchSize: 4, seed });
      return [order(loader), order(loader), order(loader)];
    };
    const [first, second, third] = orders(3);
    expect(first).not.toEqual(second);
    expect(second).not.toEqual(third);
    expect(first).not.toEqual(first.map((_, i) => i));
    expect(orders(3)).toEqual([first, second, third]);
    expect(orders(4)).not.toEqual([first, second, third]);
    expect(orders(0)[0]).toEqual(order(new DataLoader(samples(30), { shuffle: true, batchSize: 7 })));
  });

  test("puts every sample in every place equally often", () => {
    const loader = new DataLoader(samples(4), { shuffle: true, seed: 1 });
    const counts = new Array(16).fill(0);
    for (let epoch = 0; epoch < 2000; epoch++) {
      loader.nextEpoch().forEach((sample, place) => {
        counts[4 * place + sample]++;
      });
    }
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(4.5 * Math.sqrt(2000 * 0.25 * 0.75));
  });

  test("shows its first batch as often as one likes, without beginning an epoch", () => {
    fc.assert(
      fc.property(settings, ({ count, ...options }) => {
        const loader = new DataLoader(samples(count), { ...options, dropLast: false });
        const untouched = new DataLoader(samples(count), { ...options, dropLast: false });
        for (let epoch = 0; epoch < 3; epoch++) {
          const first = loader.first();
          expect(loader.first().y.data).toEqual(first.y.data);
          const batches = [...loader];
          expect(batches[0].x.data).toEqual(first.x.data);
          expect(order(batches)).toEqual(order(untouched));
        }
      }),
    );
  });

  test("keeps epochs that run side by side apart", () => {
    const loader = new DataLoader(samples(9), { shuffle: true, batchSize: 2, seed: 8 });
    const alone = new DataLoader(samples(9), { shuffle: true, batchSize: 2, seed: 8 });
    const [one, two] = [loader[Symbol.iterator](), loader[Symbol.iterator]()];
    const batches: [Dataset[], Dataset[]] = [[], []];
    for (let i = 0; i < loader.length; i++) {
      batches[0].push(one.next().value);
      batches[1].push(two.next().value);
    }
    expect(one.next().done).toBe(true);
    expect(batches.map(order)).toEqual([order(alone), order(alone)]);
  });

  test("begins a new epoch after one that was left early", () => {
    const loader = new DataLoader(samples(20), { shuffle: true, batchSize: 3, seed: 2 });
    const whole = new DataLoader(samples(20), { shuffle: true, batchSize: 3, seed: 2 });
    for (const _ of loader) break;
    order(whole);
    expect(order(loader)).toEqual(order(whole));
  });

  test("gives copies: a changed batch leaves the data as they were", () => {
    const data = { x: array([[1], [2]]), y: array([3, 4]) };
    const batch = new DataLoader(data, { batchSize: 2 }).first();
    batch.x.data.fill(9);
    batch.y.data.fill(9);
    expect([data.x.toArray(), data.y.toArray()]).toEqual([
      [[1], [2]],
      [3, 4],
    ]);
  });

  test("keeps the shape and the type of a sample", () => {
    const data = { x: zeros([5, 3, 2], { dtype: "float32" }), y: zeros([5, 4]) };
    const { x, y } = new DataLoader(data, { batchSize: 2 }).first();
    expect([x.shape, x.dtype, y.shape, y.dtype]).toEqual([[2, 3, 2], "float32", [2, 4], "float64"]);
  });

  test("may hold fewer samples than a batch", () => {
    expect(order(new DataLoader(samples(3), { batchSize: 10 }))).toEqual([0, 1, 2]);
    const dropping = new DataLoader(samples(3), { batchSize: 10, dropLast: true });
    expect([dropping.length, order(dropping)]).toEqual([0, []]);
  });
});

describe("DataLoader's errors", () => {
  test.each<[string, unknown, RegExp]>([
    ["batchSize 0", { batchSize: 0 }, /DataLoader: batchSize must be an integer of at least 1, not 0/],
    ["batchSize 1.5", { batchSize: 1.5 }, /DataLoader: batchSize must be an integer of at least 1, not 1.5/],
    ["batchSize as text", { batchSize: "2" }, /batchSize must be an integer/],
    ["an unknown option", { batchsize: 2 }, /DataLoader: unknown option "batchsize".*Did you mean "batchSize"/],
    ["a bad seed", { seed: -1 }, /seed must be an integer of at least 0, not -1/],
  ])("name %s", (_, options, message) => {
    const make = () => new DataLoader(samples(3), options as DataLoaderOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(OptionError);
  });

  test.each<[string, unknown, RegExp, new (message: string) => Error]>([
    ["no samples", { x: zeros([0, 2]), y: zeros([0]) }, /there are no samples; x has shape \[0, 2\]/, ShapeError],
    ["empty lists", { x: [], y: [] }, /there are no samples/, ShapeError],
    [
      "counts that disagree",
      { x: [[1], [2]], y: [1, 2, 3] },
      /must agree; the shapes are \[2, 1\] and \[3\]/,
      ShapeError,
    ],
    ["numbers without an axis", { x: 1, y: 2 }, /the shapes are \[\] and \[\]/, ShapeError],
    [
      "NaN",
      {
        x: [
          [1, 2],
          [3, Number.NaN],
        ],
        y: [1, 2],
      },
      /DataLoader: x has the value NaN at \[1, 1\]/,
      ValueError,
    ],
    ["infinity", { x: [1, 2], y: [1, Number.NEGATIVE_INFINITY] }, /y has the value -Infinity at \[1\]/, ValueError],
    ["inputs alone", { x: [1, 2] }, /data must be an object \{ x, y \}/, ValueError],
    [
      "a list",
      [
        [1, 2],
        [3, 4],
      ],
      /data must be an object \{ x, y \}/,
      ValueError,
    ],
    ["nothing", null, /data must be an object \{ x, y \}/, ValueError],
  ])("name data with %s", (_, data, message, type) => {
    const make = () => new DataLoader(data as Dataset);
    expect(make).toThrow(message);
    expect(make).toThrow(type);
  });
});
