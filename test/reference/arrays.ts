// Products and sums of plain lists of numbers, by their definitions.

/** C = A B for row-major A (m by k) and B (k by n); `size` is the same sum over absolute values, for error bounds. */
export function matmul(a: ArrayLike<number>, b: ArrayLike<number>, m: number, n: number, k: number) {
  const product: number[] = [];
  const size: number[] = [];
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let absolute = 0;
      for (let p = 0; p < k; p++) {
        sum += a[i * k + p] * b[p * n + j];
        absolute += Math.abs(a[i * k + p] * b[p * n + j]);
      }
      product.push(sum);
      size.push(absolute);
    }
  }
  return { product, size };
}

/** The rows of a row-major m by n matrix as columns. */
export function transpose<T>(a: ArrayLike<T>, m: number, n: number): T[] {
  const result: T[] = [];
  for (let j = 0; j < n; j++) for (let i = 0; i < m; i++) result.push(a[i * n + j]);
  return result;
}

/** Every a[i] c[j], row by row. */
export function outer(a: ArrayLike<number>, c: ArrayLike<number>): number[] {
  return Array.from(a).flatMap((x) => Array.from(c).map((y) => x * y));
}

/** The positions at which two lists differ in a bit; -0 differs from 0. */
export function differences(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  if (a.length !== b.length) return [-1];
  return Array.from(a).flatMap((x, i) => (Object.is(x, b[i]) ? [] : [i]));
}

/** Half the spacing of the numbers just above 1. */
export const epsilon = { float32: 2 ** -24, float64: 2 ** -53 } as const;
