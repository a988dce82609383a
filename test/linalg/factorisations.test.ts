import { describe, expect, test } from "vitest";
import {
  array,
  cholesky,
  eigh,
  kernelArray,
  NotPositiveDefiniteError,
  OptionError,
  ShapeError,
  solveTriangular,
  syrk,
  ValueError,
  zeros,
} from "../../src/index.ts";
import { describeBuilds } from "../kernels/builds.ts";
import {
  diagonal,
  frobenius,
  kinds,
  type Matrix,
  minus,
  multiply,
  normal,
  transpose,
  withEigenvalues,
} from "../reference/matrices.ts";

const orders = [1, 2, 3, 5, 7, 8, 9, 16, 17, 31, 64, 97];
const rows = (a: { toArray(): unknown }) => a.toArray() as Matrix;
const bound = (n: number, size: number) => 50 * n * Number.EPSILON * size;

describeBuilds("factorisations", () => {
  describe.each(Object.entries(kinds))("of a matrix that is %s", (_, { definite, make }) => {
    test.each(orders)("of order %i: eigh gives its values and orthonormal vectors", (n) => {
      const a = make(n, n);
      const { values, vectors } = eigh(a);
      const v = rows(vectors);
      const w = diagonal([...values.data]);
      expect(frobenius(minus(multiply(a, v), multiply(v, w)))).toBeLessThanOrEqual(bound(n, frobenius(a)));
      expect(frobenius(minus(multiply(transpose(v), v), diagonal(a.map(() => 1))))).toBeLessThanOrEqual(bound(n, 1));
      expect([...values.data]).toEqual([...values.data].sort((x, y) => x - y));
      const alone = eigh(a, { vectors: false });
      expect(alone.values).toBeAllClose(values, { relative: 0, absolute: bound(n, frobenius(a)) });
    });

    test.each(definite ? orders : [])("of order %i: Cholesky's factor gives it back", (n) => {
      const a = make(n, n);
      const factored = cholesky(a);
      const l = rows(factored.factor);
      expect(frobenius(minus(multiply(l, transpose(l)), a))).toBeLessThanOrEqual(bound(n, frobenius(a)));
      l.forEach((row, i) => {
        expect(row.slice(i + 1).every((x) => x === 0)).toBe(true);
      });
      const logDeterminant = [...eigh(a).values.data].reduce((sum, x) => sum + Math.log(x), 0);
      // An eigenvalue as small as 1e-10 of the norm is known to 1e-6 of itself.
      expect([factored.logDeterminant()]).toBeAllClose([logDeterminant], { absolute: 1e-5, relative: 1e-12 });
    });
  });

  test.each([1, 2, 7, 8, 9, 33, 97, 130])("solves and the inverse of order %i undo the matrix", (n) => {
    const a = withEigenvalues(
      Array.from({ length: n }, (_, i) => 1 + i),
      n,
    );
    const factored = cholesky(a);
    const b = normal(n, 5, 3);
    const x = rows(factored.solve(b));
    expect(frobenius(minus(multiply(a, x), b))).toBeLessThanOrEqual(bound(n, n * frobenius(b)));
    const y = rows(factored.solveFactor(b));
    expect(frobenius(minus(multiply(rows(factored.factor), y), b))).toBeLessThanOrEqual(bound(n, n * frobenius(b)));
    const z = rows(factored.solveTransposedFactor(b));
    const lt = transpose(rows(factored.factor));
    expect(frobenius(minus(multiply(lt, z), b))).toBeLessThanOrEqual(bound(n, n * frobenius(b)));
    const inverse = rows(factored.inverse());
    expect(inverse).toEqual(transpose(inverse));
    expect(frobenius(minus(multiply(a, inverse), diagonal(a.map(() => 1))))).toBeLessThanOrEqual(bound(n, n * n));
    expect(factored.solve(b.map(([first]) => first)).shape).toEqual([n]);
  });

  test("results do not depend on what ran before", () => {
    const a = kinds["badly conditioned"].make(40, 1);
    const before = { l: cholesky(a).factor, ...eigh(a) };
    eigh(kinds.random.make(97, 5));
    const after = { l: cholesky(a).factor, ...eigh(a) };
    expect(after.l.data).toEqual(before.l.data);
    expect(after.vectors.data).toEqual(before.vectors.data);
    expect(after.values.data).toEqual(before.values.data);
  });
});

test("an empty matrix has an empty factor, no eigenvalues and the determinant 1", () => {
  const empty = zeros([0, 0]);
  expect(cholesky(empty).logDeterminant()).toBe(0);
  expect(cholesky(empty).solve(zeros([0, 2])).shape).toEqual([0, 2]);
  expect(eigh(empty).values.shape).toEqual([0]);
});

describe("a matrix that does not fit is refused", () => {
  test.each([2, 9, 40])("indefinite of order %i: with the pivot and its value", (n) => {
    const a = diagonal(Array.from({ length: n }, (_, i) => (i === n - 1 ? -3 : 1)));
    let error: unknown;
    try {
      cholesky(a);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(NotPositiveDefiniteError);
    expect(error).toMatchObject({ index: n - 1, pivot: -3 });
    expect(String(error)).toContain(`pivot ${n - 1} is -3`);
  });

  test("semi-definite: at the pivot that vanishes", () => {
    expect(() =>
      cholesky([
        [1, 1],
        [1, 1],
      ]),
    ).toThrow(/pivot 1 is 0/);
    expect(() => cholesky([[0]])).toThrow(NotPositiveDefiniteError);
  });

  test("not finite, not symmetric, not square", () => {
    for (const factor of [cholesky, (a: Matrix) => eigh(a)]) {
      expect(() =>
        factor([
          [1, Number.NaN],
          [Number.NaN, 1],
        ]),
      ).toThrow(/NaN at \[0, 1\]/);
      expect(() =>
        factor([
          [1, 2],
          [3, 4],
        ]),
      ).toThrow(ValueError);
      expect(() =>
        factor([
          [1, 2],
          [3, 4],
        ]),
      ).toThrow(/not symmetric: \[1, 0\] is 3 and \[0, 1\] is 2/);
      expect(() => factor([[1, 2]])).toThrow(ShapeError);
    }
    expect(() => cholesky([[1]]).solve([1, 2])).toThrow(/expected right sides of 1 rows, got shape \[2\]/);
  });
});

test("a float32 matrix is factored in float64", () => {
  const a = array(
    [
      [4, 2],
      [2, 3],
    ],
    { dtype: "float32" },
  );
  expect(cholesky(a).factor.dtype).toBe("float64");
  expect(eigh(a).values.dtype).toBe("float64");
});

describe("results go where they are asked to go", () => {
  const a = withEigenvalues([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 5);
  const [expected, b] = [cholesky(a), array(normal(11, 3, 6))];
  const made = [
    ["JavaScript's memory", (x: Matrix) => array(x)],
    [
      "the kernels' memory",
      (x: Matrix) => {
        const kept = kernelArray([x.length, x[0].length]);
        kept.data.set(x.flat());
        return kept;
      },
    ],
  ] as const;

  test.each(made)("in place, in %s", (_, make) => {
    const matrix = make(a);
    const factored = cholesky(matrix, { out: matrix });
    expect(factored.factor).toBe(matrix);
    expect(matrix.data).toEqual(expected.factor.data);
    for (const solve of ["solve", "solveFactor", "solveTransposedFactor"] as const) {
      const right = make(rows(b));
      expect(factored[solve](right, { out: right })).toBe(right);
      expect(right.data).toEqual(expected[solve](b).data);
    }
    const inverse = factored.inverse();
    expect(factored.inverse({ out: matrix })).toBe(matrix);
    expect(matrix.data).toEqual(inverse.data);
    const again = make(a);
    const { values, vectors } = eigh(again, { out: again });
    expect(vectors).toBe(again);
    expect(vectors.data).toEqual(eigh(a).vectors.data);
    expect(values.data).toEqual(eigh(a).values.data);
    const right = make(rows(b));
    expect(solveTriangular(expected.factor, right, { out: right })).toBe(right);
    expect(right.data).toEqual(expected.solveFactor(b).data);
  });

  test.each(made)("syrk adds a multiple to what is there, in %s", (_, make) => {
    const out = make(a);
    const x = array(normal(11, 4, 7));
    const product = syrk(x);
    expect(syrk(x, { alpha: 0.25, add: true, out })).toBe(out);
    const due = a.flat().map((before, i) => before + 0.25 * product.data[i]);
    expect(out).toBeAllClose(due, { relative: 1e-14 });
    expect(rows(out)).toEqual(transpose(rows(out)));
    expect(() => syrk(x, { add: true })).toThrow(/needs an `out`/);
    expect(() => syrk(x, { alpha: Number.NaN })).toThrow(OptionError);
  });

  test("a result that does not fit, or an unknown option, is refused", () => {
    expect(() => cholesky(a, { out: zeros([2, 2]) })).toThrow(ShapeError);
    expect(() => expected.solve(b, { out: zeros([11, 3], { dtype: "float32" }) })).toThrow(ShapeError);
    expect(() => expected.inverse({ into: b } as never)).toThrow(OptionError);
    expect(() => eigh(a, { out: b })).toThrow(ShapeError);
  });
});
