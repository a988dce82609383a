import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocate, allocateFloats, copyIn, copyOut, scope, writeIntegers } from "../../src/kernels/memory.ts";
import { differences, epsilon, transpose } from "../reference/arrays.ts";

const dtypes = ["float32", "float64"] as const;
const dtype = fc.constantFrom<DType>(...dtypes);
const length = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 8, 13, 17, 33);

function numbers(count: number, seed: number, type: DType): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => (type === "float32" ? Math.fround(random.normal()) : random.normal()));
}

function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** |actual − Σ terms| within the rounding of the sum, whatever its order. */
function expectSum(actual: number, terms: readonly number[], type: DType): void {
  const bound = 4 * terms.length * epsilon[type] * total(terms.map(Math.abs));
  expect(Math.abs(actual - total(terms))).toBeLessThanOrEqual(bound);
}

describe("gather", () => {
  function gather(
    type: DType,
    source: readonly number[],
    shape: readonly number[],
    strides: readonly number[],
    add = false,
  ) {
    return scope(() => {
      const size = shape.reduce((a, b) => a * b, 1);
      const from = copyIn(type, source);
      const to = copyIn(type, new Array(size + 1).fill(77));
      const table = allocate(12 * shape.length);
      writeIntegers(table, [...shape, ...strides]);
      const rank = shape.length;
      kernelsFor(type).gather(rank, table, table + 4 * rank, table + 8 * rank, from, to, add);
      return Array.from(copyOut(type, to, size + 1));
    });
  }

  test("copies any strided array of any rank or adds it, and nothing beyond it", () => {
    const axes = fc.array(fc.record({ length: fc.nat(4), stride: fc.nat(5) }), { maxLength: 5 });
    fc.assert(
      fc.property(axes, dtype, fc.nat(), (list, type, seed) => {
        const [shape, strides] = [list.map((axis) => axis.length), list.map((axis) => axis.stride)];
        const source = numbers(1 + total(shape.map((n, axis) => Math.max(0, n - 1) * strides[axis])), seed, type);
        let offsets = [0];
        shape.forEach((n, axis) => {
          offsets = offsets.flatMap((offset) => Array.from({ length: n }, (_, i) => offset + i * strides[axis]));
        });
        const expected = [...offsets.map((offset) => source[offset]), 77];
        expect(gather(type, source, shape, strides)).toEqual(expected);
        const round = type === "float32" ? Math.fround : (value: number) => value;
        const added = offsets.map((offset) => round(source[offset] + 77));
        expect(gather(type, source, shape, strides, true)).toEqual([...added, 77]);
      }),
      { numRuns: 300 },
    );
  });

  test("transposes a matrix", () => {
    expect(gather("float64", [1, 2, 3, 4, 5, 6], [3, 2], [1, 3])).toEqual([...transpose([1, 2, 3, 4, 5, 6], 2, 3), 77]);
  });
});

describe("sumAxis", () => {
  test("sums the middle axis, into rows with gaps, or on top of what is there", () => {
    fc.assert(
      fc.property(
        fc.nat(3),
        length,
        length,
        fc.nat(3),
        fc.boolean(),
        dtype,
        fc.nat(),
        (outer, n, inner, gap, accumulate, type, seed) => {
          const x = numbers(outer * n * inner, seed, type);
          const stride = inner + gap;
          const before = numbers(outer * stride, seed + 1, type);
          const y = scope(() => {
            const [px, py] = [copyIn(type, x), copyIn(type, before)];
            kernelsFor(type).sumAxis(outer, n, inner, px, py, stride, accumulate);
            return copyOut(type, py, outer * stride);
          });
          y.forEach((value, at) => {
            const [o, i] = [Math.floor(at / stride), at % stride];
            if (i >= inner) expect(value).toBe(before[at]);
            else {
              const terms = Array.from({ length: n }, (_, j) => x[(o * n + j) * inner + i]);
              expectSum(value, accumulate ? [...terms, before[at]] : terms, type);
            }
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("copyRows", () => {
  test("copies or adds rows between arrays with gaps", () => {
    fc.assert(
      fc.property(
        fc.nat(4),
        length,
        fc.nat(3),
        fc.nat(3),
        fc.boolean(),
        dtype,
        fc.nat(),
        (rows, n, gapX, gapY, accumulate, type, seed) => {
          const [strideX, strideY] = [n + gapX, n + gapY];
          const x = numbers(rows * strideX, seed, type);
          const before = numbers(rows * strideY, seed + 1, type);
          const y = scope(() => {
            const [px, py] = [copyIn(type, x), copyIn(type, before)];
            kernelsFor(type).copyRows(rows, n, px, strideX, py, strideY, accumulate);
            return copyOut(type, py, rows * strideY);
          });
          const round = type === "float32" ? Math.fround : (value: number) => value;
          const expected = before.map((value, at) => {
            const [r, i] = [Math.floor(at / strideY), at % strideY];
            if (i >= n) return value;
            return accumulate ? round(value + x[r * strideX + i]) : x[r * strideX + i];
          });
          expect(differences(y, expected)).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("repeats one row where the stride is 0", () => {
    const y = scope(() => {
      const [px, py] = [copyIn("float32", [1, 2, 3]), allocateFloats("float32", 6)];
      kernelsFor("float32").copyRows(2, 3, px, 0, py, 3, false);
      return copyOut("float32", py, 6);
    });
    expect(Array.from(y)).toEqual([1, 2, 3, 1, 2, 3]);
  });
});

describe("dotRows", () => {
  test("gives each pair of rows its dot product, or adds it", () => {
    fc.assert(
      fc.property(fc.nat(4), length, fc.boolean(), dtype, fc.nat(), (rows, n, accumulate, type, seed) => {
        const [x, y] = [numbers(rows * n, seed, type), numbers(rows * n, seed + 1, type)];
        const before = numbers(rows, seed + 2, type);
        const out = scope(() => {
          const [px, py, po] = [copyIn(type, x), copyIn(type, y), copyIn(type, before)];
          kernelsFor(type).dotRows(rows, n, px, py, po, accumulate);
          return copyOut(type, po, rows);
        });
        out.forEach((value, r) => {
          const terms = Array.from({ length: n }, (_, i) => x[r * n + i] * y[r * n + i]);
          expectSum(value, accumulate ? [...terms, before[r]] : terms, type);
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe("multiply, affine and addToRows", () => {
  test("agree to the bit with a loop, for any length, and write nothing beyond", () => {
    fc.assert(
      fc.property(fc.nat(3), length, fc.boolean(), dtype, fc.nat(), (repeats, n, accumulate, type, seed) => {
        const round = type === "float32" ? Math.fround : (value: number) => value;
        const x = numbers(repeats * n, seed, type);
        const y = numbers(n, seed + 1, type);
        const before = numbers(repeats * n + 1, seed + 2, type);
        const run = (call: (px: number, py: number, pz: number) => void) =>
          scope(() => {
            const pz = copyIn(type, before);
            call(copyIn(type, x), copyIn(type, y), pz);
            return copyOut(type, pz, repeats * n + 1);
          });
        const expected = (f: (i: number) => number) =>
          before.map((z, i) => (i === repeats * n ? z : round((accumulate ? z : -0) + round(f(i)))));
        const kernels = kernelsFor(type);
        const products = run((px, py, pz) => kernels.multiply(repeats, n, px, py, pz, accumulate));
        expect(
          differences(
            products,
            expected((i) => x[i] * y[i % n]),
          ),
        ).toEqual([]);
        const lines = run((px, _, pz) => kernels.affine(repeats * n, 2.5, px, 0.75, pz, accumulate));
        expect(
          differences(
            lines,
            expected((i) => round(2.5 * x[i]) + 0.75),
          ),
        ).toEqual([]);
        const sums = run((_, py, pz) => kernels.addToRows(repeats, n, py, pz));
        expect(
          differences(
            sums,
            before.map((z, i) => (i === repeats * n ? z : round(z + y[i % n]))),
          ),
        ).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("fill and allFinite", () => {
  test.each(dtypes)("fill writes n numbers of %s and no more", (type) => {
    for (const n of [0, 1, 2, 3, 8, 9]) {
      const y = scope(() => {
        const py = copyIn(type, new Array(10).fill(77));
        kernelsFor(type).fill(n, 0.1, py);
        return copyOut(type, py, 10);
      });
      const value = type === "float32" ? Math.fround(0.1) : 0.1;
      expect(Array.from(y)).toEqual([...new Array(n).fill(value), ...new Array(10 - n).fill(77)]);
    }
  });

  test.each(dtypes)("allFinite finds one NaN or infinity anywhere among numbers of %s", (type) => {
    const finite = (values: number[], n = values.length) =>
      scope(() => kernelsFor(type).allFinite(n, copyIn(type, values)));
    const largest = type === "float32" ? 3.4028234663852886e38 : Number.MAX_VALUE;
    expect(finite([largest, -largest, 0, -0, 5e-324, 1e-45])).toBe(1);
    expect(finite([])).toBe(1);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let at = 0; at < 7; at++) {
        const values = new Array(7).fill(1);
        values[at] = bad;
        expect(finite(values)).toBe(0);
        expect(finite(values, at)).toBe(1);
      }
    }
  });
});

test("widen", () => {
  fc.assert(
    fc.property(length, fc.nat(), (n, seed) => {
      const source = numbers(n, seed, "float32");
      const result = scope(() => {
        const to = copyIn("float64", new Array(n + 1).fill(77));
        kernelsFor("float64").widen(n, copyIn("float32", source), to);
        return Array.from(copyOut("float64", to, n + 1));
      });
      expect(result).toEqual([...source, 77]);
    }),
  );
});
