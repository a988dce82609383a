// The scale on which a skewed target is learned: its logarithm, or the power of Yeo & Johnson (Biometrika 87, 2000). Predictions are
// equal to the bit in every runtime.

import { portableExp, portableExpm1, portableLog, portableLog1p, portableNormalDensity } from "../array/portable.ts";
import { rootByTable, type Tabled, tabledRoot } from "./inverse-table.ts";
import { momentsOf } from "./moments.ts";

/** A scale beside the target's own: T(y) = log y, or that of u = (y − center) / unit by Yeo and Johnson's power λ. */
export type TargetScale =
  | { readonly kind: "log" }
  | {
      readonly kind: "yeoJohnson";
      /** From 0, nearly a logarithm on the right, to 2, one on the left; 1 changes nothing. */
      readonly lambda: number;
      readonly center: number;
      readonly unit: number;
    };

/** What of an exponent leaves float64 numbers finite, also where they are multiplied a little. */
const MOST_EXPONENT = 300;
const exponential = (x: number) => portableExp(Math.min(x, MOST_EXPONENT));

/** ((1 + a)^p − 1) / p for a ≥ 0 and p ≥ 0, and its inverse. */
const power = (a: number, p: number) => (p === 0 ? portableLog1p(a) : portableExpm1(p * portableLog1p(a)) / p);
const root = (t: number, p: number) => portableExpm1(Math.min(p === 0 ? t : portableLog1p(p * t) / p, MOST_EXPONENT));

/** T(y); of a logarithm NaN where y is not positive. */
export function onScale(scale: TargetScale | undefined, y: number): number {
  if (scale === undefined) return y;
  if (scale.kind === "log") return y > 0 ? portableLog(y) : Number.NaN;
  const u = (y - scale.center) / scale.unit;
  return u >= 0 ? power(u, scale.lambda) : -power(-u, 2 - scale.lambda);
}

/** The y with T(y) = t; finite. */
export function fromScale(scale: TargetScale | undefined, t: number): number {
  if (scale === undefined) return t;
  if (scale.kind === "log") return exponential(t);
  const u = t >= 0 ? root(t, scale.lambda) : -root(-t, 2 - scale.lambda);
  return u * scale.unit + scale.center;
}

/** log T′(y): what a density on the scale is to be multiplied by, in its logarithm. */
export function logSlope(scale: TargetScale | undefined, y: number): number {
  if (scale === undefined) return 0;
  if (scale.kind === "log") return y > 0 ? -portableLog(y) : Number.NaN;
  const u = (y - scale.center) / scale.unit;
  return (u >= 0 ? scale.lambda - 1 : 1 - scale.lambda) * portableLog1p(Math.abs(u)) - portableLog(scale.unit);
}

/** T⁻¹′(t), at the y that `fromScale` gives. */
export function inverseSlope(scale: TargetScale, t: number): number {
  if (scale.kind === "log") return Math.exp(Math.min(t, MOST_EXPONENT));
  const [p, a] = t >= 0 ? [scale.lambda, t] : [2 - scale.lambda, -t];
  const exponent = Math.min(p === 0 ? a : Math.log1p(p * a) / p, MOST_EXPONENT);
  return scale.unit * Math.exp((1 - p) * exponent);
}

/** Nodes of the trapezoidal rule over a standard normal, which converges geometrically for what is smooth. */
const [NODE_STEP, NODES] = [0.25, 32];
let shares: Float64Array | undefined;

/** The shares of a standard normal number at the nodes, which are made at first use. */
function nodeShares(): Float64Array {
  if (shares === undefined) {
    const own = Array.from(
      { length: 2 * NODES + 1 },
      (_, k) => NODE_STEP * portableNormalDensity(NODE_STEP * (k - NODES)),
    );
    const total = own.reduce((sum, weight) => sum + weight, 0);
    shares = Float64Array.from(own, (weight) => weight / total);
  }
  return shares;
}

/** The roots of powers by tables, for t above 0 and below, that are made at a scale's first use. */
const tabled = new WeakMap<TargetScale, readonly [above: Tabled, below: Tabled]>();

function tablesOf(scale: TargetScale & { readonly kind: "yeoJohnson" }): readonly [above: Tabled, below: Tabled] {
  let tables = tabled.get(scale);
  if (tables === undefined) {
    tables = [rootByTable(root, scale.lambda), rootByTable(root, 2 - scale.lambda)];
    tabled.set(scale, tables);
  }
  return tables;
}

/** Mean and variance of y where T(y) is normal: of a logarithm those of the log-normal, of a power by quadrature. */
export function momentsFromScale(scale: TargetScale, mean: number, variance: number): readonly [number, number] {
  if (scale.kind === "log") {
    const center = exponential(mean + variance / 2);
    const relative = exponential(variance) - 1;
    return [center, Math.min(relative * center, Number.MAX_VALUE / center) * center];
  }
  const sd = Math.sqrt(variance);
  const { center, unit } = scale;
  const weights = nodeShares();
  const [above, below] = tablesOf(scale);
  // Differences to the value in the middle, so that the mean's square takes no digits of the variance.
  const middle = (mean >= 0 ? tabledRoot(above, mean) : -tabledRoot(below, -mean)) * unit + center;
  let [shift, square] = [0, 0];
  for (let k = 0; k < weights.length; k++) {
    const t = mean + sd * NODE_STEP * (k - NODES);
    const own = (t >= 0 ? tabledRoot(above, t) : -tabledRoot(below, -t)) * unit + center - middle;
    const share = weights[k] * own;
    shift += share;
    square += share * own;
  }
  const spread = square === Number.POSITIVE_INFINITY ? Number.MAX_VALUE : square - shift * shift;
  return [middle + shift, Math.max(spread, 0)];
}

/** Points of the search for λ. */
const LAMBDA_STEPS = 40;

/** The scale of a kind for values; undefined where they have none, logarithms of numbers that are not positive. */
export function scaleOf(kind: TargetScale["kind"], values: ArrayLike<number>): TargetScale | undefined {
  const list = Array.from(values);
  if (kind === "log") return list.every((y) => y > 0) ? { kind } : undefined;
  const sorted = list.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))];
  const unit = 0.75 * (at(0.75) - at(0.25)) || momentsOf(list).sd;
  if (!(unit > 0 && unit < Number.POSITIVE_INFINITY)) return undefined;
  let best: TargetScale | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k <= LAMBDA_STEPS; k++) {
    const scale = { kind, lambda: (2 * k) / LAMBDA_STEPS, center: at(0.5), unit } as const;
    const found = marginalDensity(scale, list);
    if (found > most) [best, most] = [scale, found];
  }
  return best;
}

/** The mean log density of values of which those on the scale are normal, with the moments that they have. */
function marginalDensity(scale: TargetScale | undefined, values: readonly number[]): number {
  const { sd } = momentsOf(values.map((y) => onScale(scale, y)));
  const slope = values.reduce((sum, y) => sum + logSlope(scale, y) / values.length, 0);
  return slope - Math.log(sd) - 0.5 * Math.log(2 * Math.PI * Math.E);
}
