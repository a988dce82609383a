// Matrix products after Goto & van de Geijn (2008): blocks of A and B are packed so that one small tile, all in
// registers, reads them in order. C has unit column stride. An element of C is a sum over k in blocks of KC_BYTES, each in
// order, so that a row's result does not depend on how many rows are computed with it.

import { multiplyAdd } from "./fused";
import { packColumns, packRows } from "./pack";
import { ROW_BYTES, ROWS, tile } from "./tile";

const KC_BYTES: usize = 2048; // terms of a block: a panel of B stays in the first cache
const MC: usize = 120; // rows of a block of A: it stays in the second
const NC: usize = 512; // columns of a block of B
const SMALL_K: usize = 4;
const FEW_ROWS: usize = 12; // below this, packing B costs more than it gains

// Scratch memory: a packed block of B, one of A, and room for an edge or a triangle.
const PACKED_B: usize = NC * KC_BYTES;
const PACKED_A: usize = MC * KC_BYTES;
const EDGE: usize = 1024;

let scratch: usize = 0;

/** Bytes of scratch memory that the kernels need. */
export function scratchBytes(): usize {
  return PACKED_B + PACKED_A + EDGE;
}

/** Says where this instance's scratch memory is: instances that run at the same time need one each. */
export function setScratch(address: usize): void {
  scratch = address;
}

/** Room for a panel of B, and for rows of A (MC by KC_BYTES), that products overwrite. */
export function panelScratch(): usize {
  return scratch;
}

export function rowScratch(): usize {
  return scratch + PACKED_B;
}

/** A kilobyte that products do not use across calls. */
export function edgeScratch(): usize {
  return scratch + PACKED_B + PACKED_A;
}

/** One tile of which only `width` columns exist: its rows pass through the edge of the scratch memory. */
function ragged<T>(
  k: usize, a: usize, step: usize, b: usize, rb: usize, c0: usize, c1: usize, c2: usize, c3: usize,
  alpha: T, add: bool, width: usize,
): void {
  const t0 = edgeScratch(), t1 = t0 + ROW_BYTES, t2 = t1 + ROW_BYTES, t3 = t2 + ROW_BYTES;
  const bytes = width * sizeof<T>();
  if (add) copyParts<T>(t0, t1, t2, t3, c0, c1, c2, c3, bytes);
  tile<T>(k, a, step, b, rb, t0, t1, t2, t3, alpha, add);
  copyParts<T>(c0, c1, c2, c3, t0, t1, t2, t3, bytes);
}

function copyParts<T>(
  c0: usize, c1: usize, c2: usize, c3: usize, t0: usize, t1: usize, t2: usize, t3: usize, bytes: usize,
): void {
  for (let q: usize = 0; q < bytes; q += sizeof<T>()) {
    const x0 = load<T>(t0 + q), x1 = load<T>(t1 + q), x2 = load<T>(t2 + q), x3 = load<T>(t3 + q);
    store<T>(c0 + q, x0); store<T>(c1 + q, x1); store<T>(c2 + q, x2); store<T>(c3 + q, x3);
  }
}

/** One vector of a row of C: up to four products with the rows of B at p, `step` bytes apart. */
// @ts-ignore: decorator
@inline
function smallVector<T>(
  k: usize, x0: v128, x1: v128, x2: v128, x3: v128, p: usize, step: usize, c: usize, scale: v128, add: bool,
  plain: bool,
): void {
  let sum = v128.mul<T>(x0, v128.load(p));
  if (k > 1) sum = multiplyAdd<T>(x1, v128.load(p + step), sum);
  if (k > 2) sum = multiplyAdd<T>(x2, v128.load(p + 2 * step), sum);
  if (k > 3) sum = multiplyAdd<T>(x3, v128.load(p + 3 * step), sum);
  if (!plain) sum = add ? multiplyAdd<T>(scale, sum, v128.load(c)) : v128.mul<T>(scale, sum);
  v128.store(c, sum);
}

/** Four of them, whose addresses differ by constants: V8 then computes one address for all. */
// @ts-ignore: decorator
@inline
function smallVectors<T>(
  k: usize, x0: v128, x1: v128, x2: v128, x3: v128, p: usize, step: usize, c: usize, scale: v128, add: bool,
  plain: bool,
): void {
  let s0 = v128.mul<T>(x0, v128.load(p)), s1 = v128.mul<T>(x0, v128.load(p, 16));
  let s2 = v128.mul<T>(x0, v128.load(p, 32)), s3 = v128.mul<T>(x0, v128.load(p, 48));
  for (let t: usize = 1; t < k; t++) {
    const x = t == 1 ? x1 : t == 2 ? x2 : x3;
    p += step;
    s0 = multiplyAdd<T>(x, v128.load(p), s0); s1 = multiplyAdd<T>(x, v128.load(p, 16), s1);
    s2 = multiplyAdd<T>(x, v128.load(p, 32), s2); s3 = multiplyAdd<T>(x, v128.load(p, 48), s3);
  }
  if (add) {
    s0 = multiplyAdd<T>(scale, s0, v128.load(c)); s1 = multiplyAdd<T>(scale, s1, v128.load(c, 16));
    s2 = multiplyAdd<T>(scale, s2, v128.load(c, 32)); s3 = multiplyAdd<T>(scale, s3, v128.load(c, 48));
  } else if (!plain) {
    s0 = v128.mul<T>(scale, s0); s1 = v128.mul<T>(scale, s1);
    s2 = v128.mul<T>(scale, s2); s3 = v128.mul<T>(scale, s3);
  }
  v128.store(c, s0); v128.store(c, s1, 16); v128.store(c, s2, 32); v128.store(c, s3, 48);
}

/**
 * k of at most 4, the same for the whole loop, and B with unit column stride: no packing, sums in registers. `add`, `plain` (α is 1)
 * and k are constants where this is inlined.
 */
// @ts-ignore: decorator
@inline
function smallLoop<T>(
  m: usize, n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, c: usize, rc: usize,
  alpha: T, add: bool, plain: bool,
): void {
  const scale = v128.splat<T>(alpha);
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  const edge = edgeScratch();
  for (let i: usize = 0; i < m; i++) {
    const x0 = v128.load_splat<T>(a);
    const x1 = k > 1 ? v128.load_splat<T>(a + ca) : x0;
    const x2 = k > 2 ? v128.load_splat<T>(a + 2 * ca) : x0;
    const x3 = k > 3 ? v128.load_splat<T>(a + 3 * ca) : x0;
    let j = bytes & ~63;
    for (let p = b, q = c; p != b + j; p += 64, q += 64) smallVectors<T>(k, x0, x1, x2, x3, p, rb, q, scale, add, plain);
    for (; j < vectors; j += 16) smallVector<T>(k, x0, x1, x2, x3, b + j, rb, c + j, scale, add, plain);
    if (j < bytes && !add && bytes >= 16) {
      // What is left of the row is written again together with what is before it, in one full vector.
      smallVector<T>(k, x0, x1, x2, x3, b + bytes - 16, rb, c + bytes - 16, scale, add, plain);
    } else if (j < bytes) {
      // What is left of the row passes through the scratch memory, in full vectors like the rest.
      const rest = bytes - j;
      for (let t: usize = 0; t < k; t++) copyPart(edge + 16 * t, b + j + t * rb, rest);
      copyPart(edge + 64, c + j, rest);
      smallVector<T>(k, x0, x1, x2, x3, edge, 16, edge + 64, scale, add, plain);
      copyPart(c + j, edge + 64, rest);
    }
    a += ra;
    c += rc;
  }
}

/** Up to three 4-byte words. */
// @ts-ignore: decorator
@inline
function copyPart(to: usize, from: usize, bytes: usize): void {
  for (let q: usize = 0; q < bytes; q += 4) store<u32>(to + q, load<u32>(from + q));
}

function smallK<T>(
  m: usize, n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, c: usize, rc: usize,
  alpha: T, add: bool,
): void {
  const plain = alpha == 1 && !add;
  if (k == 1 && plain) smallLoop<T>(m, n, 1, a, ra, ca, b, rb, c, rc, alpha, false, true);
  else if (k == 2 && plain) smallLoop<T>(m, n, 2, a, ra, ca, b, rb, c, rc, alpha, false, true);
  else smallLoop<T>(m, n, k, a, ra, ca, b, rb, c, rc, alpha, add, false);
}

/**
 * @internal One product, C = α A B or C += α A B; strides in bytes. With `lower`, tiles wholly above the diagonal of C are
 * left out; where B is the transpose of A besides, it is packed for both.
 */
export function product<T>(
  m: usize, n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, cb: usize, c: usize, rc: usize,
  alpha: T, add: bool, lower: bool,
): void {
  const size = sizeof<T>();
  const width: usize = ROW_BYTES / size;
  const terms: usize = KC_BYTES / size;
  const packedA = scratch + PACKED_B;
  const symmetric = lower && a == b && ra == cb && ca == rb;
  const direct = m < FEW_ROWS && cb == size && !symmetric;
  for (let jc: usize = 0; jc < n; jc += NC) {
    const columns = min<usize>(NC, n - jc);
    const whole = direct ? columns - (columns % width) : 0; // columns of B that are read where they lie
    for (let pc: usize = 0; pc < k; pc += terms) {
      const kc = min<usize>(terms, k - pc);
      const now = add || pc > 0;
      const bj = b + pc * rb + jc * cb;
      if (whole < columns) packColumns<T>(kc, columns - whole, bj + whole * cb, rb, cb, scratch);
      for (let ic: usize = lower ? (jc / ROWS) * ROWS : 0; ic < m; ic += MC) {
        const rows = min<usize>(MC, m - ic);
        // Columns of a transpose are rows of A: most blocks of rows are packed already.
        const known = symmetric && ic + rows <= jc + columns;
        const astep = known ? ROW_BYTES : 4 * size;
        if (!known) packRows<T>(rows, kc, a + ic * ra + pc * ca, ra, ca, packedA);
        for (let j: usize = 0; j < columns; j += width) {
          const panel = j < whole ? bj + j * size : scratch + ((j - whole) / width) * kc * ROW_BYTES;
          const step = j < whole ? rb : ROW_BYTES;
          const valid = min<usize>(width, columns - j);
          let i: usize = 0;
          if (lower && jc + j > ic + ROWS - 1) i = min<usize>(((jc + j - ic) / ROWS) * ROWS, rows);
          for (; i < rows; i += ROWS) {
            const left = rows - i;
            const c0 = c + (ic + i) * rc + (jc + j) * size;
            const c1 = left > 1 ? c0 + rc : c0;
            const c2 = left > 2 ? c1 + rc : c1;
            const c3 = left > 3 ? c2 + rc : c2;
            const row = ic + i - jc;
            const ai = known ? scratch + row / width * kc * ROW_BYTES + (row % width) * size : packedA + i * kc * size;
            if (valid == width) tile<T>(kc, ai, astep, panel, step, c0, c1, c2, c3, alpha, now);
            else ragged<T>(kc, ai, astep, panel, step, c0, c1, c2, c3, alpha, now, valid);
          }
        }
      }
    }
  }
}

/**
 * C[i] = α A[i] B[i], or C[i] += α A[i] B[i], for i < batch. A is m by k with row and column strides ra, ca and sa elements from one matrix to the next; B is k by n, alike; C is m by n with row stride rc and unit column stride.
 */
export function gemm<T>(
  batch: usize, m: usize, n: usize, k: usize,
  a: usize, sa: usize, ra: usize, ca: usize,
  b: usize, sb: usize, rb: usize, cb: usize,
  c: usize, sc: usize, rc: usize,
  alpha: T, add: bool,
): void {
  if (m == 0 || n == 0) return;
  const size = sizeof<T>();
  if (k == 0) {
    if (add) return;
    for (let i: usize = 0; i < batch; i++) {
      for (let r: usize = 0; r < m; r++) memory.fill(c + (i * sc + r * rc) * size, 0, n * size);
    }
    return;
  }
  if (n == 1 && rc == 1 && m > 1) {
    // A column of C stored without gaps is a row: compute it as one, along the vectors.
    gemm<T>(batch, 1, m, k, b, sb, cb, rb, a, sa, ca, ra, c, sc, m, alpha, add);
    return;
  }
  const small = k <= SMALL_K && cb == 1;
  for (let i: usize = 0; i < batch; i++) {
    if (small) smallK<T>(m, n, k, a, ra * size, ca * size, b, rb * size, c, rc * size, alpha, add);
    else product<T>(m, n, k, a, ra * size, ca * size, b, rb * size, cb * size, c, rc * size, alpha, add, false);
    a += sa * size;
    b += sb * size;
    c += sc * size;
  }
}
