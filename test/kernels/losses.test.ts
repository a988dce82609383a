import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/index.ts";
import { withClasses } from "../../src/kernels/classes.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { withLayers } from "../../src/kernels/layers.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { withTraining } from "../../src/kernels/training.ts";
import { differences } from "../reference/arrays.ts";
import * as reference from "../reference/functions.ts";

const dtypes = ["float32", "float64"] as const;
const logit = fc.oneof(
  fc.double({ min: -5, max: 5, noNaN: true }),
  fc.double({ min: -1000, max: 1000, noNaN: true }),
  fc.constantFrom(0, -0, 1e4, -1e4),
);

/** Matrices with a row for each sample: logits, and probabilities some of which are 0 or 1. */
const rows = fc
  .record({ rows: fc.integer({ min: 0, max: 4 }), n: fc.integer({ min: 1, max: 9 }) })
  .chain(({ rows, n }) =>
    fc.record({
      f: fc.array(fc.array(logit, { minLength: n, maxLength: n }), { minLength: rows, maxLength: rows }),
      t: fc.array(fc.array(fc.constantFrom(0, 0, 0.25, 0.5, 1), { minLength: n, maxLength: n }), {
        minLength: rows,
        maxLength: rows,
      }),
      n: fc.constant(n),
    }),
  );

function softmax(logits: readonly number[][], dtype: DType = "float64"): number[][] {
  const n = logits[0]?.length ?? 0;
  const y = scope(() => {
    const x = copyIn(dtype, logits.flat());
    const y = allocateFloats(dtype, logits.length * n);
    withLayers(kernelsFor(dtype)).softmax(logits.length, n, x, y);
    return Array.from(copyOut(dtype, y, logits.length * n));
  });
  return logits.map((_, r) => y.slice(r * n, (r + 1) * n));
}

type RowLoss = "crossEntropy" | "binaryCrossEntropy" | "squaredError";

/** Losses of row-major matrices of outputs and targets; one for each row, or for each element. */
function losses(name: RowLoss, f: readonly number[], t: readonly number[], n: number, dtype: DType = "float64") {
  const rows = f.length / n;
  const count = name === "crossEntropy" ? rows : f.length;
  return scope(() => {
    const [pf, pt, out] = [copyIn(dtype, f), copyIn(dtype, t), allocateFloats("float64", count)];
    const kernels = withClasses(withTraining(kernelsFor(dtype)));
    if (name === "crossEntropy") kernels.crossEntropy(rows, n, pf, pt, out);
    else kernels[name](f.length, pf, pt, out);
    return copyOut("float64", out, count);
  });
}

describe("softmax", () => {
  test("agrees with its formula for logits of any size", () => {
    fc.assert(
      fc.property(rows, ({ f }) => {
        const got = softmax(f);
        f.forEach((row, r) => {
          expect(got[r]).toBeAllClose(reference.softmax(row), { relative: 1e-14, absolute: 1e-323 });
        });
      }),
    );
  });

  test("does not change when every logit is shifted by the same whole number", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.constantFrom(...dtypes),
        (row, shift, dtype) => {
          expect(softmax([row.map((f) => f + shift)], dtype)).toEqual(softmax([row], dtype));
        },
      ),
    );
  });

  test("of huge logits is exact", () => {
    expect(softmax([[1e308, -1e308, 0]])).toEqual([[1, 0, 0]]);
    expect(softmax([[1000, 1000]])).toEqual([[0.5, 0.5]]);
    expect(softmax([[Number.NEGATIVE_INFINITY, 3]])).toEqual([[0, 1]]);
    expect(softmax([[-1000, 0]])[0][0]).toBe(0);
    expect(softmax([[-700, 0]])[0]).toBeAllClose([9.859676543759771e-305, 1], { relative: 1e-15 });
    expect(softmax([[5]], "float32")).toEqual([[1]]);
  });

  test("of a row with NaN is NaN there, and in no other row", () => {
    expect(
      softmax([
        [1, Number.NaN],
        [0, 0],
      ]),
    ).toEqual([
      [Number.NaN, Number.NaN],
      [0.5, 0.5],
    ]);
  });

  test("of float32 is that of float64, rounded once", () => {
    fc.assert(
      fc.property(rows, ({ f }) => {
        const narrow = f.map((row) => row.map(Math.fround));
        expect(softmax(narrow, "float32")).toEqual(softmax(narrow).map((row) => row.map(Math.fround)));
      }),
    );
  });

  test("'s Jacobian times a vector is y (d − Σ y d), slab by slab, written or added", () => {
    const y = [0.2, 0.3, 0.5, 1, 0, 0];
    const d = [1, -2, 3, 4, 5, 6, 0.5, 0.25, -1, 2, 2, 2];
    for (const accumulate of [false, true]) {
      const out = scope(() => {
        const [py, pd, po] = [copyIn("float64", y), copyIn("float64", d), copyIn("float64", new Array(12).fill(10))];
        withLayers(kernelsFor("float64")).softmaxJacobian(2, 2, 3, py, pd, po, accumulate);
        return copyOut("float64", po, 12);
      });
      const expected = d.map((value, at) => {
        const [row, start] = [y.slice(at % 6 < 3 ? 0 : 3).slice(0, 3), at - (at % 3)];
        const mean = row.reduce((sum, p, i) => sum + p * d[start + i], 0);
        return row[at % 3] * (value - mean) + (accumulate ? 10 : 0);
      });
      expect(out).toBeAllClose(expected, { relative: 1e-14, absolute: 1e-15 });
    }
  });
});

describe("crossEntropy", () => {
  test("agrees with its formula for any logits and any weights", () => {
    fc.assert(
      fc.property(rows, ({ f, t, n }) => {
        const expected = f.map((row, r) => reference.crossEntropy(row, t[r]));
        expect(losses("crossEntropy", f.flat(), t.flat(), n)).toBeAllClose(expected, { relative: 2e-15 });
      }),
      { numRuns: 200 },
    );
  });

  test.each<[number[], number, number]>([
    [[50, 0], 0, 1.9287498479639178e-22],
    [[0, 50], 0, 50],
    [[0, 0], 1, Math.LN2],
    [[700, 0, 0], 0, 2 * 9.859676543759771e-305],
    [[1000, 0], 1, 1000],
    [[1e308, 0], 0, 0],
    [[-1e308, 0], 1, 0],
    [[3, Number.NEGATIVE_INFINITY], 0, 0],
    [[3, 3, 3, 3], 2, Math.log(4)],
    [[-4], 0, 0],
  ])("of the logits %j with label %d is %d", (logits, label, expected) => {
    const target = logits.map((_, i) => (i === label ? 1 : 0));
    expect(losses("crossEntropy", logits, target, logits.length)).toBeAllClose([expected], { relative: 1e-15 });
  });

  test("of NaN is NaN, in its row alone", () => {
    expect(Array.from(losses("crossEntropy", [1, Number.NaN, 0, 0], [1, 0, 1, 0], 2))).toEqual([Number.NaN, Math.LN2]);
  });
});

describe("binaryCrossEntropy", () => {
  test("agrees with its formula for any logit and any probability", () => {
    const target = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.tuple(logit, target), { maxLength: 7 }), (pairs) => {
        const [f, t] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
        const expected = f.map((x, i) => reference.binaryCrossEntropy(x, t[i]));
        const got = losses("binaryCrossEntropy", f, t, 1);
        expect(got).toBeAllClose(expected, { relative: 2e-15, absolute: 1e-323 });
      }),
      { numRuns: 200 },
    );
  });

  test.each<[number, number, number]>([
    [50, 1, 1.9287498479639178e-22],
    [-50, 0, 1.9287498479639178e-22],
    [50, 0, 50],
    [-50, 1, 50],
    [0, 0.3, Math.LN2],
    [1e308, 1, 0],
    [-1e308, 1, 1e308],
    [2, 0.25, 1.6269280110429725],
  ])("of the logit %d with target %d is %d", (f, t, expected) => {
    expect(losses("binaryCrossEntropy", [f], [t], 1)).toBeAllClose([expected], { relative: 1e-15 });
  });

  test("of NaN is NaN", () => {
    expect(Array.from(losses("binaryCrossEntropy", [Number.NaN], [0], 1))).toEqual([Number.NaN]);
  });
});

describe("squaredError", () => {
  test("squares the difference in float64, also of float32 outputs", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(logit, logit), { maxLength: 9 }), fc.constantFrom(...dtypes), (pairs, dtype) => {
        const round = dtype === "float32" ? Math.fround : (x: number) => x;
        const [f, t] = [pairs.map(([x]) => round(x)), pairs.map(([, y]) => round(y))];
        const expected = f.map((x, i) => (x - t[i]) ** 2);
        expect(differences(losses("squaredError", f, t, 1, dtype), expected)).toEqual([]);
      }),
    );
  });
});
