import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Dataset,
  OptionError,
  Random,
  type ToyOptions,
  toyLinear,
  toyMulti,
  toyNonLinear,
  toyRegression,
  twoMoons,
} from "../../src/index.ts";

type Blobs = (options?: ToyOptions) => Dataset;

/** Each generator with its squares in order: lower left corner and label. */
const generators: [string, Blobs, [number, number, number][]][] = [
  // biome-ignore format: a table
  ["toyLinear", toyLinear, [[0.5, 0.5, 1], [-5, -5, 0]]],
  // biome-ignore format: a table
  ["toyNonLinear", toyNonLinear, [[0.5, 0.5, 1], [-5, -5, 1], [0.5, -5, 0], [-5, 0.5, 0]]],
  // biome-ignore format: a table
  ["toyMulti", toyMulti, [[1, 1, 0], [-7, -7, 1], [1, -7, 2], [-7, 1, 3]]],
];

describe.each(generators)("%s", (name, generate, squares) => {
  test.each([1, 2, 3, 5, 8, 9, 10, 11, 14, 50, 100, 101])("of %d samples has as many", (samples) => {
    const { x, y } = generate({ samples });
    expect([x.shape, y.shape]).toEqual([[samples, 2], [samples]]);
  });

  test("fills squares of side 4.5, one after the other, each with its label", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (samples, seed) => {
        const { x, y } = generate({ samples, seed });
        expect(y.size).toBe(samples);
        // Squares share them equally, the first ones what is left over.
        const places = squares.flatMap((square, k) =>
          new Array<typeof square>(Math.ceil((samples - k) / squares.length)).fill(square),
        );
        for (let i = 0; i < y.size; i++) {
          const [left, bottom, label] = places[i];
          expect(y.at(i)).toBe(label);
          expect(x.at(i, 0) >= left && x.at(i, 0) < left + 4.5).toBe(true);
          expect(x.at(i, 1) >= bottom && x.at(i, 1) < bottom + 4.5).toBe(true);
        }
      }),
    );
  });

  test("spreads its points over the whole of each square", () => {
    const { x, y } = generate({ samples: 4000, seed: 3 });
    const each = y.size / squares.length;
    squares.forEach(([left, bottom], square) => {
      for (const [axis, from] of [left, bottom].entries()) {
        const values = Array.from({ length: each }, (_, i) => x.at(square * each + i, axis) - from);
        const mean = values.reduce((a, b) => a + b, 0) / each;
        expect(Math.abs(mean - 2.25)).toBeLessThan((4 * 4.5) / Math.sqrt(12 * each));
        expect(Math.min(...values)).toBeLessThan(0.05);
        expect(Math.max(...values)).toBeGreaterThan(4.45);
      }
    });
  });

  test("draws from its seed alone, point by point", () => {
    const { x } = generate({ samples: 8, seed: 5 });
    const random = new Random(5);
    expect(x.at(0, 0)).toBeCloseTo(squares[0][0] + 4.5 * random.uniform(), 12);
    expect(x.at(0, 1)).toBeCloseTo(squares[0][1] + 4.5 * random.uniform(), 12);
    expect(generate({ samples: 8, seed: 5 }).x.data).toEqual(x.data);
    expect(generate({ samples: 8, seed: 6 }).x.data).not.toEqual(x.data);
    expect(generate().x.data).toEqual(generate({ samples: 100, seed: 0 }).x.data);
  });

  test("has the element type asked for", () => {
    const narrow = generate({ dtype: "float32", seed: 2 });
    expect([narrow.x.dtype, narrow.y.dtype, generate().x.dtype]).toEqual(["float32", "float32", "float64"]);
    expect(Array.from(narrow.x.data)).toEqual(Array.from(generate({ seed: 2 }).x.data, Math.fround));
  });

  test("refuses bad options by name", () => {
    expect(() => generate({ samples: 0 })).toThrow(`${name}: samples must be an integer of at least 1, not 0`);
    expect(() => generate({ samples: 2.5 })).toThrow(OptionError);
    expect(() => generate({ seed: -1 })).toThrow(/seed/);
    expect(() => generate({ dtype: "f32" as never })).toThrow(/"float32", "float64"/);
    expect(() => generate({ n: 3 } as never)).toThrow(`${name}: unknown option "n"`);
    expect(() => generate({ noise: 3 } as never)).toThrow(OptionError);
  });
});

describe("the squares", () => {
  test("of toyLinear hold the same points, moved by 5.5", () => {
    const { x, y } = toyLinear({ samples: 50, seed: 9 });
    const each = y.size / 2;
    for (let i = 0; i < each; i++) {
      for (const axis of [0, 1]) expect(x.at(i, axis) - x.at(each + i, axis)).toBeCloseTo(5.5, 12);
    }
  });

  test.each([
    ["toyNonLinear", toyNonLinear, [5.5, 5.5]],
    ["toyMulti", toyMulti, [8, 8]],
  ] as const)("of %s hold points of their own", (_, generate, [dx, dy]) => {
    const { x, y } = generate({ samples: 100, seed: 9 });
    const each = y.size / 4;
    const moved = Array.from({ length: each }, (_, i) => [
      x.at(i, 0) - x.at(each + i, 0) - dx,
      x.at(i, 1) - x.at(each + i, 1) - dy,
    ]);
    expect(moved.flat().filter((difference) => Math.abs(difference) < 1e-9).length).toBe(0);
  });
});

describe("toyRegression", () => {
  test("has 25 samples, inputs on [0, 8) and the sine beneath its noise", () => {
    const { x, y } = toyRegression();
    expect([x.shape, y.shape]).toEqual([
      [25, 1],
      [25, 1],
    ]);
    expect(x.data.every((value) => value >= 0 && value < 8)).toBe(true);
    const clean = toyRegression({ noise: 0 });
    expect(clean.x.data).toEqual(x.data);
    expect(clean.y.data).toBeAllClose(x.data.map(Math.sin), { relative: 0, absolute: 1e-14 });
  });

  test("is the function at uniform inputs plus normal noise, all of one seed", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.nat(),
        fc.double({ min: 0.1, max: 100, noNaN: true }),
        fc.double({ min: 0, max: 10, noNaN: true }),
        fc.boolean(),
        (samples, seed, xMax, noise, centerOrigin) => {
          const fun = (x: number) => 3 * x - 1;
          const { x, y } = toyRegression({ samples, seed, xMax, noise, centerOrigin, fun });
          const random = new Random(seed);
          const inputs = Array.from({ length: samples }, () => xMax * random.uniform() - (centerOrigin ? xMax / 2 : 0));
          expect(Array.from(x.data)).toEqual(inputs);
          expect(Array.from(y.data)).toEqual(inputs.map((input) => fun(input) + noise * random.normal()));
        },
      ),
    );
  });

  test.each([
    [undefined, 0.3],
    [2, 2],
  ])("with noise %o has residuals of that deviation", (noise, deviation) => {
    const { x, y } = toyRegression({ samples: 5000, seed: 1, noise });
    const squares = Array.from(y.data).reduce((sum, value, i) => sum + (value - Math.sin(x.data[i])) ** 2, 0);
    expect(Math.abs(squares / 5000 / deviation ** 2 - 1)).toBeLessThan(4 * Math.sqrt(2 / 5000));
  });

  test("has the element type asked for", () => {
    const { x, y } = toyRegression({ dtype: "float32", noise: 0 });
    expect([x.dtype, y.dtype]).toEqual(["float32", "float32"]);
    expect(y.data).toBeAllClose(
      x.data.map((value) => Math.fround(Math.sin(value))),
      { relative: 0, absolute: 1e-7 },
    );
  });

  test("is pinned for a seed", () => {
    const { x, y } = toyRegression({ samples: 2, seed: 1 });
    expect(Array.from(x.data)).toEqual([4.548847958679726, 7.1151514941466125]);
    // Math.sin may differ by a bit between engines.
    expect(y.data).toBeAllClose([-1.1158369792947456, 0.09360089934233407], { relative: 1e-14 });
  });

  test("refuses bad options by name", () => {
    expect(() => toyRegression({ noise: -1 })).toThrow(/toyRegression: noise must be a finite number of at least 0/);
    expect(() => toyRegression({ xMax: 0 })).toThrow(/toyRegression: xMax must be a finite number above 0, not 0/);
    expect(() => toyRegression({ xmax: 2 } as never)).toThrow(/unknown option "xmax".*Did you mean "xMax"/);
    expect(() => toyRegression({ samples: 0 })).toThrow(OptionError);
  });
});

describe("twoMoons", () => {
  test("has 200 samples, the first half of class 0", () => {
    const { x, y } = twoMoons();
    expect([x.shape, y.shape]).toEqual([[200, 2], [200]]);
    expect(Array.from(y.data)).toEqual([...Array(100).fill(0), ...Array(100).fill(1)]);
    expect(Array.from(twoMoons({ samples: 5 }).y.data)).toEqual([0, 0, 1, 1, 1]);
    expect(Array.from(twoMoons({ samples: 2 }).y.data)).toEqual([0, 1]);
  });

  test("without noise lies on two half circles, in equal steps from end to end", () => {
    const { x, y } = twoMoons({ samples: 11, noise: 0 });
    const near = { relative: 0, absolute: 1e-14 };
    for (let i = 0; i < 11; i++) {
      const t = i < 5 ? (Math.PI * i) / 4 : (Math.PI * (i - 5)) / 5;
      const expected = y.at(i) === 0 ? [Math.cos(t), Math.sin(t)] : [1 - Math.cos(t), 1 - Math.sin(t) - 0.5];
      expect(x.sub(i).data).toBeAllClose(expected, near);
    }
    const many = twoMoons({ noise: 0 });
    for (let i = 0; i < 200; i++) {
      const [a, b] = many.x.sub(i).data;
      const upper = many.y.at(i) === 0;
      expect(Math.hypot(upper ? a : a - 1, upper ? b : b - 0.5)).toBeCloseTo(1, 13);
      expect(upper ? b >= -1e-15 : b <= 0.5 + 1e-15).toBe(true);
    }
    expect(twoMoons({ noise: 0, seed: 3 }).x.data).toEqual(many.x.data);
  });

  test.each([
    [undefined, 0.1],
    [0.5, 0.5],
  ])("with noise %o has deviations of that size from it, all of one seed", (noise, deviation) => {
    const options = { samples: 2000, seed: 4, noise };
    const { x } = twoMoons(options);
    const clean = twoMoons({ ...options, noise: 0 }).x;
    const squares = Array.from(x.data).reduce((sum, value, i) => sum + (value - clean.data[i]) ** 2, 0);
    expect(Math.abs(squares / 4000 / deviation ** 2 - 1)).toBeLessThan(4 * Math.sqrt(2 / 4000));
    expect(twoMoons(options).x.data).toEqual(x.data);
    expect(twoMoons({ ...options, seed: 5 }).x.data).not.toEqual(x.data);
    const random = new Random(4);
    for (let i = 0; i < 4; i++) expect(x.data[i]).toBe(clean.data[i] + deviation * random.normal());
  });

  test("has the element type asked for", () => {
    const narrow = twoMoons({ dtype: "float32", seed: 2 });
    expect([narrow.x.dtype, narrow.y.dtype, twoMoons().x.dtype]).toEqual(["float32", "float32", "float64"]);
    expect(Array.from(narrow.x.data)).toEqual(Array.from(twoMoons({ seed: 2 }).x.data, Math.fround));
  });

  test("refuses bad options by name", () => {
    for (const samples of [0, 1, 2.5]) expect(() => twoMoons({ samples })).toThrow(OptionError);
    expect(() => twoMoons({ samples: 1 })).toThrow(/twoMoons: samples must be an integer of at least 2, not 1/);
    expect(() => twoMoons({ noise: -1 })).toThrow(/twoMoons: noise must be a finite number of at least 0/);
    expect(() => twoMoons({ seed: -1 })).toThrow(OptionError);
    expect(() => twoMoons({ xMax: 1 } as never)).toThrow(/twoMoons: unknown option "xMax"/);
  });
});
