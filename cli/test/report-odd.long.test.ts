import { describe, expect, test, vi } from "vitest";
import type { ReportData } from "../src/model/report-data.ts";
import { classification, regression } from "./report-data.ts";
import { render, sections } from "./report-page.ts";

describe("odd data", () => {
  const empty = {
    slices: [],
    reliability: [],
    columns: [],
    evidence: { priorPrecision: [], logEvidence: [] },
    training: { epochs: [], train: [], validation: [], kept: Number.NaN },
  };
  const none = Number.NaN;
  const one = regression(1);
  const long = "a very long name indeed ".repeat(500);
  const odd: Readonly<Record<string, ReportData>> = {
    "one held-out row": one,
    "one held-out row of classes": classification(1, 3),
    "no held-out rows": regression(0),
    "no held-out rows of classes": classification(0, 3),
    "one class": classification(20, 1),
    "thirty classes": classification(300, 30),
    "a thousand classes": classification(1100, 1000),
    "nothing else known": regression(20, empty),
    "nothing else known of classes": classification(20, 2, empty),
    "no metrics": regression(20, { metrics: {}, baseline: {} }),
    "metrics that are not numbers": regression(20, {
      metrics: { rootMeanSquaredError: none, intervalCoverage: none, sigmaScaling: Number.POSITIVE_INFINITY },
      baseline: { rootMeanSquaredError: none },
    }),
    "long names": classification(30, 3, {
      target: long,
      data: long,
      classes: [long, `${long}2`, `${long}3`],
      columns: [{ name: long, kind: "category", inputs: 3, missing: 0, note: long }],
      slices: classification(1, 2).slices.map((slice) => ({ ...slice, input: long, shownClass: long })),
    }),
    "all equal": regression(30, {
      heldOut: {
        ...regression(30).heldOut,
        truth: Array(30).fill(5),
        mean: Array(30).fill(5),
        sd: Array(30).fill(1),
        functionSd: Array(30).fill(0),
        lower: Array(30).fill(3),
        upper: Array(30).fill(7),
      },
      evidence: { priorPrecision: [1, 1, 1], logEvidence: [-3, -3, -3] },
      training: { epochs: [1, 2], train: [0.5, 0.5], validation: [0.5, 0.5], kept: 1 },
      slices: one.slices.map((slice) =>
        slice.kind === "number" ? { ...slice, x: slice.x.map(() => 4), mean: slice.mean.map(() => 0) } : slice,
      ),
    }),
    "no uncertainty": regression(10, {
      heldOut: { ...regression(10).heldOut, sd: Array(10).fill(0), functionSd: Array(10).fill(0) },
    }),
    "what is not a number": regression(10, {
      heldOut: {
        ...regression(10).heldOut,
        truth: [none, ...regression(9).heldOut.truth],
        epistemic: Array(10).fill(none),
      },
      priorPrecision: none,
      noise: none,
      evidence: { priorPrecision: [0, 1, none, 10], logEvidence: [1, Number.NEGATIVE_INFINITY, 2, none] },
      training: { epochs: [1, 2, 3], train: [none, 2, 1], validation: [none, none, none], kept: 3 },
      slices: one.slices.map((slice) => ({ ...slice, mean: slice.mean.map((y, i) => (i % 2 ? none : y)) })),
    }),
    "huge and tiny numbers": regression(5, {
      heldOut: {
        ...regression(5).heldOut,
        truth: [1e12, 2e12, 3e12, 4e12, 5e12],
        mean: [1e12, 2e12, 3e12, 4e12, 6e12],
        sd: [1e11, 1e11, 1e11, 1e11, 1e11],
        lower: [0, 1e12, 2e12, 3e12, 4e12],
        upper: [2e12, 3e12, 4e12, 5e12, 7e12],
      },
      priorPrecision: 1e-12,
      noise: 3e-7,
    }),
    "far beyond the edge of residuals": regression(3, {
      heldOut: { ...regression(3).heldOut, truth: [1e6, -1e6, 100] },
    }),
    "one epoch": regression(3, { training: { epochs: [1], train: [2], validation: [3], kept: 1 } }),
    "many epochs": regression(3, {
      training: {
        epochs: Array.from({ length: 50_000 }, (_, i) => i),
        train: Array.from({ length: 50_000 }, (_, i) => -i),
        validation: [],
        kept: 49_999,
      },
    }),
    "many categories": regression(3, {
      slices: [
        {
          ...one.slices[1],
          x: Array.from({ length: 10_000 }, (_, i) => `c${i}`),
          ...Object.fromEntries(
            ["mean", "functionLower", "functionUpper", "lower", "upper"].map((key) => [key, Array(10_000).fill(1)]),
          ),
          points: Array.from({ length: 20_000 }, (_, i) => ({ x: `c${i % 10_000}`, y: i })),
        },
      ],
    }),
  };

  test.each(Object.entries(odd))("%s", (_, data) => {
    const warn = vi.spyOn(console, "warn");
    const { page, document } = render(data);
    expect([...document.querySelectorAll("main > section")].map(({ id }) => id)).toEqual(sections);
    for (const section of document.querySelectorAll("main > section")) {
      expect(section.querySelector("figure, table, dl, .verdict, .none")).not.toBeNull();
    }
    expect(page.length).toBeLessThan(600_000);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  test("a metric that is not a number is shown as a dash", () => {
    const { text } = render(odd["metrics that are not numbers"]);
    expect(text("#numbers .tile dd")).toMatch(/^—always the mean: —/);
  });

  test.each([
    ["numbers", () => regression(100_000)],
    ["classes", () => classification(100_000, 30)],
  ])(
    "100,000 held-out rows of %s stay under 2 MB, and the text says that some are drawn",
    (_, data) => {
      const { page, text } = render(data());
      expect(new TextEncoder().encode(page).length).toBeLessThan(2_000_000);
      expect(text("#predictions")).toMatch(/Drawn are \d+ rows.* of 100,000/);
    },
    120_000,
  );
});
