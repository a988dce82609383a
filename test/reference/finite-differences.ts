// Derivatives without rules: central differences.

/**
 * The Jacobian of a function of n numbers, as one row for each value, by differences of the fourth order: the error is
 * h⁴ f⁽⁵⁾/30, and ε f/h from rounding.
 */
export function finiteDifferences(
  f: (x: readonly number[]) => ArrayLike<number>,
  x: readonly number[],
  h = 5e-4,
): number[][] {
  const moved = (i: number, by: number) => Array.from(f(x.map((value, j) => (i === j ? value + by : value))));
  const columns = x.map((_, i) => {
    const [a, b, c, d] = [moved(i, -2 * h), moved(i, -h), moved(i, h), moved(i, 2 * h)];
    return a.map((_, row) => (a[row] - 8 * b[row] + 8 * c[row] - d[row]) / (12 * h));
  });
  const rows = columns.length === 0 ? 0 : columns[0].length;
  return Array.from({ length: rows }, (_, row) => columns.map((column) => column[row]));
}
