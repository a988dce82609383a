// Softmax ignores what is added to all logits, and so do predictions: the level's variance, which is the prior's alone, is not
// uncertainty of a class.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  binaryCrossEntropy,
  chain,
  crossEntropy,
  dense,
  epistemicScore,
  evaluate,
  gaussNewton,
  laplace,
  Random,
  tanh,
  train,
  twoMoons,
  uncertainty,
} from "../../src/index.ts";
import { binaryLogProbabilities, binaryPairs, binaryProbabilities } from "../../src/likelihood/binary-links.ts";
import { binaryEntropies, classEntropies } from "../../src/likelihood/entropies.ts";
import { type ClassLink, classLinks, classLogProbabilities, classProbabilities } from "../../src/likelihood/links.ts";
import { softmaxMean } from "../reference/integrals.ts";

const draw = { samples: 60, seed: 3 };
const invariant = ["meanField2", "plugin", "monteCarlo"] as const;
const real = (size: number) => fc.double({ min: -size, max: size, noNaN: true });

/** A mean and a covariance, and the same with a level: f + c 1 and V + 1 aᵀ + a 1ᵀ + d 1 1ᵀ. */
const pairs = fc.integer({ min: 2, max: 5 }).chain((n) =>
  fc
    .record({
      mean: fc.array(real(6), { minLength: n, maxLength: n }),
      root: fc.array(real(2), { minLength: n * n, maxLength: n * n }),
      level: real(30),
      along: fc.array(real(2), { minLength: n, maxLength: n }),
      most: fc.double({ min: 0, max: 50, noNaN: true }),
    })
    .map(({ mean, root, level, along, most }) => {
      const at = (i: number, j: number) =>
        Array.from({ length: n }, (_, k) => root[i * n + k] * root[j * n + k]).reduce((a, b) => a + b, 0) +
        (i === j ? 0.1 : 0);
      const places = Array.from({ length: n * n }, (_, k) => [Math.floor(k / n), k % n] as const);
      return {
        n,
        mean: Float64Array.from(mean),
        covariance: Float64Array.from(places, ([i, j]) => at(i, j)),
        raised: Float64Array.from(mean, (f) => f + level),
        lifted: Float64Array.from(places, ([i, j]) => at(i, j) + along[i] + along[j] + most),
      };
    }),
);

const of = (link: ClassLink, mean: Float64Array, covariance: Float64Array, how = draw) =>
  classProbabilities(link, mean, covariance, 1, mean.length, how);

test.each(invariant)("%s ignores the level of the logits and of their covariance", (link) => {
  fc.assert(
    fc.property(pairs, ({ mean, covariance, raised, lifted }) => {
      expect(of(link, raised, lifted)).toBeAllClose(of(link, mean, covariance), { relative: 1e-9, absolute: 1e-11 });
    }),
  );
});

test("the references' links take the level for uncertainty, by their formulas", () => {
  const [mean, covariance] = [Float64Array.of(1, 0, -1), Float64Array.of(1, 0.2, 0, 0.2, 2, 0, 0, 0, 4)];
  const lifted = covariance.map((v) => v + 9);
  for (const link of ["probit", "meanField1", "bridge", "normalizedBridge"] as const) {
    const [p, q] = [covariance, lifted].map((v) => of(link, mean, v));
    expect(Math.abs(p[0] - q[0]), link).toBeGreaterThan(1e-3);
  }
});

test("two logits are one: the default, the draws and the entropies are those of the difference", () => {
  fc.assert(
    fc.property(
      pairs.filter(({ n }) => n === 2),
      ({ raised, lifted }) => {
        const m = Float64Array.of(raised[1] - raised[0]);
        const v = Float64Array.of(lifted[0] + lifted[3] - 2 * lifted[1]);
        for (const [two, one] of [
          ["meanField2", "probit"],
          ["plugin", "plugin"],
          ["monteCarlo", "monteCarlo"],
        ] as const) {
          const close = { relative: 1e-10, absolute: 1e-12 };
          expect([of(two, raised, lifted)[1]]).toBeAllClose(binaryProbabilities(one, m, v, draw), close);
          const logs = classLogProbabilities(two, raised, lifted, 1, 2, draw);
          expect(logs).toBeAllClose(binaryLogProbabilities(one, m, v, draw), close);
        }
        const [two, one] = [classEntropies(raised, lifted, 1, 2, draw), binaryEntropies(m, v)];
        expect(two.total).toBeAllClose(one.total, { relative: 1e-9, absolute: 1e-12 });
        expect(two.aleatoric).toBeAllClose(one.aleatoric, { relative: 1e-9, absolute: 1e-12 });
      },
    ),
  );
});

test("draws take no side: turning the sign of a logit swaps the labels, of one logit and of two", () => {
  const close = { relative: 1e-12, absolute: 1e-15 };
  const swapped = (row: Float64Array) => Float64Array.of(row[1], row[0]);
  fc.assert(
    fc.property(
      fc.oneof(real(8), real(400), fc.constant(0)),
      fc.oneof(real(20), real(1e4), fc.constant(0)).map(Math.abs),
      fc.integer({ min: 1, max: 40 }),
      real(1e3),
      (f, v, samples, level) => {
        const how = { samples, seed: samples };
        const one = [f, -f].map((m) => binaryPairs("monteCarlo", Float64Array.of(m), Float64Array.of(v), how));
        expect(one[1].one).toBeAllClose(one[0].zero, close);
        expect([one[0].one[0] + one[1].one[0]]).toBeAllClose([1], close);
        if (f === 0) expect(one[0].one).toBeAllClose([0.5], close);
        const logs = [f, -f].map((m) =>
          binaryLogProbabilities("monteCarlo", Float64Array.of(m), Float64Array.of(v), how),
        );
        expect(logs[1]).toBeAllClose(swapped(logs[0]), close);
        // Of two logits 0 and f, at any level, and the other way round.
        const two = [
          [level, level + f],
          [level + f, level],
        ].map((m) => of("monteCarlo", Float64Array.from(m), Float64Array.of(level ** 2, 0, 0, v), how));
        expect(two[1]).toBeAllClose(swapped(two[0]), { relative: 1e-9, absolute: 1e-12 });
      },
    ),
  );
});

test("entropies ignore the level", () => {
  fc.assert(
    fc.property(pairs, ({ n, mean, covariance, raised, lifted }) => {
      const [a, b] = [classEntropies(mean, covariance, 1, n, draw), classEntropies(raised, lifted, 1, n, draw)];
      expect(b.total).toBeAllClose(a.total, { relative: 1e-9, absolute: 1e-11 });
      expect(b.aleatoric).toBeAllClose(a.aleatoric, { relative: 1e-9, absolute: 1e-11 });
    }),
  );
});

test("the default is near the integral: within 0.02 for two classes, nearer than the others for three", () => {
  const random = new Random(4);
  const errors: Record<string, number> = Object.fromEntries(classLinks.map((link) => [link, 0]));
  for (let run = 0; run < 60; run++) {
    const n = 2 + (run % 2);
    const mean = Float64Array.from({ length: n }, () => 2 * random.normal());
    const root = Array.from({ length: n * n }, () => 1.2 * random.normal());
    const level = 3 * random.normal() ** 2;
    const covariance = Float64Array.from({ length: n * n }, (_, k) => {
      const [i, j] = [Math.floor(k / n), k % n];
      return Array.from({ length: n }, (_, l) => root[i * n + l] * root[j * n + l]).reduce((a, b) => a + b, level);
    });
    const exact = softmaxMean([...mean], [...covariance]);
    for (const link of classLinks) {
      const p = of(link, mean, covariance, { samples: 4000, seed: run });
      const error = exact.reduce((most, q, k) => Math.max(most, Math.abs(q - p[k])), 0);
      if (link === "meanField2") expect(error, `${n} classes`).toBeLessThan(n === 2 ? 0.02 : 0.15);
      if (link === "monteCarlo") expect(error).toBeLessThan(0.035);
      if (n === 3) errors[link] += error / 30;
    }
  }
  expect(errors.meanField2).toBeLessThan(0.05);
  for (const link of ["probit", "plugin", "bridge", "normalizedBridge", "meanField1"]) {
    expect(errors[link], link).toBeGreaterThan(1.5 * errors.meanField2);
  }
});

// ../shared/faults/library/probit-default-classes.mjs
describe("a class problem", () => {
  test("of one input: the integral of the linearised predictive, whatever the prior", async () => {
    const r = new Random(1);
    const x = Array.from({ length: 100 }, () => [r.normal() * 2]);
    const y = x.map(([v]) => (v + 0.8 * r.normal() > 0 ? 1 : 0));
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(2));
    await train(net, { x, y }, { loss: crossEntropy, optimizer: gaussNewton(), epochs: 100, weightDecay: 1e-4 });
    for (const [priorPrecision, right] of [
      [0.01, [0.6217, 0.0383, 0.8391]],
      [0.1, [0.6217, 0.0383, 0.8392]],
      [1, [0.6219, 0.0378, 0.8396]],
    ] as const) {
      const p = await laplace(net, { likelihood: "classification", priorPrecision, checks: false }).fit({ x, y });
      const { mean } = p.predict([[0.3], [-2], [1]]);
      right.forEach((due, i) => {
        expect(Math.abs(mean.at(i, 1) - due)).toBeLessThan(0.01);
      });
      const drawn = p.predict([[0.3], [-2], [1]], { approximation: "monteCarlo", samples: 20_000 }).mean;
      right.forEach((due, i) => {
        expect(Math.abs(drawn.at(i, 1) - due)).toBeLessThan(0.006);
      });
    }
  });

  test("of two moons: two logits are as good as one, and nothing is said of the prior", async () => {
    const data = twoMoons({ samples: 300, noise: 0.25, seed: 1 });
    const held = twoMoons({ samples: 600, noise: 0.25, seed: 2 });
    const options = { optimizer: gaussNewton(), epochs: 100, weightDecay: 0.001 };
    const fit = async (outputs: 1 | 2) => {
      const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(10, tanh), dense(outputs));
      await train(net, data, { loss: outputs === 1 ? binaryCrossEntropy : crossEntropy, ...options });
      const likelihood = outputs === 1 ? "binary" : "classification";
      return (await laplace(net, { likelihood, structure: "kronecker" }).fit(data)).optimizePrior();
    };
    const [one, two] = [await fit(1), await fit(2)];
    const [a, b] = [one, two].map((posterior) => evaluate(posterior, held));
    const plugin = evaluate(two, held, { approximation: "plugin" });
    const nll = (e: typeof a) => e.negativeLogLikelihood as number;
    expect(nll(b)).toBeLessThan(nll(plugin) + 0.02);
    expect(Math.abs(nll(a) - nll(b))).toBeLessThan(0.03);
    expect(b.expectedCalibrationError).toBeLessThan(0.06);
    const codes = two.diagnose(held).findings.map(({ code }) => code);
    expect(codes).not.toContain("function-variance-dominating");
    expect(codes).not.toContain("under-confident");
    // Scores of the weights' uncertainty do not see the level either: a wider prior of it would raise all of them.
    expect(uncertainty(two, held.x).share.data.every((share: number) => share >= 0 && share <= 1)).toBe(true);
    expect(epistemicScore(two, held.x).data.every((score: number) => score >= 0 && score < Math.LN2)).toBe(true);
  });
});
