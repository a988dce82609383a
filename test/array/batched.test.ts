import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  batchedMatmul,
  batchedOuter,
  batchedTranspose,
  type DType,
  einsum,
  type NDArray,
  Random,
  ShapeError,
  zeros,
} from "../../src/index.ts";
import { differences, epsilon, matmul, outer, transpose } from "../reference/arrays.ts";

const dtypes = fc.constantFrom<DType>("float32", "float64");
const length = fc.constantFrom(0, 1, 2, 3, 5, 7, 11, 13, 17, 31);
const batchAxes = fc.array(fc.constantFrom(0, 1, 2, 3, 5), { maxLength: 2 });

function random(shape: readonly number[], dtype: DType, seed: number): NDArray {
  const stream = new Random(seed);
  const result = zeros(shape, { dtype });
  for (let i = 0; i < result.size; i++) {
    // Zeros of both signs among the numbers.
    const kind = stream.integer(6);
    result.data[i] = kind === 0 ? 0 : kind === 1 ? -0 : stream.normal();
  }
  return result;
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

describe("batchedMatmul", () => {
  test("agrees with a loop, matrix by matrix, for any shapes and types", () => {
    fc.assert(
      fc.property(
        batchAxes,
        length,
        length,
        length,
        dtypes,
        dtypes,
        fc.nat(),
        fc.boolean(),
        (batch, m, k, n, typeA, typeB, seed, reuse) => {
          const a = random([...batch, m, k], typeA, seed);
          const b = random([...batch, k, n], typeB, seed + 1);
          const dtype = typeA === "float64" || typeB === "float64" ? "float64" : "float32";
          const out = reuse ? random([...batch, m, n], dtype, seed + 2) : undefined;
          const c = batchedMatmul(a, b, { out });
          if (reuse) expect(c).toBe(out);
          expect(c.shape).toEqual([...batch, m, n]);
          expect(c.dtype).toBe(dtype);
          for (let s = 0; s < size(batch); s++) {
            const left = a.data.subarray(s * m * k, (s + 1) * m * k);
            const { product, size } = matmul(left, b.data.subarray(s * k * n, (s + 1) * k * n), m, n, k);
            product.forEach((x, i) => {
              const bound = 4 * k * epsilon[dtype] * size[i];
              expect(Math.abs(c.data[s * m * n + i] - x)).toBeLessThanOrEqual(bound);
            });
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test("multiplies an array by itself", () => {
    const a = array([
      [1, 2],
      [3, 4],
    ]);
    expect(batchedMatmul(a, a).toArray()).toEqual([
      [7, 10],
      [15, 22],
    ]);
    expect(batchedMatmul(a, a, { out: a })).toBe(a);
    expect(a.toArray()).toEqual([
      [7, 10],
      [15, 22],
    ]);
  });

  test("gives a row the same bits, signs of zeros included, however many rows there are", () => {
    fc.assert(
      fc.property(length, length, length, dtypes, fc.nat(), (m, k, n, dtype, seed) => {
        fc.pre(m > 0);
        const a = random([m, k], dtype, seed);
        const b = random([k, n], dtype, seed + 1);
        const all = batchedMatmul(a, b);
        for (let i = 0; i < m; i++) {
          const row = batchedMatmul(a.sub(i).reshape(1, k), b);
          expect(differences(all.sub(i).data, row.data)).toEqual([]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each<[string, readonly number[], readonly number[], RegExp]>([
    ["inner axes that disagree", [2, 3], [4, 5], /\[2, 3\] has 3 columns, but \[4, 5\] has 4 rows/],
    ["batches that disagree", [2, 2, 3], [3, 3, 5], /\[2, 2, 3\] by \[3, 3, 5\]/],
    ["a batch on one side only", [2, 2, 3], [3, 5], /\[2, 2, 3\] by \[3, 5\]/],
    ["a vector", [3], [3, 5], /\[3\] by \[3, 5\]/],
  ])("refuses %s and shows both shapes", (_, left, right, message) => {
    expect(() => batchedMatmul(zeros(left), zeros(right))).toThrow(message);
    expect(() => batchedMatmul(zeros(left), zeros(right))).toThrow(ShapeError);
  });
});

describe("batchedTranspose", () => {
  test("exchanges the last two axes of any array, exactly", () => {
    fc.assert(
      fc.property(batchAxes, length, length, dtypes, fc.nat(), (batch, m, n, dtype, seed) => {
        const a = random([...batch, m, n], dtype, seed);
        const t = batchedTranspose(a);
        expect(t.shape).toEqual([...batch, n, m]);
        expect(t.dtype).toBe(dtype);
        const expected = Array.from({ length: size(batch) }, (_, s) =>
          transpose(a.data.subarray(s * m * n, (s + 1) * m * n), m, n),
        );
        expect(differences(t.data, expected.flat())).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("transposes in place where out is its argument", () => {
    const a = array([
      [1, 2],
      [3, 4],
    ]);
    expect(batchedTranspose(a, { out: a })).toBe(a);
    expect(a.toArray()).toEqual([
      [1, 3],
      [2, 4],
    ]);
  });

  test("refuses a vector", () => {
    expect(() => batchedTranspose([1, 2])).toThrow(/at least two axes.*\[2\]/);
  });
});

describe("batchedOuter", () => {
  test("is, to the bit, the product of columns by rows, einsum's outer product, and a loop", () => {
    fc.assert(
      fc.property(batchAxes, length, length, dtypes, fc.nat(), (batch, n, m, dtype, seed) => {
        const a = random([...batch, n], dtype, seed);
        const b = random([...batch, m], dtype, seed + 1);
        const H = batchedOuter(a, b);
        expect(H.shape).toEqual([...batch, n, m]);
        const round = dtype === "float32" ? Math.fround : (x: number) => x;
        const expected = Array.from({ length: size(batch) }, (_, s) =>
          outer(a.data.subarray(s * n, (s + 1) * n), b.data.subarray(s * m, (s + 1) * m)).map(round),
        );
        expect(differences(H.data, expected.flat())).toEqual([]);
        const product = batchedMatmul(a.reshape(...batch, n, 1), b.reshape(...batch, 1, m));
        expect(differences(H.data, product.data)).toEqual([]);
        expect(differences(H.data, einsum("...i,...j->...ij", a, b).data)).toEqual([]);
        // The same numbers read through other strides.
        const flat = [a.reshape(size(batch), n), b.reshape(size(batch), m)];
        const turned = einsum("bi,jb->bij", flat[0], batchedTranspose(flat[1]));
        expect(differences(H.data, turned.data)).toEqual([]);
        const turnedToo = einsum("ib,bj->bij", batchedTranspose(flat[0]), flat[1]);
        expect(differences(H.data, turnedToo.data)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("keeps the sign of a zero", () => {
    const H = batchedOuter([[-0, 2]], [[3, -1, 0]]);
    expect(differences(H.data, [-0, 0, -0, 6, -2, 0])).toEqual([]);
  });

  test("of one argument is each vector with itself, symmetric to the bit", () => {
    const g = random([3, 97], "float32", 5);
    const H = batchedOuter(g);
    expect(differences(H.data, batchedOuter(g, g.clone()).data)).toEqual([]);
    expect(differences(H.data, batchedTranspose(H).data)).toEqual([]);
    expect(batchedOuter([1, 2]).toArray()).toEqual([
      [1, 2],
      [2, 4],
    ]);
  });

  test("refuses numbers without axes and batches that disagree", () => {
    expect(() => batchedOuter(3)).toThrow(ShapeError);
    expect(() => batchedOuter(zeros([2, 3]), zeros([4, 3]))).toThrow(/\[2, 3\] with \[4, 3\]/);
  });
});

describe("out", () => {
  const a = zeros([2, 2]);
  const calls: [string, (out: NDArray) => NDArray][] = [
    ["batchedMatmul", (out) => batchedMatmul(a, a, { out })],
    ["batchedTranspose", (out) => batchedTranspose(a, { out })],
  ];
  test.each(calls)("of %s must have the result's shape and type", (name, call) => {
    expect(() => call(zeros([4]))).toThrow(new RegExp(`${name}: out is a float64 array of shape \\[4\\].*\\[2, 2\\]`));
    expect(() => call(zeros([2, 2], { dtype: "float32" }))).toThrow(/out is a float32.*result is float64/);
    const out = zeros([2, 2]);
    expect(call(out)).toBe(out);
  });

  test("of batchedOuter is filled and returned", () => {
    const out = zeros([1, 2, 2]);
    expect(batchedOuter([[1, 2]], undefined, { out })).toBe(out);
    expect(out.toArray()).toEqual([
      [
        [1, 2],
        [2, 4],
      ],
    ]);
    expect(() => batchedOuter([[1, 2]], undefined, { out: zeros([2, 2]) })).toThrow(ShapeError);
  });

  test("misspelt is an unknown option", () => {
    expect(() => batchedMatmul(a, a, { output: a } as never)).toThrow(/unknown option "output".*Did you mean "out"/);
  });
});
