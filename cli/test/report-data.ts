// Reports' data made up for tests: the same numbers every time.

import type { HeldOut } from "../src/model/held-out.ts";
import type { ReportData, Slice } from "../src/model/report-data.ts";

/** Numbers in (−½, ½) that look scattered. */
const scatter = (i: number) => ((i * 7919 + 13) % 1009) / 1009 - 0.5;

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

const common = {
  data: "houses.csv",
  created: "2026-11-23",
  version: "0.1.0",
  seed: 1,
  network: "3 → 16 → 1, tanh, 97 parameters",
  structure: "Full covariance",
  structureReason: "all 97 weights fit into the memory budget",
  priorPrecision: 1.5,
  columns: [
    { name: "area", kind: "number", inputs: 1, missing: 3, note: "standardised" },
    { name: "town", kind: "category", inputs: 2, missing: 0, note: "one-hot, 2 categories" },
    { name: "built", kind: "date", inputs: 3, missing: 0, note: "split into year, month, weekday" },
    { name: "id", kind: "ignored", inputs: 0, missing: 0, note: "ignored: every row differs" },
  ],
  findings: [],
  candidates: [
    { name: "12 units", negativeLogLikelihood: 0.5, weight: 0.7, standardError: 0, evidence: -0.02 },
    { name: "a linear model", negativeLogLikelihood: 0.62, weight: 0.3, standardError: 0.03, evidence: 0 },
    { name: "<features>", negativeLogLikelihood: 40, weight: 0, standardError: 8, evidence: -0.5 },
    { name: "lost & gone", negativeLogLikelihood: Number.POSITIVE_INFINITY, weight: 0 },
  ],
  portfolio: {
    steps: [{ name: "curves and interactions (12 units)", gain: 0.12, standardError: 0.03 }],
    parts: range(3).map((i) => ({ rows: `${i} to ${i + 1}`, samples: 20, gain: 0.1 * i, standardError: 0.02 })),
    overLinear: { gain: 0.12, standardError: 0.03 },
    wider: { from: "6 units", to: "12 units", gain: 0.031, standardError: 0.01, behind: false },
  },
  evidence: {
    priorPrecision: range(13).map((i) => 10 ** (i / 2 - 3)),
    logEvidence: range(13).map((i) => -50 - (i - 6) ** 2),
  },
  training: {
    epochs: range(50).map((i) => i + 1),
    train: range(50).map((i) => 1 / (i + 1)),
    validation: range(50).map((i) => 1.1 / (i + 1) + i / 500),
    kept: 22,
  },
} as const;

function slices(classes?: readonly string[]): Slice[] {
  const top = classes === undefined ? 1 : 0.4;
  const along = (x: Slice["x"], kind: Slice["kind"], input: string): Slice => {
    const mean = x.map((_, i) => top * (0.5 + 0.4 * Math.sin(i)));
    return {
      input,
      kind,
      x,
      mean,
      functionLower: mean.map((value) => value - 0.05),
      functionUpper: mean.map((value) => value + 0.05),
      ...(classes === undefined
        ? { lower: mean.map((value) => value - 0.3), upper: mean.map((value) => value + 0.3) }
        : {
            shownClass: classes[0],
            ...(classes.length > 2 && {
              classes: classes.map((name, c) => {
                const own = mean.map((value) => value / (c + 1));
                return { name, mean: own, functionLower: own, functionUpper: own };
              }),
            }),
          }),
      points: range(40).map((i) =>
        classes === undefined
          ? { x: x[i % x.length], y: scatter(i) }
          : { x: x[i % x.length], y: Number(i % classes.length === 0), label: i % classes.length },
      ),
    };
  };
  return [
    along(
      range(20).map((i) => i * 10),
      "number",
      "area",
    ),
    along(["north", "south"], "category", "town"),
    along(
      range(12).map((i) => `1990-${String(i + 1).padStart(2, "0")}-01`),
      "date",
      "built",
    ),
  ];
}

const cells = (i: number) => ({
  area: String(i * 3),
  town: i % 2 ? "north" : "south",
  built: "1990-05-01",
  id: `r${i}`,
});

/** A regression with so many held-out rows. */
export function regression(n: number, changes: Partial<ReportData> = {}): ReportData {
  const mean = range(n).map((i) => 100 + 80 * scatter(i));
  const sd = range(n).map((i) => 10 + 8 * Math.abs(scatter(i + 3)));
  const heldOut: HeldOut = {
    lines: range(n).map((i) => i + 2),
    rows: range(n).map(cells),
    truth: mean.map((value, i) => value + 3.7 * scatter(i + 7) * sd[i]),
    mean,
    sd,
    functionSd: sd.map((value) => value / 3),
    lower: mean.map((value, i) => value - 1.645 * sd[i]),
    upper: mean.map((value, i) => value + 1.645 * sd[i]),
    epistemic: sd.map(() => 1 / 9),
    far: range(n).map((i) => i % 17 === 4),
  };
  return {
    ...common,
    task: "regression",
    target: "price",
    noise: 9.5,
    counts: { train: 300, validation: 60, test: n, dropped: 2 },
    metrics: {
      samples: n,
      negativeLogLikelihood: 4.1,
      rootMeanSquaredError: 12.25,
      meanAbsoluteError: 9.5,
      crps: 7.1,
      intervalCoverage: 0.91,
      intervalWidth: 41,
      miscalibrationArea: 0.02,
      sigmaScaling: 1.03,
    },
    baseline: { negativeLogLikelihood: 5, rootMeanSquaredError: 24.5, meanAbsoluteError: 20 },
    heldOut,
    reliability: range(11).map((i) => ({ confidence: i / 10, accuracy: (i / 10) ** 1.1, count: n })),
    slices: slices(),
    ...changes,
  };
}

/** A classification with so many held-out rows of so many classes. */
export function classification(n: number, k: number, changes: Partial<ReportData> = {}): ReportData {
  const classes = range(k).map((i) => `class ${i}`);
  const probabilities = range(n).map((i) => {
    const weights = range(k).map((j) => Math.exp(8 * scatter(i * k + j)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
  const heldOut: HeldOut = {
    lines: range(n).map((i) => i + 2),
    rows: range(n).map(cells),
    truth: range(n).map((i) => (i * i + 1) % k),
    mean: probabilities.map((row) => row.indexOf(Math.max(...row))),
    probabilities,
    epistemic: range(n).map((i) => Math.abs(scatter(i))),
    far: range(n).map((i) => i % 17 === 4),
  };
  return {
    ...common,
    task: "classification",
    target: "species",
    classes,
    counts: { train: 300, validation: 60, test: n, dropped: 0 },
    metrics: { samples: n, negativeLogLikelihood: 0.3, accuracy: 0.9, brierScore: 0.1, expectedCalibrationError: 0.04 },
    baseline: { negativeLogLikelihood: 1.1, accuracy: 0.4, brierScore: 0.66 },
    heldOut,
    reliability: range(10).map((i) => ({
      confidence: i === 0 ? Number.NaN : (i + 0.5) / 10,
      accuracy: i === 0 ? Number.NaN : (i + 0.3) / 10,
      count: i * i,
    })),
    slices: slices(classes),
    ...changes,
  };
}
