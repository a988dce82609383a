// Every likelihood against its own definition: differences of the loss, formulas, and draws.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bernoulli, categorical, type DType, gaussian, type Likelihood, poisson, Random } from "../../src/index.ts";
import { Mixture } from "../../src/likelihood/likelihood.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";
import { At } from "./kernels.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const softmax = (f: readonly number[]) => {
  const e = f.map(Math.exp);
  const sum = e.reduce((total, x) => total + x, 0);
  return e.map((x) => x / sum);
};
const diagonal = (values: readonly number[]) => values.flatMap((x, i) => values.map((_, j) => (i === j ? x : 0)));
const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);

interface Case {
  readonly likelihood: Likelihood;
  readonly outputs: number;
  /** Targets of one example. */
  readonly targets: fc.Arbitrary<number[]>;
  /** ℓ of one example, by its definition. */
  loss(f: readonly number[], y: readonly number[]): number;
  /** Λ of one example, by its formula, [C, C]. */
  curvature(f: readonly number[]): number[];
  /** A target drawn at f. */
  draw(f: readonly number[], random: Random): number[];
}

const reals = (n: number) => fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: n, maxLength: n });
const noises = [0.5, 2, 3];
const ratios = noises.map((sigma) => sigma / Math.cbrt(3));
const share = fc.double({ min: 0, max: 1, noNaN: true });
const labels = (n: number) =>
  fc.oneof(
    fc.array(share, { minLength: n, maxLength: n }),
    fc.array(fc.integer({ min: 0, max: 1 }), { minLength: n, maxLength: n }),
  );
const oneOf = (n: number) =>
  fc.oneof(
    fc.nat(n - 1).map((label) => Array.from({ length: n }, (_, c) => (c === label ? 1 : 0))),
    reals(n).map((weights) => softmax(weights)),
  );

function count(rate: number, random: Random): number {
  let [k, product] = [0, random.uniform()];
  for (; product > Math.exp(-rate); k++) product *= random.uniform();
  return k;
}

function bernoulliCase(outputs: number): Case {
  return {
    likelihood: bernoulli(),
    outputs,
    targets: labels(outputs),
    loss: (f, y) => sum(f.map((x, c) => -y[c] * Math.log(sigmoid(x)) - (1 - y[c]) * Math.log(sigmoid(-x)))),
    curvature: (f) => diagonal(f.map((x) => sigmoid(x) * sigmoid(-x))),
    draw: (f, random) => f.map((x) => (random.uniform() < sigmoid(x) ? 1 : 0)),
  };
}

const cases: Record<string, Case> = {
  "gaussian of noise 0.7": {
    likelihood: gaussian({ noise: 0.7 }),
    outputs: 2,
    targets: reals(2),
    loss: (f, y) => sum(f.map((x, c) => 0.5 * (x - y[c]) ** 2)),
    curvature: (f) => diagonal(f.map(() => 1)),
    draw: (f, random) => f.map((x) => x + 0.7 * random.normal()),
  },
  "gaussian of noise 0.5, 2, 3": {
    likelihood: gaussian({ noise: noises }),
    outputs: 3,
    targets: reals(3),
    loss: (f, y) => sum(f.map((x, c) => 0.5 * ((x - y[c]) / ratios[c]) ** 2)),
    curvature: (f) => diagonal(f.map((_, c) => ratios[c] ** -2)),
    draw: (f, random) => f.map((x, c) => x + noises[c] * random.normal()),
  },
  categorical: {
    likelihood: categorical(),
    outputs: 4,
    targets: oneOf(4),
    loss: (f, y) => -sum(softmax(f).map((p, c) => y[c] * Math.log(p))),
    curvature: (f) => {
      const p = softmax(f);
      return p.flatMap((x, c) => p.map((y, d) => (c === d ? x : 0) - x * y));
    },
    draw: (f, random) => {
      const p = softmax(f);
      let [label, rest] = [0, random.uniform()];
      while (label < p.length - 1 && rest >= p[label]) rest -= p[label++];
      return p.map((_, c) => (c === label ? 1 : 0));
    },
  },
  "bernoulli of one logit": bernoulliCase(1),
  "bernoulli of three logits": bernoulliCase(3),
  poisson: {
    likelihood: poisson(),
    outputs: 2,
    targets: fc.array(fc.nat(12), { minLength: 2, maxLength: 2 }),
    loss: (f, y) => sum(f.map((x, c) => Math.exp(x) - y[c] * x)),
    curvature: (f) => diagonal(f.map(Math.exp)),
    draw: (f, random) => f.map((x) => count(Math.exp(x), random)),
  },
};

describe.each(Object.entries(cases))("%s", (_, { likelihood, outputs, targets, loss, curvature, draw }) => {
  const example = fc.record({ f: reals(outputs), y: targets });
  const batches = fc.array(example, { minLength: 1, maxLength: 3 });
  const flat = (examples: readonly { f: number[]; y: number[] }[]) => ({
    f: examples.flatMap(({ f }) => f),
    y: examples.flatMap(({ y }) => y),
  });

  test("the loss is what it is defined to be", () => {
    fc.assert(
      fc.property(batches, (examples) => {
        const { f, y } = flat(examples);
        const due = sum(examples.map((one) => loss(one.f, one.y)));
        expect([new At(likelihood, f, outputs).loss(y)]).toBeAllClose([due], { relative: 1e-12, absolute: 1e-12 });
        const single = new At(likelihood, f, outputs, "float32").loss(y);
        expect([single]).toBeAllClose([due], { relative: 1e-5, absolute: 1e-5 });
      }),
    );
  });

  test("the gradient is the loss's, by differences", () => {
    fc.assert(
      fc.property(batches, (examples) => {
        const { f, y } = flat(examples);
        const [due] = finiteDifferences((x) => [new At(likelihood, x, outputs).loss(y)], f);
        expect(new At(likelihood, f, outputs).gradient(y)).toBeAllClose(due, { relative: 1e-8, absolute: 1e-8 });
        const single = new At(likelihood, f, outputs, "float32").gradient(y);
        expect(single).toBeAllClose(due, { relative: 1e-5, absolute: 1e-5 });
      }),
    );
  });

  test("the columns make the loss's Hessian, by differences and by its formula", () => {
    fc.assert(
      fc.property(batches, (examples) => {
        const { f, y } = flat(examples);
        const due = examples.flatMap((one) => curvature(one.f));
        const at = new At(likelihood, f, outputs);
        expect(at.curvature()).toBeAllClose(due, { relative: 1e-12, absolute: 1e-13 });
        expect(new At(likelihood, f, outputs, "float32").curvature()).toBeAllClose(due, {
          relative: 1e-5,
          absolute: 1e-6,
        });
        const rows = finiteDifferences((x) => new At(likelihood, x, outputs).gradient(y), f);
        const blocks = examples.flatMap((_, b) =>
          rows.slice(b * outputs, (b + 1) * outputs).flatMap((row) => row.slice(b * outputs, (b + 1) * outputs)),
        );
        expect(at.curvature()).toBeAllClose(blocks, { relative: 1e-8, absolute: 1e-8 });
      }),
    );
  });

  test.each<DType>(["float32", "float64"])("gradients at drawn targets have mean 0 and covariance Λ: %s", (dtype) => {
    const rows = 40_000;
    const f = Array.from({ length: outputs }, (_, c) => 1.2 - 0.7 * c);
    const all = Array.from({ length: rows * outputs }, (_, i) => f[i % outputs]);
    const drawn = new At(likelihood, all, outputs, dtype).draw(new Random(5));
    const column = (c: number) => Array.from({ length: rows }, (_, b) => drawn[b * outputs + c]);
    const columns = f.map((_, c) => column(c));
    const due = curvature(f);
    for (let c = 0; c < outputs; c++) {
      within(columns[c], 0);
      for (let d = 0; d < outputs; d++) {
        const products = columns[c].map((x, b) => x * columns[d][b]);
        within(products, due[c * outputs + d]);
      }
    }
  });

  test("without covariance every link is the plugin, the distribution of a target at f", () => {
    fc.assert(
      fc.property(batches, (examples) => {
        const { f } = flat(examples);
        const mean = Float64Array.from(f);
        const batch = examples.length;
        const { size } = likelihood.group([outputs]);
        const [variance, covariance] = [1, size].map((n) => new Float64Array(batch * outputs * n));
        const at = { batch, outputs, mean, variance, covariance };
        const due = likelihood.targetAt(mean, [outputs]);
        for (const link of likelihood.links) {
          const found = likelihood.target(link, at, { samples: 3, seed: 1 });
          expect(found.mean).toBeAllClose(due.mean, { relative: 1e-12, absolute: 1e-14 });
          expect(found.variance).toBeAllClose(due.variance, { relative: 1e-11, absolute: 1e-14 });
        }
      }),
    );
  });

  test("targets have the mean and variance of draws of f and then of y", () => {
    const exact = { gaussian: "exact", poisson: "exact", bernoulli: "quadrature", categorical: "monteCarlo" };
    const link = exact[likelihood.name as keyof typeof exact];
    const n = 100_000;
    const random = new Random(11);
    const mean = Float64Array.from({ length: outputs }, (_, c) => 0.8 - 0.6 * c);
    // V = L Lᵀ with a lower triangle of numbers that differ.
    const root = Array.from({ length: outputs }, (_, i) =>
      Array.from({ length: outputs }, (_, j) => (j > i ? 0 : 0.3 + 0.2 * i - 0.15 * j)),
    );
    const covariance = Float64Array.from(root.flatMap((a) => root.map((b) => sum(a.map((x, j) => x * b[j])))));
    const draws = Array.from({ length: n }, () => {
      const epsilon = root.map(() => random.normal());
      const f = Array.from(mean, (m, i) => m + sum(root[i].map((x, j) => x * epsilon[j])));
      return draw(f, random);
    });
    const variance = mean.map((_, c) => covariance[c * (outputs + 1)]);
    const whole = likelihood.group([outputs]).size === outputs;
    const at = { batch: 1, outputs, mean, variance, covariance: whole ? covariance : variance };
    const found = likelihood.target(link, at, { samples: 100_000, seed: 3 });
    for (let c = 0; c < outputs; c++) {
      const ys = draws.map((y) => y[c]);
      within(ys, found.mean[c]);
      const centre = sum(ys) / n;
      within(
        ys.map((y) => (y - centre) ** 2),
        found.variance[c],
      );
    }
  });
});

/** The mean of draws is the expected one within five and a half standard errors: a chance of 4e-8, at fixed seeds. */
function within(values: readonly number[], due: number): void {
  const mean = sum(values) / values.length;
  const variance = sum(values.map((x) => (x - mean) ** 2)) / (values.length - 1);
  const error = Math.sqrt(variance / values.length);
  expect(Math.abs(mean - due)).toBeLessThanOrEqual(5.5 * error + 1e-6 * (1 + Math.abs(due)));
}

describe("extreme logits", () => {
  test.each<[string, Likelihood, number[], number[]]>([
    ["categorical", categorical(), [800, -800, 0, 1, -800, -800, -800, 800], [0, 1, 0, 0, 1, 0, 0, 0]],
    ["bernoulli", bernoulli(), [800, -800, 800, -800], [0, 0, 1, 1]],
    ["bernoulli far beyond", bernoulli(), [1e4, -1e4], [0, 1]],
    ["poisson", poisson(), [-800, -800], [0, 3]],
    ["gaussian", gaussian(), [800, -800], [-800, 800]],
  ])("%s: loss, gradient and root are finite in both types", (_, likelihood, f, y) => {
    for (const dtype of ["float32", "float64"] as const) {
      const at = new At(likelihood, f, likelihood.name === "categorical" ? 4 : 1, dtype);
      expect(at.loss(y)).toBeGreaterThanOrEqual(0);
      for (const values of [[at.loss(y)], at.gradient(y), at.root(), at.draw(new Random(1))]) {
        expect(values.filter((x) => !Number.isFinite(x))).toEqual([]);
      }
    }
  });

  test("what is left of Λ keeps its digits where the probability rounds to 1", () => {
    const [curvature] = new At(bernoulli(), [40], 1).curvature();
    expect([curvature]).toBeAllClose([Math.exp(-40)], { relative: 1e-12 });
    const classes = new At(categorical(), [40, 0], 2).curvature();
    const p = Math.exp(-40);
    expect(classes).toBeAllClose([p, -p, -p, p], { relative: 1e-12 });
  });
});

test("a mixture has the mean of the means, and the mean of the variances with the variance of the means", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ mean: reals(2), variance: fc.array(share, { minLength: 2, maxLength: 2 }) }), {
        minLength: 1,
        maxLength: 9,
      }),
      fc.constantFrom(0, 1e6),
      (parts, shift) => {
        const mixture = new Mixture(2);
        for (const { mean, variance } of parts) {
          mixture.add({ mean: Float64Array.from(mean, (x) => x + shift), variance: Float64Array.from(variance) });
        }
        const { mean, variance } = mixture.finish();
        for (let i = 0; i < 2; i++) {
          const centre = sum(parts.map((part) => part.mean[i])) / parts.length;
          const spread = sum(parts.map((part) => (part.mean[i] - centre) ** 2 + part.variance[i])) / parts.length;
          expect([mean[i]]).toBeAllClose([centre + shift], { relative: 1e-12, absolute: 1e-12 });
          // Around 1e6 the digits of the means themselves end at 1e-10.
          expect([variance[i]]).toBeAllClose([spread], { relative: 1e-9, absolute: shift === 0 ? 1e-12 : 1e-8 });
        }
      },
    ),
  );
});
