// The nearest Kronecker products: against all singular values of the rearranged block, beside Kronecker factors, in shards and files.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  chain,
  conv2d,
  curvatureOf,
  dense,
  eigh,
  estimateMemory,
  flatten,
  gaussian,
  laplace,
  type Network,
  OptionError,
  Random,
  randomNormal,
  softplus,
  tanh,
  ValueError,
} from "../../src/index.ts";
import type { Matrix } from "../reference/laplace.ts";
import { frobeniusNearest } from "../reference/nearest-kronecker.ts";

const structure = "kfoc";
const decomposed = (matrix: Matrix) => {
  const { values, vectors } = eigh(matrix);
  return { values: values.data, vectors: vectors.data };
};
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.hypot(...Array.from(a, (value, i) => value - b[i]));

/** Small networks of dense layers, of several positions and of windows, and their inputs. */
const networks: ((seed: number) => { net: Network; shape: number[] })[] = [
  (seed) => ({ net: chain({ inputs: 3, dtype: "float64", seed }, dense(4, tanh), dense(2)), shape: [3] }),
  (seed) => ({
    net: chain({ inputs: [3, 2], dtype: "float64", seed }, dense(3, softplus), flatten, dense(2)),
    shape: [3, 2],
  }),
  (seed) => ({
    net: chain({ inputs: [1, 4, 4], dtype: "float64", seed }, conv2d(2, 2, tanh), flatten, dense(2)),
    shape: [1, 4, 4],
  }),
];

test("is the largest singular pair of each block, and no farther from it than Kronecker factors are", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...networks),
      fc.integer({ min: 0, max: 1e6 }),
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom("ggn", "empiricalFisher", "monteCarlo"),
      (make, seed, count, curvature) => {
        const { net, shape } = make(seed);
        const data = { x: randomNormal([count, ...shape], { seed }), y: randomNormal([count, 2], { seed: seed + 1 }) };
        const likelihood = gaussian({ noise: [0.5, 1.5] });
        const of = (structure: "full" | "kronecker" | "kfoc") =>
          curvatureOf(net, likelihood, data, { structure, curvature }).dense().data;
        const [full, kronecker, kfoc] = [of("full"), of("kronecker"), of("kfoc")];
        const n = net.parameterCount;
        for (const { name, offset, size, shape } of net.parameterTable) {
          const block = (of: ArrayLike<number>): Matrix =>
            Array.from({ length: size }, (_, i) =>
              Array.from({ length: size }, (_, j) => of[(offset + i) * n + offset + j]),
            );
          const exact = block(full);
          const length = Math.hypot(...exact.flat());
          if (!name.endsWith("weight")) {
            expect(block(kfoc).flat()).toBeAllClose(exact.flat(), { relative: 0, absolute: 1e-10 * (length + 1e-9) });
            continue;
          }
          const away = (other: Matrix) => distance(exact.flat(), other.flat());
          expect(away(block(kfoc))).toBeLessThanOrEqual(away(block(kronecker)) * (1 + 1e-9) + 1e-12 * length);
          const { nearest: best, ratio } = frobeniusNearest(exact, shape[0], size / shape[0], decomposed);
          // As near as the nearest; where the next singular value is close, the turns end before.
          const slack = ratio < 0.7 ? 1e-7 : 2e-2;
          expect(away(block(kfoc)) ** 2).toBeLessThanOrEqual(away(best) ** 2 + slack * length ** 2);
          expect(away(best)).toBeLessThanOrEqual(away(block(kfoc)) + 1e-9 * length);
        }
      },
    ),
    { numRuns: 15 },
  );
});

test("with a gap it is that pair to many digits, has symmetric positive semidefinite factors, and one product is kept", () => {
  const { net } = networks[0](3);
  const data = { x: randomNormal([60, 3], { seed: 3 }), y: randomNormal([60, 2], { seed: 4 }) };
  const full = curvatureOf(net, "regression", data, { structure: "full" }).dense().data;
  const kfoc = curvatureOf(net, "regression", data, { structure });
  const n = net.parameterCount;
  const exact = Array.from({ length: 12 }, (_, i) => Array.from({ length: 12 }, (_, j) => full[i * n + j]));
  const best = frobeniusNearest(exact, 4, 3, decomposed).nearest.flat();
  const found = kfoc.dense().data;
  const own = Array.from({ length: 144 }, (_, i) => found[Math.floor(i / 12) * n + (i % 12)]);
  expect(distance(own, best)).toBeLessThan(1e-4 * Math.hypot(...best));
  for (const { a, b } of kfoc.factors()) {
    for (const side of a === undefined ? [b] : [b, a]) {
      const m = side.shape[0];
      const { values } = eigh(side);
      expect(values.data[0]).toBeGreaterThan(-1e-12 * values.data[m - 1]);
    }
    if (a !== undefined) expect(Math.hypot(...a.data)).toBeCloseTo(1, 12);
  }
  // Of one example and one column the block is a product.
  const single = { x: [[1, 2, 3]], y: [[0, 0]] };
  const options = { curvature: "empiricalFisher", weights: { parameters: ["0.weight"] } } as const;
  const one = (structure: "full" | "kfoc") => curvatureOf(net, "regression", single, { ...options, structure }).dense();
  expect(one("kfoc").data).toBeAllClose(one("full").data, { relative: 1e-10, absolute: 1e-14 });
});

test("adds with a common basis, is the same in float32, and says what it cannot take", async () => {
  const make = (dtype: "float32" | "float64") => {
    const net = chain({ inputs: 3, dtype, seed: 5 }, dense(4, tanh), dense(2));
    return net;
  };
  const net = make("float64");
  const random = new Random(2);
  const rows = Array.from({ length: 20 }, () => [random.normal(), random.normal(), random.normal()]);
  const data = { x: rows, y: rows.map(([a, b]) => [Math.sin(a), b]) };
  const half = (first: number, end: number) => ({ x: data.x.slice(first, end), y: data.y.slice(first, end) });
  const whole = curvatureOf(net, "regression", data, { structure });
  const parts = [half(0, 7), half(7, 20)].map((part) =>
    curvatureOf(net, "regression", part, { structure, basis: whole }),
  );
  expect(parts[0].merge(parts[1]).dense().data).toBeAllClose(whole.dense().data, { relative: 1e-10, absolute: 1e-12 });
  const other = curvatureOf(net, "regression", half(0, 7), { structure });
  expect(() => whole.merge(other)).toThrow(ValueError);
  expect(() => whole.merge(other)).toThrow(/basis/);
  // Another structure's factors are a basis too; of eigenbases alone there are no factors.
  const kronecker = curvatureOf(net, "regression", data, { structure: "kronecker" });
  expect(curvatureOf(net, "regression", data, { structure, basis: kronecker }).size).toBe(whole.size);
  const ekfac = curvatureOf(net, "regression", data, { structure: "ekfac" });
  expect(() => curvatureOf(net, "regression", data, { structure, basis: ekfac })).toThrow(OptionError);
  const single = make("float32");
  single.setParameters(net.parameters.data);
  const scale = Math.hypot(...whole.dense().data);
  const rounded = curvatureOf(single, "regression", data, { structure }).dense().data;
  expect(distance(rounded, whole.dense().data)).toBeLessThan(1e-4 * scale);
  function* once() {
    yield data;
  }
  await expect(laplace(net, { likelihood: "regression", structure }).fit(once() as never)).rejects.toThrow(
    /more than once/,
  );
  const posterior = await laplace(net, { likelihood: "regression", structure, checks: false }).fit(data);
  expect(() => laplace(net, { likelihood: "regression", structure, prior: posterior })).toThrow(/"kronecker"/);
  const [few, many] = ["kronecker", structure].map(
    (one) =>
      estimateMemory(net, { likelihood: gaussian({ noise: 1 }), structure: one as never, examples: 20 }).curvature,
  );
  expect(many).toBe(few);
});
