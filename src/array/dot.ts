// Inner products of vectors in JavaScript's memory.

/** Σ a_i b_i, in order, of two arrays of one length. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
