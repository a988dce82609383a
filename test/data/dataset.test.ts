import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { takeRows } from "../../src/data/dataset.ts";
import { array, dataset, randomNormal, ShapeError, ValueError, zeros } from "../../src/index.ts";

describe("dataset", () => {
  test("reads plain lists and typed arrays, and takes arrays as they are", () => {
    const { x, y } = dataset(
      [
        [1, 2],
        [3, 4],
      ],
      Float32Array.of(0, 1),
    );
    expect([x.shape, x.dtype, y.shape, y.dtype]).toEqual([[2, 2], "float64", [2], "float32"]);
    const inputs = zeros([2, 3]);
    expect(dataset(inputs, [1, 2]).x).toBe(inputs);
  });

  test("refuses what is not a dataset, naming what it saw", () => {
    expect(() => dataset([1, 2, 3], [1, 2])).toThrow(/dataset: the first axes.*\[3\] and \[2\]/);
    expect(() => dataset([1, 2, 3], [1, 2])).toThrow(ShapeError);
    expect(() => dataset([], [])).toThrow(/dataset: there are no samples/);
    expect(() => dataset([1], undefined as never)).toThrow(/must be an object \{ x, y \}/);
    expect(() => dataset([[1], [1, 2]], [1, 2])).toThrow(/rows differ in length/);
    expect(() => dataset([1, 2], [0, Number.NaN])).toThrow(/dataset: y has the value NaN at \[1\].*Likely causes/);
    expect(() => dataset([1, 2], [0, Number.NaN])).toThrow(ValueError);
  });

  test("names the place of the first number that is not finite, in any shape", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), fc.nat(), (shape, pick) => {
        const x = zeros(shape);
        const at = pick % x.size;
        x.data.fill(Number.POSITIVE_INFINITY, at);
        let found: number[] = [];
        const indices = (axis: number, place: number[]): void => {
          if (axis === shape.length) {
            if (found.length === 0 && x.at(...place) !== 0) found = place;
          } else for (let i = 0; i < shape[axis]; i++) indices(axis + 1, [...place, i]);
        };
        indices(0, []);
        expect(() => dataset(x, zeros([shape[0]]))).toThrow(`x has the value Infinity at [${found.join(", ")}]`);
      }),
    );
  });
});

describe("takeRows", () => {
  test("copies the rows asked for, in their order, also twice or none", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { maxLength: 3 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.constantFrom("float32" as const, "float64" as const),
        (rest, count, picks, dtype) => {
          const source = randomNormal([count, ...rest], { dtype, seed: 1 });
          const rows = picks.map((pick) => pick % count);
          const taken = takeRows(source, Uint32Array.from(rows));
          expect([taken.shape, taken.dtype]).toEqual([[rows.length, ...rest], dtype]);
          rows.forEach((row, i) => {
            expect(taken.sub(i).toArray()).toEqual(source.sub(row).toArray());
          });
        },
      ),
    );
  });

  test("shares nothing with its source", () => {
    const source = array([[1], [2]]);
    takeRows(source, Uint32Array.of(1)).data[0] = 9;
    expect(source.toArray()).toEqual([[1], [2]]);
  });
});
