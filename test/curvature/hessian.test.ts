// The exact Hessian: its products against differences of gradients, on random networks and on every layer, and its posteriors.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { applyPrimitive, elementwiseRules } from "../../src/graph.ts";
import {
  array,
  bernoulli,
  categorical,
  chain,
  curvatureOf,
  curvatureProduct,
  dense,
  eigh,
  gaussian,
  gradient,
  heteroscedastic,
  IndefiniteHessianError,
  LaplaceError,
  type Likelihood,
  laplace,
  loadPosterior,
  multiply,
  type NDArray,
  type Network,
  network,
  OptionError,
  poisson,
  Random,
  randomNormal,
  savePosterior,
  tanh,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { full, laplace as laplaceOfValues } from "../../src/mini.ts";
import { drawCase } from "../reference/draw.ts";
import { supportCases } from "../support/cases.ts";
import { subjectOfCase } from "../support/operations.ts";

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0);
const norm = (a: ArrayLike<number>) => Math.sqrt(dot(a, a));
const largest = (values: ArrayLike<number>) => Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

interface Problem {
  readonly net: Network;
  readonly x: NDArray;
  readonly y: NDArray;
}

/** The gradient of the summed loss with the parameters moved along v. */
function gradientAt({ net, x, y }: Problem, likelihood: Likelihood, v: readonly number[], by: number) {
  const moved = net.clone();
  moved.setParameters(Array.from(net.parameters.data, (theta, i) => theta + by * v[i]));
  return gradient(moved, likelihood, { x, y }, { reduction: "sum" }).data;
}

/** A central difference along v of the sixth order. */
function difference(of: (by: number) => ArrayLike<number>, h: number): number[] {
  const steps = [1, 2, 3].map((k) => [of(k * h), of(-k * h)]);
  const weights = [45, -9, 1];
  return Array.from(steps[0][0], (_, i) =>
    steps.reduce((sum, [plus, minus], k) => sum + (weights[k] * (plus[i] - minus[i])) / (60 * h), 0),
  );
}

/** Compares products with differences of gradients, where these are known to a tenth of that themselves, and with each other. */
function checkProducts(problem: Problem, likelihood: Likelihood, random: Random): boolean {
  const [v, w] = [0, 1].map(() => Array.from({ length: problem.net.parameterCount }, () => random.normal()));
  const times = (u: number[]) => curvatureProduct(problem.net, likelihood, problem, u, { curvature: "hessian" }).data;
  const [hv, hw] = [times(v), times(w)];
  const along = (by: number) => gradientAt(problem, likelihood, v, by);
  const [due, other] = [1e-3, 7e-4].map((h) => difference(along, h));
  const scale = largest(due) + largest(along(0)) + 1e-3;
  if (largest(due.map((x, i) => x - other[i])) > 1e-7 * scale) return false;
  expect(hv).toBeAllClose(due, { relative: 0, absolute: 1e-6 * scale });
  const size = norm(v) * norm(hw) + norm(w) * norm(hv) + norm(v) * norm(w) * scale;
  expect(Math.abs(dot(hv, w) - dot(hw, v))).toBeLessThanOrEqual(1e-12 * size);
  return true;
}

test("products equal differences of gradients, and are symmetric, on random networks of all layers", () => {
  let seen = 0;
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const drawn = drawCase(draw, { smooth: true });
      if (drawn.net.parameterCount > 0 && checkProducts(drawn, gaussian(), drawn.random)) seen++;
    }),
    { numRuns: 25 },
  );
  expect(seen).toBeGreaterThan(0);
  expect(memoryUse().inUse).toBe(0);
});

test.each(supportCases.map((one) => [`${one.layers[0]} ${one.options}`.trim(), one] as const))(
  "of %s products equal differences of gradients",
  (_, one) => {
    const subject = subjectOfCase(one);
    expect(checkProducts(subject, gaussian(), new Random(3))).toBe(true);
  },
);

const targetsOf: Record<string, readonly [Likelihood, (random: Random) => number | number[]]> = {
  gaussian: [gaussian({ noise: [0.4, 2] }), (random) => [random.normal(), random.normal()]],
  categorical: [categorical(), (random) => random.integer(2)],
  bernoulli: [bernoulli(), (random) => [random.integer(2), random.uniform()]],
  poisson: [poisson(), (random) => [random.integer(4), random.integer(3)]],
  heteroscedastic: [heteroscedastic(), (random) => random.normal()],
};

describe.each(Object.entries(targetsOf))("%s", (_, [likelihood, target]) => {
  const net = network({ inputs: 2, dtype: "float64", seed: 4 }, (x) => {
    const layer = dense(2, tanh);
    return dense(2)(multiply(layer(x), layer(layer(x))));
  });
  const random = new Random(5);
  const x = randomNormal([5, 2], { seed: 6 });
  const y = array(Array.from({ length: 5 }, () => target(random)));
  const weights = [1, 0, 2.5, 0.5, 1];
  const options = { curvature: "hessian", structure: "full" } as const;

  test("the matrix has products as its rows, its diagonal is that of the structure, and weights count", () => {
    const whole = curvatureOf(net, likelihood, { x, y }, options);
    const matrix = whole.dense().data;
    const p = net.parameterCount;
    for (let i = 0; i < p; i++) {
      const unit = Array.from({ length: p }, (_, j) => Number(i === j));
      const row = curvatureProduct(net, likelihood, { x, y }, unit, { curvature: "hessian" }).data;
      expect(row).toBeAllClose(matrix.subarray(i * p, (i + 1) * p), { relative: 1e-12, absolute: 1e-12 });
    }
    const diagonal = curvatureOf(net, likelihood, { x, y }, { ...options, structure: "diagonal" });
    expect(diagonal.diagonal().data).toBeAllClose(whole.diagonal().data, { relative: 1e-12, absolute: 1e-13 });
    const weighted = curvatureOf(net, likelihood, { x, y, weights }, options).dense().data;
    const sum = new Float64Array(p * p);
    weights.forEach((weight, b) => {
      const rows = {
        x: array([...x.sub(b).data], { shape: [1, 2] }),
        y: array([...y.sub(b).data], { shape: [1, ...y.shape.slice(1)] }),
      };
      const one = curvatureOf(net, likelihood, rows, options).dense().data;
      for (let i = 0; i < sum.length; i++) sum[i] += weight * one[i];
    });
    expect(weighted).toBeAllClose(sum, { relative: 1e-11, absolute: 1e-11 });
  });

  test("of some weights it is a part, whichever are chosen", () => {
    const matrix = curvatureOf(net, likelihood, { x, y }, options).dense();
    for (const weights of [{ indices: [1, 4, 5, 9] }, { parameters: ["1.weight"] }, "lastLayer"] as const) {
      const part = curvatureOf(net, likelihood, { x, y }, { ...options, weights });
      const places = [...part.selection.indices()];
      const due = places.flatMap((i) => places.map((j) => matrix.data[i * net.parameterCount + j]));
      expect(part.dense().data).toBeAllClose(due, { relative: 1e-12, absolute: 1e-13 });
      const v = randomNormal([places.length], { seed: 8, dtype: "float64" });
      const product = curvatureProduct(net, likelihood, { x, y }, v, { curvature: "hessian", weights });
      expect(product.data).toBeAllClose(part.times(v).data, { relative: 1e-11, absolute: 1e-12 });
    }
  });

  test("products equal differences of gradients", () => {
    expect(checkProducts({ net, x, y }, likelihood, new Random(2))).toBe(true);
  });
});

describe("posteriors", () => {
  const net = chain({ inputs: 2, dtype: "float64", seed: 2 }, dense(4, tanh), dense(1));
  const data = { x: randomNormal([12, 2], { seed: 3 }), y: randomNormal([12, 1], { seed: 4 }) };
  const fit = (options: object) =>
    laplace(net, { likelihood: gaussian({ noise: 1 }), curvature: "hessian", checks: false, ...options }).fit(data);

  test("one that is not positive definite is an error with the least eigenvalue; a larger prior, or clip, mends it", async () => {
    const least = (matrix: NDArray) => eigh(matrix, { vectors: false }).values.data[0];
    for (const structure of ["full", "diagonal"] as const) {
      const posterior = await fit({ structure, priorPrecision: 0.01 });
      const lowest = least(posterior.curvature.dense());
      expect(lowest).toBeLessThan(-0.02);
      const error = (() => {
        try {
          return posterior.evidence();
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error).toBeInstanceOf(IndefiniteHessianError);
      expect((error as IndefiniteHessianError).eigenvalue).toBeCloseTo(lowest + 0.01, 10);
      expect(() => posterior.predict(data.x)).toThrow("is not positive definite");
      const each = posterior.curvature.diagonal().data.map((_: number, i: number) => 0.01 + 1e-6 * i);
      expect(() => posterior.with({ priorPrecision: each }).variance()).toThrow(IndefiniteHessianError);
      const raised = posterior.with({ priorPrecision: 0.02 - lowest });
      expect(least(raised.precision())).toBeCloseTo(0.02, 10);
      expect(raised.logMarginalLikelihood()).toBeLessThan(0);
      const tuned = raised.optimizePrior({ onWarning: () => {} });
      expect(tuned.logMarginalLikelihood()).toBeGreaterThanOrEqual(raised.logMarginalLikelihood());
      expect(least(tuned.precision())).toBeGreaterThan(0);

      const clipped = await fit({ structure, priorPrecision: 0.01, clip: true });
      const { values, vectors } = eigh(posterior.curvature.dense());
      const n = clipped.size;
      expect(clipped.clipped).toBe(values.data.filter((x: number) => x < -1e-12).length);
      expect(posterior.clipped).toBe(0);
      const due = new Float64Array(n * n);
      for (let k = 0; k < n; k++) {
        for (let i = 0; i < n * n; i++) {
          const product = vectors.data[Math.floor(i / n) * n + k] * vectors.data[(i % n) * n + k];
          due[i] += Math.max(values.data[k], 0) * product;
        }
      }
      for (let i = 0; i < n; i++) due[i * n + i] += 0.01;
      expect(clipped.precision().data).toBeAllClose(due, { relative: 1e-10, absolute: 1e-11 });
      const read = loadPosterior(savePosterior(clipped));
      expect(read.clipped).toBe(clipped.clipped);
      expect(read.logMarginalLikelihood()).toBe(clipped.logMarginalLikelihood());
      // Sums add before they are clipped.
      const twice = clipped.merge(clipped);
      expect(twice.clipped).toBe(clipped.clipped);
      expect(twice.curvature.dense().data).toBeAllClose(
        posterior.curvature.dense().data.map((x: number) => 2 * x),
        { relative: 1e-12 },
      );
    }
    expect(memoryUse().inUse).toBe(0);
  });

  test("in float32 it is that of float64 to its digits", () => {
    const wide = curvatureOf(net, gaussian(), data, { curvature: "hessian", structure: "full" }).dense().data;
    const narrow = chain({ inputs: 2, dtype: "float32" }, dense(4, tanh), dense(1));
    narrow.setParameters(net.parameters);
    const found = curvatureOf(narrow, gaussian(), data, { curvature: "hessian", structure: "full" }).dense().data;
    expect(found).toBeAllClose(wide, { relative: 1e-4, absolute: 1e-4 * largest(wide) });
  });

  test("what there is not is refused by name", async () => {
    for (const structure of ["kronecker", "ekfac", "functional"] as const) {
      expect(() => fit({ structure })).toThrow(OptionError);
      expect(() => fit({ structure })).toThrow('Structures that fit: "full", "diagonal", "lowRank".');
    }
    expect(() => fit({ curvature: "ggn", clip: true })).toThrow('clip is for the curvature "hessian"');
    const of = () => laplaceOfValues(net, { likelihood: gaussian(), structure: full, curvature: "nothing" as "ggn" });
    expect(of).toThrow(OptionError);
    const square = (bend: boolean) => ({
      name: `square${bend}`,
      ...elementwiseRules({ value: (x) => x * x, slope: (x) => 2 * x, ...(bend && { bend: () => 2 }) }),
    });
    const squared = (bend: boolean) =>
      network({ inputs: 2, dtype: "float64", seed: 1 }, (x) =>
        dense(1)(applyPrimitive(square(bend), [dense(3)(x)], undefined)),
      );
    const product = (bend: boolean) =>
      curvatureProduct(squared(bend), gaussian(), data, squared(bend).parameters, { curvature: "hessian" });
    expect(() => product(false)).toThrow(LaplaceError);
    expect(() => product(false)).toThrow('"squarefalse" has no second derivatives');
    expect(product(true).size).toBe(13);
    expect(checkProducts({ net: squared(true), ...data }, gaussian(), new Random(1))).toBe(true);
  });
});
