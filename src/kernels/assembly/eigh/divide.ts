// Divide and conquer for the symmetric tridiagonal eigenproblem (Cuppen 1981; Gu & Eisenstat 1995; deflation and the
// grouping of columns by sparsity as described by Rutter 1994). Eigenvectors are kept as rows, so that permuting,
// rotating and packing them touch contiguous memory and the merge is two matrix products with no zero block. For values
// alone only the first and last component of each vector is kept: all that a later merge needs.
import { gemm } from "../gemm";
import { ql } from "./ql";
import { secularRoot } from "./secular";
import { dot, fma, rotate, sum } from "./simd";

const EPSILON: f64 = 1.1102230246251565e-16;
const LEAF: usize = 24;

// The problem being solved; row i of z belongs to d[i], order lists the rows of each solved block by ascending d.
let d: usize = 0, e: usize = 0, z: usize = 0, ld: usize = 0, norm: f64 = 0, order: usize = 0;
let packed: usize = 0, s: usize = 0, full: bool = true;
// Scratch of n doubles each, then of n indices each
let couplings: usize = 0, weight: usize = 0, pole: usize = 0, square: usize = 0, product: usize = 0, root: usize = 0, column: usize = 0;
let merged: usize = 0, kept: usize = 0, dropped: usize = 0, place: usize = 0, kind: usize = 0;

/** @internal Bytes of vectors that divide needs besides its matrices. */
export function divideWorkspace(ld: usize): usize {
  return 10 * ld;
}

/**
 * @internal Sets up what `divideNext` and `divideBegin` work on: the eigenvalues of the tridiagonal matrix (diagonals,
 * offDiagonals, largest element scale) replace diagonals; row j of vectors (row stride stride bytes) becomes the eigenvector of
 * entry j; permutation (n x u32) sorts them. packing and scratch are matrices of n x n and of n + 8 rows of stride bytes. If
 * wanted is false, vectors is n x 2 scratch.
 */
export function divideWith(
  scale: f64, diagonals: usize, offDiagonals: usize, wanted: bool, vectors: usize, stride: usize,
  permutation: usize, packing: usize, scratch: usize, work: usize,
): void {
  d = diagonals; e = offDiagonals; z = vectors; ld = wanted ? stride : 16; full = wanted; order = permutation;
  norm = scale;
  packed = packing; s = scratch;
  weight = work; pole = weight + stride; square = pole + stride; product = square + stride; root = product + stride;
  column = root + stride; couplings = column + stride;
  merged = couplings + stride;
  const half = stride >> 1;
  kept = merged + half; dropped = kept + half; place = dropped + half; kind = place + half;
}

/** @internal Begins: unit vectors, and the matrix torn wherever it will be. */
export function divideBegin(n: usize): void {
  memory.fill(z, 0, n * ld);
  if (full) for (let i: usize = 0; i < n; i++) store<f64>(z + i * ld + (i << 3), 1);
  // Small problems use the last of their entries of e as scratch.
  memory.copy(couplings, e, (n - 1) << 3);
  tear(0, n);
}

/** What remains of a torn matrix's off-diagonal element becomes a rank-one update. */
function tear(low: usize, high: usize): void {
  const n = high - low;
  if (n <= LEAF) return;
  const middle = low + (n >> 1);
  const cut = d + (middle << 3), rho = load<f64>(couplings + (middle << 3) - 8);
  store<f64>(cut - 8, load<f64>(cut - 8) - Math.abs(rho));
  store<f64>(cut, load<f64>(cut) - Math.abs(rho));
  tear(low, middle);
  tear(middle, high);
}

/** How many problems there are within one of n rows, itself included. */
function problems(n: usize): usize {
  return n <= LEAF ? 1 : 1 + problems(n >> 1) + problems(n - (n >> 1));
}

/** Rows from which on a merge is several pieces. */
const LARGE: usize = 200;
/** Entries of vectors in a piece. */
const PIECE: usize = 131072;

/**
 * @internal Solves the next problem, halves before what they are halves of, or a piece of its merge. At `at`, of zeros at first,
 * is how far that is: 64 bytes. Returns 0 where something is left, 1 where nothing is, or 2 + the index of what failed.
 */
export function divideNext(n: usize, at: usize): i32 {
  const which = <usize>load<u32>(at), all = problems(n);
  // The problem of that number, halves first.
  let low: usize = 0, high = n, number = which;
  for (;;) {
    const size = high - low;
    if (number == problems(size) - 1) break;
    const first = problems(size >> 1), middle = low + (size >> 1);
    if (number < first) high = middle;
    else {
      number -= first;
      low = middle;
    }
  }
  const size = high - low;
  let status: i32 = size <= LEAF ? solveLeaf(low, high) : mergeNext(low, high, at);
  while (status == 0 && size < LARGE) status = mergeNext(low, high, at);
  if (status != 1) return status;
  store<u32>(at, <u32>which + 1);
  store<u32>(at, 0, 4);
  return which + 1 == all ? 1 : 0;
}

function solveLeaf(low: usize, high: usize): i32 {
  const n = high - low;
  if (!full) {
    store<f64>(z + low * ld, 1);
    store<f64>(z + (high - 1) * ld, 1, 8);
  }
  const failed = ql(n, d + (low << 3), e + (low << 3), z + low * ld + offset(low), ld, full ? n : 2, 1e-16 * EPSILON * norm);
  if (failed) return 1 + failed + <i32>low;
  for (let i = low; i < high; i++) insert(order + (low << 2), i - low, <u32>i, d);
  return 1;
}

/** Bytes from the start of a row to the columns of a block. */
// @ts-ignore: decorator
@inline
function offset(low: usize): usize {
  return full ? low << 3 : 0;
}

/** Inserts an index into a list of count indices sorted by key. */
function insert(list: usize, count: usize, index: u32, key: usize): void {
  const x = load<f64>(key + (<usize>index << 3));
  let p = list + (count << 2);
  while (p > list && load<f64>(key + (<usize>load<u32>(p - 4) << 3)) > x) {
    store<u32>(p, load<u32>(p - 4));
    p -= 4;
  }
  store<u32>(p, index);
}

/** Merges two lists of indices sorted by key. */
function mergeSorted(a: usize, endA: usize, b: usize, endB: usize, key: usize, into: usize): void {
  while (a < endA && b < endB) {
    const i = load<u32>(a), j = load<u32>(b);
    if (load<f64>(key + (<usize>i << 3)) <= load<f64>(key + (<usize>j << 3))) {
      store<u32>(into, i); a += 4;
    } else {
      store<u32>(into, j); b += 4;
    }
    into += 4;
  }
  memory.copy(into, a, endA - a);
  into += endA - a;
  memory.copy(into, b, endB - b);
}

/**
 * Combines the solved halves of [low, high), a piece at a time: at `at` are the stage, what is done of it, and what later stages
 * need. Returns 0 where something is left, 1 where nothing is, or 2 + the index of what failed.
 */
function mergeNext(low: usize, high: usize, at: usize): i32 {
  const n = high - low, n1 = n >> 1, middle = low + n1, n2 = high - middle;
  const stage = load<u32>(at, 4);
  if (stage == 0) return mergeBegin(low, middle, high, load<f64>(couplings + (middle << 3) - 8), at);
  const k = <usize>load<u32>(at, 12), done = <usize>load<u32>(at, 8), counts0 = <usize>load<u32>(at, 16), upper = <usize>load<u32>(at, 20);
  const lower = k - counts0, ldS = (k + 2) & ~1, out = z + low * ld;
  const ld1 = strideOf(n1), ld2 = strideOf(n2), packedLower = packed + upper * ld1;
  const firsts = packed, lasts = packed + (k << 3);
  const some = max<usize>(8, (PIECE / k) & ~7), end = min<usize>(k, done + some);
  if (stage == 1) {
    const failed = secularRoots(k, done, end, ldS << 3, load<f64>(at, 32), load<f64>(at, 40), out, firsts, lasts);
    if (failed) return 1 + failed + <i32>low;
    if (end == k) secularWeights(k);
  } else if (stage == 2) {
    secularVectors(k, done, end, ldS << 3, out, firsts, lasts);
  } else if (stage == 3) {
    const rows = s + ((done * ldS) << 3), to = out + done * ld;
    if (upper) gemm<f64>(1, end - done, n1, upper, rows, 0, ldS, 1, packed, 0, ld1 >> 3, 1, to + (low << 3), 0, ld >> 3, 1, false);
    else clear(end - done, n1, to + (low << 3));
    if (lower) gemm<f64>(1, end - done, n2, lower, rows + (counts0 << 3), 0, ldS, 1, packedLower, 0, ld2 >> 3, 1, to + (middle << 3), 0, ld >> 3, 1, false);
    else clear(end - done, n2, to + (middle << 3));
  } else {
    const tail = s + ((k * ldS) << 3), width = full ? n << 3 : 16, list = order + (low << 2);
    memory.copy(d + (low << 3), root, k << 3);
    for (let j: usize = 0; j < n - k; j++) memory.copy(out + (k + j) * ld + offset(low), tail + j * width, width);
    memory.copy(d + ((low + k) << 3), weight, (n - k) << 3);
    for (let j: usize = 0; j < n; j++) store<u32>(kept + (j << 2), <u32>(low + j));
    mergeSorted(kept, kept + (k << 2), kept + (k << 2), kept + (n << 2), d, list);
    return 1;
  }
  const over = end == k || k == 1;
  // Of one root there is nothing to normalise; values alone need no vectors.
  const next: u32 = k == 1 && stage == 1 ? (full ? 3 : 4) : stage == 2 && !full ? 4 : stage + 1;
  store<u32>(at, over ? next : stage, 4);
  store<u32>(at, over ? 0 : <u32>end, 8);
  return 0;
}

/** Strides that are odd multiples of a cache line avoid conflict misses in the products. */
function strideOf(n: usize): usize {
  return (((n + 7) & ~7) | 8) << 3;
}

function mergeBegin(low: usize, middle: usize, high: usize, coupling: f64, at: usize): i32 {
  const n = high - low, n1 = middle - low, n2 = high - middle;
  const list = order + (low << 2);

  // The update is rho u u', where u holds the last row of the first block and the first row of the second.
  const rho = 2 * Math.abs(coupling);
  let largest: f64 = 0, size: f64 = 0;
  for (let i = low; i < high; i++) {
    const first = i < middle;
    const at = z + i * ld + (full ? (first ? middle - 1 : middle) << 3 : first ? 8 : 0);
    let x = load<f64>(at) * Math.SQRT1_2;
    if (!first && coupling < 0) x = -x;
    // Padded with zeros, this vector ends (or starts) in one from now on.
    if (!full) store<f64>(at, 0);
    store<f64>(weight + (i << 3), x);
    store<u32>(kind + (i << 2), first ? 0 : 2);
    largest = Math.max(largest, Math.abs(x));
    size = Math.max(size, Math.abs(load<f64>(d + (i << 3))));
  }
  mergeSorted(list, list + (n1 << 2), list + (n1 << 2), list + (n << 2), d, merged);
  // What is dropped is a few ulp of the norm of the whole matrix, not of this block.
  const tolerance = 8 * EPSILON * Math.max(size, norm * largest);
  if (rho * largest <= tolerance) {
    memory.copy(list, merged, n << 2);
    return 1;
  }

  const k = deflate(n, low, middle, high, rho, tolerance);

  // Kinds 0, 1, 2 (first block only, both, second only) are grouped in this order by the columns of s.
  let counts0: usize = 0, counts1: usize = 0;
  for (let j: usize = 0; j < k; j++) {
    const t = load<u32>(kind + (<usize>load<u32>(kept + (j << 2)) << 2));
    if (t == 0) counts0++; else if (t == 1) counts1++;
  }
  const upper = counts0 + counts1;
  const ld1 = strideOf(n1), ld2 = strideOf(n2);
  const packedLower = packed + upper * ld1, firsts = packed, lasts = packed + (k << 3);
  let next0: usize = 0, next1 = counts0, next2 = upper, total: f64 = 0;
  for (let j: usize = 0; j < k; j++) {
    const i = <usize>load<u32>(kept + (j << 2));
    const t = load<u32>(kind + (i << 2));
    const to = t == 0 ? next0++ : t == 1 ? next1++ : next2++;
    const row = z + i * ld;
    if (!full) {
      store<f64>(firsts + (j << 3), load<f64>(row));
      store<f64>(lasts + (j << 3), load<f64>(row, 8));
    }
    if (full && t < 2) memory.copy(packed + to * ld1, row + (low << 3), n1 << 3);
    if (full && t > 0) memory.copy(packedLower + (to - counts0) * ld2, row + (middle << 3), n2 << 3);
    const x = load<f64>(weight + (i << 3));
    store<u32>(place + (j << 2), <u32>(to << 3));
    store<f64>(pole + (j << 3), load<f64>(d + (i << 3)));
    store<f64>(square + (j << 3), x * x);
    store<f64>(product + (j << 3), 1);
    // Only the sign of the weight is needed from here on.
    store<f64>(column + (j << 3), x);
    total += x * x;
  }
  // Deflated vectors wait behind s.
  const ldS = (k + 2) & ~1, tail = s + ((k * ldS) << 3), width = full ? n << 3 : 16;
  for (let j: usize = 0; j < n - k; j++) {
    const i = <usize>load<u32>(dropped + (j << 2));
    memory.copy(tail + j * width, z + i * ld + offset(low), width);
    store<f64>(weight + (j << 3), load<f64>(d + (i << 3)));
  }

  store<u32>(at, 1, 4);
  store<u32>(at, 0, 8);
  store<u32>(at, <u32>k, 12);
  store<u32>(at, <u32>counts0, 16);
  store<u32>(at, <u32>upper, 20);
  store<f64>(at, rho, 32);
  store<f64>(at, total, 40);
  return 0;
}

function clear(rows: usize, columns: usize, at: usize): void {
  for (; rows > 0; rows--, at += ld) memory.fill(at, 0, columns << 3);
}

/** Sorts the rows in merged into kept (ascending) and dropped (ascending); returns how many are kept. */
function deflate(n: usize, low: usize, middle: usize, high: usize, rho: f64, tolerance: f64): usize {
  let k: usize = 0, gone: usize = 0;
  let held = -1;
  for (let t: usize = 0; t < n; t++) {
    const j = <usize>load<u32>(merged + (t << 2));
    const wj = load<f64>(weight + (j << 3));
    if (rho * Math.abs(wj) <= tolerance) {
      insert(dropped, gone++, <u32>j, d);
      continue;
    }
    if (held >= 0) {
      const h = <usize>held;
      const wh = load<f64>(weight + (h << 3)), dh = load<f64>(d + (h << 3)), dj = load<f64>(d + (j << 3));
      const length = Math.sqrt(wj * wj + wh * wh);
      const cos = wj / length, sin = -wh / length;
      if (Math.abs((dj - dh) * cos * sin) <= tolerance) {
        // Nearly equal: rotate the weight of the held one into this one.
        store<f64>(weight + (j << 3), length);
        const kh = load<u32>(kind + (h << 2));
        if (kh != load<u32>(kind + (j << 2))) store<u32>(kind + (j << 2), 1);
        rotate(full ? high - low : 2, z + h * ld + offset(low), z + j * ld + offset(low), cos, sin);
        store<f64>(d + (h << 3), dh * cos * cos + dj * sin * sin);
        store<f64>(d + (j << 3), dh * sin * sin + dj * cos * cos);
        insert(dropped, gone++, <u32>h, d);
      } else {
        store<u32>(kept + (k++ << 2), <u32>h);
      }
    }
    held = <i32>j;
  }
  store<u32>(kept + (k++ << 2), <u32>held);
  return k;
}

/** Solves the secular equations [from, to) of k into root. One root's vector is a unit vector. */
function secularRoots(
  k: usize, from: usize, to: usize, ldS: usize, rho: f64, total: f64, out: usize, firsts: usize, lasts: usize,
): i32 {
  if (k == 1) {
    store<f64>(root, load<f64>(pole) + rho * total);
    store<f64>(s, 1);
    if (!full) {
      store<f64>(out, load<f64>(firsts));
      store<f64>(out, load<f64>(lasts), 8);
    }
    return 0;
  }
  const bytes = k << 3;
  for (let j = from; j < to; j++) {
    const row = s + j * ldS;
    const x = secularRoot(k, j, pole, square, rho, total, row);
    if (!(x == x)) return 1 + <i32>j;
    store<f64>(root + (j << 3), x);
    // product[i] = 1 / (weight for which the computed roots are exact)^2 (Gu & Eisenstat 1995)
    const at = product + (j << 3);
    const own = load<f64>(at) * load<f64>(row + (j << 3));
    const dj = load<f64>(pole + (j << 3)), dd = f64x2.splat(dj);
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      v128.store(product + i, f64x2.mul(v128.load(product + i), f64x2.mul(f64x2.sub(v128.load(pole + i), dd), v128.load(row + i))));
    }
    if (i < bytes) store<f64>(product + i, load<f64>(product + i) * (load<f64>(pole + i) - dj) * load<f64>(row + i));
    store<f64>(at, own);
  }
  return 0;
}

/** The weights for which the computed roots are exact. */
function secularWeights(k: usize): void {
  for (let i: usize = 0; i < k << 3; i += 8) {
    const x = 1 / Math.sqrt(Math.abs(load<f64>(product + i)));
    store<f64>(product + i, load<f64>(column + i) < 0 ? -x : x);
  }
}

/**
 * Eigenvectors [from, to) of k: rows of s with grouped columns or, for values alone, they only multiply firsts and lasts into the
 * rows of out.
 */
function secularVectors(
  k: usize, from: usize, to: usize, ldS: usize, out: usize, firsts: usize, lasts: usize,
): void {
  const bytes = k << 3;
  for (let j = from; j < to; j++) {
    const row = s + j * ldS;
    let sum0 = f64x2.splat(0), sum1 = sum0;
    let i: usize = 0;
    for (; i + 32 <= bytes; i += 32) {
      const x = f64x2.mul(v128.load(row + i), v128.load(product + i));
      const y = f64x2.mul(v128.load(row + i, 16), v128.load(product + i, 16));
      v128.store(column + i, x); v128.store(column + i, y, 16);
      sum0 = fma(x, x, sum0); sum1 = fma(y, y, sum1);
    }
    let norm = sum(f64x2.add(sum0, sum1));
    for (; i < bytes; i += 8) {
      const x = load<f64>(row + i) * load<f64>(product + i);
      store<f64>(column + i, x);
      norm += x * x;
    }
    norm = 1 / Math.sqrt(norm);
    if (!full) {
      store<f64>(out + (j << 4), norm * dot(k, column, firsts));
      store<f64>(out + (j << 4), norm * dot(k, column, lasts), 8);
    } else for (i = 0; i < bytes; i += 8) store<f64>(row + <usize>load<u32>(place + (i >> 1)), load<f64>(column + i) * norm);
  }
}
