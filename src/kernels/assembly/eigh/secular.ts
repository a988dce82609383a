// Roots of the secular equation 1/rho + sum z_k^2 / (d_k - x) = 0 of a rank-one update (Cuppen 1981). Each root is held
// as an offset from its closest pole, so that d_k - x keeps full relative accuracy (Gu & Eisenstat 1995). The start is
// the two-pole quadratic of Li (LAPACK Working Note 89); the iteration interpolates f, f' and f'' by two poles and a
// constant (Borges & Gragg 1993, cubic and monotone), safeguarded by a bracket. f'' costs no further division.
import { fma, sum } from "./simd";

const EPSILON: f64 = 1.1102230246251565e-16;
const ITERATIONS = 200;

// Results of the last accumulate: sums of z^2 / t, z^2 / t^2 and z^2 / t^3 over a range of poles, t = d_k - x.
let value: f64 = 0, slope: f64 = 0, curvature: f64 = 0;

/** Sums over n poles at d with weights z2, for x = origin + tau; leaves 1 / (d_k - x) in inverse. */
function accumulate(n: usize, d: usize, z2: usize, origin: f64, tau: f64, inverse: usize): void {
  const o = f64x2.splat(origin), t = f64x2.splat(tau), one = f64x2.splat(1);
  let f = f64x2.splat(0), g = f, h = f, f1 = f, g1 = f, h1 = f;
  let end = d + ((n & ~3) << 3);
  for (; d < end; d += 32, z2 += 32, inverse += 32) {
    let r = f64x2.div(one, f64x2.sub(f64x2.sub(v128.load(d), o), t));
    v128.store(inverse, r);
    let q = f64x2.mul(r, v128.load(z2));
    f = f64x2.add(f, q);
    g = fma(q, r, g);
    h = fma(f64x2.mul(q, r), r, h);
    r = f64x2.div(one, f64x2.sub(f64x2.sub(v128.load(d, 16), o), t));
    v128.store(inverse, r, 16);
    q = f64x2.mul(r, v128.load(z2, 16));
    f1 = f64x2.add(f1, q);
    g1 = fma(q, r, g1);
    h1 = fma(f64x2.mul(q, r), r, h1);
  }
  let a = sum(f64x2.add(f, f1)), b = sum(f64x2.add(g, g1)), c = sum(f64x2.add(h, h1));
  end = d + ((n & 3) << 3);
  for (; d < end; d += 8, z2 += 8, inverse += 8) {
    const r = 1 / (load<f64>(d) - origin - tau);
    store<f64>(inverse, r);
    const q = r * load<f64>(z2);
    a += q;
    b += q * r;
    c += q * r * r;
  }
  value = a; slope = b; curvature = c;
}

/** A point inside a bracket on one side of zero, by orders of magnitude while its ends are far apart. */
function between(low: f64, high: f64): f64 {
  const near = Math.min(Math.abs(low), Math.abs(high)), far = Math.max(Math.abs(low), Math.abs(high));
  const size = near == 0 ? far * (1.0 / 1024) : far > 16 * near ? Math.sqrt(near) * Math.sqrt(far) : 0.5 * (near + far);
  return high > 0 ? size : -size;
}

/**
 * @internal Root i of k poles d (ascending) with squared weights z2 and total = sum z2; writes 1 / (d_j - root) to inverse (k)
 * and returns the root, or NaN if it does not settle.
 */
export function secularRoot(k: usize, i: usize, d: usize, z2: usize, rho: f64, total: f64, inverse: usize): f64 {
  const last = i + 1 == k;
  const constant = 1 / rho;
  // The two poles of the interpolation: around the root, or both below it for the last root.
  const left = last ? i - 1 : i;
  const pl = d + (left << 3), zl = z2 + (left << 3);
  const dl = load<f64>(pl), dr = load<f64>(pl, 8), wl = load<f64>(zl), wr = load<f64>(zl, 8);
  const gap = dr - dl;
  const split = i + 1, at = split << 3;
  let origin = last ? dr : dl;
  let low: f64 = 0, high = last ? rho * total * (1 + 8 * EPSILON) : 0.5 * gap;
  let tau = last ? 0.5 * high : high;
  accumulate(k, d, z2, origin, tau, inverse);
  let f = constant + value;
  const rest = f - wl * load<f64>(inverse + (left << 3)) - wr * load<f64>(inverse + (left << 3), 8);
  if (last) {
    if (f < 0) low = tau; else high = tau;
    const a = wl + wr - rest * gap, b = wr * gap;
    const root = Math.sqrt(Math.abs(a * a + 4 * b * rest));
    tau = a < 0 ? 2 * b / (root - a) : (a + root) / (2 * rest);
  } else if (f > 0) {
    const a = rest * gap + wl + wr, b = wl * gap;
    const root = Math.sqrt(Math.abs(a * a - 4 * b * rest));
    tau = a > 0 ? 2 * b / (a + root) : (a - root) / (2 * rest);
  } else {
    origin = dr;
    low = -0.5 * gap;
    high = 0;
    const a = rest * gap - wl - wr, b = wr * gap;
    const root = Math.sqrt(Math.abs(a * a + 4 * b * rest));
    tau = a < 0 ? 2 * b / (a - root) : -(a + root) / (2 * rest);
  }
  if (!(tau > low && tau < high)) tau = 0.5 * (low + high);
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    accumulate(split, d, z2, origin, tau, inverse);
    const psi = value, psi1 = slope, psi2 = curvature;
    accumulate(k - split, d + at, z2 + at, origin, tau, inverse + at);
    const phi = value, f1 = psi1 + slope, f2 = psi2 + curvature;
    f = constant + psi + phi;
    // Rounding in the sums and in tau itself (LAPACK Working Note 89, section 4)
    if (Math.abs(f) <= EPSILON * (8 * (phi - psi) + 2 * constant + Math.abs(tau) * f1)) return origin + tau;
    if (f < 0) low = tau; else high = tau;
    const tl = dl - origin - tau, tr = dr - origin - tau;
    const a = (tl + tr) * f - tl * tr * f1;
    const b = tl * tr * f;
    const c = f - (tl + tr) * f1 + tl * tr * f2;
    const root = Math.sqrt(Math.max(a * a - 4 * b * c, 0));
    let step: f64;
    if (last) step = a >= 0 ? (a + root) / (2 * c) : 2 * b / (a - root);
    else step = a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root);
    if (!(f * step < 0)) step = -f / f1;
    let next = tau + step;
    if (!(next > low && next < high)) next = between(low, high);
    if (Math.abs(next - tau) <= EPSILON * Math.abs(tau)) return origin + tau;
    tau = next;
  }
  return NaN;
}
