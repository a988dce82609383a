// R², F1 and AUROC of tables, beside their definitions.

import { describe, expect, test } from "vitest";
import { baselineMetrics, classMetrics, explained, meanF1, regressionMetrics } from "../src/model/metrics.ts";
import { metricLines } from "../src/output/summary.ts";

const truth = [0, 0, 0, 1, 1, 2, 2, 2, 2, 0];
const probabilities = truth.map((own, i) => {
  const raw = [0, 1, 2].map((c) => 1 + (c === own ? (i % 3) * 0.9 : (i * (c + 2)) % 5));
  const sum = raw[0] + raw[1] + raw[2];
  return raw.map((p) => p / sum);
});
const logs = probabilities.map((row) => row.map(Math.log));
const predicted = probabilities.map((row) => row.indexOf(Math.max(...row)));

describe("classes", () => {
  test("F1 is 2 tp / (2 tp + fp + fn), averaged over classes that are there or said", () => {
    const of = (c: number) => {
      const count = (said: boolean, so: boolean) =>
        truth.filter((own, i) => (predicted[i] === c) === said && (own === c) === so).length;
      return (2 * count(true, true)) / (2 * count(true, true) + count(true, false) + count(false, true));
    };
    expect(meanF1(probabilities, truth)).toBeCloseTo((of(0) + of(1) + of(2)) / 3, 12);
    // A class that is neither true nor said has no F1.
    const wider = probabilities.map((row) => [...row, 0]);
    expect(meanF1(wider, truth)).toBeCloseTo(meanF1(probabilities, truth), 12);
    expect(meanF1([[0.2, 0.8]], [0])).toBe(0);
  });

  test("AUROC is the share of pairs in order, of each class against the others", () => {
    const of = (c: number) => {
      const [own, others] = [true, false].map((so) => probabilities.filter((_, i) => (truth[i] === c) === so));
      const pairs = own.flatMap((a) => others.map((b) => (a[c] > b[c] ? 1 : a[c] === b[c] ? 0.5 : 0)));
      return pairs.reduce((sum: number, one) => sum + one / pairs.length, 0);
    };
    expect(classMetrics(probabilities, logs, truth).auroc).toBeCloseTo((of(0) + of(1) + of(2)) / 3, 12);
    const first = truth.map((own) => Number(own > 0));
    const two = probabilities.map(([p]) => [p, 1 - p]);
    const found = classMetrics(
      two,
      two.map((row) => row.map(Math.log)),
      first,
    );
    expect(found.auroc).toBeCloseTo(of(0), 12);
    // Of one class alone there is no order.
    expect(
      classMetrics(
        probabilities,
        logs,
        truth.map(() => 1),
      ),
    ).not.toHaveProperty("auroc");
  });

  test("a baseline puts no row before another, whatever its folds left out", () => {
    const baselines = [0.61, 0.59, 0.6, 0.62].map((p) => ({ frequencies: [p, 1 - p] }));
    expect(baselineMetrics(baselines, [1, 0, 1, 0]).auroc).toBe(0.5);
  });
});

test("R² is the share of the variance that means explain", () => {
  const y = [1, 4, 2, 8];
  expect(explained([3.75, 3.75, 3.75, 3.75], y)).toBeCloseTo(0, 12);
  expect(explained(y, y)).toBe(1);
  // Σ (y − m)² is 1 + 1 + 0 + 4, Σ (y − ȳ)² 28.75.
  expect(explained([2, 3, 2, 6], y)).toBeCloseTo(1 - 6 / 28.75, 12);
  expect(explained([1, 2], [3, 3])).toBeUndefined();
  expect(regressionMetrics([1, 2], [1, 1], [3, 3])).not.toHaveProperty("rSquared");
});

test("the text has them", () => {
  const metrics = { rSquared: 0.81234, f1: 0.5, auroc: 0.75 };
  expect(metricLines("regression", metrics, {}).join("\n")).toMatch(/R² +0\.812/);
  expect(metricLines("regression", metrics, { rSquared: -0.0001 }).join("\n")).toMatch(/R² +0\.812 +0\.000/);
  const text = metricLines("classification", metrics, { auroc: 0.5 }).join("\n");
  expect(text).toMatch(/F1 +0\.500/);
  expect(text).toMatch(/AUROC +0\.750 +0\.500/);
});
