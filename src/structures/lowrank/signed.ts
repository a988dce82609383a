// Eigenpairs of an exact Hessian, whose eigenvalues have either sign, within directions that passes before found (Halko, Martinsson &
// Tropp 2011, SIAM Review 53, algorithm 5.3). What products with random directions say by themselves is right for positive matrices only.

import type { Steps } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import type { Eigenpairs } from "../eigenpairs.ts";
import { productInSteps } from "../products.ts";
import { AUTO_SHARE, mostOf } from "./sketch.ts";

/** Random directions apart from the others, by which what these leave out is estimated. */
export const PROBES = 10;

/** ‖H − V diag(l) Vᵀ‖ / ‖H‖ of eigenpairs, in the Frobenius norm, from ‖H‖². */
export const leftOutOf = (values: Float64Array, squares: number): number =>
  squares > 0 ? Math.sqrt(Math.max(0, 1 - sumOfSquares(values) / squares)) : 0;

const sumOfSquares = (values: Float64Array) => values.reduce((sum, x) => sum + x * x, 0);

/** Those that are largest by their size, that first, and ‖H‖². @param sketch Q H, or H where there is no Q */
export function* signedPairs(
  n: number,
  rank: number | "auto",
  sketch: Float64Array,
  basis: Float64Array,
): Steps<Eigenpairs & { readonly squares: number }> {
  const exact = basis.length === 0;
  const b = exact ? n : basis.length / n - PROBES;
  let inner = sketch;
  let squares = sumOfSquares(sketch);
  if (!exact) {
    // The products of all directions along Q: Q H Qᵀ, and what the others have there.
    const along = yield* productInSteps(b + PROBES, b, n, [sketch, n, 1], [basis, 1, n]);
    inner = along.subarray(0, b * b);
    for (let i = 0; i < b; i++) {
      for (let j = 0; j < i; j++) inner[i * b + j] = inner[j * b + i] = 0.5 * (inner[i * b + j] + inner[j * b + i]);
    }
    // ‖QHQᵀ‖² + 2 ‖QH(1 − QᵀQ)‖², and of the rest the mean of its products with normal directions (Hutchinson 1990).
    const beyond = sumOfSquares(sketch.subarray(b * n)) - sumOfSquares(along.subarray(b * b));
    squares = 2 * sumOfSquares(sketch.subarray(0, b * n)) - sumOfSquares(inner) + Math.max(0, beyond) / PROBES;
  }
  const { values, vectors } = yield* eighInSteps(inner, b, true);
  const order = Array.from(values, (_, k) => k).sort((i, j) => Math.abs(values[j]) - Math.abs(values[i]));
  const least = n * 2 ** -52 * Math.abs(values[order[0]]);
  let count = 0;
  const kept = new Float64Array(Math.min(b, mostOf(rank)));
  while (count < kept.length && Math.abs(values[order[count]]) > least) {
    if (rank === "auto" && leftOutOf(kept.subarray(0, count), squares) <= AUTO_SHARE) break;
    kept[count] = values[order[count]];
    count++;
  }
  const turns = new Float64Array(count * b);
  for (let k = 0; k < count; k++) for (let i = 0; i < b; i++) turns[k * b + i] = vectors[i * b + order[k]];
  const rows = exact ? turns : yield* productInSteps(count, n, b, [turns, b, 1], [basis, n, 1]);
  return { values: kept.slice(0, count), vectors: rows, squares };
}
