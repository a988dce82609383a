// Softmax regression as it is written down: Newton's method on the whole Hessian over all classes, in plain loops.

/** Σ_i u_i (Σ_c t_ic log Σ_c exp f_ic − Σ_c t_ic f_ic) + ½ δ ‖W‖² with f = Φ W. */
export interface Softmax {
  readonly features: readonly (readonly number[])[];
  readonly targets: readonly (readonly number[])[];
  readonly weights: readonly number[];
  readonly penalty: number;
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);

const logits = (phi: readonly number[], w: readonly (readonly number[])[], classes: number) =>
  Array.from({ length: classes }, (_, c) => phi.reduce((sum, x, s) => sum + x * w[s][c], 0));

function softmax(f: readonly number[]): number[] {
  const most = Math.max(...f);
  const all = f.map((one) => Math.exp(one - most));
  const sum = all.reduce((total, one) => total + one, 0);
  return all.map((one) => one / sum);
}

export function objective({ features, targets, weights, penalty }: Softmax, w: readonly (readonly number[])[]): number {
  const losses = features.map((phi, i) => {
    const f = logits(phi, w, targets[i].length);
    const most = Math.max(...f);
    const log = most + Math.log(f.reduce((sum, one) => sum + Math.exp(one - most), 0));
    return weights[i] * targets[i].reduce((sum, t, c) => sum + t * (log - f[c]), 0);
  });
  return losses.reduce((sum, one) => sum + one, 0) + 0.5 * penalty * w.flat().reduce((sum, one) => sum + one * one, 0);
}

/** x of A x = b by elimination with the largest pivots. */
function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]]);
  const n = b.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let j = i; j < n; j++) if (Math.abs(rows[j][i]) > Math.abs(rows[pivot][i])) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let j = i + 1; j < n; j++) {
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k <= n; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) x[i] = (rows[i][n] - dot(rows[i].slice(i + 1, n), x.slice(i + 1))) / rows[i][i];
  return x;
}

/** The gradient of the objective at W, [S C]. */
export function slopes({ features, targets, weights, penalty }: Softmax, w: readonly (readonly number[])[]): number[] {
  const classes = targets[0].length;
  const gradient = w.flat().map((one) => penalty * one);
  features.forEach((phi, i) => {
    const counted = targets[i].reduce((sum, t) => sum + t, 0);
    const p = softmax(logits(phi, w, classes)).map((one) => one * counted);
    for (let s = 0; s < phi.length; s++)
      for (let c = 0; c < classes; c++) gradient[s * classes + c] += weights[i] * phi[s] * (p[c] - targets[i][c]);
  });
  return gradient;
}

/** W [S, C] at the minimum. */
export function minimum(given: Softmax): number[][] {
  const { features, targets, weights, penalty } = given;
  const [size, classes] = [features[0].length, targets[0].length];
  let w = Array.from({ length: size }, () => new Array<number>(classes).fill(0));
  for (let step = 0; step < 200; step++) {
    const gradient = slopes(given, w);
    const hessian = gradient.map((_, k) => gradient.map((__, l) => (k === l ? penalty : 0)));
    features.forEach((phi, i) => {
      const counted = targets[i].reduce((sum, t) => sum + t, 0);
      const p = softmax(logits(phi, w, classes));
      for (let s = 0; s < size; s++)
        for (let c = 0; c < classes; c++)
          for (let r = 0; r < size; r++)
            for (let d = 0; d < classes; d++)
              hessian[s * classes + c][r * classes + d] +=
                weights[i] * counted * phi[s] * phi[r] * ((c === d ? p[c] : 0) - p[c] * p[d]);
    });
    const by = solve(hessian, gradient);
    const at = (t: number) => w.map((row, s) => row.map((one, c) => one - t * by[s * classes + c]));
    const decrease = dot(gradient, by);
    let t = 1;
    while (t > 1e-12 && !(objective(given, at(t)) <= objective(given, w) - 1e-4 * t * decrease)) t /= 2;
    w = at(t > 1e-12 ? t : 1);
    if (decrease < 1e-24) break;
  }
  return w;
}
