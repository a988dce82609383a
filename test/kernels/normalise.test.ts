// Normalised rows and their Jacobian, and softmax over some entries, in both element types and all builds.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/index.ts";
import { Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { withLayers } from "../../src/kernels/layers.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { numbers } from "../reference/draw.ts";

const shape = fc.record({
  rows: fc.constantFrom(1, 2, 3),
  n: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 33, 1030, 4099),
  centred: fc.boolean(),
  epsilon: fc.constantFrom(1e-5, 0.1),
  dtype: fc.constantFrom<DType>("float32", "float64"),
  offset: fc.constantFrom(0, 3),
  seed: fc.nat(1e9),
});

const mean = (row: readonly number[]) => row.reduce((a, b) => a + b, 0) / row.length;
const tolerance = (dtype: DType) => ({ relative: 0, absolute: dtype === "float32" ? 2e-5 : 1e-12 });

function normalised(row: readonly number[], centred: boolean, epsilon: number) {
  const middle = centred ? mean(row) : 0;
  const factor = 1 / Math.sqrt(mean(row.map((x) => (x - middle) ** 2)) + epsilon);
  return { factor, y: row.map((x) => (x - middle) * factor) };
}

test("normalise is its definition, and leaves what follows alone", () => {
  fc.assert(
    fc.property(shape, ({ rows, n, centred, epsilon, dtype, offset, seed }) => {
      const random = new Random(seed);
      const x = Array.from({ length: rows }, () => numbers(random, n, dtype).map((value) => value + offset));
      const found = scope(() => {
        const y = copyIn(dtype, new Array(rows * n + 1).fill(77));
        withLayers(kernelsFor(dtype)).normalise(rows, n, copyIn(dtype, x.flat()), y, centred, epsilon);
        return Array.from(copyOut(dtype, y, rows * n + 1));
      });
      const due = x.map((row) => normalised(row, centred, epsilon));
      // Small variances magnify rounding.
      const most = Math.max(1, ...due.map(({ factor }) => factor));
      const { relative, absolute } = tolerance(dtype);
      expect(found).toBeAllClose([...due.flatMap(({ y }) => y), 77], { relative, absolute: absolute * most });
    }),
    { numRuns: 200 },
  );
});

test("normaliseJacobian is the product with the derivative, written or added, for every column", () => {
  fc.assert(
    fc.property(shape, fc.constantFrom(1, 2), fc.boolean(), (drawn, slabs, add) => {
      const { rows, n, centred, epsilon, dtype, seed } = drawn;
      // Small variances magnify rounding.
      const random = new Random(seed);
      const x = Array.from({ length: rows }, () => numbers(random, n, dtype));
      const d = Array.from({ length: slabs * rows }, () => numbers(random, n, dtype));
      const found = scope(() => {
        const [from, columns] = [copyIn(dtype, x.flat()), copyIn(dtype, d.flat())];
        const [y, out] = [allocateFloats(dtype, rows * n), copyIn(dtype, new Array(slabs * rows * n + 1).fill(0.5))];
        const kernels = withLayers(kernelsFor(dtype));
        kernels.normalise(rows, n, from, y, centred, epsilon);
        kernels.normaliseJacobian(slabs, rows, n, from, y, columns, out, centred, epsilon, add);
        return Array.from(copyOut(dtype, out, slabs * rows * n + 1));
      });
      let largest = 1;
      const due = d.flatMap((column, i) => {
        const { y, factor } = normalised(x[i % rows], centred, epsilon);
        largest = Math.max(largest, factor * Math.max(...column.map(Math.abs)));
        const along = mean(column.map((value, j) => value * y[j]));
        const middle = centred ? mean(column) : 0;
        return column.map((value, j) => factor * (value - middle - y[j] * along) + (add ? 0.5 : 0));
      });
      const { absolute } = tolerance(dtype);
      expect(found).toBeAllClose([...due, 0.5], { relative: 0, absolute: absolute * largest });
    }),
    { numRuns: 200 },
  );
});

describe("maskedSoftmax", () => {
  const entries = fc.record({
    batch: fc.constantFrom(1, 2),
    heads: fc.constantFrom(1, 3),
    n: fc.constantFrom(1, 2, 3, 5),
    causal: fc.boolean(),
    keep: fc.option(fc.array(fc.boolean(), { minLength: 10, maxLength: 10 })),
    dtype: fc.constantFrom<DType>("float32", "float64"),
    scale: fc.constantFrom(1, 300),
    seed: fc.nat(1e9),
  });

  test("is softmax over what is seen, and 0 elsewhere", () => {
    fc.assert(
      fc.property(entries, ({ batch, heads, n, causal, keep, dtype, scale, seed }) => {
        const rows = heads * n;
        const x = numbers(new Random(seed), batch * rows * n, dtype, scale);
        const mask = Array.from({ length: batch * n }, (_, i) => (keep === null || keep[i] ? 1 : 0));
        const found = scope(() => {
          const y = copyIn(dtype, new Array(x.length).fill(77));
          const at = keep === null ? 0 : copyIn(dtype, mask);
          withLayers(kernelsFor(dtype)).maskedSoftmax(batch, rows, n, causal ? n : 0, copyIn(dtype, x), at, y);
          return Array.from(copyOut(dtype, y, x.length));
        });
        const due = Array.from({ length: batch * rows }, (_, r) => {
          const [item, query] = [Math.floor(r / rows), r % n];
          const seen = (key: number) => mask[item * n + key] === 1 && (!causal || key <= query);
          const row = x.slice(r * n, (r + 1) * n);
          const largest = Math.max(...row.filter((_, key) => seen(key)));
          const weights = row.map((value, key) => (seen(key) ? Math.exp(value - largest) : 0));
          const total = weights.reduce((a, b) => a + b, 0);
          return weights.map((weight) => (total === 0 ? 0 : weight / total));
        }).flat();
        expect(found).toBeAllClose(due, {
          // Scores are subtracted from the largest one in their own type.
          relative: scale * (dtype === "float32" ? 1e-6 : 1e-14),
          absolute: 1e-40,
        });
        due.forEach((weight, i) => {
          if (weight === 0 && scale === 1) expect(found[i]).toBe(0);
        });
      }),
      { numRuns: 200 },
    );
  });

  test("a value that is not a number makes its row one, unless it is hidden", () => {
    const softmax = (x: number[], mask: number[]) =>
      scope(() => {
        const y = allocateFloats("float64", x.length);
        withLayers(kernelsFor("float64")).maskedSoftmax(
          1,
          1,
          x.length,
          0,
          copyIn("float64", x),
          copyIn("float64", mask),
          y,
        );
        return Array.from(copyOut("float64", y, x.length));
      });
    expect(softmax([1, Number.NaN, 1], [1, 0, 1])).toEqual([0.5, 0, 0.5]);
    expect(softmax([1, Number.NaN, 1], [1, 1, 0])).toEqual(new Array(3).fill(Number.NaN));
  });
});
