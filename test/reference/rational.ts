// Determinants and quadratic forms of small matrices of float64 numbers without any rounding, in whole numbers.

/** A number as m / 2^places. */
function whole(x: number, places: number): bigint {
  let [mantissa, shift] = [x, 0];
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    shift++;
  }
  if (shift > places) throw new RangeError(`${x} has more than ${places} binary places.`);
  return BigInt(mantissa) << BigInt(places - shift);
}

/** A whole number's logarithm. */
function log(n: bigint): number {
  const bits = n.toString(2).length;
  const shift = Math.max(0, bits - 60);
  return Math.log(Number(n >> BigInt(shift))) + shift * Math.LN2;
}

/** The determinant of whole numbers, by elimination without fractions (Bareiss 1968). */
function determinant(rows: readonly (readonly bigint[])[]): bigint {
  const a = rows.map((row) => [...row]);
  const n = a.length;
  let before = 1n;
  for (let k = 0; k < n - 1; k++) {
    for (let i = k + 1; i < n; i++) {
      for (let j = k + 1; j < n; j++) a[i][j] = (a[i][j] * a[k][k] - a[i][k] * a[k][j]) / before;
    }
    before = a[k][k];
  }
  return a[n - 1][n - 1];
}

const PLACES = 200;

/** Σ h x xᵀ + δ I over rows x, exactly; h and δ are float64. */
export function precisionOf(rows: readonly (readonly number[])[], h: number, delta: number): bigint[][] {
  const x = rows.map((row) => row.map((entry) => whole(entry, PLACES)));
  const [factor, prior] = [whole(h, PLACES), whole(delta, PLACES) << BigInt(3 * PLACES - PLACES)];
  const n = rows[0].length;
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => {
      const sum = x.reduce((total, row) => total + row[i] * row[j], 0n);
      return factor * sum + (i === j ? prior : 0n);
    }),
  );
}

/** log det of such a matrix. */
export function logDeterminant(p: readonly (readonly bigint[])[]): number {
  return log(determinant(p)) - p.length * 3 * PLACES * Math.LN2;
}

/** xᵀ P⁻¹ x, by a determinant with x around P. */
export function inverseForm(p: readonly (readonly bigint[])[], x: readonly number[]): number {
  const v = x.map((entry) => whole(entry, PLACES));
  const around = [...p.map((row, i) => [...row, v[i]]), [...v, 0n]];
  return Math.exp(log(-determinant(around)) - log(determinant(p)) + (3 * PLACES - 2 * PLACES) * Math.LN2);
}
