// Householder reduction of a symmetric matrix to tridiagonal form, A = Q T Q'. Rows are eliminated from the last
// upwards, so that in row-major lower storage every reflector is one contiguous row (Golub & Van Loan, section 8.3.1).
// While the matrix fits the cache, the rank-2 update of one step is fused with the symmetric matrix-vector product of
// the next. Above that the updates of a panel of steps are deferred to one matrix product (Dongarra, Sorensen &
// Hammarling 1989), so that a step only reads the triangle.
import { gemm } from "../gemm";
import { combine, dot, fma, sum } from "./simd";

const PANEL: usize = 32; // steps whose updates are deferred together
const STRIP: usize = 120; // rows that an update takes at once
const CROSSOVER: usize = 256; // largest order of which the triangle stays in the second-level cache

/** @internal Turns row x (length i) into a reflector with v[i - 1] = 1; returns tau and writes the subdiagonal element to e. */
export function reflector(i: usize, x: usize, e: usize): f64 {
  const last = x + ((i - 1) << 3);
  const alpha = load<f64>(last);
  const tail = dot(i - 1, x, x);
  // The matrix has norm about 1: below this the squares lose accuracy, and dropping the tail costs 1e-140.
  if (tail < 1e-280) {
    memory.fill(x, 0, i << 3);
    store<f64>(e, alpha);
    return 0;
  }
  const beta = -Math.sqrt(alpha * alpha + tail) * (alpha < 0 ? -1.0 : 1.0);
  combine(i - 1, 0, x, 1 / (alpha - beta), x);
  store<f64>(last, 1);
  store<f64>(e, beta);
  return (beta - alpha) / beta;
}

/** @internal y = A x for the leading k rows of the lower triangle at h; rows ascend, so y[r] is set before it is added to. */
export function symv(k: usize, h: usize, ld: usize, x: usize, y: usize): void {
  let r: usize = 0;
  for (; r + 4 <= k; r += 4) symvRows4(r, h + r * ld, ld, x, y);
  for (; r < k; r++) {
    const row = h + r * ld, xr = load<f64>(x + (r << 3));
    const s = dot(r, row, x);
    combine(r, xr, row, 1, y);
    store<f64>(y + (r << 3), s + load<f64>(row + (r << 3)) * xr);
  }
}

function symvRows4(r: usize, p0: usize, ld: usize, x: usize, y: usize): void {
  const xr = x + (r << 3);
  const x0 = v128.load64_splat(xr), x1 = v128.load64_splat(xr, 8), x2 = v128.load64_splat(xr, 16), x3 = v128.load64_splat(xr, 24);
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let p1 = p0 + ld, p2 = p1 + ld, p3 = p2 + ld;
  for (; x != xr; x += 32, y += 32) {
    let xx = v128.load(x), yy = v128.load(y);
    let a = v128.load(p0); s0 = fma(a, xx, s0); yy = fma(a, x0, yy);
    a = v128.load(p1); s1 = fma(a, xx, s1); yy = fma(a, x1, yy);
    a = v128.load(p2); s2 = fma(a, xx, s2); yy = fma(a, x2, yy);
    a = v128.load(p3); s3 = fma(a, xx, s3); yy = fma(a, x3, yy);
    v128.store(y, yy);
    xx = v128.load(x, 16); yy = v128.load(y, 16);
    a = v128.load(p0, 16); s0 = fma(a, xx, s0); yy = fma(a, x0, yy);
    a = v128.load(p1, 16); s1 = fma(a, xx, s1); yy = fma(a, x1, yy);
    a = v128.load(p2, 16); s2 = fma(a, xx, s2); yy = fma(a, x2, yy);
    a = v128.load(p3, 16); s3 = fma(a, xx, s3); yy = fma(a, x3, yy);
    v128.store(y, yy, 16);
    p0 += 32; p1 += 32; p2 += 32; p3 += 32;
  }
  const u0 = load<f64>(xr), u1 = load<f64>(xr, 8), u2 = load<f64>(xr, 16), u3 = load<f64>(xr, 24);
  const a10 = load<f64>(p1), a20 = load<f64>(p2), a21 = load<f64>(p2, 8);
  const a30 = load<f64>(p3), a31 = load<f64>(p3, 8), a32 = load<f64>(p3, 16);
  store<f64>(y, sum(s0) + load<f64>(p0) * u0 + a10 * u1 + a20 * u2 + a30 * u3);
  store<f64>(y, sum(s1) + a10 * u0 + load<f64>(p1, 8) * u1 + a21 * u2 + a31 * u3, 8);
  store<f64>(y, sum(s2) + a20 * u0 + a21 * u1 + load<f64>(p2, 16) * u2 + a32 * u3, 16);
  store<f64>(y, sum(s3) + a30 * u0 + a31 * u1 + a32 * u2 + load<f64>(p3, 24) * u3, 24);
}

/** A -= v w' + w v' and y = A x in one pass over the leading k rows. */
function updateSymv(k: usize, h: usize, ld: usize, v: usize, w: usize, x: usize, y: usize): void {
  let r: usize = 0;
  for (; r + 2 <= k; r += 2) fusedRows2(r << 3, h + r * ld, h + r * ld + ld, v, w, x, y);
  if (r < k) {
    const row = h + r * ld, xr = load<f64>(x + (r << 3)), vr = load<f64>(v + (r << 3)), wr = load<f64>(w + (r << 3));
    combine(r + 1, -vr, w, 1, row);
    combine(r + 1, -wr, v, 1, row);
    const s = dot(r, row, x);
    combine(r, xr, row, 1, y);
    store<f64>(y + (r << 3), s + load<f64>(row + (r << 3)) * xr);
  }
}

function fusedRows2(bytes: usize, p0: usize, p1: usize, v: usize, w: usize, x: usize, y: usize): void {
  const vr0 = load<f64>(v + bytes), vr1 = load<f64>(v + bytes, 8), wr0 = load<f64>(w + bytes), wr1 = load<f64>(w + bytes, 8);
  const xr0 = load<f64>(x + bytes), xr1 = load<f64>(x + bytes, 8);
  const v0 = f64x2.splat(-vr0), v1 = f64x2.splat(-vr1), w0 = f64x2.splat(-wr0), w1 = f64x2.splat(-wr1);
  const x0 = f64x2.splat(xr0), x1 = f64x2.splat(xr1);
  let s0 = f64x2.splat(0), s1 = s0;
  const end = x + bytes;
  for (; x != end; x += 16) {
    const vv = v128.load(v), ww = v128.load(w), xx = v128.load(x);
    let yy = v128.load(y);
    let a = fma(v0, ww, fma(w0, vv, v128.load(p0)));
    v128.store(p0, a); s0 = fma(a, xx, s0); yy = fma(a, x0, yy);
    a = fma(v1, ww, fma(w1, vv, v128.load(p1)));
    v128.store(p1, a); s1 = fma(a, xx, s1); yy = fma(a, x1, yy);
    v128.store(y, yy);
    v += 16; w += 16; y += 16; p0 += 16; p1 += 16;
  }
  const a00 = load<f64>(p0) - 2 * vr0 * wr0;
  const a10 = load<f64>(p1) - vr1 * wr0 - wr1 * vr0;
  const a11 = load<f64>(p1, 8) - 2 * vr1 * wr1;
  store<f64>(p0, a00); store<f64>(p1, a10); store<f64>(p1, a11, 8);
  store<f64>(y, sum(s0) + a00 * xr0 + a10 * xr1);
  store<f64>(y, sum(s1) + a10 * xr0 + a11 * xr1, 8);
}

/** w = tau (y - tau/2 (y'v) v), the vector of the rank-2 update, in place of y = A v. */
function finish(i: usize, tau: f64, v: usize, y: usize): void {
  combine(i, -0.5 * tau * tau * dot(i, y, v), v, tau, y);
}

/** @internal Bytes of scratch that reduce needs. */
export function reduceWorkspace(n: usize, ld: usize): usize {
  return n > CROSSOVER ? (3 * PANEL + 2) * ld : 2 * ld;
}

/**
 * @internal Reduces the lower triangle at h (row stride ld bytes), a piece at a time; says whether that was the last. Row i keeps
 * the reflector v of H(i), v[i - 1] = 1, with Q = H(n - 1) ... H(1) and H = I - tau v v'. d has n elements, e has n - 1, tau
 * has n. At `place` are the rows that are left, n at first, and the pieces done of a panel and its update, 0 at first.
 */
export function reduceNext(h: usize, ld: usize, d: usize, e: usize, tau: usize, work: usize, place: usize): bool {
  const m = <usize>load<u32>(place), piece = <usize>load<u32>(place, 4);
  if (m <= CROSSOVER) {
    reduceRest(m, h, ld, d, e, tau, work);
    return true;
  }
  const left = m - PANEL, from = (piece - PANEL) * STRIP;
  if (piece < PANEL) panelStep(piece, m, h, ld, d, e, tau, work);
  else if (from < left) trailing(from, min<usize>(STRIP, left - from), h, ld, work);
  const last = piece >= PANEL && from + STRIP >= left;
  store<u32>(place, <u32>(last ? left : m));
  store<u32>(place, last ? 0 : <u32>piece + 1, 4);
  return false;
}

/** What is left fits the cache. */
function reduceRest(m: usize, h: usize, ld: usize, d: usize, e: usize, tau: usize, work: usize): void {
  let w = work, y = work + ld, v: usize = 0;
  store<f64>(tau, 0);
  for (let i: usize = m - 1; i > 0; i--) {
    const row = h + i * ld, at = i << 3;
    if (v) {
      const vi = load<f64>(v + at), wi = load<f64>(w + at);
      combine(i + 1, -vi, w, 1, row);
      combine(i + 1, -wi, v, 1, row);
    }
    store<f64>(d + at, load<f64>(row + at));
    const t = reflector(i, row, e + at - 8);
    store<f64>(tau + at, t);
    if (v) updateSymv(i, h, ld, v, w, row, y);
    else symv(i, h, ld, row, y);
    finish(i, t, row, y);
    v = row;
    const swap = w; w = y; y = swap;
  }
  store<f64>(d, load<f64>(h));
}

/**
 * Eliminates row s from the end of the last PANEL of m rows; work receives the rows V, W, V of the pending update
 * A - V'W - W'V (V twice, so that both products are one).
 */
function panelStep(
  s: usize, m: usize, h: usize, ld: usize, d: usize, e: usize, tau: usize, work: usize,
): void {
  const vs = work, ws = vs + PANEL * ld, again = ws + PANEL * ld, a = again + PANEL * ld, b = a + ld;
  const i = m - 1 - s, row = h + i * ld, at = i << 3;
  for (let q: usize = 0; q < s; q++) {
    store<f64>(a + (q << 3), load<f64>(vs + q * ld + at));
    store<f64>(b + (q << 3), load<f64>(ws + q * ld + at));
  }
  subtractRows(i + 1, s, ws, ld, a, row);
  subtractRows(i + 1, s, vs, ld, b, row);
  store<f64>(d + at, load<f64>(row + at));
  const t = reflector(i, row, e + at - 8);
  store<f64>(tau + at, t);
  memory.copy(vs + s * ld, row, at);
  memory.copy(again + s * ld, row, at);
  const y = ws + s * ld;
  symv(i, h, ld, row, y);
  dotRows(i, s, vs, ld, row, a);
  dotRows(i, s, ws, ld, row, b);
  subtractRows(i, s, ws, ld, a, y);
  subtractRows(i, s, vs, ld, b, y);
  finish(i, t, row, y);
}

/** Applies a panel's update to rows [from, from + n) of the lower triangle, and a little beyond the diagonal. */
function trailing(from: usize, n: usize, h: usize, ld: usize, work: usize): void {
  const row = ld >> 3;
  gemm<f64>(1, n, from + n, 2 * PANEL, work + (from << 3), 0, 1, row, work + PANEL * ld, 0, row, 1, h + from * ld, 0, row, -1, true);
}

/** out[q] = row q of rows . x */
function dotRows(n: usize, count: usize, rows: usize, ld: usize, x: usize, out: usize): void {
  let q: usize = 0;
  const bytes = (n & ~1) << 3;
  for (; q + 4 <= count; q += 4) {
    let p0 = rows + q * ld, p1 = p0 + ld, p2 = p1 + ld, p3 = p2 + ld, u = x;
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    const end = x + bytes;
    for (; u < end; u += 16) {
      const xx = v128.load(u);
      s0 = fma(v128.load(p0), xx, s0); s1 = fma(v128.load(p1), xx, s1);
      s2 = fma(v128.load(p2), xx, s2); s3 = fma(v128.load(p3), xx, s3);
      p0 += 16; p1 += 16; p2 += 16; p3 += 16;
    }
    let t0 = sum(s0), t1 = sum(s1), t2 = sum(s2), t3 = sum(s3);
    if (n & 1) {
      const y = load<f64>(u);
      t0 += y * load<f64>(p0); t1 += y * load<f64>(p1); t2 += y * load<f64>(p2); t3 += y * load<f64>(p3);
    }
    const o = out + (q << 3);
    store<f64>(o, t0); store<f64>(o, t1, 8); store<f64>(o, t2, 16); store<f64>(o, t3, 24);
  }
  for (; q < count; q++) store<f64>(out + (q << 3), dot(n, rows + q * ld, x));
}

/** y -= sum of c[q] times row q of rows */
function subtractRows(n: usize, count: usize, rows: usize, ld: usize, c: usize, y: usize): void {
  let q: usize = 0;
  const bytes = (n & ~1) << 3;
  for (; q + 4 <= count; q += 4) {
    const at = c + (q << 3);
    let p0 = rows + q * ld, p1 = p0 + ld, p2 = p1 + ld, p3 = p2 + ld, u = y;
    const c0 = -load<f64>(at), c1 = -load<f64>(at, 8), c2 = -load<f64>(at, 16), c3 = -load<f64>(at, 24);
    const s0 = f64x2.splat(c0), s1 = f64x2.splat(c1), s2 = f64x2.splat(c2), s3 = f64x2.splat(c3);
    const end = y + bytes;
    for (; u < end; u += 16) {
      const t = fma(v128.load(p0), s0, fma(v128.load(p1), s1, v128.load(u)));
      v128.store(u, fma(v128.load(p2), s2, fma(v128.load(p3), s3, t)));
      p0 += 16; p1 += 16; p2 += 16; p3 += 16;
    }
    if (n & 1) store<f64>(u, load<f64>(u) + c0 * load<f64>(p0) + c1 * load<f64>(p1) + c2 * load<f64>(p2) + c3 * load<f64>(p3));
  }
  for (; q < count; q++) combine(n, -load<f64>(c + (q << 3)), rows + q * ld, 1, y);
}
