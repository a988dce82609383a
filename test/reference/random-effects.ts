// Random effects by matrices of the size of rows × rows: y = Φ β + Z u + noise, with prior variances 1/κ and 1/λ of the noise's; a row of
// weight w has 1/w of it.

/** The inverse and the logarithm of the determinant, by Gauss and Jordan. */
function inverse(given: readonly (readonly number[])[]): { readonly rows: number[][]; readonly logDet: number } {
  const n = given.length;
  const a = given.map((row, i) => [...row, ...row.map((_, j) => Number(i === j))]);
  let logDet = 0;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k; i < n; i++) if (Math.abs(a[i][k]) > Math.abs(a[pivot][k])) pivot = i;
    [a[k], a[pivot]] = [a[pivot], a[k]];
    logDet += Math.log(Math.abs(a[k][k]));
    const own = a[k].map((value) => value / a[k][k]);
    for (let i = 0; i < n; i++) a[i] = i === k ? own : a[i].map((value, j) => value - a[i][k] * own[j]);
    a[k] = own;
  }
  return { rows: a.map((row) => row.slice(n)), logDet };
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Of one λ and κ: −2 log evidence at the best noise, without constants, the noise's variance, and means of effects and weights. */
export function randomEffects(
  y: readonly number[],
  design: readonly (readonly number[])[],
  level: readonly number[],
  levels: number,
  ratio: number,
  ridge: number,
  weights: readonly number[] = y.map(() => 1),
): { readonly loss: number; readonly variance: number; readonly effect: number[]; readonly beta: number[] } {
  const n = weights.reduce((sum, w) => sum + w, 0);
  const v = y.map((_, i) =>
    y.map(
      (__, j) =>
        Number(i === j) / weights[i] + dot(design[i], design[j]) / ridge + Number(level[i] === level[j]) / ratio,
    ),
  );
  const { rows, logDet } = inverse(v);
  const solved = rows.map((row) => dot(row, y));
  const variance = dot(solved, y) / n;
  return {
    loss: n * Math.log(variance) + logDet,
    variance,
    effect: Array.from({ length: levels }, (_, l) =>
      solved.reduce((sum, value, i) => sum + (level[i] === l ? value / ratio : 0), 0),
    ),
    beta: design[0].map((_, a) => solved.reduce((sum, value, i) => sum + (design[i][a] * value) / ridge, 0)),
  };
}
