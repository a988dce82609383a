// The Kronecker product nearest to a precision that is not one. In a basis where the precision is diag(p), of rows i and columns
// j, the Gaussian with the precision diag(u_i v_j) that has the least Kullback-Leibler divergence KL(q ‖ N(0, diag(p)⁻¹)) is that
// where the ratios p_ij / (u_i v_j) have the mean 1 in every row and column: ½ Σ (r − 1 − log r) of the ratios r is smallest there, and convex in
// log u and log v. The divergence does not change with the basis, be it orthonormal or not. As Sinkhorn & Knopp 1967, rows and
// columns take turns. It begins near the damped factors of
// Martens & Grosse 2015 (arXiv:1503.05671, 6.3).

import type { Steps } from "../../kernels/steps.ts";

/** Turns of rows and columns at most, and the most by which a row's mean may be off 1. */
const MOST_TURNS = 2000;
const CLOSE = 1e-9;

/**
 * u [rows] and v [columns] whose products are nearest to p = x_i y_j + c, with c > 0: in each turn the divergence falls.
 * @param p [rows, columns] @param y [columns]
 */
export function* nearestProduct(
  p: Float64Array,
  y: Float64Array,
  c: number,
): Steps<{ readonly rows: Float64Array; readonly columns: Float64Array }> {
  const [n, m] = [p.length / y.length, y.length];
  const rows = new Float64Array(n);
  const columns = y.map((one) => one + Math.sqrt(c));
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    let worst = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < m; j++) sum += p[i * m + j] / columns[j];
      const next = sum / m;
      worst = Math.max(worst, Math.abs(next / rows[i] - 1));
      rows[i] = next;
    }
    const sums = new Float64Array(m);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) sums[j] += p[i * m + j] / rows[i];
    }
    for (let j = 0; j < m; j++) columns[j] = sums[j] / n;
    yield;
    if (worst < CLOSE) break;
  }
  return { rows, columns };
}
