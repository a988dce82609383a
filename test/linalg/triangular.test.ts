import fc from "fast-check";
import { expect, test } from "vitest";
import {
  array,
  type DType,
  OptionError,
  ShapeError,
  solveTriangular,
  syrk,
  ValueError,
  zeros,
} from "../../src/index.ts";
import { describeBuilds } from "../kernels/builds.ts";
import { epsilon } from "../reference/arrays.ts";
import { frobenius, type Matrix, minus, multiply, normal, transpose } from "../reference/matrices.ts";

const order = fc.constantFrom(1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 40, 97);
const rows = (a: { toArray(): unknown }) => a.toArray() as Matrix;

/** A triangle with a diagonal well away from 0; the other half holds numbers that must not be read. */
function triangle(n: number, seed: number, lower: boolean): { given: Matrix; meant: Matrix } {
  const given = normal(n, n, seed).map((row, i) => row.map((x, j) => (i === j ? 2 + Math.abs(x) : x / n)));
  const meant = given.map((row, i) => row.map((x, j) => ((lower ? j <= i : j >= i) ? x : 0)));
  return { given: given.map((row, i) => row.map((x, j) => ((lower ? j <= i : j >= i) ? x : 1e6))), meant };
}

describeBuilds("triangular solves and symmetric products", () => {
  test("solveTriangular solves from both sides, lower and upper, transposed or not, in both element types", () => {
    const problem = fc.record({
      n: order,
      k: fc.constantFrom(1, 2, 3, 5, 17, 64),
      side: fc.constantFrom("left" as const, "right" as const),
      triangle: fc.constantFrom("lower" as const, "upper" as const),
      transpose: fc.boolean(),
      dtype: fc.constantFrom<DType>("float32", "float64"),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(problem, ({ n, k, side, triangle: half, transpose: turned, dtype, seed }) => {
        const { given, meant } = triangle(n, seed, half === "lower");
        const b = side === "left" ? normal(n, k, seed + 1) : normal(k, n, seed + 1);
        const options = { side, triangle: half, transpose: turned };
        const x = rows(solveTriangular(array(given, { dtype }), array(b, { dtype }), options));
        const t = turned ? transpose(meant) : meant;
        const back = side === "left" ? multiply(t, x) : multiply(x, t);
        const size = frobenius(meant) * frobenius(x) + frobenius(b);
        expect(frobenius(minus(back, b))).toBeLessThanOrEqual(10 * n * epsilon[dtype] * size);
      }),
      { numRuns: 300 },
    );
  });

  test.each([129, 200, 300])("order %i, beyond one block, from both sides and in both directions", (n) => {
    for (const side of ["left", "right"] as const) {
      for (const half of ["lower", "upper"] as const) {
        for (const turned of [false, true]) {
          const { given, meant } = triangle(n, n, half === "lower");
          const b = side === "left" ? normal(n, 19, 1) : normal(19, n, 1);
          const x = rows(solveTriangular(given, b, { side, triangle: half, transpose: turned }));
          const t = turned ? transpose(meant) : meant;
          const back = side === "left" ? multiply(t, x) : multiply(x, t);
          const size = frobenius(meant) * frobenius(x) + frobenius(b);
          expect(frobenius(minus(back, b))).toBeLessThanOrEqual(10 * n * Number.EPSILON * size);
        }
      }
    }
  });

  test("a vector is solved from either side as a matrix of one column or row", () => {
    const { given } = triangle(13, 2, true);
    const [b] = normal(1, 13, 3);
    const left = solveTriangular(given, b);
    expect(left.data).toEqual(solveTriangular(given, transpose([b])).data);
    const right = solveTriangular(given, b, { side: "right" });
    expect(right).toBeAllClose(solveTriangular(given, [b], { side: "right" }).data, { relative: 1e-13 });
  });

  test("syrk is the product with the transpose, symmetric to the last bit", () => {
    const sizes = fc.tuple(
      fc.constantFrom(0, 1, 2, 3, 5, 8, 13, 17, 33, 64, 97, 130),
      fc.constantFrom(0, 1, 2, 4, 5, 31, 257),
    );
    fc.assert(
      fc.property(sizes, fc.constantFrom<DType>("float32", "float64"), fc.nat(), ([n, k], dtype, seed) => {
        const a = array(normal(n, k, seed).flat(), { dtype, shape: [n, k] });
        const c = syrk(a);
        expect(c.shape).toEqual([n, n]);
        const row = (i: number) => a.data.subarray(i * k, (i + 1) * k);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j <= i; j++) {
            let [sum, size] = [0, 0];
            row(i).forEach((x: number, p: number) => {
              sum += x * row(j)[p];
              size += Math.abs(x * row(j)[p]);
            });
            expect(Math.abs(c.at(i, j) - sum)).toBeLessThanOrEqual(4 * k * epsilon[dtype] * size);
            expect(c.at(j, i)).toBe(c.at(i, j));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

test("what does not fit is refused", () => {
  expect(() =>
    solveTriangular(
      [
        [1, 0],
        [0, 0],
      ],
      [1, 2],
    ),
  ).toThrow(/singular: \[1, 1\] is 0/);
  expect(() =>
    solveTriangular(
      [
        [1, 0],
        [0, 0],
      ],
      [1, 2],
    ),
  ).toThrow(ValueError);
  expect(() => solveTriangular([[1]], [1, 2])).toThrow(ShapeError);
  expect(() => solveTriangular([[1, 2]], [1])).toThrow(ShapeError);
  expect(() => solveTriangular([[1]], [1], { side: "top" as never })).toThrow(OptionError);
  expect(() => syrk([1, 2])).toThrow(ShapeError);
  expect(() => syrk([[1, 2]], { out: zeros([2, 2]) })).toThrow(ShapeError);
  const out = zeros([1, 1]);
  expect(syrk([[1, 2]], { out })).toBe(out);
  expect(out.item()).toBe(5);
});
