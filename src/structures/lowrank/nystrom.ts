// A positive matrix from its products with some directions, and back.

import type { Steps } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import { type Eigenpairs, transposed } from "../eigenpairs.ts";
import { multiplied, productInSteps, symmetrised } from "../products.ts";

/** Eigenvalues of Ω H Ωᵀ below this part of the largest are rounding. */
const ROUNDING = 1e-14;

/**
 * Eigenvalues and vectors [b, S] of H ≈ Yᵀ (Ω Yᵀ)⁻¹ Y, smallest first, of its products Y = Ω H with directions [b, S] (Tropp,
 * Yurtsever, Udell & Cevher 2017, arXiv:1706.05736, algorithm 3). Of a matrix whose rank is at most b it is the matrix itself.
 */
export function* nystrom(omega: Float64Array, b: number, sketch: Float64Array, n: number): Steps<Eigenpairs> {
  const core = symmetrised(multiplied(omega, b, sketch, b, n), b);
  const inner = yield* eighInSteps(core, b, true);
  const least = ROUNDING * inner.values[b - 1];
  const roots = inner.values.map((value) => (value > least && value > 0 ? 1 / Math.sqrt(value) : 0));
  const rows = multiplied(transposed(inner.vectors, b, roots), b, transposed(sketch, n), n, b);
  const { values, vectors } = yield* eighInSteps(multiplied(rows, b, rows, b, n), b, true);
  const scales = values.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
  return { values, vectors: multiplied(transposed(vectors, b, scales), b, transposed(rows, n), n, b) };
}

/** Ω H, [b, S], of its eigenvalues and vectors [k, S], or H itself. */
export function* productsOf(
  { values, vectors }: Eigenpairs,
  omega: Float64Array | "all",
  n: number,
): Steps<Float64Array> {
  const k = values.length;
  const b = omega === "all" ? n : omega.length / n;
  if (k === 0) return new Float64Array(b * n);
  const shares =
    omega === "all" ? transposed(vectors, n) : yield* productInSteps(b, k, n, [omega, n, 1], [vectors, 1, n]);
  const weighed = shares.map((x, i) => x * values[i % k]);
  return yield* productInSteps(b, n, k, [weighed, k, 1], [vectors, n, 1]);
}
