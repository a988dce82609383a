// Inner products of vectors in JavaScript's memory.

/** Σ a_i b_i, in order, of two arrays of one length. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
