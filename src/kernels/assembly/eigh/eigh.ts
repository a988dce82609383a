// Eigenvalues and eigenvectors of a real symmetric matrix: scaling, Householder reduction (tridiagonal.ts), divide and
// conquer (divide.ts, secular.ts, ql.ts), and the back-transformation in compact WY form
// (Schreiber & Van Loan 1989; the triangular factor from V'V as in Puglisi 1992) by matrix products.
import { divideBegin, divideNext, divideWith, divideWorkspace } from "./divide";
import { gemm } from "../gemm";
import { reduceNext, reduceWorkspace } from "./tridiagonal";

// Reflectors applied together: few for small n, where forming T costs; many for large n, where memory traffic does.
function blockOf(n: usize): usize {
  return n < 200 ? min<usize>(16, n) : n < 768 ? 32 : 64;
}

/** Row stride in bytes: an odd multiple of a cache line, since powers of two cause conflict misses. */
function strideOf(n: usize): usize {
  return (((n + 7) & ~7) | 8) << 3;
}

/** Bytes of scratch for order n, eigenvectors or not. */
export function eighWorkspace(n: usize): usize {
  const ld = strideOf(n);
  return 64 + PLACES + 2 * n * ld + max((n + 8) * ld, backWorkspace(n, ld)) + max(divideWorkspace(ld), reduceWorkspace(n, ld)) + 6 * ld;
}

// The workspace begins with how far the work is: the stage, the scale's exponent, the norm, and the places of the stages.
const PLACES: usize = 128;
const MEASURE: u32 = 0, SCALE: u32 = 1, REDUCE: u32 = 2, DIVIDE: u32 = 3, BACK: u32 = 4, SCATTER: u32 = 5, AGAIN: u32 = 6;
const EXPONENT: usize = 4, NORM: usize = 8, REDUCED: usize = 16, DIVIDED: usize = 24, ROWS: usize = 88;

/**
 * Eigendecomposition of the n x n float64 matrix at a (row-major, lower triangle read). a becomes V, whose column j
 * belongs to w[j]; w ascends. Without vectors a is only destroyed. Returns 0, or 1 + the index of an eigenvalue that
 * did not converge (1 for a matrix with NaN or infinity); w and a are then NaN or meaningless.
 */
export function eigh(n: usize, a: usize, w: usize, work: usize, vectors: bool): i32 {
  let status = eighBegin(n, a, w, work);
  while (status == 0) status = eighNext(n, a, w, work, vectors);
  return status - 1;
}

/** Begins `eigh`, whose pieces `eighNext` does: returns 0, or what that returns in the end. */
export function eighBegin(n: usize, a: usize, w: usize, work: usize): i32 {
  if (n == 0) return 1;
  work = (work + 63) & ~63;
  memory.fill(work, 0, PLACES);
  store<u32>(work, MEASURE);
  store<u32>(work, <u32>n, REDUCED);
  store<u32>(work, 1, ROWS);
  return 0;
}

/**
 * The next piece of `eigh`, with the same arguments: returns 0 where something is left, in the end 1 + what `eigh` returns. After one
 * without vectors it goes on with them; of the workspace it needs the first 128 bytes, from a multiple of 64 on, and n + 3 rows of its stride.
 */
export function eighNext(n: usize, a: usize, w: usize, work: usize, vectors: bool): i32 {
  work = (work + 63) & ~63;
  const ld = strideOf(n);
  // The tridiagonal matrix twice: one is destroyed.
  const kept = work + PLACES, tau = kept + 2 * ld, h = tau + ld, z = h + n * ld, s = z + n * ld;
  const d = s + max((n + 8) * ld, backWorkspace(n, ld)), e = d + ld, order = e + ld, rest = order + ld;
  const stage = load<u32>(work);
  if (stage == MEASURE) {
    const first = <usize>load<u32>(work, ROWS + 4), last = min<usize>(n, first + SCALED);
    let largest = load<f64>(work, NORM);
    for (let i = first; i < last; i++) largest = max(largest, maxAbs(i + 1, a + ((i * n) << 3)));
    store<f64>(work, largest, NORM);
    store<u32>(work, last == n ? 0 : <u32>last, ROWS + 4);
    if (last < n) return 0;
    if (!(largest < Infinity)) {
      for (let i: usize = 0; i < n; i++) store<f64>(w + (i << 3), NaN);
      for (let i: usize = 0; i < n * n; i++) store<f64>(a + (i << 3), NaN);
      return 2;
    }
    // A power of two brings the norm near 1, exactly; unscaling takes two factors because 2^1024 is not a double.
    const exponent = largest > 0 ? <i32>((reinterpret<u64>(largest) >> 52) & 2047) - 1022 : 0;
    store<i32>(work, exponent, EXPONENT);
    store<u32>(work, SCALE);
    return 0;
  }
  if (stage == SCALE) {
    const first = <usize>load<u32>(work, ROWS + 4), last = min<usize>(n, first + SCALED);
    scale(first, last, n, a, h, ld, load<i32>(work, EXPONENT));
    store<u32>(work, last == n ? 0 : <u32>last, ROWS + 4);
    if (last == n) store<u32>(work, REDUCE);
    return 0;
  }
  if (stage == REDUCE) {
    if (!reduceNext(h, ld, d, e, tau, rest, work + REDUCED)) return 0;
    const norm = max(maxAbs(n, d), maxAbs(n - 1, e));
    store<f64>(work, norm, NORM);
    memory.copy(kept, d, 2 * ld);
    store<u32>(work, AGAIN);
    return 0;
  }
  if (stage == AGAIN) {
    memory.copy(d, kept, 2 * ld);
    memory.fill(work + DIVIDED, 0, ROWS - DIVIDED);
    divideWith(load<f64>(work, NORM), d, e, vectors, z, ld, order, a, s, rest);
    divideBegin(n);
    store<u32>(work, DIVIDE);
    return 0;
  }
  if (stage == DIVIDE) {
    divideWith(load<f64>(work, NORM), d, e, vectors, z, ld, order, a, s, rest);
    const status = divideNext(n, work + DIVIDED);
    if (status != 1) return status;
    const exponent = load<i32>(work, EXPONENT);
    const up = power(exponent >> 1), upRest = power(exponent - (exponent >> 1));
    for (let i: usize = 0; i < n; i++) {
      const x = load<f64>(d + (<usize>load<u32>(order + (i << 2)) << 3));
      store<f64>(w + (i << 3), x * up * upRest);
    }
    store<u32>(work, vectors ? BACK : AGAIN);
    return vectors ? 0 : 1;
  }
  if (stage == BACK) {
    if (backNext(n, h, ld, tau, z, s, work + ROWS)) store<u32>(work, SCATTER);
    return 0;
  }
  const first = <usize>load<u32>(work, ROWS + 4), last = min<usize>(n, first + COLUMNS);
  scatter(n, first, last, z, ld, order, a);
  store<u32>(work, <u32>last, ROWS + 4);
  return last == n ? 1 : 0;
}

/** Rows [from, end) of a's lower triangle, by a power of two, into h. */
function scale(from: usize, end: usize, n: usize, a: usize, h: usize, ld: usize, exponent: i32): void {
  const down = power(-exponent >> 1), downRest = power(-exponent - (-exponent >> 1));
  for (let i = from; i < end; i++) {
    let x = a + ((i * n) << 3), to = h + i * ld;
    const last = x + ((i + 1) << 3);
    for (; x < last; x += 8, to += 8) store<f64>(to, load<f64>(x) * down * downRest);
  }
}

/** 2^k for |k| <= 1022 */
function power(k: i32): f64 {
  return reinterpret<f64>(<u64>(1023 + k) << 52);
}

/** Largest absolute value of a row; NaN counts as infinity. */
function maxAbs(n: usize, x: usize): f64 {
  let largest: f64 = 0;
  const end = x + (n << 3);
  for (; x < end; x += 8) {
    const y = Math.abs(load<f64>(x));
    if (!(y <= largest)) largest = y == y ? y : Infinity;
  }
  return largest;
}

function backWorkspace(n: usize, ld: usize): usize {
  const b = blockOf(n);
  return ((2 * b * b + n * b) << 3) + b * ld;
}

/** Rows that are measured or scaled at once. */
const SCALED: usize = 256;
/** Rows of z that reflectors are applied to at once. */
const STRIP: usize = 60;
/** Columns that are put into their order at once. */
const COLUMNS: usize = 128;

/**
 * Applies Q = H(n - 1) ... H(1), stored as rows of h, to the rows of z, some reflectors and rows at a time: each row x' becomes
 * x' Q'. At `place` are the first of the reflectors, 1 at first, and the first row; says whether nothing is left, with 0 in the
 * place of the row.
 */
function backNext(n: usize, h: usize, ld: usize, tau: usize, z: usize, work: usize, place: usize): bool {
  const p = <usize>load<u32>(place), first = <usize>load<u32>(place, 4);
  if (p >= n) return true;
  const row = ld >> 3;
  const block = blockOf(n);
  const gram = work, t = gram + ((block * block) << 3), y = t + ((block * block) << 3), x = y + block * ld;
  const b = min<usize>(block, n - p), k = p + b - 1;
  const v = h + p * ld;
  if (first == 0) {
    for (let j: usize = 0; j < b; j++) memory.fill(v + j * ld + ((p + j) << 3), 0, (b - 1 - j) << 3);
    gemm<f64>(1, b, b, k, v, 0, row, 1, v, 0, 1, row, gram, 0, b, 1, false);
    // H(p + b - 1) ... H(p) = I - V T V' with T lower triangular
    for (let j: usize = 0; j < b; j++) {
      const tj = t + ((j * b) << 3), g = gram + ((j * b) << 3);
      const f = load<f64>(tau + ((p + j) << 3));
      memory.fill(tj, 0, b << 3);
      store<f64>(tj + (j << 3), f);
      for (let i: usize = 0; i < j; i++) {
        const c = -f * load<f64>(g + (i << 3)), ti = t + ((i * b) << 3);
        for (let q: usize = 0; q <= i; q++) store<f64>(tj + (q << 3), load<f64>(tj + (q << 3)) + c * load<f64>(ti + (q << 3)));
      }
    }
    gemm<f64>(1, b, k, b, t, 0, 1, b, v, 0, row, 1, y, 0, row, 1, false);
  }
  const rows = min<usize>(n <= 512 ? n : STRIP, n - first), at = z + first * ld;
  gemm<f64>(1, rows, b, k, at, 0, row, 1, v, 0, 1, row, x, 0, b, 1, false);
  gemm<f64>(1, rows, k, b, x, 0, b, 1, y, 0, row, 1, at, 0, row, -1, true);
  const over = first + rows == n;
  store<u32>(place, <u32>(over ? p + block : p));
  store<u32>(place, <u32>(over ? 0 : first + rows), 4);
  return over && p + block >= n;
}

/** Column j of a (n x n) becomes row order[j] of z, for j in [from, end). */
function scatter(n: usize, from: usize, end: usize, z: usize, ld: usize, order: usize, a: usize): void {
  const row = n << 3;
  let j = from;
  for (; j + 8 <= end; j += 8) {
    let to = a + (j << 3), at = order + (j << 2);
    const z0 = z + <usize>load<u32>(at) * ld, z1 = z + <usize>load<u32>(at, 4) * ld;
    const z2 = z + <usize>load<u32>(at, 8) * ld, z3 = z + <usize>load<u32>(at, 12) * ld;
    const z4 = z + <usize>load<u32>(at, 16) * ld, z5 = z + <usize>load<u32>(at, 20) * ld;
    const z6 = z + <usize>load<u32>(at, 24) * ld, z7 = z + <usize>load<u32>(at, 28) * ld;
    for (let i: usize = 0; i < row; i += 8) {
      store<f64>(to, load<f64>(z0 + i)); store<f64>(to, load<f64>(z1 + i), 8);
      store<f64>(to, load<f64>(z2 + i), 16); store<f64>(to, load<f64>(z3 + i), 24);
      store<f64>(to, load<f64>(z4 + i), 32); store<f64>(to, load<f64>(z5 + i), 40);
      store<f64>(to, load<f64>(z6 + i), 48); store<f64>(to, load<f64>(z7 + i), 56);
      to += row;
    }
  }
  for (; j < end; j++) {
    const x = z + <usize>load<u32>(order + (j << 2)) * ld;
    let to = a + (j << 3);
    for (let i: usize = 0; i < row; i += 8, to += row) store<f64>(to, load<f64>(x + i));
  }
}
