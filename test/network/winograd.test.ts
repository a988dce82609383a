// Minimal filtering beside the sum over windows, written out.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import { chain, conv2d, convTranspose2d, flatten, gradient, mse, NDArray, tanh } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { withLayers } from "../../src/kernels/layers.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import type { ForwardPass } from "../../src/network/primitive.ts";
import { correlateBack, correlateTiles, type Tiled } from "../../src/network/winograd.ts";

const draws = (random: Random, length: number) => Float32Array.from({ length }, () => random.normal());

/** The sum over windows of images x, in float64, and that of the terms' sizes. */
function windowSums(
  { from: [inputs, height, width], top, left, to: [outputs, oh, ow] }: Tiled,
  n: number,
  x: ArrayLike<number>,
  weight: (k: number, c: number, i: number, j: number) => number,
) {
  const [y, sizes] = [new Float64Array(n * outputs * oh * ow), new Float64Array(n * outputs * oh * ow)];
  let at = 0;
  for (let b = 0; b < n; b++) {
    for (let k = 0; k < outputs; k++) {
      for (let r = 0; r < oh; r++) {
        for (let s = 0; s < ow; s++, at++) {
          for (let c = 0; c < inputs; c++) {
            for (let i = 0; i < 3; i++) {
              for (let j = 0; j < 3; j++) {
                const [p, q] = [r + i - top, s + j - left];
                if (p < 0 || p >= height || q < 0 || q >= width) continue;
                const term = weight(k, c, i, j) * x[((b * inputs + c) * height + p) * width + q];
                y[at] += term;
                sizes[at] += Math.abs(term);
              }
            }
          }
        }
      }
    }
  }
  return { y, sizes };
}

test("every shape, padding and number of channels, both ways, gives the sum over windows to float32's digits", () => {
  const side = fc.integer({ min: 1, max: 19 });
  const zeros = fc.integer({ min: 0, max: 2 });
  const channels = fc.integer({ min: 1, max: 9 });
  const shapes = fc.record({
    n: fc.integer({ min: 1, max: 4 }),
    inputs: channels,
    outputs: channels,
    height: side,
    width: side,
    top: zeros,
    left: zeros,
    // Below 0: what is correlated ends before the image.
    bottom: fc.integer({ min: -3, max: 2 }),
    right: fc.integer({ min: -9, max: 2 }),
    transposed: fc.boolean(),
    add: fc.boolean(),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(shapes, ({ n, inputs, outputs, height, width, top, left, bottom, right, transposed, add, seed }) => {
      const [oh, ow] = [height + top + bottom - 2, width + left + right - 2];
      fc.pre(oh >= 1 && ow >= 1);
      const tiled: Tiled = { from: [inputs, height, width], top, left, to: [outputs, oh, ow] };
      const random = new Random(seed);
      const x = draws(random, n * inputs * height * width);
      const w = draws(random, inputs * outputs * 9);
      const before = draws(random, n * outputs * oh * ow);
      const weight = (k: number, c: number, i: number, j: number) =>
        transposed ? w[(c * outputs + k) * 9 + 8 - 3 * i - j] : w[(k * inputs + c) * 9 + 3 * i + j];
      const expected = windowSums(tiled, n, x, weight);
      const correlated = (images: Float32Array, old: Float32Array) =>
        scope(() => {
          const [from, weights, to] = [images, w, old].map((values) => copyIn("float32", values));
          // What lies behind is not to be written.
          const guard = allocateFloats("float32", 8);
          kernelsFor("float32").fill(8, 7, guard);
          const pass = { kernels: kernelsFor("float32") } as ForwardPass;
          const count = old.length / (outputs * oh * ow);
          correlateTiles(pass, tiled, count, from, weights, to, transposed, add);
          expect([...copyOut("float32", guard, 8)]).toEqual(Array(8).fill(7));
          return copyOut("float32", to, old.length);
        });
      const found = correlated(x, before);
      // An image's numbers do not depend on those beside it, in any bit.
      const [size, last] = [inputs * height * width, (n - 1) * outputs * oh * ow];
      expect([...correlated(x.slice((n - 1) * size), before.slice(last))]).toEqual([...found.slice(last)]);
      for (const [i, value] of found.entries()) {
        const error = Math.abs(value - expected.y[i] - (add ? before[i] : 0));
        // Every place of a tile may round; that of other windows in it comes back in their difference.
        expect(error).toBeLessThan(2e-6 * (9 * inputs + Math.abs(before[i]) + expected.sizes[i]));
      }
    }),
    { numRuns: 30 },
  );
});

/** Images, what arrives at the sums over their windows, and weights. */
const problems = fc
  .record({
    n: fc.integer({ min: 1, max: 3 }),
    inputs: fc.integer({ min: 1, max: 40 }),
    outputs: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 3, max: 17 }),
    width: fc.integer({ min: 3, max: 17 }),
    top: fc.integer({ min: 0, max: 2 }),
    left: fc.integer({ min: 0, max: 2 }),
    seed: fc.nat(),
  })
  .map(({ n, inputs, outputs, height, width, top, left, seed }) => {
    const to = [outputs, height + 2 * top - 2, width + 2 * left - 2] as const;
    const random = new Random(seed);
    const tiled: Tiled = { from: [inputs, height, width], top, left, to };
    const size = n * to[0] * to[1] * to[2];
    const x = draws(random, n * inputs * height * width);
    return { n, tiled, size, x, w: draws(random, outputs * inputs * 9), d: draws(random, size), old: random.uniform() };
  });

type Problem = typeof problems extends fc.Arbitrary<infer Value> ? Value : never;

/** What arrives at the weights, in float64: d ⊗ x, summed over windows. */
function weightSums({ n, tiled, x, d }: Problem): Float64Array {
  const { from, top, left, to } = tiled;
  const [inputs, height, width] = from;
  const [outputs, oh, ow] = to;
  const sums = new Float64Array(outputs * inputs * 9);
  for (let b = 0; b < n; b++) {
    for (let k = 0; k < outputs; k++) {
      for (let c = 0; c < inputs; c++) {
        for (let place = 0; place < oh * ow; place++) {
          const [r, s] = [Math.floor(place / ow), place % ow];
          for (let e = 0; e < 9; e++) {
            const [p, q] = [r + Math.floor(e / 3) - top, s + (e % 3) - left];
            if (p < 0 || p >= height || q < 0 || q >= width) continue;
            sums[(k * inputs + c) * 9 + e] +=
              d[((b * outputs + k) * oh + r) * ow + s] * x[((b * inputs + c) * height + p) * width + q];
          }
        }
      }
    }
  }
  return sums;
}

/** The same sums and correlations by columns of windows in float32, as other windows go. */
function byColumns({ n, tiled, size, x, w, d }: Problem) {
  const { from, top, left, to } = tiled;
  const kernels = withLayers(kernelsFor("float32"));
  const [rows, positions] = [from[0] * 9, to[1] * to[2]];
  return scope(() => {
    const [images, weights, arrived] = [x, w, d].map((values) => copyIn("float32", values));
    const columns = allocateFloats("float32", n * rows * positions);
    kernels.unfold(n, ...from, 3, 3, 1, 1, top, left, 1, 1, to[1], to[2], images, columns);
    const [y, sums] = [allocateFloats("float32", size), allocateFloats("float32", to[0] * rows)];
    const step = to[0] * positions;
    // biome-ignore format: an argument for each stride
    kernels.gemm(n, to[0], positions, rows, weights, 0, rows, 1, columns, rows * positions, positions, 1, y, step, positions, 1, false);
    for (let b = 0; b < n; b++) {
      const [left, right] = [arrived + 4 * b * step, columns + 4 * b * rows * positions];
      kernels.gemm(1, to[0], rows, positions, left, 0, positions, 1, right, 0, 1, positions, sums, 0, rows, 1, b > 0);
    }
    return { y: copyOut("float32", y, size), sums: copyOut("float32", sums, to[0] * rows) };
  });
}

/** By minimal filtering; the sums are added to `old`. */
function byTiles({ n, tiled, size, x, w, d, old }: Problem, add: boolean) {
  const kernels = kernelsFor("float32");
  return scope(() => {
    const [images, weights, arrived] = [x, w, d].map((values) => copyIn("float32", values));
    const [y, sums, guard] = [size, w.length, 8].map((length) => allocateFloats("float32", length));
    kernels.fill(8, 7, guard);
    kernels.fill(w.length, old, sums);
    correlateTiles({ kernels } as ForwardPass, tiled, n, images, weights, y, false, false);
    correlateBack(kernels, tiled, n, images, arrived, sums, add);
    expect([...copyOut("float32", guard, 8)]).toEqual(Array(8).fill(7));
    return { y: copyOut("float32", y, size), sums: copyOut("float32", sums, w.length) };
  });
}

/** The root of the mean square of what differs. */
const rms = (values: ArrayLike<number>, exact: Float64Array) =>
  Math.sqrt(exact.reduce((sum, value, i) => sum + (values[i] - value) ** 2, 0) / exact.length);

test("every shape, padding and number of channels gives what arrives at the weights, written or added", () => {
  fc.assert(
    fc.property(problems, fc.boolean(), (problem, add) => {
      const { n, tiled, old } = problem;
      const exact = weightSums(problem);
      const before = add ? Math.fround(old) : 0;
      const terms = n * tiled.to[1] * tiled.to[2];
      // Terms are of size 1, and each of their sums rounds.
      byTiles(problem, add).sums.forEach((value, i) => {
        expect(Math.abs(value - before - exact[i])).toBeLessThan(2e-6 * (9 + terms));
      });
    }),
    { numRuns: 15 },
  );
});

test("over shapes, padding and channels the error is at most four times that of sums over windows in float32", () => {
  fc.assert(
    fc.property(problems, (problem) => {
      // Of few numbers the mean is a matter of chance.
      fc.pre(problem.size >= 256 && problem.tiled.from[0] >= 4 && problem.tiled.to[0] >= 4);
      const exact = {
        y: windowSums(problem.tiled, problem.n, problem.x, weightOf(problem)).y,
        sums: weightSums(problem),
      };
      const [tiles, columns] = [byTiles(problem, false), byColumns(problem)];
      for (const which of ["y", "sums"] as const) {
        const [error, direct] = [rms(tiles[which], exact[which]), rms(columns[which], exact[which])];
        expect(direct).toBeGreaterThan(0);
        expect(error / direct).toBeLessThan(4);
      }
    }),
    { numRuns: 15 },
  );
});

const weightOf =
  ({ tiled, w }: Problem) =>
  (k: number, c: number, i: number, j: number) =>
    w[(k * tiled.from[0] + c) * 9 + 3 * i + j];

test("gradients of convolutions, and of transposed ones, are float64's to float32's digits", () => {
  const random = new Random(6);
  // So many channels and places that filtering pays.
  const shape = [16, 9, 16] as const;
  const x = draws(random, 3 * 16 * 9 * 16);
  for (const layer of [conv2d, convTranspose2d]) {
    const [narrow, wide] = (["float32", "float64"] as const).map((dtype) => {
      const net = chain({ inputs: shape, seed: 3, dtype }, layer(20, 3, tanh, { padding: 1 }), flatten);
      const inputs = new NDArray(dtype === "float32" ? x : Float64Array.from(x), [3, ...shape]);
      const y = new NDArray(net.forward(inputs).data.slice().fill(0.5), [3, net.outputShape[0]]);
      return gradient(net, mse, { x: inputs, y }, { reduction: "sum" });
    });
    const largest = Math.max(...wide.data.map(Math.abs));
    expect(narrow).toBeAllClose(wide, { relative: 0, absolute: 3e-6 * largest });
  }
});

test("its error is at most four times that of the plain sum, and float64 has no other numbers than before", () => {
  const random = new Random(5);
  const shape = [32, 16, 16] as const;
  const x = draws(random, 4 * 32 * 256);
  const of = (dtype: "float32" | "float64", stride: number, data: Float32Array, kernel = 3) =>
    chain({ inputs: shape, seed: 3, dtype }, conv2d(32, kernel, undefined, { padding: 1, stride })).forward(
      new NDArray(dtype === "float32" ? data : Float64Array.from(data), [4, ...shape]),
    );
  const exact = of("float64", 1, x).data;
  const tiles = of("float32", 1, x).data;
  // A stride of 2 goes by windows, at a quarter of the places.
  const windows = of("float32", 2, x).data;
  let [ours, plain, count] = [0, 0, 0];
  for (let p = 0; p < 4 * 32; p++) {
    for (let r = 0; r < 16; r += 2) {
      for (let s = 0; s < 16; s += 2) {
        const i = p * 256 + r * 16 + s;
        ours += (tiles[i] - exact[i]) ** 2;
        plain += (windows[count++] - exact[i]) ** 2;
      }
    }
  }
  expect(ours).toBeGreaterThan(0);
  expect(Math.sqrt(ours / plain)).toBeLessThan(4);
});
