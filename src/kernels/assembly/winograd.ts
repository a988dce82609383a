// Correlations of images with windows of 3 × 3, one apart, by minimal filtering F(2×2, 3×3) (Lavin, Gray 2016, "Fast algorithms
// for convolutional neural networks"): Y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A takes 16 products for 4 outputs, where windows take 36. Of
// tiles of 4 × 4 inputs, two apart, become 16 matrices, one for each place in a tile; so do the weights, and their products
// become tiles of 2 × 2 outputs. What arrives at these goes back to the weights the same way, Gᵀ [(A dY Aᵀ) ∘ (Bᵀ d B)] G. Tiles lie `across` in a row, a multiple of 4: those beyond the edge are of zeros. In float32
// alone; in float64 these do nothing.

/** Numbers of a row of half an image in the scratch memory: tiles, and one more for the last. */
// @ts-ignore: decorator
@inline
function halfRow(across: usize): usize {
  return across + 4;
}

/** Element j of four weights [3, 3], w0 to w3; of those turned by half a turn element 8 - j. */
// @ts-ignore: decorator
@inline
function four(w0: usize, w1: usize, w2: usize, w3: usize, j: usize, turned: bool): v128 {
  const at = (turned ? 8 - j : j) * 4;
  let v = v128.load_splat<f32>(w0 + at);
  v = f32x4.replace_lane(v, 1, load<f32>(w1 + at));
  v = f32x4.replace_lane(v, 2, load<f32>(w2 + at));
  return f32x4.replace_lane(v, 3, load<f32>(w3 + at));
}

/** Writes one row of G g Gᵀ, of what G made of each column. */
// @ts-ignore: decorator
@inline
function weightRow(a: v128, b: v128, c: v128, step: usize, u: usize): void {
  const half = f32x4.splat(0.5);
  const ends = f32x4.add(a, c);
  v128.store(u, a);
  v128.store(u + step, f32x4.mul(half, f32x4.add(ends, b)));
  v128.store(u + 2 * step, f32x4.mul(half, f32x4.sub(ends, b)));
  v128.store(u + 3 * step, c);
}

/**
 * G g Gᵀ of `count` weights [3, 3], to u [16, step]; of those turned by half a turn where `turned`. They are taken in fours: of the
 * last, those beyond are written too.
 */
export function winogradWeights<T>(count: usize, turned: bool, w: usize, u: usize, step: usize): void {
  if (sizeof<T>() != 4) return;
  const half = f32x4.splat(0.5);
  const last = w + (count - 1) * 36;
  step *= 4;
  for (let i: usize = 0; i < count; i += 4, w += 144, u += 16) {
    const w1 = min<usize>(w + 36, last), w2 = min<usize>(w + 72, last), w3 = min<usize>(w + 108, last);
    const a0 = four(w, w1, w2, w3, 0, turned), a1 = four(w, w1, w2, w3, 1, turned), a2 = four(w, w1, w2, w3, 2, turned);
    const b0 = four(w, w1, w2, w3, 3, turned), b1 = four(w, w1, w2, w3, 4, turned), b2 = four(w, w1, w2, w3, 5, turned);
    const c0 = four(w, w1, w2, w3, 6, turned), c1 = four(w, w1, w2, w3, 7, turned), c2 = four(w, w1, w2, w3, 8, turned);
    const s0 = f32x4.add(a0, c0), s1 = f32x4.add(a1, c1), s2 = f32x4.add(a2, c2);
    weightRow(a0, a1, a2, step, u);
    weightRow(
      f32x4.mul(half, f32x4.add(s0, b0)), f32x4.mul(half, f32x4.add(s1, b1)), f32x4.mul(half, f32x4.add(s2, b2)), step,
      u + 4 * step,
    );
    weightRow(
      f32x4.mul(half, f32x4.sub(s0, b0)), f32x4.mul(half, f32x4.sub(s1, b1)), f32x4.mul(half, f32x4.sub(s2, b2)), step,
      u + 8 * step,
    );
    weightRow(c0, c1, c2, step, u + 12 * step);
  }
}

/** Copies numbers, four at a time as far as there are four. */
// @ts-ignore: decorator
@inline
function copyLine(bytes: usize, x: usize, y: usize): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, v128.load(x + i));
  for (; i < bytes; i += 4) store<f32>(y + i, load<f32>(x + i));
}

/** Puts even and odd places of a line apart. */
// @ts-ignore: decorator
@inline
function halve(bytes: usize, x: usize, even: usize, odd: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const a = v128.load(x + 2 * i), b = v128.load(x + 2 * i, 16);
    v128.store(even + i, v128.shuffle<f32>(a, b, 0, 2, 4, 6));
    v128.store(odd + i, v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  }
}

/** Writes one row of Bᵀ d B for four tiles: of rows p and q of their inputs, p - q or p + q. */
// @ts-ignore: decorator
@inline
function inputRow(p: usize, q: usize, odd: usize, minus: bool, step: usize, v: usize): void {
  const a0 = v128.load(p), a1 = v128.load(q), b0 = v128.load(p + odd), b1 = v128.load(q + odd);
  const a = minus ? f32x4.sub(a0, a1) : f32x4.add(a0, a1), b = minus ? f32x4.sub(b0, b1) : f32x4.add(b0, b1);
  const c0 = v128.load(p, 4), c1 = v128.load(q, 4), d0 = v128.load(p + odd, 4), d1 = v128.load(q + odd, 4);
  const c = minus ? f32x4.sub(c0, c1) : f32x4.add(c0, c1), d = minus ? f32x4.sub(d0, d1) : f32x4.add(d0, d1);
  v128.store(v, f32x4.sub(a, c));
  v128.store(v + step, f32x4.add(b, c));
  v128.store(v + 2 * step, f32x4.sub(c, b));
  v128.store(v + 3 * step, f32x4.sub(b, d));
}

/**
 * Bᵀ d B of n images x [channels, height, width], whose tiles begin `top` and `left` beyond the edges, to v: 16 matrices `step`
 * apart, a row of n · rows · across numbers for each channel, `plane` apart.
 * @param scratch room for 4 · (2 · rows + 2) · (across + 4) numbers
 */
export function winogradInput<T>(
  n: i32, channels: i32, height: i32, width: i32, top: i32, left: i32, rows: i32, across: i32, scratch: usize, x: usize,
  v: usize, step: usize, plane: usize,
): void {
  if (sizeof<T>() != 4) return;
  plane *= 4;
  step *= 4;
  // A plane with its edges, of which even places, and then odd ones, go into the rest of the scratch memory.
  const lines = 2 * rows + 2;
  const half = halfRow(across) * 4, line = 2 * half;
  const even = scratch + <usize>lines * line, odd = <usize>lines * half;
  memory.fill(scratch, 0, 2 * <usize>lines * line);
  const used = min<i32>(height, lines - top);
  const bytes = <usize>min<i32>(width * 4, <i32>line - left * 4);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++, x += <usize>(height * width) * 4) {
      for (let y = 0; y < used; y++) {
        copyLine(bytes, x + <usize>(y * width) * 4, scratch + <usize>(y + top) * line + <usize>left * 4);
      }
      for (let y = top; y < top + used; y++) {
        halve(half, scratch + <usize>y * line, even + <usize>y * half, even + odd + <usize>y * half);
      }
      let to = v + <usize>c * plane + <usize>(i * rows * across) * 4;
      for (let r = 0; r < rows; r++) {
        let e0 = even + <usize>(2 * r) * half;
        for (let t = 0; t < across; t += 4, e0 += 16, to += 16) {
          const e1 = e0 + half, e2 = e1 + half, e3 = e2 + half;
          inputRow(e0, e2, odd, true, step, to);
          inputRow(e1, e2, odd, false, step, to + 4 * step);
          inputRow(e2, e1, odd, true, step, to + 8 * step);
          inputRow(e1, e3, odd, true, step, to + 12 * step);
        }
      }
    }
  }
}

/** Puts four tiles' pairs of a row of outputs in their places, those that are there. */
// @ts-ignore: decorator
@inline
function pairs(a: v128, b: v128, left: i32, adding: bool, scratch: usize, y: usize): void {
  const first = v128.shuffle<f32>(a, b, 0, 4, 1, 5), second = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  if (left >= 8) {
    v128.store(y, adding ? f32x4.add(v128.load(y), first) : first);
    v128.store(y + 16, adding ? f32x4.add(v128.load(y + 16), second) : second);
    return;
  }
  v128.store(scratch, first);
  v128.store(scratch + 16, second);
  for (let i: usize = 0; i < <usize>left * 4; i += 4) {
    const value = load<f32>(scratch + i);
    store<f32>(y + i, adding ? load<f32>(y + i) + value : value);
  }
}

/**
 * Aᵀ m A of m, which lies as `winogradInput` has it, to n images y [channels, height, width], or added to them.
 * @param scratch room for 8 numbers
 */
export function winogradOutput<T>(
  n: i32, channels: i32, height: i32, width: i32, rows: i32, across: i32, scratch: usize, m: usize, step: usize, plane: usize,
  y: usize, adding: bool,
): void {
  if (sizeof<T>() != 4) return;
  plane *= 4;
  step *= 4;
  const down = <usize>width * 4;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++, y += <usize>height * down) {
      let at = m + <usize>c * plane + <usize>(i * rows * across) * 4;
      for (let r = 0; r < rows; r++) {
        const row = y + <usize>(2 * r) * down;
        for (let t = 0; t < across; t += 4, at += 16) {
          const left = width - 2 * t;
          if (left <= 0) continue;
          let a0: v128 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0;
          // Along rows, for each column: its part of both output columns.
          for (let j: usize = 0; j < 4; j++) {
            const from = at + j * step;
            const m0 = v128.load(from), m1 = v128.load(from + 4 * step);
            const m2 = v128.load(from + 8 * step), m3 = v128.load(from + 12 * step);
            const s = f32x4.add(m0, f32x4.add(m1, m2)), d = f32x4.sub(f32x4.sub(m1, m2), m3);
            if (j < 3) {
              a0 = f32x4.add(a0, s);
              b0 = f32x4.add(b0, d);
            }
            if (j == 1) {
              a1 = s;
              b1 = d;
            } else if (j > 1) {
              a1 = f32x4.sub(a1, s);
              b1 = f32x4.sub(b1, d);
            }
          }
          const to = row + <usize>(2 * t) * 4;
          pairs(a0, a1, left, adding, scratch, to);
          if (2 * r + 1 < height) pairs(b0, b1, left, adding, scratch, to + down);
        }
      }
    }
  }
}

/** Writes one row of A d Aᵀ, of what A made of both columns. */
// @ts-ignore: decorator
@inline
function cotangentRow(a: v128, b: v128, step: usize, v: usize): void {
  v128.store(v, a);
  v128.store(v + step, f32x4.add(a, b));
  v128.store(v + 2 * step, f32x4.sub(a, b));
  v128.store(v + 3 * step, f32x4.neg(b));
}

/** Where eight numbers of a row are, of which `left` are there: those beyond are 0, in the scratch memory. */
// @ts-ignore: decorator
@inline
function eight(left: i32, y: usize, scratch: usize): usize {
  if (left >= 8) return y;
  const zero = f32x4.splat(0);
  v128.store(scratch, zero);
  v128.store(scratch, zero, 16);
  for (let i: usize = 0; i32(i) < left * 4; i += 4) store<f32>(scratch + i, load<f32>(y + i));
  return scratch;
}

/**
 * A d Aᵀ of n images d [channels, height, width], cut into tiles of 2 × 2, to v, which lies as `winogradInput` has it.
 * @param scratch room for 8 numbers
 */
export function winogradCotangent<T>(
  n: i32, channels: i32, height: i32, width: i32, rows: i32, across: i32, scratch: usize, d: usize, v: usize, step: usize,
  plane: usize,
): void {
  if (sizeof<T>() != 4) return;
  plane *= 4;
  step *= 4;
  const down = <usize>width * 4;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++, d += <usize>height * down) {
      let to = v + <usize>c * plane + <usize>(i * rows * across) * 4;
      for (let r = 0; r < rows; r++) {
        const row = d + <usize>(2 * r) * down;
        for (let t = 0; t < across; t += 4, to += 16) {
          const left = width - 2 * t;
          const first = eight(left, row + <usize>(2 * t) * 4, scratch);
          const e = v128.load(first), f = v128.load(first, 16);
          const second = eight(2 * r + 1 < height ? left : 0, row + down + <usize>(2 * t) * 4, scratch);
          const g = v128.load(second), h = v128.load(second, 16);
          const a0 = v128.shuffle<f32>(e, f, 0, 2, 4, 6), b0 = v128.shuffle<f32>(e, f, 1, 3, 5, 7);
          const a1 = v128.shuffle<f32>(g, h, 0, 2, 4, 6), b1 = v128.shuffle<f32>(g, h, 1, 3, 5, 7);
          cotangentRow(a0, b0, step, to);
          cotangentRow(f32x4.add(a0, a1), f32x4.add(b0, b1), step, to + 4 * step);
          cotangentRow(f32x4.sub(a0, a1), f32x4.sub(b0, b1), step, to + 8 * step);
          cotangentRow(f32x4.neg(a1), f32x4.neg(b1), step, to + 12 * step);
        }
      }
    }
  }
}

/** Gᵀ of four numbers: one of its three. */
// @ts-ignore: decorator
@inline
function third(i: i32, a: v128, b: v128, c: v128, d: v128): v128 {
  const half = f32x4.splat(0.5);
  if (i == 1) return f32x4.mul(half, f32x4.sub(b, c));
  return f32x4.add(f32x4.mul(half, f32x4.add(b, c)), i == 0 ? a : d);
}

/**
 * Gᵀ p G of p [16, step], to `count` weights w [3, 3], or added to them.
 * @param scratch room for 36 numbers
 */
export function winogradWeightsBack<T>(
  count: usize, p: usize, step: usize, scratch: usize, w: usize, adding: bool,
): void {
  if (sizeof<T>() != 4) return;
  step *= 4;
  for (let i: usize = 0; i < count; i += 4, p += 16) {
    for (let j = 0; j < 3; j++) {
      const at = scratch + <usize>j * 48;
      let a: v128 = f32x4.splat(0), b = a, c = a, d = a;
      for (let column: usize = 0; column < 4; column++) {
        const from = p + column * step;
        const p0 = v128.load(from), p1 = v128.load(from + 4 * step);
        const p2 = v128.load(from + 8 * step), p3 = v128.load(from + 12 * step);
        const one = third(j, p0, p1, p2, p3);
        if (column == 0) a = one;
        else if (column == 1) b = one;
        else if (column == 2) c = one;
        else d = one;
      }
      v128.store(at, third(0, a, b, c, d));
      v128.store(at, third(1, a, b, c, d), 16);
      v128.store(at, third(2, a, b, c, d), 32);
    }
    const end = min<usize>(4, count - i) * 4;
    for (let lane: usize = 0; lane < end; lane += 4) {
      for (let e: usize = 0; e < 9; e++, w += 4) {
        const value = load<f32>(scratch + e * 16 + lane);
        store<f32>(w, adding ? load<f32>(w) + value : value);
      }
    }
  }
}
