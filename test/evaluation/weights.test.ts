// Metrics of weighted samples are those of samples repeated so many times; soft labels are labels with weights.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accuracy,
  array,
  auroc,
  brierScore,
  calibrationCurve,
  categorical,
  chain,
  classWeights,
  crps,
  type Dataset,
  dataset,
  dense,
  evaluate,
  expectedCalibrationError,
  gaussian,
  gaussianNegativeLogLikelihood,
  intervalCoverage,
  type LaplaceOptions,
  laplace,
  meanAbsoluteError,
  type Network,
  negativeLogLikelihood,
  OptionError,
  poisson,
  randomNormal,
  reliabilityCurve,
  rootMeanSquaredError,
  ShapeError,
  sharpness,
  sigmaScaling,
  take,
  tanh,
  ValueError,
} from "../../src/index.ts";

const N = 8;
const x = randomNormal([N, 3], { seed: 1 });
const mlp = (outputs: number) => chain({ inputs: 3, seed: 2, dtype: "float64" }, dense(4, tanh), dense(outputs));
const labels = (classes: number) => array(Array.from({ length: N }, (_, i) => (i * 7) % classes));
const close = { relative: 1e-10, absolute: 1e-12 };
const someCounts = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: N, maxLength: N })
  .filter((counts) => counts[0] > 0 && counts[1] > 0);

const repeat = ({ x, y }: Dataset, counts: readonly number[]) =>
  take(
    { x, y },
    counts.flatMap((count, i) => new Array<number>(count).fill(i)),
  );

/** All numbers of an evaluation, those of its outputs too, but for how many samples there were. */
const numbersOf = (metrics: object): Record<string, number> =>
  Object.fromEntries(
    Object.entries(metrics).flatMap(([name, value]): [string, number][] =>
      Array.isArray(value)
        ? value.flatMap((one, c) =>
            Object.entries(numbersOf(one)).map(([own, n]): [string, number] => [`${c} ${own}`, n]),
          )
        : ["samples", "labels"].includes(name)
          ? []
          : [[name, value]],
    ),
  );

const subjects: Record<string, readonly [Network, LaplaceOptions["likelihood"], Dataset["y"]]> = {
  "two numbers": [mlp(2), gaussian({ noise: 0.5 }), randomNormal([N, 2], { seed: 3 })],
  counts: [mlp(1), poisson(), labels(4)],
  "one logit": [mlp(1), "binary", labels(2)],
  "two logits": [mlp(2), "binary", array([...labels(2).data, ...labels(2).data], { shape: [N, 2] })],
  classes: [mlp(3), "classification", labels(3)],
  "classes, some left out": [mlp(3), categorical({ ignoredLabel: 2 }), labels(3)],
};

test.each(Object.entries(subjects))("evaluate of %s", async (_, [net, likelihood, y]) => {
  const data = dataset(x, y);
  const posterior = await laplace(net, { likelihood, checks: false }).fit(data);
  fc.assert(
    fc.property(someCounts, (counts) => {
      const due = numbersOf(evaluate(posterior, repeat(data, counts)));
      const found = numbersOf(evaluate(posterior, dataset(x, y, counts)));
      expect(Object.keys(found)).toEqual(Object.keys(due));
      expect(Object.values(found)).toBeAllClose(Object.values(due), close);
    }),
    { numRuns: 5 },
  );
});

describe("functions of arrays", () => {
  const [mean, targets] = [randomNormal([N, 2], { seed: 5 }), randomNormal([N, 2], { seed: 6 })];
  const variance = array(
    Array.from({ length: 2 * N }, (_, i) => 0.3 + (i % 3)),
    { shape: [N, 2] },
  );
  const counts = [3, 1, 0, 2, 1, 1, 4, 1];
  const rows = (of: Dataset["y"]) => repeat(dataset(x, of), counts).y;
  const weights = { weights: counts };

  test("of numbers", () => {
    const [m, v, y] = [mean, variance, targets].map(rows);
    for (const metric of [gaussianNegativeLogLikelihood, crps, intervalCoverage, sigmaScaling]) {
      expect(metric(mean, variance, targets, weights)).toBeCloseTo(metric(m, v, y), 11);
    }
    for (const metric of [rootMeanSquaredError, meanAbsoluteError]) {
      expect(metric(mean, targets, weights)).toBeCloseTo(metric(m, y), 11);
    }
    expect(Object.values(sharpness(variance, weights))).toBeAllClose(Object.values(sharpness(v)), close);
    const [curve, due] = [calibrationCurve(mean, variance, targets, weights), calibrationCurve(m, v, y)];
    expect(curve.frequency).toBeAllClose(due.frequency, close);
  });

  test("of classes", () => {
    const p = probabilities(randomNormal([N, 3], { seed: 7 }));
    const y = labels(3);
    for (const metric of [negativeLogLikelihood, accuracy, brierScore, expectedCalibrationError]) {
      expect(metric(p, y, weights)).toBeCloseTo(metric(rows(p), rows(y)), 11);
    }
    expect(reliabilityCurve(p, y, weights).count).toBeAllClose(reliabilityCurve(rows(p), rows(y)).count, close);
    const scores = array([0.1, 0.9, 0.4, 0.4, 0.4, 0.2, 0.8, 0.9]);
    expect(auroc(scores, labels(2), weights)).toBeCloseTo(auroc(rows(scores), rows(labels(2))), 12);
  });
});

/** Rows that sum to 1. */
function probabilities(logits: Dataset["y"]): Dataset["y"] {
  const [n, classes] = logits.shape;
  const e = Array.from(logits.data, Math.exp);
  const sum = (i: number) => e.slice(i * classes, (i + 1) * classes).reduce((a, b) => a + b, 0);
  return array(
    e.map((value, i) => value / sum(Math.floor(i / classes))),
    { shape: [n, classes] },
  );
}

describe("soft labels", () => {
  const soft = probabilities(randomNormal([N, 3], { seed: 8 }));
  /** The same as labels, one for each class, with weights. */
  const hard = dataset(
    take(
      { x, y: labels(2) },
      Array.from({ length: 3 * N }, (_, i) => Math.floor(i / 3)),
    ).x,
    array(Array.from({ length: 3 * N }, (_, i) => i % 3)),
    soft.data,
  );

  test("of classes: fit, evidence and scores are those of labels with weights", async () => {
    const la = laplace(mlp(3), { likelihood: "classification", checks: false });
    const [found, due] = [await la.fit({ x, y: soft }), await la.fit(hard)];
    expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, close);
    expect(found.examples).toBe(N);
    expect([found.loss, found.logMarginalLikelihood()]).toBeAllClose([due.loss, due.logMarginalLikelihood()], close);
    const [scores, dueScores] = [evaluate(found, { x, y: soft }), evaluate(found, hard)];
    expect(Object.values(numbersOf(scores))).toBeAllClose(Object.values(numbersOf(dueScores)), close);
    expect(scores).toMatchObject({ samples: N });
    expect(scores.labels).toBeUndefined();
    // The log score is the cross-entropy.
    const logs = found.logProbabilities(x).data;
    const cross = Array.from(soft.data, (t, i) => -t * logs[i]).reduce((a, b) => a + b, 0) / N;
    expect(scores.negativeLogLikelihood).toBeCloseTo(cross, 11);
  });

  test("of one logit", async () => {
    const t = array([0.2, 1, 0, 0.7, 0.5, 0.9, 0.1, 1]);
    const la = laplace(mlp(1), { likelihood: "binary", checks: false });
    const posterior = await la.fit({ x, y: t });
    const twice = take(
      { x, y: labels(2) },
      [...x.data.keys()].slice(0, 2 * N).map((i) => i % N),
    ).x;
    const both = dataset(twice, array(Array.from({ length: 2 * N }, (_, i) => Number(i < N))), [
      ...t.data,
      ...Array.from(t.data, (p) => 1 - p),
    ]);
    expect([posterior.logMarginalLikelihood()]).toBeAllClose([(await la.fit(both)).logMarginalLikelihood()], close);
    const [scores, due] = [evaluate(posterior, { x, y: t }), evaluate(posterior, both)];
    expect(Object.values(numbersOf(scores))).toBeAllClose(Object.values(numbersOf(due)), close);
  });

  test("that are not probabilities are refused", () => {
    const p = probabilities(randomNormal([1, 2], { seed: 9 }));
    expect(() => accuracy(p, [[0.5, 0.6]])).toThrow(/neither a label nor probabilities/);
    expect(() => accuracy(p, [0.5, 0.5])).toThrow(ShapeError);
  });
});

test("classes weighted as though each were as frequent, or as they are told", () => {
  const y = [0, 0, 0, 2];
  expect(classWeights(y).data).toBeAllClose([2 / 3, 2 / 3, 2 / 3, 2]);
  expect(classWeights(y, [1, 5, 0.5]).data).toEqual(Float64Array.of(1, 1, 1, 0.5));
  expect(() => classWeights(y, [1, 2])).toThrow(/label 2 of sample 3 has no weight/);
  expect(() => classWeights(y, [1, 2, -1])).toThrow(OptionError);
  expect(() => classWeights([0.5])).toThrow(ValueError);
  expect(() => classWeights([[1, 2]])).toThrow(ShapeError);
});
