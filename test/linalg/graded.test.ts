// Eigenvalues of graded matrices, whose small ones are exact too.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { gradedEigh, isGraded } from "../../src/linalg/graded.ts";

/** Σ x xᵀ over random rows, its rows and columns scaled: [n, n]. */
function graded(n: number, rows: number, scales: readonly number[], seed: number): Float64Array {
  const random = new Random(seed);
  const x = Array.from({ length: rows }, () => Array.from({ length: n }, () => random.normal()));
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return x.reduce((sum, row) => sum + row[i] * row[j], 0) * scales[i] * scales[j];
  });
}

describe("gradedEigh", () => {
  test("gives the matrix back to the digits of each row, also where it is singular", () => {
    const cases = fc.record({
      n: fc.integer({ min: 1, max: 12 }),
      rows: fc.integer({ min: 0, max: 20 }),
      seed: fc.nat(),
      exponents: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 12, maxLength: 12 }),
    });
    fc.assert(
      fc.property(cases, ({ n, rows, seed, exponents }) => {
        const matrix = graded(
          n,
          rows,
          exponents.map((e) => 10 ** e),
          seed,
        );
        const { values, vectors } = atOnce(gradedEigh(matrix, n));
        // Of a singular matrix, what is left of a row beside another that is nearly parallel has lost digits.
        const digits = rows < n ? 1e-9 : 1e-11;
        for (let i = 0; i < n; i++) {
          expect(values[i]).toBeGreaterThanOrEqual(i === 0 ? 0 : values[i - 1]);
          for (let j = 0; j < n; j++) {
            let [entry, product] = [0, 0];
            for (let k = 0; k < n; k++) {
              entry += vectors[i * n + k] * values[k] * vectors[j * n + k];
              product += vectors[k * n + i] * vectors[k * n + j];
            }
            const size = Math.sqrt(matrix[i * (n + 1)] * matrix[j * (n + 1)]);
            expect(Math.abs(entry - matrix[i * n + j])).toBeLessThanOrEqual(digits * size);
            expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-13);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test("the product of the eigenvalues is the determinant, whose scales are known", () => {
    const scales = [1e9, 1e-9, 1, 1e5];
    const ones = atOnce(gradedEigh(graded(4, 20, [1, 1, 1, 1], 7), 4)).values;
    const { values } = atOnce(gradedEigh(graded(4, 20, scales, 7), 4));
    const log = (all: Float64Array) => all.reduce((sum, x) => sum + Math.log(x), 0);
    const shift = scales.reduce((sum, s) => sum + 2 * Math.log(s), 0);
    expect(log(values) - shift - log(ones)).toBeCloseTo(0, 11);
  });
});

test("isGraded looks at the diagonal, without what is 0, and leaves large matrices alone", () => {
  const diagonal = (...numbers: number[]) =>
    Float64Array.from({ length: numbers.length ** 2 }, (_, i) =>
      i % (numbers.length + 1) === 0 ? numbers[i / (numbers.length + 1)] : 0,
    );
  expect(isGraded(diagonal(1, 2), 2)).toBe(false);
  expect(isGraded(diagonal(1e5, 2, 0), 3)).toBe(true);
  expect(isGraded(diagonal(0, 0), 2)).toBe(false);
  const many = Array.from({ length: 200 }, (_, i) => (i === 0 ? 1e6 : 1));
  expect(isGraded(diagonal(...many), 200)).toBe(false);
  expect(isGraded(diagonal(1e12, ...many), 201)).toBe(true);
});
