// Orthonormal directions of the functions at some points: of the rows of their Jacobian, the ones of the tangent kernel's largest
// eigenvalues (Deng, Zhou & Zhu 2022, arXiv:2210.12642).

import { unit } from "../../derivatives/cotangents.ts";
import { keptMatrix, sized } from "../../kernels/dry-run.ts";
import { bringOut } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import { reporting } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import type { Contraction } from "../../network/run.ts";
import { runInSteps } from "../../network/run.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { productInSteps } from "../products.ts";
import type { Selection } from "../selection.ts";
import type { PassOptions, Sizes } from "../structure.ts";

/** Eigenvalues of the kernel below this part of the largest are rounding. */
const ROUNDING = 1e-13;

/** k: one direction for each output of each point, no more than there are weights, and no more than the rank. */
export function featuresOf({ size, graph }: Selection, { rank, points }: Sizes): number {
  return Math.min(points * graph.output.size, size, rank === "auto" ? Number.POSITIVE_INFINITY : rank);
}

/** Vᵀ, [k, S]: rows that are orthonormal, and rows of zeros where the points have no more directions. */
export function* basisOf({ net, selection, rank, points }: PassOptions): Steps<Float64Array> {
  if (points === undefined) return new Float64Array(0);
  const { size: n } = selection;
  const count = points.shape[0] * net.graph.output.size;
  const k = featuresOf(selection, { rank, points: points.shape[0] });
  if (k === n) {
    const all = new Float64Array(n * n);
    for (let i = 0; i < n; i++) all[i * (n + 1)] = 1;
    return all;
  }
  const rows = new Float64Array(count * n);
  let at = 0;
  const kept: Contraction<void> = {
    scratch: 2 * net.graph.output.size * n,
    add(backward) {
      const length = backward.batch * backward.columns * n;
      bringOut("float64", float64Rows(backward, selection), length, rows, at);
      at += length;
    },
    finish() {},
  };
  const run = runInSteps("points", net, [{ inputs: points }], unit(), kept, selection.reaches);
  yield* reporting(run, () => undefined);
  return yield* orthonormal(rows, count, n, k);
}

/** What finding them takes, in a dry run. */
export function dryBasis(selection: Selection, sizes: Sizes): void {
  const { size: n } = selection;
  const count = sizes.points * selection.graph.output.size;
  const k = featuresOf(selection, sizes);
  if (k === n) return;
  keptMatrix(count * n);
  const steps = orthonormal(sized(count * n), count, n, k);
  while (steps.next().done !== true);
}

/** The k directions in which rows [m, n] are largest, [k, n]. */
export function* orthonormal(rows: Float64Array, m: number, n: number, k: number): Steps<Float64Array> {
  if (m > n) {
    const { vectors } = yield* eighInSteps(yield* productInSteps(n, n, m, [rows, 1, n], [rows, n, 1]), n, true);
    const last = keptMatrix(k * n);
    for (let i = 0; i < k; i++) for (let j = 0; j < n; j++) last[i * n + j] = vectors[j * n + n - 1 - i];
    return last;
  }
  const first = yield* scaled(rows, m, n, k, ROUNDING);
  // Rounding has turned those of small eigenvalues a little; of nearly orthonormal rows nothing is lost.
  return yield* scaled(first, k, n, k, 0.5);
}

/** The k rows u R / √λ of the largest eigenvalues λ of R Rᵀ; zeros where they are less than a part of the largest. */
function* scaled(rows: Float64Array, m: number, n: number, k: number, least: number): Steps<Float64Array> {
  const { values, vectors } = yield* eighInSteps(yield* productInSteps(m, m, n, [rows, n, 1], [rows, 1, n]), m, true);
  const turns = keptMatrix(k * m);
  for (let i = 0; i < k; i++) {
    const from = m - 1 - i;
    const factor = values[from] > least * values[m - 1] ? 1 / Math.sqrt(values[from]) : 0;
    for (let j = 0; j < m; j++) turns[i * m + j] = factor * vectors[j * m + from];
  }
  return yield* productInSteps(k, n, m, [turns, m, 1], [rows, n, 1]);
}
