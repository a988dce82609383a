// The observed information: Λ at the data's own targets, in a fit and its products; negative ones are refused.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noisy, studentT } from "../../examples/likelihoods.ts";
import {
  chain,
  curvatureOf,
  curvatureProduct,
  defineLikelihood,
  dense,
  jacobian,
  type Likelihood,
  laplace,
  loadPosterior,
  type NDArray,
  type NumberLikelihood,
  OptionError,
  Random,
  type RowLikelihood,
  savePosterior,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { At } from "./kernels.ts";

type Which = { curvature: "expected" | "observed" };

/** Positive targets of the mean e^f: the loss is convex, and its second derivative goes with the target. */
const gamma = ({ curvature }: Which): NumberLikelihood => ({
  targets: "positives",
  curvature,
  loss: (f, y) => f + y * Math.exp(-f),
  gradient: (f, y) => 1 - y * Math.exp(-f),
  information: () => 1,
  hessian: (f, y) => y * Math.exp(-f),
  draw: (f, random) => -Math.exp(f) * Math.log1p(-random.uniform()),
  mean: Math.exp,
  variance: (f) => Math.exp(2 * f),
});

/** A positive number of the mean e^(a + b), and one around b. */
const both = ({ curvature }: Which): RowLikelihood => ({
  outputs: 2,
  curvature,
  loss: ([a, b], [y, z]) => a + b + y * Math.exp(-a - b) + 0.5 * (b - z) ** 2,
  gradient([a, b], [y, z], to) {
    const slope = 1 - y * Math.exp(-a - b);
    to.set([slope, slope + b - z]);
  },
  information: (_, to) => to.set([1, 1, 1, 2]),
  hessian([a, b], [y], to) {
    const h = y * Math.exp(-a - b);
    to.set([h, h, h, h + 1]);
  },
  draw([a, b], random, to) {
    to.set([-Math.exp(a + b) * Math.log1p(-random.uniform()), b + random.normal()]);
  },
  mean: ([a, b], to) => to.set([Math.exp(a + b), b]),
  variance: ([a, b], to) => to.set([Math.exp(2 * (a + b)), 1]),
  constant: () => 0.5 * Math.log(2 * Math.PI),
});

const ownGamma = defineLikelihood("observedGamma", gamma);
const ownBoth = defineLikelihood("observedBoth", both);

/** Σ_n J_nᵀ Λ_n J_n, plainly. */
function plain(jacobians: NDArray, lambdas: readonly (readonly number[])[], outputs: number): number[] {
  const [examples, size] = [lambdas.length, jacobians.shape[jacobians.rank - 1]];
  const at = (n: number, c: number, p: number) => jacobians.data[(n * outputs + c) * size + p];
  return Array.from({ length: size * size }, (_, i) => {
    const [p, q] = [Math.floor(i / size), i % size];
    let sum = 0;
    for (let n = 0; n < examples; n++) {
      for (let c = 0; c < outputs; c++) {
        for (let d = 0; d < outputs; d++) sum += at(n, c, p) * lambdas[n][c * outputs + d] * at(n, d, q);
      }
    }
    return sum;
  });
}

const close = { relative: 1e-10, absolute: 1e-10 };

describe("a fit's curvature is the sum over the data's own targets", () => {
  const kinds: [string, (which: Which) => Likelihood, (f: number[], y: number[]) => number[]][] = [
    ["of numbers", ownGamma, (f, y) => [y[0] * Math.exp(-f[0]), 0, 0, y[1] * Math.exp(-f[1])]],
    [
      "of rows",
      ownBoth,
      ([a, b], [y]) => {
        const h = y * Math.exp(-a - b);
        return [h, h, h, h + 1];
      },
    ],
  ];
  test.each(kinds)("%s", (_, make, lambda) => {
    const [likelihood, mean] = (["observed", "expected"] as const).map((curvature) => make({ curvature }));
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 6 }), (seed, count) => {
        const random = new Random(seed);
        const net = chain({ inputs: 2, seed, dtype: "float64" }, dense(3, tanh), dense(2));
        const x = Array.from({ length: count }, () => [random.normal(), random.normal()]);
        const y = x.map(() => [random.uniform() + 0.1, random.uniform() + 0.1]);
        const f = net.forward(x).toArray() as number[][];
        const due = plain(
          jacobian(net, x),
          f.map((row, i) => lambda(row, y[i])),
          2,
        );
        const size = net.parameterCount;
        const full = curvatureOf(net, likelihood, { x, y }, { structure: "full" });
        expect(full.dense().data).toBeAllClose(due, close);
        const diagonal = curvatureOf(net, likelihood, { x, y }, { structure: "diagonal" });
        expect(diagonal.diagonal().data).toBeAllClose(
          Array.from({ length: size }, (_, i) => due[i * size + i]),
          close,
        );
        const v = Array.from({ length: size }, () => random.normal());
        const product = v.map((_, p) => v.reduce((sum, entry, q) => sum + due[p * size + q] * entry, 0));
        expect(curvatureProduct(net, likelihood, { x, y }, v).data).toBeAllClose(product, close);
        // The expected one does not look at targets.
        const expected = curvatureOf(net, mean, { x, y }, { structure: "full" });
        const lambdas = f.map(() => (make === ownBoth ? [1, 1, 1, 2] : [1, 0, 0, 1]));
        expect(expected.dense().data).toBeAllClose(plain(jacobian(net, x), lambdas, 2), close);
      }),
      { numRuns: 20 },
    );
  });

  test("at positions as at examples", () => {
    const net = chain({ inputs: [3, 2], seed: 1, dtype: "float64" }, dense(2, tanh), dense(1));
    const flat = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(2, tanh), dense(1));
    flat.setParameters(net.parameters);
    const random = new Random(3);
    const rows = Array.from({ length: 6 }, () => [random.normal(), random.normal()]);
    const targets = rows.map(() => [random.uniform() + 0.1]);
    const likelihood = ownGamma({ curvature: "observed" });
    const found = curvatureOf(
      net,
      likelihood,
      { x: [rows.slice(0, 3), rows.slice(3)], y: [targets.slice(0, 3), targets.slice(3)] },
      { structure: "full" },
    );
    const due = curvatureOf(flat, likelihood, { x: rows, y: targets }, { structure: "full" });
    expect(found.dense().data).toBeAllClose(due.dense().data, close);
  });
});

test("a posterior is saved and loaded with it", async () => {
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(3, tanh), dense(1));
  const data = { x: [[1], [2], [3]], y: [[0.5], [2], [1]] };
  const posterior = await laplace(net, { likelihood: ownGamma({ curvature: "observed" }), checks: false }).fit(data);
  const loaded = loadPosterior(savePosterior(posterior));
  expect(loaded.likelihood.observed).toBe(true);
  expect(loaded.predict([[1.5]]).variance.data).toEqual(posterior.predict([[1.5]]).variance.data);
});

describe("what is negative is refused", () => {
  const tails = defineLikelihood("observedTails", () => ({
    ...studentT({ df: 4, scale: 1 }),
    curvature: "observed" as const,
    hessian: (f: number, y: number) => (5 * (4 - (y - f) ** 2)) / (4 + (y - f) ** 2) ** 2,
  }));
  const noise = defineLikelihood("observedNoise", () => ({
    ...noisy(),
    curvature: "observed" as const,
    hessian([m, s]: Float64Array, [y]: Float64Array, to: Float64Array) {
      const h = (y - m) * Math.exp(-s);
      to.set([Math.exp(-s), h, h, 0.5 * (y - m) * h]);
    },
  }));

  test("of numbers, which near targets are not", async () => {
    expect(new At(tails(), [0.5], 1).curvature([1])).toBeAllClose([(5 * 3.75) / 4.25 ** 2], close);
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
    const fit = laplace(net, { likelihood: tails(), checks: false }).fit({ x: [[1]], y: [[9]] });
    await expect(fit).rejects.toThrow(ValueError);
    await expect(fit).rejects.toThrow(
      /^observedTails: the observed information is -0\.\d+ at f = .* and the target 9, /,
    );
    await expect(fit).rejects.toThrow(/not convex in the outputs.* Take curvature: "expected"/);
  });

  test("of rows: no logarithm of a variance has a convex loss", () => {
    expect(() => new At(noise(), [0, 0], 2).curvature([1, 0])).toThrow(ValueError);
    expect(() => new At(noise(), [0, 0], 2).curvature([1, 0])).toThrow(
      /\[1, 1, 1, 0\.5\], with a negative eigenvalue, /,
    );
    // Without a residual it has one.
    expect(new At(noise(), [0, 0], 2).curvature([0, 0])).toBeAllClose([1, 0, 0, 0], close);
  });

  test('and "monteCarlo", which is the mean over targets', () => {
    const net = chain({ inputs: 1, seed: 1 }, dense(1));
    expect(() => laplace(net, { likelihood: tails(), curvature: "monteCarlo" })).toThrow(OptionError);
    expect(() => laplace(net, { likelihood: tails(), curvature: "monteCarlo" })).toThrow(/has curvature: "observed"/);
  });
});

describe("what does not agree is named", () => {
  const made = (changes: object) => () =>
    defineLikelihood("changed", () => ({ ...gamma({ curvature: "observed" }), ...changes }))();
  const ofRows = (changes: object) => () =>
    defineLikelihood("changed", () => ({ ...both({ curvature: "observed" }), ...changes }))();

  test.each<[string, () => Likelihood, typeof OptionError, RegExp]>([
    ["another hessian", made({ hessian: () => 1 }), ValueError, /the hessian is not the gradient's derivative/],
    [
      "of rows",
      ofRows({ hessian: (_: Float64Array, __: Float64Array, to: Float64Array) => to.set([1, 1, 1, 2]) }),
      ValueError,
      /of output 0 in output 0 give .*, the hessian 1\./,
    ],
    ["none", made({ hessian: undefined }), OptionError, /needs a function hessian/],
    ["none of rows", ofRows({ hessian: undefined }), OptionError, /needs a function hessian/],
    ["another word", made({ curvature: "hessian" }), OptionError, /one of "expected", "observed", not "hessian"/],
  ])("%s", (_, make, error, message) => {
    expect(make).toThrow(error);
    expect(make).toThrow(message);
    expect(make).toThrow(/^changed: /);
  });
});
