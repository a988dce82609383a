// Whether the uncertainty can be believed (reliability), and how much of it there is (histogram).

import * as Plot from "@observablehq/plot";
import { normalQuantile } from "laplace-ts";
import type { ReliabilityBin, ReportData } from "../model/report-data.ts";
import { axis, bars, chart, colour, countAxis, figure, shareAxis } from "./chart.ts";
import { type Html, html, short } from "./html.ts";
import { count, percent } from "./numbers.ts";
import { extent, histogram, thin } from "./points.ts";

const half = normalQuantile(0.95);

/** Shares at equal confidence and accuracy, with the range that chance alone gives to nine in ten of them. */
export function reliabilityFigure(data: ReportData): Html | undefined {
  const bins = data.reliability.filter(
    (bin) => bin.count > 0 && Number.isFinite(bin.confidence) && Number.isFinite(bin.accuracy),
  );
  if (bins.length === 0) return undefined;
  const regression = data.task !== "classification";
  const chance = bins.map((bin) => {
    const spread = half * Math.sqrt(Math.max(0, bin.confidence * (1 - bin.confidence)) / bin.count);
    return { ...bin, low: Math.max(0, bin.confidence - spread), high: Math.min(1, bin.confidence + spread) };
  });
  const [x, y] = regression
    ? ["share that should lie below →", "↑ share that does"]
    : ["predicted probability →", "↑ share that was right"];
  const title = (bin: ReliabilityBin) =>
    `${percent(bin.confidence)} predicted, ${percent(bin.accuracy)} seen, ${count(bin.count, "row")}`;
  const alike = bins.every((bin) => bin.count === bins[0].count);
  const diagram = chart("Reliability diagram: predicted shares against those seen.", {
    height: alike ? 340 : 300,
    marginBottom: alike ? 46 : 24,
    x: { ...shareAxis(x), grid: true, ...(alike ? {} : { label: null }) },
    y: { ...shareAxis(y), grid: true },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        { stroke: colour.quiet, strokeWidth: 1.5, strokeDasharray: "5 3" },
      ),
      Plot.ruleX(chance, { x: "confidence", y1: "low", y2: "high", stroke: colour.band, strokeWidth: 9 }),
      Plot.line(bins, { x: "confidence", y: "accuracy", stroke: colour.model, strokeWidth: 1.8 }),
      Plot.dot(bins, { x: "confidence", y: "accuracy", r: 4, fill: colour.model, stroke: colour.paper, title }),
    ],
  });
  const counts = alike
    ? undefined
    : chart("How many rows each point of the reliability diagram stands for.", {
        height: 110,
        marginTop: 28,
        x: shareAxis(x),
        y: { ...countAxis(bins.map((bin) => bin.count)), ticks: 2 },
        marks: [
          Plot.ruleX(bins, { x: "confidence", y: "count", stroke: colour.model, strokeWidth: 9, title }),
          Plot.ruleY([0], { stroke: "currentColor" }),
        ],
      });
  const meaning = regression
    ? "For each share p, the point shows how many truths fell below the value that p of them should fall below"
    : "Of the rows predicted with about this probability, the point shows how many were right";
  const below = regression
    ? "an S around the line means stated uncertainties that are too small or too large"
    : "points below the line mean too confident, above it too cautious";
  return figure(
    "Do the stated probabilities come true?",
    html`${diagram}${counts}`,
    html`${meaning}; on the dashed line they come true exactly, within the bars the difference may be chance, and ${below}.${alike ? ` Each point is of ${count(bins[0].count, "row")}.` : ""}`,
    {
      signs: [
        { shape: "dot", colour: colour.model, text: "seen" },
        { shape: "dash", colour: colour.quiet, text: "exactly right" },
        { shape: "area", colour: colour.band, text: "chance" },
      ],
    },
  );
}

/** The uncertainty of each held-out row as one number: a standard deviation, or the chance that the prediction is wrong. */
export function uncertainties({ task, heldOut }: ReportData): readonly number[] {
  if (task !== "classification") return heldOut.sd ?? [];
  return heldOut.mean.map((predicted, i) => 1 - (heldOut.probabilities?.[i]?.[predicted] ?? Number.NaN));
}

/** How uncertain the predictions are, how much of that more data would settle, and which rows are far. */
export function uncertaintyFigure(data: ReportData): Html | undefined {
  const { epistemic, far, lines } = data.heldOut;
  const values = uncertainties(data);
  const rows = values.flatMap((value, i) => (Number.isFinite(value) ? [{ value, far: far[i], line: lines[i] }] : []));
  if (rows.length === 0) return undefined;
  const regression = data.task !== "classification";
  const domain = regression
    ? extent(
        rows.map(({ value }) => value),
        0.02,
      )
    : extent([0, ...values], 0);
  const share = (i: number) => (Number.isFinite(epistemic[i]) ? Math.min(1, Math.max(0, epistemic[i])) : 0);
  const bins = histogram(values, domain, Math.max(6, Math.min(28, Math.ceil(2 * Math.cbrt(rows.length)))), [
    () => 1,
    share,
  ]);
  const counts = bins.map(({ from, to, sums: [all, open] }) => ({ from, to, all, open }));
  const distant = rows.filter((row) => row.far);
  const drawn = thin(
    distant.toSorted((a, b) => a.value - b.value || a.line - b.line),
    200,
  );
  const tallest = Math.max(...counts.map(({ all }) => all));
  const label = regression
    ? `standard deviation of the prediction (${short(data.target, 24)}) →`
    : "chance that the prediction is wrong →";
  const x = {
    ...axis([], label),
    domain,
    ...(regression ? {} : { tickFormat: (value: number) => `${Number((100 * value).toPrecision(3))}\u00a0%` }),
  };
  const picture = chart("Histogram of the uncertainty of the held-out rows.", {
    x: regression
      ? {
          ...axis(
            rows.map(({ value }) => value),
            label,
            0.02,
          ),
          domain,
        }
      : x,
    y: { ...countAxis([tallest]), domain: [-0.09 * tallest, tallest], grid: true },
    marks: [
      bars(counts, "all", colour.band),
      bars(counts, "open", colour.model),
      Plot.ruleY([0], { stroke: "currentColor" }),
      Plot.dot(drawn, {
        x: "value",
        y: -0.05 * tallest,
        r: 3.5,
        symbol: "triangle",
        fill: colour.alarm,
        title: ({ line }: { line: number }) => `line ${line}`,
      }),
    ],
  });
  const shares = epistemic.filter(Number.isFinite);
  const mean = shares.reduce((sum, value) => sum + value, 0) / shares.length;
  const farText =
    distant.length === 0 ? "no row is" : `${count(distant.length, "row")} ${distant.length === 1 ? "is" : "are"}`;
  return figure(
    "How uncertain it is, and why",
    picture,
    html`Each bar counts rows by their uncertainty; its strongly coloured part (${percent(mean)} on average) is what more data like these would settle, the rest is noise that stays, and ${farText} far from the training data.`,
    {
      signs: [
        { shape: "area", colour: colour.model, text: "epistemic: the network's own uncertainty" },
        { shape: "area", colour: colour.band, text: "noise in the data" },
        { shape: "triangle", colour: colour.alarm, text: "row far from the training data" },
      ],
    },
  );
}
