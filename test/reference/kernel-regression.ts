// A Gaussian process of the kernel Π exp(−|x_i − z_i| / length) beside a linear function, by the textbook (Rasmussen & Williams 2006, algorithm
// 2.1), with the inverse of the whole matrix of all rows.

/** What the regression is given. */
export interface KernelRegression {
  /** [rows][inputs] */
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly length: number;
  /** Variances of the function at a row, of the bias, of a weight of an input, and of the noise. */
  readonly variances: {
    readonly kernel: number;
    readonly bias: number;
    readonly linear: number;
    readonly noise: number;
  };
}

/** The function's mean and variance at a row. */
export function kernelRegression({ x, y, length, variances }: KernelRegression, at: readonly number[]) {
  const covariance = (a: readonly number[], b: readonly number[]) => {
    const distance = a.reduce((sum, one, i) => sum + Math.abs(one - b[i]), 0);
    const product = a.reduce((sum, one, i) => sum + one * b[i], 0);
    return variances.kernel * Math.exp(-distance / length) + variances.bias + variances.linear * product;
  };
  const matrix = x.map((a, i) => x.map((b, j) => covariance(a, b) + (i === j ? variances.noise : 0)));
  const k = x.map((a) => covariance(a, at));
  const weights = solve(matrix, k);
  return {
    mean: weights.reduce((sum, one, i) => sum + one * y[i], 0),
    variance: covariance(at, at) - weights.reduce((sum, one, i) => sum + one * k[i], 0),
  };
}

/** Gauss's elimination with pivots. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]]);
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(rows[r][c]) > Math.abs(rows[pivot][c])) pivot = r;
    [rows[c], rows[pivot]] = [rows[pivot], rows[c]];
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = rows[r][c] / rows[c][c];
      for (let j = c; j <= n; j++) rows[r][j] -= factor * rows[c][j];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}
