// Weights by which the means of a mixture's candidates make one mean: those of the least squares of rows that candidates have not seen
// (stacking, Breiman 1996), each in the deviations that the mixture has there, near the mixture's own, which make rows probable.

/** What is known of the rows that choose. */
export interface SaidOfNumbers {
  /** The mean of each candidate that has a weight, row by row, in the target's own units. */
  readonly means: readonly ArrayLike<number>[];
  readonly truth: ArrayLike<number>;
  /** The deviation of each row in which its error counts, above 0. */
  readonly deviations: ArrayLike<number>;
  /** How much rows count (default: each once). */
  readonly rowWeights?: ArrayLike<number> | undefined;
}

/** Deviation of a weight from the mixture's beforehand. */
const SPREAD = 0.1;
/** The search is at its end where a round moves no weight further, and rounds at most. */
const [SETTLED, MOST_ROUNDS] = [1e-10, 2000];

/**
 * The weights w ≥ 0 with sum 1 of the least Σ ((y − Σ w_k m_k) / d)² / s² + Σ (w_k − v_k)² / 0.1², where d are the rows' deviations and s² is the mean
 * square that the mixture's own weights v leave: the most probable ones of normal residuals and weights. Two weights at a time exchange what lowers it most, which ends at its
 * minimum, as it is strictly convex.
 * @param v of each candidate; they sum to 1
 * @returns v where the rows say nothing
 */
export function meanWeights(v: readonly number[], { means, truth, deviations, rowWeights }: SaidOfNumbers): number[] {
  const rows = truth.length;
  const size = v.length;
  // Around the truth: as the weights sum to 1, Σ w_k m_k − y = Σ w_k (m_k − y).
  const square = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) {
      const error = (k: number) => (means[k][i] - truth[i]) / deviations[i];
      sum += (rowWeights?.[i] ?? 1) * error(a) * error(b);
    }
    return sum;
  };
  const products = new Float64Array(size * size);
  for (let a = 0; a < size; a++) {
    for (let b = 0; b <= a; b++) products[a * size + b] = products[b * size + a] = square(a, b);
  }
  const total = rowWeights === undefined ? rows : Array.from(rowWeights).reduce((sum, own) => sum + own, 0);
  const along = (weights: readonly number[], a: number) =>
    weights.reduce((sum, own, b) => sum + own * products[a * size + b], 0);
  const left = v.reduce((sum, own, a) => sum + own * along(v, a), 0) / total;
  if (!(left > 0 && left < Number.POSITIVE_INFINITY)) return [...v];
  const prior = left / SPREAD ** 2;
  const weights = [...v];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let moved = 0;
    for (let a = 1; a < size; a++) {
      for (let b = 0; b < a; b++) {
        const slope = along(weights, a) - along(weights, b) + prior * (weights[a] - v[a] - weights[b] + v[b]);
        const curvature = products[a * size + a] + products[b * size + b] - 2 * products[a * size + b] + 2 * prior;
        const step = Math.max(-weights[a], Math.min(weights[b], -slope / curvature));
        weights[a] += step;
        weights[b] -= step;
        moved = Math.max(moved, Math.abs(step));
      }
    }
    if (moved < SETTLED) break;
  }
  const sum = weights.reduce((all, own) => all + own, 0);
  return weights.map((own) => own / sum);
}
