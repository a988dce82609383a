// Matrix products: C = A B, or C += A B, for a batch of matrices given by strides (in elements).
//
// C has unit column stride. The tile (4 rows by 2 vectors) is the widest that V8's older register allocator keeps
// out of memory. Each element of C is one running sum over k in order, so a row's result does not depend on how many
// other rows are computed with it.

const MR: usize = 4;
const KC: usize = 256; // rows of a packed panel
const SMALL_K: usize = 4;

// @ts-ignore: decorator
@inline
function lanes<T>(): usize {
  return 16 / sizeof<T>();
}

// @ts-ignore: decorator
@inline
function multiplyAdd<T>(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_madd<T>(a, b, c);
  return v128.add<T>(c, v128.mul<T>(a, b));
}

/** A 4-row tile, two vectors wide. Row pointers may repeat: repeated rows store the same values twice. */
function tile4<T>(
  k: usize,
  a0: usize, a1: usize, a2: usize, a3: usize, ca: usize,
  b: usize, rb: usize,
  c0: usize, c1: usize, c2: usize, c3: usize,
  accumulate: bool,
): void {
  let s00 = v128.splat<T>(<T>-0.0), s01 = s00; // x + -0 is x for every x, -0 included
  let s10 = s00, s11 = s00;
  let s20 = s00, s21 = s00;
  let s30 = s00, s31 = s00;
  if (accumulate) {
    s00 = v128.load(c0); s01 = v128.load(c0, 16);
    s10 = v128.load(c1); s11 = v128.load(c1, 16);
    s20 = v128.load(c2); s21 = v128.load(c2, 16);
    s30 = v128.load(c3); s31 = v128.load(c3, 16);
  }
  for (let p: usize = 0; p < k; p++) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load_splat<T>(a0);
    s00 = multiplyAdd<T>(x, b0, s00); s01 = multiplyAdd<T>(x, b1, s01);
    x = v128.load_splat<T>(a1);
    s10 = multiplyAdd<T>(x, b0, s10); s11 = multiplyAdd<T>(x, b1, s11);
    x = v128.load_splat<T>(a2);
    s20 = multiplyAdd<T>(x, b0, s20); s21 = multiplyAdd<T>(x, b1, s21);
    x = v128.load_splat<T>(a3);
    s30 = multiplyAdd<T>(x, b0, s30); s31 = multiplyAdd<T>(x, b1, s31);
    a0 += ca; a1 += ca; a2 += ca; a3 += ca;
    b += rb;
  }
  v128.store(c0, s00); v128.store(c0, s01, 16);
  v128.store(c1, s10); v128.store(c1, s11, 16);
  v128.store(c2, s20); v128.store(c2, s21, 16);
  v128.store(c3, s30); v128.store(c3, s31, 16);
}

/** One row, two vectors wide. */
function tile1<T>(k: usize, a: usize, ca: usize, b: usize, rb: usize, c: usize, accumulate: bool): void {
  let s0 = v128.splat<T>(<T>-0.0), s1 = s0;
  if (accumulate) {
    s0 = v128.load(c); s1 = v128.load(c, 16);
  }
  for (let p: usize = 0; p < k; p++) {
    const x = v128.load_splat<T>(a);
    s0 = multiplyAdd<T>(x, v128.load(b), s0);
    s1 = multiplyAdd<T>(x, v128.load(b, 16), s1);
    a += ca;
    b += rb;
  }
  v128.store(c, s0); v128.store(c, s1, 16);
}

/** All rows of one column panel, two vectors wide, for k of one block. Strides in bytes. */
function panel<T>(
  m: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, c: usize, rc: usize, accumulate: bool,
): void {
  let i: usize = 0;
  for (; i + MR <= m; i += MR) {
    const ai = a + i * ra;
    const ci = c + i * rc;
    tile4<T>(k, ai, ai + ra, ai + 2 * ra, ai + 3 * ra, ca, b, rb, ci, ci + rc, ci + 2 * rc, ci + 3 * rc, accumulate);
  }
  if (i + 1 == m) {
    tile1<T>(k, a + i * ra, ca, b, rb, c + i * rc, accumulate);
  } else if (i < m) {
    // Two or three rows left: the last pointer is repeated.
    const a0 = a + i * ra, c0 = c + i * rc;
    const a1 = a0 + ra, c1 = c0 + rc;
    const three = i + 2 < m;
    const a2 = three ? a1 + ra : a1, c2 = three ? c1 + rc : c1;
    tile4<T>(k, a0, a1, a2, a2, ca, b, rb, c0, c1, c2, c2, accumulate);
  }
}

/** As `panel`, for a ragged panel of `width` columns: rows of C pass through a temporary of full width. */
function raggedPanel<T>(
  m: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, c: usize, rc: usize, accumulate: bool,
  width: usize,
): void {
  const temporary = memory.data(128); // 4 rows of two vectors
  const bytes = width * sizeof<T>();
  for (let i: usize = 0; i < m; i += MR) {
    const rows = min<usize>(MR, m - i);
    const ci = c + i * rc;
    if (accumulate) for (let r: usize = 0; r < rows; r++) memory.copy(temporary + r * 32, ci + r * rc, bytes);
    panel<T>(rows, k, a + i * ra, ra, ca, b, rb, temporary, 32, accumulate);
    for (let r: usize = 0; r < rows; r++) memory.copy(ci + r * rc, temporary + r * 32, bytes);
  }
}

/** Copies k rows of `width` columns of B into rows of two vectors, padded with zeros. */
function pack<T>(k: usize, width: usize, b: usize, rb: usize, cb: usize, into: usize): void {
  const full: usize = 2 * lanes<T>();
  for (let p: usize = 0; p < k; p++) {
    for (let j: usize = 0; j < full; j++) {
      store<T>(into + (p * full + j) * sizeof<T>(), j < width ? load<T>(b + p * rb + j * cb) : <T>0);
    }
  }
}

/** k of at most 4, where a tile's upkeep outweighs its work. B has unit column stride. */
function smallK<T>(
  m: usize, n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, c: usize, rc: usize,
  accumulate: bool,
): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let i: usize = 0; i < m; i++) {
    const ai = a + i * ra;
    const ci = c + i * rc;
    for (let p: usize = 0; p < k; p++) {
      const bp = b + p * rb;
      const x = load<T>(ai + p * ca);
      const xs = v128.splat<T>(x);
      let j: usize = 0;
      if (p == 0 && !accumulate) {
        for (; j < vectors; j += 16) v128.store(ci + j, v128.mul<T>(xs, v128.load(bp + j)));
        for (; j < bytes; j += sizeof<T>()) store<T>(ci + j, x * load<T>(bp + j));
      } else {
        for (; j < vectors; j += 16) v128.store(ci + j, multiplyAdd<T>(xs, v128.load(bp + j), v128.load(ci + j)));
        for (; j < bytes; j += sizeof<T>()) {
          // One lane of the vector form, so that a column's value does not depend on its position.
          const sum = multiplyAdd<T>(xs, v128.splat<T>(load<T>(bp + j)), v128.splat<T>(load<T>(ci + j)));
          store<T>(ci + j, v128.extract_lane<T>(sum, 0));
        }
      }
    }
  }
}

/** One product; strides in bytes; B either has unit column stride or is packed. */
function product<T>(
  m: usize, n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, cb: usize, c: usize, rc: usize,
  accumulate: bool,
): void {
  const scratch = memory.data(8192); // one packed panel: KC rows of two vectors
  if (k <= SMALL_K && cb == sizeof<T>()) {
    smallK<T>(m, n, k, a, ra, ca, b, rb, c, rc, accumulate);
    return;
  }
  const width: usize = 2 * lanes<T>();
  for (let p: usize = 0; p < k; p += KC) {
    const kb = min<usize>(KC, k - p);
    const add = accumulate || p > 0;
    const ap = a + p * ca;
    for (let j: usize = 0; j < n; j += width) {
      const columns: usize = min<usize>(width, n - j);
      const bj = b + p * rb + j * cb;
      const cj = c + j * sizeof<T>();
      if (columns < width || cb != sizeof<T>()) {
        pack<T>(kb, columns, bj, rb, cb, scratch);
        if (columns < width) raggedPanel<T>(m, kb, ap, ra, ca, scratch, 32, cj, rc, add, columns);
        else panel<T>(m, kb, ap, ra, ca, scratch, 32, cj, rc, add);
      } else {
        panel<T>(m, kb, ap, ra, ca, bj, rb, cj, rc, add);
      }
    }
  }
}

/**
 * C[i] = A[i] B[i] (or += with `accumulate`) for i < batch.  A is m by k with row and column strides ra, ca and sa
 * elements from one matrix to the next; B is k by n, alike; C is m by n with row stride rc and unit column stride.
 */
export function gemm<T>(
  batch: usize, m: usize, n: usize, k: usize,
  a: usize, sa: usize, ra: usize, ca: usize,
  b: usize, sb: usize, rb: usize, cb: usize,
  c: usize, sc: usize, rc: usize,
  accumulate: bool,
): void {
  if (m == 0 || n == 0) return;
  const size = sizeof<T>();
  if (k == 0) {
    if (accumulate) return;
    for (let i: usize = 0; i < batch; i++) {
      for (let r: usize = 0; r < m; r++) memory.fill(c + (i * sc + r * rc) * size, 0, n * size);
    }
    return;
  }
  if (n == 1 && rc == 1 && m > 1) {
    // A column of C stored without gaps is a row: compute it as one, along the vectors.
    gemm<T>(batch, 1, m, k, b, sb, cb, rb, a, sa, ca, ra, c, sc, m, accumulate);
    return;
  }
  for (let i: usize = 0; i < batch; i++) {
    product<T>(m, n, k, a, ra * size, ca * size, b, rb * size, cb * size, c, rc * size, accumulate);
    a += sa * size;
    b += sb * size;
    c += sc * size;
  }
}
