// The evidence of a linear model as the density that it is: of targets under N(0, σ² I + Φ diag(1/δ) Φᵀ).

/** log N(y; 0, σ² I + Φ diag(1/δ) Φᵀ), by elimination in plain loops. */
export function logDensity(
  features: readonly (readonly number[])[],
  targets: readonly number[],
  precision: ArrayLike<number>,
  noise: number,
): number {
  const n = targets.length;
  const rows = features.map((one, i) => [
    ...features.map(
      (other, j) => one.reduce((sum, x, s) => sum + (x * other[s]) / precision[s], 0) + (i === j ? noise ** 2 : 0),
    ),
    targets[i],
  ]);
  let result = -0.5 * n * Math.log(2 * Math.PI);
  for (let i = 0; i < n; i++) {
    const pivot = rows[i][i];
    result -= 0.5 * (Math.log(pivot) + rows[i][n] ** 2 / pivot);
    for (let j = i + 1; j < n; j++) {
      const factor = rows[j][i] / pivot;
      for (let k = i; k <= n; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  return result;
}
