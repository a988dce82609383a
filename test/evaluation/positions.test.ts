// Metrics of labels at every position: those of all that count, taken together.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  accuracy,
  array,
  bernoulli,
  brierScore,
  categorical,
  chain,
  crossEntropy,
  dense,
  evaluate,
  expectedCalibrationError,
  laplace,
  negativeLogLikelihood,
  OptionError,
  Random,
  reliabilityCurve,
  reshape,
  ShapeError,
  ValueError,
} from "../../src/index.ts";

const metrics = { negativeLogLikelihood, accuracy, brierScore, expectedCalibrationError };
const IGNORED = -100;

/** Probabilities [N, T, C] with labels [N, T], of which some are ignored; and what counts of them as rows. */
function drawn(seed: number, [n, t, c]: readonly number[]) {
  const random = new Random(seed);
  const p = Array.from({ length: n }, () =>
    Array.from({ length: t }, () => {
      const weights = Array.from({ length: c }, () => random.uniform());
      const total = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / total);
    }),
  );
  const y = p.map((rows) => rows.map(() => (random.uniform() < 0.3 ? IGNORED : random.integer(c))));
  y[0][0] = 0;
  const counted = p.flatMap((rows, i) =>
    rows.flatMap((row, j) => (y[i][j] === IGNORED ? [] : [{ row, label: y[i][j] }])),
  );
  return { p, y, rows: counted.map(({ row }) => row), labels: counted.map(({ label }) => label) };
}

test("they are those of the rows that count, with the classes last or first", () => {
  const shapes = fc.tuple(fc.constantFrom(1, 3), fc.constantFrom(1, 4), fc.constantFrom(2, 3));
  fc.assert(
    fc.property(shapes, fc.nat(), (shape, seed) => {
      const { p, y, rows, labels } = drawn(seed, shape);
      const [, t, c] = shape;
      const first = p.map((one) =>
        Array.from({ length: c }, (_, k) => Array.from({ length: t }, (__, j) => one[j][k])),
      );
      const last = { classAxis: "last", ignoredLabel: IGNORED } as const;
      for (const metric of Object.values(metrics)) {
        const due = metric(rows, labels);
        expect(metric(p, y, last)).toBe(due);
        expect(metric(first, y, { classAxis: "first", ignoredLabel: IGNORED })).toBe(due);
        expect(metric(rows, labels, { classAxis: "first" })).toBe(due);
      }
      const { count, accuracy: share } = reliabilityCurve(p, y, { ...last, bins: 4 });
      expect([count, share]).toEqual(
        [reliabilityCurve(rows, labels, { bins: 4 })].flatMap((one) => [one.count, one.accuracy]),
      );
      // Probabilities of label 1 alone.
      const ones = p.map((one) => one[0][1] / (one[0][0] + one[0][1]));
      const binary = y.map(([label]) => (label === IGNORED ? label : label % 2));
      const kept = Array.from(binary.keys()).filter((i) => binary[i] !== IGNORED);
      expect(brierScore(ones, binary, { ignoredLabel: IGNORED })).toBe(
        brierScore(
          kept.map((i) => ones[i]),
          kept.map((i) => binary[i]),
        ),
      );
    }),
  );
});

test("labels as rows of one 1 count all", () => {
  const { p } = drawn(1, [2, 3, 2]);
  const y = [
    [0, 1, 1],
    [1, 0, 0],
  ];
  const oneHot = y.map((labels) => labels.map((label) => [label === 0 ? 1 : 0, label]));
  expect(negativeLogLikelihood(p, oneHot, { classAxis: "last" })).toBe(
    negativeLogLikelihood(p, y, { classAxis: "last" }),
  );
});

test("refusals", () => {
  const { p, y } = drawn(1, [2, 3, 2]);
  const options = { classAxis: "last", ignoredLabel: IGNORED } as const;
  expect(() => accuracy(p, y)).toThrow(/option classAxis/);
  expect(() => accuracy(p, [0, 1], options)).toThrow(ShapeError);
  expect(() => accuracy(p, [0, 1], options)).toThrow(/expected labels of shape \[2, 3\], got \[2\]/);
  expect(() => accuracy(p, y, { classAxis: "last" })).toThrow(/label -100/);
  expect(() => accuracy(p, y, { classaxis: "last" } as never)).toThrow(OptionError);
  const none = y.map((labels) => labels.map(() => IGNORED));
  expect(() => brierScore(p, none, options)).toThrow(ValueError);
  expect(() => brierScore(p, none, options)).toThrow(/all labels are ignored/);
});

test("evaluate takes the options of the likelihood", async () => {
  const random = new Random(4);
  const x = array(
    Array.from({ length: 6 * 3 * 2 }, () => random.normal()),
    { shape: [6, 3, 2] },
  );
  const y = array(
    Array.from({ length: 18 }, (_, i) => (i % 4 === 0 ? IGNORED : random.integer(4))),
    { shape: [6, 3] },
  );
  const options = { classAxis: "last", ignoredLabel: IGNORED } as const;
  const net = chain({ inputs: [3, 2], dtype: "float64", seed: 1 }, dense(4));
  const posterior = await laplace(net, { likelihood: categorical(options), checks: false }).fit({ x, y });
  const { mean } = posterior.predict(x);
  expect(mean.shape).toEqual([6, 3, 4]);
  const found = evaluate(posterior, { x, y });
  expect(found).toEqual({
    samples: 6,
    labels: 13,
    negativeLogLikelihood: negativeLogLikelihood(mean, y, options),
    accuracy: accuracy(mean, y, options),
    brierScore: brierScore(mean, y, options),
    expectedCalibrationError: expectedCalibrationError(mean, y, options),
  });
  const plugin = evaluate(posterior, { x, y }, { approximation: "plugin" });
  expect([plugin.negativeLogLikelihood]).toBeAllClose([crossEntropy.with(options)(net.forward(x), y)]);

  const binary = chain({ inputs: [3, 2], dtype: "float64", seed: 1 }, dense(1), (h) => reshape(h, [3]));
  const labels = array(
    y.data.map((label: number) => (label === IGNORED ? label : label % 2)),
    { shape: [6, 3] },
  );
  const likelihood = bernoulli({ ignoredLabel: IGNORED });
  const one = await laplace(binary, { likelihood, checks: false }).fit({ x, y: labels });
  const p = one.predict(x).mean.reshape(-1);
  const result = evaluate(one, { x, y: labels });
  expect(result.labels).toBe(13);
  expect(result.brierScore).toBe(brierScore(p, labels.reshape(-1), { ignoredLabel: IGNORED }));
  expect(result.auroc).toBeGreaterThan(0);
});
