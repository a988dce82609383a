import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accuracy,
  array,
  auroc,
  brierScore,
  expectedCalibrationError,
  negativeLogLikelihood,
  OptionError,
  Random,
  reliabilityCurve,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import * as reference from "../reference/evaluation.ts";

// Hand-computed: confidences 0.7, 0.6, 0.5, 0.8; right, wrong (the label is 0), right, right.
const p = [
  [0.7, 0.2, 0.1],
  [0.3, 0.6, 0.1],
  [0.25, 0.25, 0.5],
  [0.1, 0.8, 0.1],
];
const y = [0, 0, 2, 1];

/** Random rows of probabilities with labels, not calibrated. */
const samples = fc
  .record({ n: fc.integer({ min: 1, max: 40 }), classes: fc.integer({ min: 2, max: 5 }), seed: fc.nat() })
  .map(({ n, classes, seed }) => {
    const random = new Random(seed);
    const rows = Array.from({ length: n }, () => {
      const weights = Array.from({ length: classes }, () => random.uniform() ** 3 + 1e-9);
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / sum);
    });
    return { rows, labels: rows.map(() => random.integer(classes)) };
  });

describe("by hand", () => {
  test("the scores", () => {
    expect(negativeLogLikelihood(p, y)).toBeCloseTo(-Math.log(0.7 * 0.3 * 0.5 * 0.8) / 4, 14);
    expect(accuracy(p, y)).toBe(0.75);
    // 0.09+0.04+0.01, 0.49+0.36+0.01, 0.0625+0.0625+0.25, 0.01+0.04+0.01
    expect(brierScore(p, y)).toBeCloseTo((0.14 + 0.86 + 0.375 + 0.06) / 4, 14);
  });

  test("the calibration error in two bins, and in so many that each sample has its own", () => {
    // Bin (0, 0.5] holds 0.5 (right), bin (0.5, 1] holds 0.7, 0.6, 0.8 of which two are right.
    const gap = Math.abs(2 / 3 - 0.7);
    expect(expectedCalibrationError(p, y, { bins: 2 })).toBeCloseTo(0.25 * 0.5 + 0.75 * gap, 14);
    expect(expectedCalibrationError(p, y, { bins: 2, norm: "l2" })).toBeCloseTo(
      Math.sqrt(0.25 * 0.25 + 0.75 * gap * gap),
      14,
    );
    expect(expectedCalibrationError(p, y, { bins: 2, norm: "max" })).toBe(0.5);
    expect(expectedCalibrationError(p, y, { bins: 1000 })).toBeCloseTo((0.3 + 0.6 + 0.5 + 0.2) / 4, 14);
  });

  test("the reliability curve of label 1, with 0 in the first bin and empty bins NaN", () => {
    const curve = reliabilityCurve([0, 0.2, 0.25, 0.5, 0.50001, 1], [0, 1, 0, 1, 1, 1], { bins: 4, label: 1 });
    expect(Array.from(curve.edges.data)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(Array.from(curve.count.data)).toEqual([3, 1, 1, 1]);
    expect(curve.confidence.data).toBeAllClose([0.15, 0.5, 0.50001, 1]);
    expect(curve.accuracy.data).toBeAllClose([1 / 3, 1, 1, 1]);
    const top = reliabilityCurve([0.9], [1], { bins: 2 });
    expect(Array.from(top.count.data)).toEqual([0, 1]);
    expect(Array.from(top.accuracy.data)).toEqual([Number.NaN, 1]);
  });

  test("the area under the ROC curve", () => {
    expect(auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(0.75);
    expect(auroc([1, 2, 2, 3], [0, 0, 1, 1])).toBe(0.875);
    expect(auroc([3, 2, 1], [0, 0, 1])).toBe(0);
    expect(auroc([5, 5, 5, 5, 5], [0, 1, 1, 0, 1])).toBe(0.5);
  });

  test("certainty that is wrong is infinitely unlikely", () => {
    expect(negativeLogLikelihood([[1, 0]], [1])).toBe(Number.POSITIVE_INFINITY);
    expect(negativeLogLikelihood([[1, 0]], [0])).toBe(0);
    expect(brierScore([[1, 0]], [1])).toBe(2);
  });
});

describe("the plain-autograd reference", () => {
  interface Predictive {
    readonly probit?: { readonly shape: number[]; readonly data: number[] };
    readonly testNLL_probit?: number;
    readonly testECE15_probit?: number;
    readonly testAccuracy?: number;
  }
  const oracle = JSON.parse(readFileSync("test/fixtures/mlp_2_8_8_3_cls.json", "utf8"));
  const found: [string, Predictive][] = [];
  const walk = (value: unknown, path: string): void => {
    if (value === null || typeof value !== "object") return;
    if ("testECE15_probit" in value) found.push([path, value as Predictive]);
    for (const [key, part] of Object.entries(value)) walk(part, `${path}/${key}`);
  };
  walk(oracle, "");

  test("has many predictions", () => expect(found.length).toBeGreaterThan(10));

  test.each(found)("%s", (_, due) => {
    const { shape, data } = due.probit as { shape: number[]; data: number[] };
    const probabilities = array(data, { shape });
    const labels = oracle.Ytest.data as number[];
    expect([
      negativeLogLikelihood(probabilities, labels),
      expectedCalibrationError(probabilities, labels),
      accuracy(probabilities, labels),
    ]).toBeAllClose([due.testNLL_probit as number, due.testECE15_probit as number, due.testAccuracy as number]);
  });
});

describe("any probabilities", () => {
  test("agree with plain loops", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 20 }), ({ rows, labels }, bins) => {
        const gaps = reference.gaps(rows, labels, bins);
        expect([
          accuracy(rows, labels),
          negativeLogLikelihood(rows, labels),
          brierScore(rows, labels),
          expectedCalibrationError(rows, labels, { bins }),
          expectedCalibrationError(rows, labels, { bins, norm: "l2" }),
          expectedCalibrationError(rows, labels, { bins, norm: "max" }),
        ]).toBeAllClose(
          [
            reference.accuracy(rows, labels),
            reference.negativeLogLikelihood(rows, labels),
            reference.brierScore(rows, labels),
            gaps.reduce((sum, { gap, share }) => sum + share * gap, 0),
            Math.sqrt(gaps.reduce((sum, { gap, share }) => sum + share * gap ** 2, 0)),
            Math.max(...gaps.map(({ gap }) => gap)),
          ],
          { absolute: 1e-13 },
        );
      }),
    );
  });

  test("put every k/bins into the bin it closes, and what is above into the next", () => {
    for (let bins = 1; bins <= 200; bins++) {
      const edges = Array.from({ length: bins }, (_, b) => (b + 1) / bins);
      const curve = reliabilityCurve(
        edges,
        edges.map(() => 1),
        { bins, label: 1 },
      );
      expect(Array.from(curve.count.data)).toEqual(edges.map(() => 1));
      // The next number above an edge belongs to the next bin.
      const above = edges.slice(0, -1).map((edge) => edge + 2 ** (Math.floor(Math.log2(edge)) - 52));
      const next = reliabilityCurve([0, ...above], new Float64Array(bins), { bins, label: 1 });
      expect(Array.from(next.count.data)).toEqual(edges.map(() => 1));
    }
  });

  test("[N], [N, 1] and [N, 2] are the same; labels may be rows, and arrays of any type", () => {
    const q = [0.2, 0.7, 0.9, 0.5];
    const labels = [0, 1, 0, 1];
    const two = q.map((value) => [1 - value, value]);
    const rows = labels.map((label) => [1 - label, label]);
    for (const metric of [accuracy, negativeLogLikelihood, brierScore, expectedCalibrationError]) {
      const due = metric(two, labels);
      expect(metric(q, labels)).toBe(due);
      expect(metric(array(q, { shape: [4, 1] }), Int32Array.from(labels))).toBe(due);
      expect(metric(Float64Array.from(q), array(labels, { shape: [4, 1] }))).toBe(due);
      expect(metric(two, rows)).toBe(due);
      expect(metric(array(two, { dtype: "float32" }), labels)).toBeCloseTo(due, 6);
    }
    expect(accuracy([0.5, 0.5], [0, 1])).toBe(0.5);
  });

  test("rounding outside [0, 1] is cut off", () => {
    expect(negativeLogLikelihood([[1.0000000000000007, 0]], [0])).toBe(0);
    expect(negativeLogLikelihood([1 + 1e-9, -1e-9], [1, 0])).toBe(0);
    expect(expectedCalibrationError([1 + 1e-9], [1])).toBe(0);
  });

  test("the area is the share of pairs in order, and depends on their order only", () => {
    const scored = fc.array(fc.tuple(fc.integer({ min: -6, max: 6 }), fc.integer({ min: 0, max: 1 })), {
      minLength: 2,
      maxLength: 40,
    });
    fc.assert(
      fc.property(scored, (pairs) => {
        const [scores, labels] = [pairs.map(([s]) => s), pairs.map(([, l]) => l)];
        fc.pre(labels.includes(0) && labels.includes(1));
        const area = auroc(scores, labels);
        expect([area]).toBeAllClose([reference.auroc(scores, labels)], { relative: 1e-14, absolute: 1e-15 });
        expect(
          auroc(
            scores.map((s) => Math.exp(s) - 3),
            labels,
          ),
        ).toBe(area);
        expect(
          auroc(
            scores.map((s) => -s),
            labels,
          ),
        ).toBeCloseTo(1 - area, 14);
        expect(
          auroc(
            scores.map(() => 3),
            labels,
          ),
        ).toBe(0.5);
      }),
    );
  });

  test("labels drawn from the probabilities have a small calibration error, and the expected scores", () => {
    const random = new Random(5);
    const n = 40_000;
    const q = Array.from({ length: n }, () => random.uniform());
    const labels = q.map((value) => (random.uniform() < value ? 1 : 0));
    // Each bin's gap is about √(2/π · p (1 − p) / n_b), so the sum at most 0.4 √(bins / n); three times that.
    expect(expectedCalibrationError(q, labels)).toBeLessThan(1.2 * Math.sqrt(15 / n));
    expect(expectedCalibrationError(q, labels, { label: 1 })).toBeLessThan(1.2 * Math.sqrt(15 / n));
    expect(
      expectedCalibrationError(
        q.map((value) => value ** 3),
        labels,
        { label: 1 },
      ),
    ).toBeGreaterThan(0.2);
    // ∫ −p log p − (1 − p) log(1 − p) dp = 1/2, ∫ 2 p (1 − p) dp = 1/3, ∫ max(p, 1 − p) dp = 3/4
    expect(Math.abs(negativeLogLikelihood(q, labels) - 0.5)).toBeLessThan(0.015);
    expect(Math.abs(brierScore(q, labels) - 1 / 3)).toBeLessThan(0.012);
    expect(Math.abs(accuracy(q, labels) - 0.75)).toBeLessThan(0.012);
  });
});

describe("refusals", () => {
  const metrics = { accuracy, negativeLogLikelihood, brierScore, expectedCalibrationError, reliabilityCurve };

  test.each(Object.entries(metrics))("%s", (name, metric) => {
    const refuse = (probabilities: unknown, labels: unknown, error: new (message: string) => Error, text: string) => {
      const call = () => metric(probabilities as number[], labels as number[]);
      expect(call).toThrow(error);
      expect(call).toThrow(`${name}: ${text}`);
    };
    refuse([], [], ShapeError, "probabilities must have a first axis that counts samples");
    refuse(0.5, [1], ShapeError, "probabilities must have a first axis");
    refuse([[[0.5, 0.5]]], [1], ShapeError, "probabilities must be [N, C]");
    refuse([[0.5, 1.5]], [1], ValueError, "probability 1.5 of sample 0 is outside [0, 1]");
    refuse([0.5, -0.1], [1, 0], ValueError, "probability -0.1 of sample 1 is outside [0, 1]");
    refuse([[0.5, 0.4]], [1], ValueError, "the probabilities of sample 0 sum to 0.9");
    refuse([0.5, Number.NaN], [1, 0], ValueError, "probabilities has the value NaN at [1]");
    refuse([0.5], [1, 0], ShapeError, "expected labels of shape [1]");
    refuse([0.5], [2], ValueError, "label 2 of sample 0 is not an integer from 0 to 1");
    refuse([0.5], [-1], ValueError, "label -1 of sample 0");
    refuse([0.5], [1.5], ValueError, "label 1.5 of sample 0");
    refuse([0.5], [Number.NaN], ValueError, "labels has the value NaN");
    refuse([[0.5, 0.5]], [[0.3, 0.8]], ValueError, "the labels of sample 0 are neither a label nor probabilities");
    refuse([[0.5, 0.5]], [[1, 1]], ValueError, "the labels of sample 0 are not a row");
  });

  test("auroc", () => {
    expect(() => auroc([1, 2], [1, 1])).toThrow("auroc: all labels are 1; the area needs samples of both.");
    expect(() => auroc([1, 2], [0, 0])).toThrow(ValueError);
    expect(() => auroc([1, 2], [0, 2])).toThrow("label 2 of sample 1 is not an integer from 0 to 1");
    expect(() => auroc([1, 2], [0])).toThrow(ShapeError);
    expect(() => auroc([[1, 2]], [0])).toThrow("auroc: scores must be [N]");
    expect(() => auroc([1, Number.POSITIVE_INFINITY], [0, 1])).toThrow(ValueError);
    expect(() => auroc([], [])).toThrow(ShapeError);
  });

  test("options", () => {
    expect(() => expectedCalibrationError([0.5], [1], { bins: 0 })).toThrow(OptionError);
    expect(() => expectedCalibrationError([0.5], [1], { norm: "l3" as "l1" })).toThrow(OptionError);
    expect(() => expectedCalibrationError([0.5], [1], { bin: 3 } as object)).toThrow('Did you mean "bins"');
    expect(() => reliabilityCurve([0.5], [1], { norm: "l1" } as object)).toThrow(OptionError);
    expect(() => reliabilityCurve([0.5], [1], { label: 2 })).toThrow("label 2 is not one of 2 classes");
    expect(() => reliabilityCurve([0.5], [1], { label: -1 })).toThrow(OptionError);
  });
});
