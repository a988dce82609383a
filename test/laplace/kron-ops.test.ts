// The algebra of Kronecker blocks against numbers computed elsewhere (test/fixtures/kron_ops.json): sums, products, powers,
// determinants and damping, one factor without full rank.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { array, chain, dense, reshape } from "../../src/index.ts";
import { copyIn, copyOut, memoryUse, scope } from "../../src/kernels/memory.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { EkfacCurvature } from "../../src/structures/ekfac/curvature.ts";
import { KroneckerCurvature } from "../../src/structures/kronecker/curvature.ts";
import { kroneckerPrecision } from "../../src/structures/kronecker/precision.ts";
import { Prior } from "../../src/structures/prior.ts";
import { select } from "../../src/structures/selection.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";
import type { Table } from "./oracles.ts";

interface Case {
  readonly h: number;
  readonly deltas: number[];
  readonly damping: boolean;
  readonly logdet: number;
  readonly diag: Table;
  readonly diagInv: Table;
  readonly bmm: Record<"1" | "-1" | "0.5" | "-0.5", Table>;
  readonly invSquareForm: Table;
}

const fixture = JSON.parse(readFileSync("test/fixtures/kron_ops.json", "utf8")) as {
  readonly factors: readonly (readonly Table[])[];
  readonly W: Table;
  readonly cases: readonly Case[];
  readonly matrix: Table;
  readonly diag: Table;
  readonly bmm: Table;
};
const { factors, W, cases } = fixture;
const near = (table: Table) => ({ relative: 1e-9, absolute: 1e-9 * Math.max(...table.data.map(Math.abs)) });

// A network whose parameters have the shapes of the fixture's blocks: [4, 3], [4], [2, 5], [2].
const net = chain({ inputs: [5, 3], dtype: "float64" }, dense(4), (x) => reshape(x, [4, 5]), dense(2));
const selection = select("here", net);
// A is kept as a sum over so many terms.
const count = 7;
const curvature = new KroneckerCurvature(
  selection,
  count,
  selection.parameters.map((selected, i) => ({
    selected,
    b: Float64Array.from(factors[i][0].data),
    a: factors[i].length === 1 ? undefined : Float64Array.from(factors[i][1].data, (x) => count * x),
    count,
  })),
);
const size = selection.size;
const rows = Float64Array.from(W.data);
const n = rows.length / size;

/** What an operation in place in the kernels' memory makes of rows. */
function changed(values: Float64Array, change: (pointer: number) => void): Float64Array {
  return scope(() => {
    const pointer = copyIn("float64", values);
    change(pointer);
    return copyOut("float64", pointer, values.length) as Float64Array;
  });
}

const diagonalOf = (matrix: Float64Array) => Array.from({ length: size }, (_, i) => matrix[i * (size + 1)]);
const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number) => {
  let sum = 0;
  for (let p = 0; p < size; p++) sum += a[i * size + p] * b[j * size + p];
  return sum;
};
/** Rows times a symmetric matrix. */
const times = (values: Float64Array, matrix: Float64Array) =>
  Float64Array.from(values, (_, i) => dot(values, Math.floor(i / size), matrix, i % size));

test("the shapes are those of the fixture", () => {
  expect(selection.parameters.map(({ parameter }) => parameter.shape)).toEqual([[4, 3], [4], [2, 5], [2]]);
  expect([size, n, cases.length]).toEqual([28, 6, 4]);
  // One factor of rank 2: three of its eigenvalues are 0 within rounding, and none is left negative.
  const { factors: eigenvalues } = curvature.decompose()[2];
  expect(eigenvalues?.a.filter((x) => x < 1e-12).length).toBe(3);
  expect(Math.min(...curvature.decompose().flatMap(({ values }) => Array.from(values)))).toBeGreaterThanOrEqual(0);
});

test("the curvature: matrix, diagonal, products, also by the eigenbases", () => {
  const { blocks } = { blocks: curvature.decompose() };
  for (const one of [curvature, new EkfacCurvature(selection, count, blocks)]) {
    expect(one.dense().data).toBeAllClose(fixture.matrix.data, near(fixture.matrix));
    expect(one.diagonal().data).toBeAllClose(fixture.diag.data, near(fixture.diag));
    expect(one.times(array(rows, { shape: [n, size] })).data).toBeAllClose(fixture.bmm.data, near(fixture.bmm));
    expect(one.times(rows.subarray(0, size)).data).toBeAllClose(fixture.bmm.data.slice(0, size), near(fixture.bmm));
  }
});

describe.each(cases.map((one) => [one.h, one.deltas.length, one.damping, one] as const))(
  "h = %f, %i prior precisions, damping %s",
  (_h, _n, _d, { h, deltas, damping, logdet, diag, diagInv, bmm, invSquareForm }) => {
    const at = (precisions: readonly number[]) =>
      atOnce(
        kroneckerPrecision(curvature, h, new Prior(selection, Float64Array.from(precisions), new Float64Array(size)), {
          damping,
        }),
      );
    const precision = at(deltas);

    test("log det, and its derivatives in log δ by differences", () => {
      expect([precision.logDeterminant]).toBeAllClose([logdet], { relative: 1e-9 });
      const logDet = (logs: readonly number[]) => [at(logs.map(Math.exp)).logDeterminant];
      const [due] = finiteDifferences(logDet, deltas.map(Math.log));
      expect(precision.logPriorGradient()).toBeAllClose(due, { relative: 1e-8 });
    });

    test("diagonals of P and of its inverse", () => {
      expect(diagonalOf(atOnce(precision.dense()))).toBeAllClose(diag.data, near(diag));
      expect(atOnce(precision.variance())).toBeAllClose(diagInv.data, near(diagInv));
      expect(diagonalOf(atOnce(precision.covariance()))).toBeAllClose(diagInv.data, near(diagInv));
    });

    test("products with P and its powers", () => {
      const product = times(rows, atOnce(precision.dense()));
      expect(product).toBeAllClose(bmm["1"].data, near(bmm["1"]));
      expect(times(rows, atOnce(precision.covariance()))).toBeAllClose(bmm["-1"].data, near(bmm["-1"]));
      const root = changed(rows, (pointer) => precision.colour(pointer, n));
      expect(root).toBeAllClose(bmm["-0.5"].data, near(bmm["-0.5"]));
      // P^½ = P P^−½
      const other = changed(product, (pointer) => precision.colour(pointer, n));
      expect(other).toBeAllClose(bmm["0.5"].data, near(bmm["0.5"]));
    });

    test("quadratic forms in P and in its inverse", () => {
      const forms = Array.from({ length: n }, (_, i) => dot(rows, i, bmm["1"].data, i));
      expect(atOnce(precision.quadraticForm(rows, n))).toBeAllClose(forms, { relative: 1e-9 });
      // W P⁻¹ Wᵀ of each pair of rows.
      const white = changed(rows, (pointer) => precision.whiten(pointer, n));
      const found = invSquareForm.data.map((_, i) => {
        const [pair, a, b] = [Math.floor(i / 4), Math.floor(i / 2) % 2, i % 2];
        return dot(white, 2 * pair + a, white, 2 * pair + b);
      });
      expect(found).toBeAllClose(invSquareForm.data, near(invSquareForm));
    });
  },
);

test("nothing is left in the kernels' memory", () => {
  expect(memoryUse().inUse).toBe(0);
});
