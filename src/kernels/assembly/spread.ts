// The curvature of outputs whose matrix for each row is Λ = diag(q) − q qᵀ / Σ q ("shared", as of classes), or diag(q): its
// columns behind a linear layer, of which none is ever written at the outputs, and their products.

import { gemm } from "./gemm";
import { gemmt } from "./symmetric";

/**
 * W' times columns of the root of Λ, for W of [classes, n]. Column k of shared rows is √(q_k r_k / (q_k + r_k)) (w_k − m_k), for
 * the sum r_k of what follows q_k, and the mean m_k of w with those weights: nothing cancels. `count` columns from `first` on are
 * written, row r of column k at to + k · column + r · row; `mean` has room for n numbers.
 */
export function spreadColumns<T>(
  rows: usize, classes: usize, n: usize, q: usize, w: usize, shared: bool, first: usize, count: usize, mean: usize,
  to: usize, column: usize, row: usize,
): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let r: usize = 0; r < rows; r++) {
    memory.fill(mean, 0, bytes);
    let rest: f64 = 0;
    for (let k = shared ? classes : first + count; k > first; ) {
      k--;
      const p = <f64>load<T>(q + (r * classes + k) * sizeof<T>());
      const sum = rest + p;
      const share = shared ? (sum > 0 ? p / sum : 0) : p;
      const factor = <T>(shared ? Math.sqrt(share) * Math.sqrt(rest) : Math.sqrt(p));
      const step = <T>(shared ? share : 0);
      rest = sum;
      const x = w + k * bytes;
      if (k >= first + count) {
        if (step != 0) stepOnly<T>(bytes, vectors, x, mean, step);
        continue;
      }
      const y = to + ((k - first) * column + r * row) * sizeof<T>();
      const f = v128.splat<T>(factor);
      const s = v128.splat<T>(step);
      let i: usize = 0;
      for (; i < vectors; i += 16) {
        const m = v128.load(mean + i);
        const d = v128.sub<T>(v128.load(x + i), m);
        v128.store(y + i, v128.mul<T>(f, d));
        v128.store(mean + i, v128.add<T>(m, v128.mul<T>(s, d)));
      }
      for (; i < bytes; i += sizeof<T>()) {
        const d = load<T>(x + i) - load<T>(mean + i);
        store<T>(y + i, factor * d);
        store<T>(mean + i, load<T>(mean + i) + step * d);
      }
    }
  }
}

function stepOnly<T>(bytes: usize, vectors: usize, x: usize, mean: usize, step: T): void {
  const s = v128.splat<T>(step);
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    const m = v128.load(mean + i);
    v128.store(mean + i, v128.add<T>(m, v128.mul<T>(s, v128.sub<T>(v128.load(x + i), m))));
  }
  for (; i < bytes; i += sizeof<T>()) {
    const m = load<T>(mean + i);
    store<T>(mean + i, m + step * (load<T>(x + i) - m));
  }
}

/**
 * C += the sum over rows and columns of x x', lower triangles, for x of n numbers, column k of row r at x + k · column + r · row. What
 * is 0 in all columns of a row, as behind relu, is left out of its product. `work` has room for n (columns + n) numbers, `live`
 * for n integers.
 */
export function rowGrams<T>(
  rows: usize, columns: usize, n: usize, x: usize, column: usize, row: usize, c: usize, work: usize, live: usize,
): void {
  const bytes = n * sizeof<T>();
  const square = work + columns * bytes;
  for (let r: usize = 0; r < rows; r++, x += row * sizeof<T>()) {
    const count = liveEntries<T>(columns, n, x, column * sizeof<T>(), square, live);
    // Copying pays where a quarter and more is left out.
    if (4 * count > 3 * n) {
      gemmt<T>(n, columns, x, 1, column, x, column, 1, c, n, 1, true);
      continue;
    }
    for (let k: usize = 0, from = x, to = work; k < columns; k++, from += column * sizeof<T>()) {
      for (let i: usize = 0; i < count; i++, to += sizeof<T>()) {
        store<T>(to, load<T>(from + load<u32>(live + 4 * i) * sizeof<T>()));
      }
    }
    gemmt<T>(count, columns, work, 1, count, work, count, 1, square, count, 1, false);
    for (let i: usize = 0; i < count; i++) {
      const y = c + load<u32>(live + 4 * i) * bytes;
      for (let j: usize = 0; j <= i; j++) {
        const at = y + load<u32>(live + 4 * j) * sizeof<T>();
        store<T>(at, load<T>(at) + load<T>(square + (i * count + j) * sizeof<T>()));
      }
    }
  }
}

/**
 * Adds to rows `first` up to `end` of `count` matrices, n² apart, up to the diagonal: C_q += the sum over rows of w_q x x', for x of n numbers and
 * weights w, `step` apart from row to row. In row i of C, rows whose x_i is 0, as behind relu, are left out. `work` has room for
 * rows (n + count) + 4 numbers.
 */
export function weightedGramRows<T>(
  first: usize, end: usize, rows: usize, n: usize, x: usize, count: usize, step: usize, w: usize, c: usize, work: usize,
): void {
  const bytes = n * sizeof<T>();
  const across = count * sizeof<T>();
  const scaled = work + rows * bytes;
  for (let i = first; i < end; i++) {
    let live: usize = 0;
    for (let r: usize = 0, row = x, weight = w; r < rows; r++, row += bytes, weight += step * sizeof<T>()) {
      const xi = load<T>(row + i * sizeof<T>());
      if (xi == 0) continue;
      memory.copy(work + live * bytes, row, (i + 1) * sizeof<T>());
      // What a last vector has too many of is written over.
      const to = scaled + live++ * across;
      for (let q: usize = 0; q < across; q += 16) v128.store(to + q, v128.mul<T>(v128.splat<T>(xi), v128.load(weight + q)));
    }
    gemm<T>(1, count, i + 1, live, scaled, 0, 1, count, work, 0, n, 1, c + i * bytes, 0, n * n, <T>1, true);
  }
}

/** Writes the numbers of the entries that are not 0 in all columns, and gives how many there are; `seen` has room for n numbers. */
function liveEntries<T>(columns: usize, n: usize, x: usize, column: usize, seen: usize, live: usize): usize {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  memory.fill(seen, 0, bytes);
  const zero = v128.splat<T>(<T>0);
  for (let k: usize = 0; k < columns; k++, x += column) {
    let i: usize = 0;
    for (; i < vectors; i += 16) {
      v128.store(seen + i, v128.or(v128.load(seen + i), v128.ne<T>(v128.load(x + i), zero)));
    }
    for (; i < bytes; i += sizeof<T>()) if (load<T>(x + i) != 0) store<T>(seen + i, <T>1);
  }
  let count: usize = 0;
  for (let i: usize = 0; i < n; i++) {
    const at = seen + i * sizeof<T>();
    if (load<u32>(at) != 0 || load<u32>(at + sizeof<T>() - 4) != 0) store<u32>(live + 4 * count++, <u32>i);
  }
  return count;
}
