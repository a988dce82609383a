import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  epistemicScore,
  gaussian,
  type NDArray,
  OptionError,
  outOfDistributionAuroc,
  ShapeError,
  uncertainty,
  ValueError,
} from "../../src/index.ts";
import { binaryEntropies, classEntropies } from "../../src/likelihood/entropies.ts";
import { draw, fitted, type Kind, kinds, trained } from "../diagnosis/subjects.ts";
import { auroc, entropyOf, overGaussian } from "../reference/evaluation.ts";
import { softmax } from "../reference/functions.ts";

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const how = { samples: 400, seed: 5 };

describe("entropies", () => {
  test("of binary labels are the integrals", () => {
    fc.assert(
      fc.property(real(-8, 8), real(1e-3, 12), (m, v) => {
        const { total, aleatoric } = binaryEntropies(Float64Array.of(m), Float64Array.of(v));
        const p = overGaussian(sigmoid, m, v);
        expect(total[0]).toBeCloseTo(entropyOf([p, 1 - p]), 9);
        const due = overGaussian((f) => entropyOf([sigmoid(f), 1 - sigmoid(f)]), m, v);
        expect(aleatoric[0]).toBeCloseTo(due, 9);
      }),
      { numRuns: 30 },
    );
  });

  test("of binary labels at the edges", () => {
    const cases: [number, number][] = [
      [0, 0],
      [3, 0],
      [40, 1],
      [-200, 100],
      [0, 1e8],
      [1e4, 1e4],
      [1, 1e-18],
      [2, -1e-20],
    ];
    const [m, v] = [0, 1].map((k) => Float64Array.from(cases, (pair) => pair[k]));
    const { total, aleatoric } = binaryEntropies(m, v);
    total.forEach((entropy, i) => {
      expect(aleatoric[i], `${cases[i]}`).toBeGreaterThanOrEqual(0);
      expect(entropy, `${cases[i]}`).toBeGreaterThanOrEqual(aleatoric[i]);
      expect(entropy).toBeLessThanOrEqual(Math.LN2 + 1e-12);
    });
    expect(total[0]).toBeCloseTo(Math.LN2, 14);
    // Far apart logits: the label is open only because the weights are.
    expect(aleatoric[4] / total[4]).toBeLessThan(1e-3);
    expect(aleatoric[6]).toBeCloseTo(total[6], 12);
    expect(aleatoric[7]).toBe(total[7]);
    // A small variance: I = v Λ / 2 with the Fisher information Λ = p (1 − p).
    const small = binaryEntropies(Float64Array.of(0.7), Float64Array.of(1e-4));
    const p = sigmoid(0.7);
    expect((small.total[0] - small.aleatoric[0]) / ((1e-4 * p * (1 - p)) / 2)).toBeCloseTo(1, 3);
  });

  test("of two classes are those of their difference, within the draws' error", () => {
    const covariance = [2, 0.5, 0.5, 1];
    const draws = { samples: 20_000, seed: 1 };
    const classes = classEntropies(Float64Array.of(1, 0.2), Float64Array.from(covariance), 1, 2, draws);
    const binary = binaryEntropies(Float64Array.of(0.8), Float64Array.of(2));
    expect(classes.total[0]).toBeCloseTo(binary.total[0], 2);
    expect(classes.aleatoric[0]).toBeCloseTo(binary.aleatoric[0], 2);
  });

  test("of classes: by the same draws, never negative, none without variance, and the same for a seed", () => {
    const gaussians = fc.integer({ min: 2, max: 5 }).chain((n) =>
      fc.record({
        mean: fc.array(real(-6, 6), { minLength: n, maxLength: n }),
        roots: fc.array(real(0, 3), { minLength: n, maxLength: n }),
      }),
    );
    fc.assert(
      fc.property(gaussians, ({ mean, roots }) => {
        const n = mean.length;
        const covariance = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? roots[i % n] ** 2 : 0));
        const m = Float64Array.from(mean);
        const { total, aleatoric } = classEntropies(m, covariance, 1, n, how);
        expect(aleatoric[0]).toBeLessThanOrEqual(total[0]);
        expect(total[0]).toBeLessThanOrEqual(Math.log(n) + 1e-12);
        expect(classEntropies(m, covariance, 1, n, how).total).toEqual(total);
        const none = classEntropies(m, new Float64Array(n * n), 1, n, how);
        expect(none.total[0]).toBeCloseTo(entropyOf(softmax(mean)), 12);
        expect(none.aleatoric[0]).toBeCloseTo(none.total[0], 12);
      }),
    );
  });
});

const near = draw("regression", 60, 100).x;
const far = array(Array.from({ length: 50 }, (_, i) => [6 + i / 10, -5 - i / 20]));

async function posteriorOf(kind: Kind) {
  const data = draw(kind, 200, 1);
  return (await fitted(kind, await trained(kind, data), data)).optimizePrior();
}
const posteriors = Object.fromEntries(
  await Promise.all((Object.keys(kinds) as Kind[]).map(async (kind) => [kind, await posteriorOf(kind)] as const)),
);
const pair = (kind: Kind) => posteriors[kind];

describe("parts of uncertainty", () => {
  test.each(Object.keys(kinds) as Kind[])("%s: they add up, and the share grows beyond the data", (kind) => {
    const posterior = pair(kind);
    const inside = uncertainty(posterior, near);
    const { total, aleatoric, epistemic, share } = inside;
    expect(total.shape).toEqual(kind === "classification" ? [60] : [60, 1]);
    total.data.forEach((sum: number, i: number) => {
      expect(epistemic.data[i] + aleatoric.data[i]).toBeCloseTo(sum, 12);
      expect(share.data[i]).toBeCloseTo(epistemic.data[i] / sum, 12);
      expect(share.data[i]).toBeGreaterThanOrEqual(0);
      expect(share.data[i]).toBeLessThanOrEqual(1);
    });
    const mean = (values: NDArray) => Array.from(values.data).reduce((a, b) => a + b, 0) / values.size;
    expect(mean(uncertainty(posterior, far).share)).toBeGreaterThan(mean(share));
    expect(uncertainty(posterior, near)).toEqual(inside);
  });

  test("of a regression and of counts they are variances", () => {
    const prediction = pair("regression").predict(near);
    const { total, epistemic, aleatoric } = uncertainty(pair("regression"), near);
    expect(total).toBeAllClose(prediction.variance);
    expect(epistemic).toBeAllClose(prediction.functionVariance);
    const noise = pair("regression").noise?.data[0] as number;
    expect(aleatoric.data[0]).toBeCloseTo(noise ** 2, 14);
    const counts = pair("count").predict(near);
    expect(uncertainty(pair("count"), near).total).toBeAllClose(counts.variance);
    expect(uncertainty(pair("count"), near).aleatoric).toBeAllClose(counts.mean);
    const loud = pair("regression").with({ noise: 1e9 });
    expect(uncertainty(loud, near).share.data[0]).toBeGreaterThan(0);
  });

  test("of binary labels the total is the entropy of the exact probability", () => {
    const { mean } = pair("binary").predict(near, { approximation: "quadrature" });
    const { total } = uncertainty(pair("binary"), near);
    expect(total.data[7]).toBeCloseTo(entropyOf([mean.data[7], 1 - mean.data[7]]), 9);
  });

  test("of classes by the draws of the linearised network", () => {
    const { total } = uncertainty(pair("classification"), near, { samples: 50, seed: 4 });
    const { mean } = pair("classification").predict(near, { approximation: "monteCarlo", samples: 50, seed: 4 });
    expect(total.data[3]).toBeCloseTo(entropyOf([...mean.sub(3).data]), 12);
  });
});

describe("out of distribution", () => {
  test.each(Object.keys(kinds) as Kind[])("%s: the area of the score, over all pairs", (kind) => {
    const posterior = pair(kind);
    const [a, b] = [near, far].map((x) => [...epistemicScore(posterior, x).data]);
    const labels = [...a.map(() => 0), ...b.map(() => 1)];
    const area = outOfDistributionAuroc(posterior, near, far);
    expect(area).toBeCloseTo(auroc([...a, ...b], labels), 12);
    expect(area).toBeGreaterThan(0.6);
    expect(outOfDistributionAuroc(posterior, near, near)).toBe(0.5);
  });

  test("the score of a regression is in units of the noise, of labels their mutual information", async () => {
    const x = near;
    const { functionVariance } = pair("regression").predict(x);
    const noise = pair("regression").noise?.data[0] as number;
    expect(epistemicScore(pair("regression"), x)).toBeAllClose(
      functionVariance.data.map((v: number) => v / noise ** 2) as Float64Array,
    );
    for (const kind of ["classification", "binary"] as const) {
      expect(epistemicScore(pair(kind), x).data).toEqual(uncertainty(pair(kind), x).epistemic.data);
    }
    expect(epistemicScore(pair("count"), x).data).toEqual(pair("count").predict(x).functionVariance.data);
    const net = await trained("classification", draw("classification", 20, 1), { epochs: 10 });
    const data = { x: near, y: array(Array.from({ length: 60 }, (_, i) => [i % 2, i % 3, 1])) };
    const several = await fitted("regression", net, data, { likelihood: gaussian({ noise: [0.5, 2, 1] }) });
    const v = several.predict(x).functionVariance;
    const due = v.at(4, 0) / 0.25 + v.at(4, 1) / 4 + v.at(4, 2);
    expect(epistemicScore(several, x).data[4]).toBeCloseTo(due, 12);
  });

  test("refusals", () => {
    const posterior = pair("regression");
    expect(() => uncertainty({} as never, near)).toThrow(ValueError);
    expect(() => uncertainty(posterior, [[1]])).toThrow(ShapeError);
    expect(() => uncertainty(posterior, near, { samples: 0 })).toThrow(OptionError);
    expect(() => outOfDistributionAuroc(posterior, near, far, { level: 1 } as object)).toThrow(OptionError);
    expect(() => outOfDistributionAuroc(posterior, near, [[1, 2, 3]])).toThrow("outOfDistributionAuroc");
  });
});
