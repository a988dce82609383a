// Images, [channels, height, width]: windows copied out and added back, pooling, and a scale and shift per channel.

import { affine } from "./elementwise";
import { multiplyAdd } from "./fused";

const ZERO = memory.data<f32>([0, 0, 0, 0]);

/** Copies, or adds, `bytes` from x to y, which do not overlap. */
// @ts-ignore: decorator
@inline
function line<T>(bytes: usize, x: usize, y: usize, adding: bool): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const v = v128.load(x + i);
    v128.store(y + i, adding ? v128.add<T>(v128.load(y + i), v) : v);
  }
  if (!adding && bytes >= 16) {
    // What is left is written again together with what is before it.
    if (i < bytes) v128.store(y + bytes - 16, v128.load(x + bytes - 16));
    return;
  }
  for (; i < bytes; i += sizeof<T>()) store<T>(y + i, adding ? load<T>(y + i) + load<T>(x + i) : load<T>(x + i));
}

// @ts-ignore: decorator
@inline
function clear(bytes: usize, y: usize): void {
  const zero = v128.load(ZERO);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, zero);
  for (; i < bytes; i += 4) store<u32>(y + i, 0);
}

/** The least i of at least 0 and at most n with i · step >= from. */
// @ts-ignore: decorator
@inline
function firstAt(from: i32, step: i32, n: i32): i32 {
  return from <= 0 ? 0 : min<i32>(n, (from + step - 1) / step);
}

/** Goes through windows: copies them out of an image, zero beyond its edges, or adds them back (`folding`). */
// @ts-ignore: decorator
@inline
function windows<T>(
  n: i32, channels: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32,
  dw: i32, oh: i32, ow: i32, image: usize, columns: usize, folding: bool,
): void {
  const size = sizeof<T>();
  const plane = <usize>(height * width) * size;
  const across = <usize>sw * size, down = <usize>(sh * width) * size;
  const row = <usize>ow * size;
  for (let p = n * channels; p > 0; p--) {
    for (let ky = 0; ky < kh; ky++) {
      const y = ky * dh - top;
      const firstRow = firstAt(-y, sh, oh), lastRow = max<i32>(firstRow, firstAt(height - y, sh, oh));
      for (let kx = 0; kx < kw; kx++) {
        const x = kx * dw - left;
        const first = firstAt(-x, sw, ow), last = max<i32>(first, firstAt(width - x, sw, ow));
        const before = <usize>first * size, after = <usize>(ow - last) * size, length = row - before - after;
        const above = length == 0 ? <usize>oh * row : <usize>firstRow * row;
        if (!folding) clear(above, columns);
        columns += above;
        if (length == 0) continue;
        let from = image + <usize>((firstRow * sh + y) * width + first * sw + x) * size;
        for (let r = firstRow; r < lastRow; r++) {
          if (!folding && before > 0) clear(before, columns);
          const to = columns + before;
          if (sw == 1) {
            if (folding) line<T>(length, to, from, true);
            else line<T>(length, from, to, false);
          } else {
            for (let i: usize = 0, at = from; i < length; i += size, at += across) {
              if (folding) store<T>(at, load<T>(at) + load<T>(to + i));
              else store<T>(to + i, load<T>(at));
            }
          }
          columns += row;
          if (!folding && after > 0) clear(after, columns - after);
          from += down;
        }
        const below = <usize>(oh - lastRow) * row;
        if (!folding) clear(below, columns);
        columns += below;
      }
    }
    image += plane;
  }
}

/**
 * The windows of n images [channels, height, width] as columns, [n, channels · kh · kw, oh · ow], zero beyond the edges:
 * window (oy, ox) begins at (oy · sh - top, ox · sw - left), and its elements are dh and dw apart.
 */
export function unfold<T>(
  n: i32, channels: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32,
  dw: i32, oh: i32, ow: i32, x: usize, y: usize,
): void {
  windows<T>(n, channels, height, width, kh, kw, sh, sw, top, left, dh, dw, oh, ow, x, y, false);
}

/** The transpose of `unfold`: adds columns y to the places in the images x that they came from. */
export function fold<T>(
  n: i32, channels: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, dh: i32,
  dw: i32, oh: i32, ow: i32, y: usize, x: usize,
): void {
  windows<T>(n, channels, height, width, kh, kw, sh, sw, top, left, dh, dw, oh, ow, x, y, true);
}

/**
 * Correlates every plane [height, width] of n images with windows of its channel's own weights [kh, kw], turned by half a turn
 * where `turned`: y[i, c, oy, ox] = Σ w[c, ky, kx] x[i, c, …] (or +=). Elements of x are gh and gw apart from the place (top, left)
 * of a plane of zeros, whose windows begin sh and sw apart; gw or sw is 1. That plane is the scratch memory, [rows, sw, half]: places of a row
 * that are sw apart lie beside each other, so that neighbouring windows do; four rows of y are made at once.
 */
export function correlatePlanes<T>(
  n: i32, channels: i32, height: i32, width: i32, gh: i32, gw: i32, top: i32, left: i32, kh: i32, kw: i32, sh: i32,
  sw: i32, dh: i32, dw: i32, oh: i32, ow: i32, turned: bool, adding: bool, rows: i32, half: i32, scratch: usize,
  x: usize, w: usize, y: usize,
): void {
  const size = sizeof<T>();
  const lanes = 16 / <i32>size;
  const phase = <usize>half * size, row = <usize>sw * phase;
  const down = <usize>sh * row;
  const taps = <usize>(kh * kw) * size;
  const next = turned ? -<isize>size : <isize>size;
  const across = <usize>ow * size;
  // Behind the plane, room for what is left of a vector.
  const spare = scratch + <usize>rows * row;
  const start = <usize>(left % sw) * phase + <usize>(left / sw) * size;
  clear(<usize>rows * row, scratch);
  for (let i = 0; i < n; i++) {
    let weights = w;
    for (let c = 0; c < channels; c++) {
      let to = scratch + <usize>top * row;
      for (let r = 0; r < height; r++, to += <usize>gh * row, x += <usize>width * size) {
        if (sw == 1 && gw == 1) {
          line<T>(<usize>width * size, x, to + start, false);
          continue;
        }
        // One phase after the other: one of sw and gw is 1.
        for (let q = 0; q < min<i32>(sw, width); q++) {
          let at = to + <usize>((left + q) % sw) * phase + <usize>((left + q) / sw) * size;
          for (let j = q; j < width; j += sw, at += <usize>gw * size) store<T>(at, load<T>(x + <usize>j * size));
        }
      }
      for (let oy = 0; oy < oh; oy += 4) {
        const first = scratch + <usize>oy * down;
        for (let ox = 0; ox < ow; ox += lanes) {
          let from = first + <usize>ox * size;
          let k = turned ? weights + taps - size : weights;
          let a0 = v128.splat<T>(0), a1 = a0, a2 = a0, a3 = a0;
          for (let ky = 0; ky < kh; ky++, from += <usize>dh * row) {
            for (let kx = 0, at = from, place = 0; kx < kw; kx++) {
              const v = v128.splat<T>(load<T>(k));
              const second = at + down, third = second + down;
              a0 = multiplyAdd<T>(v, v128.load(at), a0);
              a1 = multiplyAdd<T>(v, v128.load(second), a1);
              a2 = multiplyAdd<T>(v, v128.load(third), a2);
              a3 = multiplyAdd<T>(v, v128.load(third + down), a3);
              k += next;
              // dw places on: so many phases, and back to the first one with the next number.
              at += <usize>dw * phase;
              place += dw;
              for (; place >= sw; place -= sw) at += size - row;
            }
          }
          const bytes = min<usize>(16, across - <usize>ox * size);
          const t = y + <usize>(oy * ow + ox) * size;
          put<T>(bytes, a0, spare, t, adding);
          if (oy + 1 < oh) put<T>(bytes, a1, spare, t + across, adding);
          if (oy + 2 < oh) put<T>(bytes, a2, spare, t + 2 * across, adding);
          if (oy + 3 < oh) put<T>(bytes, a3, spare, t + 3 * across, adding);
        }
      }
      y += <usize>oh * across;
      weights += taps;
    }
  }
}

/** Writes, or adds, so many bytes of a vector. */
function put<T>(bytes: usize, v: v128, spare: usize, y: usize, adding: bool): void {
  if (bytes == 16) {
    v128.store(y, adding ? v128.add<T>(v128.load(y), v) : v);
    return;
  }
  v128.store(spare, v);
  for (let i: usize = 0; i < bytes; i += sizeof<T>()) {
    const one = load<T>(spare + i);
    store<T>(y + i, adding ? load<T>(y + i) + one : one);
  }
}

/** The even, or odd, elements of two vectors. */
// @ts-ignore: decorator
@inline
function everySecond<T>(a: v128, b: v128, odd: bool): v128 {
  if (sizeof<T>() == 8) return odd ? v128.shuffle<f64>(a, b, 1, 3) : v128.shuffle<f64>(a, b, 0, 2);
  return odd ? v128.shuffle<f32>(a, b, 1, 3, 5, 7) : v128.shuffle<f32>(a, b, 0, 2, 4, 6);
}

/** Writes the places of the largest of windows of two rows and columns, of which a vector each begins at `first`; it is `at` in the plane. */
// @ts-ignore: decorator
@inline
function largestPlaces<T>(at: i32, width: i32, first: usize, places: usize): void {
  const next = first + <usize>width * sizeof<T>();
  const a = v128.load(first), b = v128.load(first, 16), c = v128.load(next), d = v128.load(next, 16);
  let most = everySecond<T>(a, b, false);
  let place = v128.splat<T>(<T>0);
  for (let i = 1; i < 4; i++) {
    const value = everySecond<T>(i < 2 ? a : c, i < 2 ? b : d, (i & 1) != 0);
    // NaN is kept.
    const more = v128.or(v128.gt<T>(value, most), v128.ne<T>(value, value));
    const shift = (i & 1) + (i >> 1) * width;
    most = v128.bitselect(value, most, more);
    place = v128.bitselect(sizeof<T>() == 8 ? v128.splat<i64>(shift) : v128.splat<i32>(shift), place, more);
  }
  if (sizeof<T>() == 4) {
    v128.store(places, v128.add<i32>(place, v128.add<i32>(v128.splat<i32>(at), i32x4(0, 2, 4, 6))));
    return;
  }
  store<i32>(places, at + v128.extract_lane<i32>(place, 0));
  store<i32>(places, at + 2 + v128.extract_lane<i32>(place, 2), 4);
}

/**
 * The largest element of every window of the planes [height, width], [planes, oh, ow], and its place in the plane, the
 * first of equals: 32-bit integers. y or places may be 0, where they are not asked for.
 */
export function maxPool<T>(
  planes: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32,
  oh: i32, ow: i32, x: usize, y: usize, places: usize,
): void {
  const size = sizeof<T>();
  const lanes = 16 / <i32>size;
  const pairs = kh == 2 && kw == 2 && sh == 2 && sw == 2 && top == 0 && left == 0 && ow >= lanes;
  for (let p = 0; p < planes; p++) {
    for (let oy = 0; oy < oh; oy++) {
      const r0 = max<i32>(0, oy * sh - top), r1 = min<i32>(height, oy * sh - top + kh);
      // Whole vectors of two rows without branches, which no processor could foresee; the last may begin within the one before.
      for (let ox = 0; pairs && ox < ow; ox += lanes) {
        const cell = min<i32>(ox, ow - lanes);
        const at = r0 * width + 2 * cell;
        const row = x + <usize>at * size, next = row + <usize>width * size;
        if (y != 0) {
          const a = v128.max<T>(v128.load(row), v128.load(next));
          const b = v128.max<T>(v128.load(row, 16), v128.load(next, 16));
          v128.store(y + <usize>cell * size, v128.max<T>(everySecond<T>(a, b, false), everySecond<T>(a, b, true)));
        }
        if (places != 0) largestPlaces<T>(at, width, row, places + 4 * <usize>cell);
      }
      for (let ox = 0; !pairs && ox < ow; ox++) {
        const c0 = max<i32>(0, ox * sw - left), c1 = min<i32>(width, ox * sw - left + kw);
        let place = r0 * width + c0;
        let most = load<T>(x + <usize>place * size);
        for (let r = r0; r < r1; r++) {
          for (let at = r * width + c0, end = r * width + c1; at < end; at++) {
            const value = load<T>(x + <usize>at * size);
            // NaN is kept.
            if (!(value > most) && value == value) continue;
            place = at;
            most = value;
          }
        }
        if (y != 0) store<T>(y + <usize>ox * size, most);
        if (places != 0) store<i32>(places + 4 * <usize>ox, place);
      }
      if (y != 0) y += <usize>ow * size;
      if (places != 0) places += 4 * <usize>ow;
    }
    x += <usize>(height * width) * size;
  }
}

/** y[p, i] = x[p, places[p, i]] for planes of n that give m elements each. */
export function takePlaces<T>(planes: usize, m: usize, n: usize, places: usize, x: usize, y: usize): void {
  for (let p: usize = 0; p < planes; p++) {
    for (let i: usize = 0; i < m; i++) {
      store<T>(y, load<T>(x + <usize>load<u32>(places) * sizeof<T>()));
      y += sizeof<T>();
      places += 4;
    }
    x += n * sizeof<T>();
  }
}

/** x[s, p, places[p, i]] += y[s, p, i], the transpose of `takePlaces`, for each of `slabs`. */
export function addAtPlaces<T>(
  slabs: usize, planes: usize, m: usize, n: usize, places: usize, y: usize, x: usize,
): void {
  for (let s: usize = 0; s < slabs; s++) {
    let at = places;
    for (let p: usize = 0; p < planes; p++) {
      for (let i: usize = 0; i < m; i++) {
        const to = x + <usize>load<u32>(at) * sizeof<T>();
        store<T>(to, load<T>(to) + load<T>(y));
        y += sizeof<T>();
        at += 4;
      }
      x += n * sizeof<T>();
    }
  }
}

/** Means of windows, or their transpose, which adds. */
// @ts-ignore: decorator
@inline
function means<T>(
  planes: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, oh: i32, ow: i32,
  whole: bool, x: usize, y: usize, transposed: bool,
): void {
  for (let p = 0; p < planes; p++) {
    for (let oy = 0; oy < oh; oy++) {
      const r0 = max<i32>(0, oy * sh - top), r1 = min<i32>(height, oy * sh - top + kh);
      for (let ox = 0; ox < ow; ox++) {
        const c0 = max<i32>(0, ox * sw - left), c1 = min<i32>(width, ox * sw - left + kw);
        const share = <T>1 / <T>(whole ? kh * kw : (r1 - r0) * (c1 - c0));
        const part = transposed ? share * load<T>(y) : <T>0;
        let sum: T = 0;
        for (let r = r0; r < r1; r++) {
          for (let c = c0; c < c1; c++) {
            const at = x + <usize>(r * width + c) * sizeof<T>();
            if (transposed) store<T>(at, load<T>(at) + part);
            else sum += load<T>(at);
          }
        }
        if (!transposed) store<T>(y, share * sum);
        y += sizeof<T>();
      }
    }
    x += <usize>(height * width) * sizeof<T>();
  }
}

/** The mean of every window of the planes [height, width]: over all its elements (`whole`), or those within the plane. */
export function averagePool<T>(
  planes: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, oh: i32, ow: i32,
  whole: bool, x: usize, y: usize,
): void {
  means<T>(planes, height, width, kh, kw, sh, sw, top, left, oh, ow, whole, x, y, false);
}

/** The transpose of `averagePool`: adds to x. */
export function averagePoolBack<T>(
  planes: i32, height: i32, width: i32, kh: i32, kw: i32, sh: i32, sw: i32, top: i32, left: i32, oh: i32, ow: i32,
  whole: bool, y: usize, x: usize,
): void {
  means<T>(planes, height, width, kh, kw, sh, sw, top, left, oh, ow, whole, x, y, true);
}

/** y[s, c, :] = scale[c] x[s, c, :] + shift[c] (or +=) for rows of n; a pointer of 0 stands for no scale or no shift. */
export function channelAffine<T>(
  slabs: usize, channels: usize, n: usize, x: usize, scale: usize, shift: usize, y: usize, accumulate: bool,
): void {
  const bytes = n * sizeof<T>();
  for (let s: usize = 0; s < slabs; s++) {
    for (let c: usize = 0; c < channels; c++) {
      const a = scale == 0 ? <T>1 : load<T>(scale + c * sizeof<T>());
      const b = shift == 0 ? <T>0 : load<T>(shift + c * sizeof<T>());
      affine<T>(n, <f64>a, x, <f64>b, y, accumulate);
      x += bytes;
      y += bytes;
    }
  }
}
