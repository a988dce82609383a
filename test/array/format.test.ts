import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatNumber } from "../../src/array/format.ts";
import { array, type FormatOptions, NDArray, OptionError, zeros } from "../../src/index.ts";

function counting(shape: readonly number[]): NDArray {
  const size = shape.reduce((product, length) => product * length, 1);
  return new NDArray(
    Float64Array.from({ length: size }, (_, i) => i),
    shape,
  );
}

describe("toString", () => {
  test("cuts the rows of a 97×2 matrix in the middle", () => {
    expect(counting([97, 2]).toString({ maxRows: 7 })).toBe(
      [
        "97×2 matrix, float64",
        "    0    1",
        "    2    3",
        "    4    5",
        "  ⋮    ⋮",
        "  188  189",
        "  190  191",
        "  192  193",
      ].join("\n"),
    );
    const lines = counting([97, 2]).toString().split("\n");
    expect(lines.length).toBe(21);
    expect([lines[1], lines[10], lines[11], lines[12], lines[20]]).toEqual([
      "    0    1",
      "   18   19",
      "  ⋮    ⋮",
      "  176  177",
      "  192  193",
    ]);
  });

  test("cuts the columns of a wide matrix in the middle", () => {
    expect(counting([2, 100]).toString({ width: 40 })).toBe(
      [
        "2×100 matrix, float64",
        "    0    1    2    3  …   97   98   99",
        "  100  101  102  103  …  197  198  199",
      ].join("\n"),
    );
  });

  test("cuts both ways, with a diagonal where the cuts meet", () => {
    expect(counting([100, 100]).toString({ width: 25, maxRows: 3 })).toBe(
      ["100×100 matrix, float64", "     0     1  …    99", "  ⋮     ⋮     ⋱  ⋮", "  9900  9901  …  9999"].join("\n"),
    );
  });

  test("heads each matrix of an array with more axes by its place", () => {
    expect(counting([2, 2, 2]).toString()).toBe(
      ["2×2×2 array, float64", "", "[0, :, :] =", "  0  1", "  2  3", "", "[1, :, :] =", "  4  5", "  6  7"].join("\n"),
    );
    expect(counting([3, 2, 1, 1]).toString({ maxSlices: 3 })).toBe(
      ["3×2×1×1 array, float64", "", "[0, 0, :, :] =", "  0", "", "⋮", "", "[2, 1, :, :] =", "  5"].join("\n"),
    );
    expect(counting([3, 1, 1]).toString({ maxSlices: 1 })).toBe(
      ["3×1×1 array, float64", "", "[0, :, :] =", "  0", "", "⋮"].join("\n"),
    );
  });

  test("shows a vector as a column, aligned at the decimal point", () => {
    const values = [1, -2.5, 100, 0.001, 1e-7, 1.5e21, Number.NaN, Number.NEGATIVE_INFINITY, -0];
    expect(array(values).toString()).toBe(
      [
        "vector of 9, float64",
        "          1",
        "         -2.5",
        "        100",
        "          0.001",
        "          1e-7",
        "          1.5e21",
        "        NaN",
        "  -Infinity",
        "         -0",
      ].join("\n"),
    );
  });

  test("shows a number, and says of an empty array that it is empty", () => {
    expect(array(3.25).toString()).toBe("number, float64\n  3.25");
    expect(array(3.25, { dtype: "float32" }).toString()).toBe("number, float32\n  3.25");
    expect(array([]).toString()).toBe("vector of 0, float64 (empty)");
    expect(zeros([3, 0]).toString()).toBe("3×0 matrix, float64 (empty)");
    expect(zeros([0, 3, 2]).toString()).toBe("0×3×2 array, float64 (empty)");
  });

  test("shows every row of a very long vector where that is asked for", () => {
    const text = zeros([300_000]).toString({ maxRows: 300_000 });
    expect(text.split("\n").length).toBe(300_001);
  });

  test.each<[FormatOptions, RegExp]>([
    [{ maxRows: 2 }, /maxRows must be an integer of at least 3, not 2/],
    [{ width: 9 }, /width must be an integer of at least 10, not 9/],
    [{ digits: 0 }, /digits must be an integer of at least 1, not 0/],
    [{ maxSlices: 0.5 }, /maxSlices must be an integer of at least 1, not 0.5/],
    [{ maxrows: 5 } as FormatOptions, /unknown option "maxrows".*Did you mean "maxRows"/],
  ])("refuses the options %o", (options, message) => {
    expect(() => array([1]).toString(options)).toThrow(message);
    expect(() => array([1]).toString(options)).toThrow(OptionError);
  });

  test("never throws, shows as many rows as allowed, and keeps within the width unless one column is wider", () => {
    const number = fc.oneof(
      fc.double(),
      fc.integer({ min: -1000, max: 1000 }),
      fc.constantFrom(0, -0, 1e-5, 12345.678, -1e300),
    );
    fc.assert(
      fc.property(
        fc.array(fc.nat(12), { maxLength: 4 }),
        fc.array(number, { minLength: 1, maxLength: 30 }),
        fc.constantFrom("float32" as const, "float64" as const),
        fc.record({
          maxRows: fc.integer({ min: 3, max: 30 }),
          width: fc.integer({ min: 10, max: 100 }),
          digits: fc.integer({ min: 1, max: 25 }),
          maxSlices: fc.integer({ min: 1, max: 6 }),
        }),
        (shape, values, dtype, options) => {
          const size = shape.reduce((product, length) => product * length, 1);
          fc.pre(size <= 2000);
          const a = array(
            Array.from({ length: size }, (_, i) => values[i % values.length]),
            { dtype, shape },
          );
          const lines = a.toString(options).split("\n").slice(1);
          const numbers = lines.filter((line) => line.startsWith("  "));
          for (const line of numbers) {
            const columns = line.trim().split(/ +/).length;
            const cut = /[…⋱]/.test(line);
            if (columns - (cut ? 1 : 0) > 1) expect(line.length).toBeLessThanOrEqual(options.width);
          }
          const rows = shape.length === 0 ? 1 : shape.length === 1 ? shape[0] : shape[shape.length - 2];
          const slices = shape.slice(0, -2).reduce((product, length) => product * length, 1);
          const shown = slices <= options.maxSlices ? slices : Math.max(1, options.maxSlices - 1);
          expect(numbers.length).toBe(size === 0 ? 0 : shown * Math.min(rows, options.maxRows));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("formatNumber", () => {
  test.each<[number, number, string]>([
    [Math.PI, 6, "3.14159"],
    [-Math.PI, 3, "-3.14"],
    [2 / 3, 1, "0.7"],
    [100, 6, "100"],
    [100, 1, "100"],
    [12345, 3, "12300"],
    [999999.7, 6, "1e6"],
    [123456.7, 6, "123457"],
    [1234567, 6, "1.23457e6"],
    [1234567, 7, "1234567"],
    [9999999999.96, 10, "1e10"],
    [0.0001, 6, "0.0001"],
    [0.00009999999, 6, "0.0001"],
    [0.00012345678, 4, "0.0001235"],
    [0.00001, 6, "1e-5"],
    [1e-300, 6, "1e-300"],
    [-1.5e300, 6, "-1.5e300"],
    [5e-324, 6, "5e-324"],
    [1e20, 6, "1e20"],
    [0.1, 200, "0.1"],
    [0.1 + 0.2, 17, "0.30000000000000004"],
    [0, 6, "0"],
    [-0, 6, "-0"],
    [Number.NaN, 6, "NaN"],
    [Number.POSITIVE_INFINITY, 6, "Infinity"],
    [Number.NEGATIVE_INFINITY, 6, "-Infinity"],
  ])("shows %d with %d digits as %s", (value, digits, text) => {
    expect(formatNumber(value, digits)).toBe(text);
  });

  test("reads back as the number rounded to its digits", () => {
    fc.assert(
      fc.property(fc.double(), fc.integer({ min: 1, max: 17 }), (value, digits) => {
        expect(Number(formatNumber(value, digits))).toBe(
          Number.isFinite(value) && value !== 0 ? Number(value.toPrecision(digits)) : value,
        );
      }),
      { numRuns: 500 },
    );
  });
});
