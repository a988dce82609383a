// Depthwise convolutions beside products with windows: both ways, of every shape, type, stride and dilation.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, type DType, scope } from "../../src/kernels/memory.ts";
import { correlateChannels, type Planes } from "../../src/network/planes.ts";
import type { ForwardPass } from "../../src/network/primitive.ts";

/** The sum over windows by its definition, and that of the terms' sizes: of x, or of its transpose, whose x is the grid. */
function windowSums(
  { n, channels, image, kernel, stride, dilation, top, left, grid, back }: Shape,
  x: ArrayLike<number>,
  w: ArrayLike<number>,
) {
  const [height, width] = image;
  const [oh, ow] = grid;
  const length = n * channels * (back ? height * width : oh * ow);
  const [y, sizes] = [new Float64Array(length), new Float64Array(length)];
  for (let p = 0; p < n * channels; p++) {
    for (let r = 0; r < oh; r++) {
      for (let s = 0; s < ow; s++) {
        for (let i = 0; i < kernel[0]; i++) {
          for (let j = 0; j < kernel[1]; j++) {
            const a = r * stride[0] + i * dilation[0] - top;
            const b = s * stride[1] + j * dilation[1] - left;
            if (a < 0 || a >= height || b < 0 || b >= width) continue;
            const [inImage, inGrid] = [(p * height + a) * width + b, (p * oh + r) * ow + s];
            const term = w[((p % channels) * kernel[0] + i) * kernel[1] + j] * x[back ? inGrid : inImage];
            y[back ? inImage : inGrid] += term;
            sizes[back ? inImage : inGrid] += Math.abs(term);
          }
        }
      }
    }
  }
  return { y, sizes };
}

type Pair = readonly [number, number];

interface Shape {
  readonly n: number;
  readonly channels: number;
  readonly image: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly top: number;
  readonly left: number;
  readonly grid: Pair;
  readonly back: boolean;
}

const pairOf = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

const cases = fc.record({
  n: fc.integer({ min: 1, max: 3 }),
  channels: fc.integer({ min: 1, max: 4 }),
  image: pairOf(1, 21),
  kernel: pairOf(1, 5),
  stride: pairOf(1, 3),
  dilation: pairOf(1, 2),
  top: fc.integer({ min: 0, max: 3 }),
  left: fc.integer({ min: 0, max: 3 }),
  ends: pairOf(0, 3),
  back: fc.boolean(),
  add: fc.boolean(),
  dtype: fc.constantFrom<DType>("float32", "float64"),
  seed: fc.nat(),
});

test("every shape, stride, dilation and padding, both ways, gives the sum over windows to the type's digits", () => {
  fc.assert(
    fc.property(cases, ({ ends, add, dtype, seed, ...one }) => {
      const { n, channels, image, kernel, stride, dilation, top, left, back } = one;
      const along = (axis: 0 | 1, before: number) => {
        const span = dilation[axis] * (kernel[axis] - 1) + 1;
        return Math.floor((image[axis] + before + ends[axis] - span) / stride[axis]) + 1;
      };
      const grid = [along(0, top), along(1, left)] as const;
      const [above, before] = [dilation[0] * (kernel[0] - 1) - top, dilation[1] * (kernel[1] - 1) - left];
      fc.pre(Math.min(...grid) >= 1 && (!back || Math.min(above, before) >= 0));
      const random = new Random(seed);
      const draws = (length: number) => {
        const values = Float64Array.from({ length }, () => random.normal());
        return dtype === "float32" ? Float32Array.from(values) : values;
      };
      const [inImage, inGrid] = [n * channels * image[0] * image[1], n * channels * grid[0] * grid[1]];
      const x = draws(back ? inGrid : inImage);
      const w = draws(channels * kernel[0] * kernel[1]);
      const old = draws(back ? inImage : inGrid);
      const planes: Planes = back
        ? { channels, kernel, dilation, from: grid, gap: stride, top: above, left: before, stride: [1, 1], to: image }
        : { channels, kernel, dilation, from: image, gap: [1, 1], top, left, stride, to: grid };
      const correlated = (count: number, from: typeof x, to: typeof x) =>
        scope(() => {
          const kernels = kernelsFor(dtype);
          const [px, pw, py] = [from, w, to].map((values) => copyIn(dtype, values));
          // What lies behind is not to be written.
          const guard = allocateFloats(dtype, 8);
          kernels.fill(8, 7, guard);
          correlateChannels({ kernels, dtype } as unknown as ForwardPass, planes, count, px, pw, py, back, add);
          expect([...copyOut(dtype, guard, 8)]).toEqual(Array(8).fill(7));
          return copyOut(dtype, py, to.length);
        });
      const found = correlated(n, x, old);
      // An image's numbers do not depend on those beside it, in any bit.
      const [ofX, ofY] = [x.length / n, old.length / n];
      const last = correlated(1, x.slice((n - 1) * ofX), old.slice((n - 1) * ofY));
      expect([...last]).toEqual([...found.slice((n - 1) * ofY)]);
      const expected = windowSums({ ...one, grid }, x, w);
      const epsilon = dtype === "float32" ? 2 ** -24 : 2 ** -53;
      for (const [i, value] of found.entries()) {
        const due = expected.y[i] + (add ? old[i] : 0);
        // Each of the terms, and their sum, may round.
        const bound = (kernel[0] * kernel[1] + 2) * epsilon * (expected.sizes[i] + Math.abs(old[i]));
        expect(Math.abs(value - due)).toBeLessThanOrEqual(bound);
      }
    }),
    { numRuns: 150 },
  );
});
