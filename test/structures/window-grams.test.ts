// The Kronecker factor of windows by pairs of an image's rows, beside the sum over the windows themselves.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import { chain, conv2d, curvatureOf, dense, flatten, NDArray, tanh } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, type DType, scope } from "../../src/kernels/memory.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import type { Windows } from "../../src/network/primitive.ts";
import type { KroneckerCurvature } from "../../src/structures/kronecker/curvature.ts";
import { addBands, bandsOf, bandsThatPay, fromBands } from "../../src/structures/kronecker/window-grams.ts";

/** The windows of images, [images · grid, channels · kh · kw]. */
function windowsOf({ image, grid, kernel, stride, padding, dilation }: Windows, images: number, x: ArrayLike<number>) {
  const [channels, height, width] = image;
  const rows: number[][] = [];
  for (let b = 0; b < images; b++) {
    for (let r = 0; r < grid[0]; r++) {
      for (let s = 0; s < grid[1]; s++) {
        const window: number[] = [];
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < kernel[0]; i++) {
            for (let j = 0; j < kernel[1]; j++) {
              const p = r * stride[0] + i * dilation[0] - padding[0];
              const q = s * stride[1] + j * dilation[1] - padding[2];
              const inside = p >= 0 && p < height && q >= 0 && q < width;
              window.push(inside ? x[((b * channels + c) * height + p) * width + q] : 0);
            }
          }
        }
        rows.push(window);
      }
    }
  }
  return rows;
}

/** Σ u uᵀ, each sum rounded by `round`, and the sums of its terms' sizes. */
function gram(rows: readonly number[][], round: (value: number) => number) {
  const n = rows[0].length;
  const [sums, sizes] = [new Float64Array(n * n), new Float64Array(n * n)];
  for (const u of rows) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        sums[i * n + j] = round(sums[i * n + j] + round(u[i] * u[j]));
        sizes[i * n + j] += Math.abs(u[i] * u[j]);
      }
    }
  }
  return { sums, sizes };
}

/** The same by bands. */
function byBands(windows: Windows, dtype: DType, images: number, x: ArrayLike<number>): Float64Array {
  const bands = bandsOf(windows);
  const length = bands.bands.length * bands.n ** 2;
  return scope(() => {
    const to = allocateFloats(dtype, length);
    const kernels = kernelsFor(dtype);
    kernels.fill(length, 0, to);
    addBands(kernels, dtype, bands, images, copyIn(dtype, Float64Array.from(x)), to);
    const sums = copyOut(dtype, to, length);
    return atOnce(fromBands(bands, (start, end, into, at) => into.set(sums.subarray(start, end), at), 0));
  });
}

const small = fc.integer({ min: 1, max: 3 });
const zeros = fc.integer({ min: 0, max: 3 });
const shapes = fc
  .record({
    channels: small,
    height: fc.integer({ min: 1, max: 9 }),
    width: fc.integer({ min: 1, max: 7 }),
    kernel: fc.tuple(fc.integer({ min: 1, max: 5 }), small),
    across: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
    padding: fc.tuple(zeros, zeros, zeros, zeros),
    images: small,
    seed: fc.nat(),
  })
  .map(({ channels, height, width, kernel, across: [stride, dilation], padding, ...rest }) => {
    const down = height + padding[0] + padding[1] - kernel[0] + 1;
    const right = Math.floor((width + padding[2] + padding[3] - dilation * (kernel[1] - 1) - 1) / stride) + 1;
    const windows: Windows = {
      image: [channels, height, width],
      grid: [down, right],
      kernel,
      stride: [1, stride],
      padding,
      dilation: [1, dilation],
    };
    return { windows, ...rest };
  })
  .filter(({ windows: { grid } }) => Math.min(...grid) >= 1);

test("every shape, padding, stride and dilation along rows gives the sum over windows", () => {
  fc.assert(
    fc.property(shapes, ({ windows, images, seed }) => {
      const random = new Random(seed);
      const x = Float64Array.from({ length: images * windows.image.reduce((a, b) => a * b) }, () => random.normal());
      const { sums, sizes } = gram(windowsOf(windows, images, x), (value) => value);
      const found = byBands(windows, "float64", images, x);
      expect(found.length).toBe(sums.length);
      for (const [i, value] of found.entries()) expect(Math.abs(value - sums[i])).toBeLessThanOrEqual(1e-13 * sizes[i]);
    }),
    { numRuns: 200 },
  );
});

test("in float32 its error is that of the sum over windows in float32, and what is 0 stays 0", () => {
  fc.assert(
    fc.property(shapes, fc.boolean(), ({ windows, images, seed }, edge) => {
      const random = new Random(seed);
      const [, height, width] = windows.image;
      // Of an image whose last row alone is not 0 nothing may be left of what cancels.
      const value = (_: unknown, i: number) =>
        edge && Math.floor(i / width) % height < height - 1 ? 0 : Math.fround(random.normal());
      const x = Float32Array.from({ length: images * windows.image.reduce((a, b) => a * b) }, value);
      const rows = windowsOf(windows, images, x);
      const { sums, sizes } = gram(rows, (value) => value);
      const direct = gram(rows, Math.fround).sums;
      const found = byBands(windows, "float32", images, x);
      let [ours, theirs, all] = [0, 0, 0];
      for (const [i, sum] of sums.entries()) {
        if (sizes[i] === 0) expect(found[i]).toBe(0);
        ours += (found[i] - sum) ** 2;
        theirs += (direct[i] - sum) ** 2;
        all += sizes[i] ** 2;
      }
      // Few terms may have no error at all: then a rounding of each.
      expect(Math.sqrt(ours)).toBeLessThanOrEqual(4 * Math.sqrt(theirs) + 2 ** -23 * Math.sqrt(all));
    }),
    { numRuns: 200 },
  );
});

test("float64, windows that skip rows, few channels and small images go by windows", () => {
  const windows: Windows = {
    image: [16, 8, 8],
    grid: [8, 8],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1, 1, 1],
    dilation: [1, 1],
  };
  expect(bandsThatPay(windows, "float32")?.bands).toHaveLength(5);
  expect(bandsThatPay(windows, "float64")).toBeUndefined();
  for (const other of [
    { stride: [2, 1] },
    { dilation: [2, 1] },
    { kernel: [1, 3] },
    { image: [15, 8, 8] },
    { image: [16, 4, 8] },
  ]) {
    expect(bandsThatPay({ ...windows, ...(other as object) }, "float32")).toBeUndefined();
  }
});

test("a network's factors are those of float64, also with weights of examples", () => {
  const of = (dtype: DType, weighted: boolean) => {
    const net = chain(
      { inputs: [2, 11, 8], seed: 1, dtype: dtype as "float32" },
      conv2d(16, 3, tanh, { padding: 1 }),
      conv2d(16, 3, tanh, { padding: 1 }),
      conv2d(3, [5, 3]),
      flatten,
      dense(4),
    );
    const random = new Random(2);
    const x = new NDArray(
      Float64Array.from({ length: 7 * 176 }, () => random.normal()),
      [7, 2, 11, 8],
    );
    const y = [0, 3, 1, 2, 2, 0, 1];
    const weights = weighted ? [1, 0.5, 2, 0, 1, 1, 3] : undefined;
    const data = { x, y, ...(weights && { weights }) };
    const found = curvatureOf(net, "classification", data as never, { structure: "kronecker" }) as KroneckerCurvature;
    return found.blocks.map(({ a }) => a);
  };
  for (const weighted of [false, true]) {
    const [ours, theirs] = [of("float32", weighted), of("float64", weighted)];
    for (const [b, a] of ours.entries()) {
      const other = theirs[b];
      if (a === undefined || other === undefined) continue;
      const most = Math.max(...other.map(Math.abs));
      const furthest = a.reduce((far, value, i) => Math.max(far, Math.abs(value - other[i])), 0);
      expect(furthest).toBeLessThan(1e-6 * most);
    }
  }
});
