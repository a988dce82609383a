// Classification: the probability that the truth was given, surprises, and the confusion table.

import * as Plot from "@observablehq/plot";
import type { ReportData } from "../model/report-data.ts";
import { axis, bars, chart, colour, countAxis, figure, shareAxis } from "./chart.ts";
import { type Html, html, name, short } from "./html.ts";
import { count, percent } from "./numbers.ts";
import { histogram, median, spread, thin } from "./points.ts";
import { scrollBox } from "./tables.ts";

interface Row {
  readonly line: number;
  readonly truth: number;
  readonly predicted: number;
  /** Of the truth, and of the predicted class. */
  readonly ofTruth: number;
  readonly confidence: number;
  readonly all: readonly number[];
}

/** More classes than this are put together, the rarest first, in figures by class. */
const most = 30;

function readRows({ heldOut }: ReportData): Row[] {
  const { lines, truth, mean, probabilities = [] } = heldOut;
  return truth.flatMap((label, i) => {
    const all = probabilities[i] ?? [];
    const row = {
      line: lines[i],
      truth: label,
      predicted: mean[i],
      ofTruth: all[label],
      confidence: all[mean[i]],
      all,
    };
    return Number.isFinite(row.ofTruth) && Number.isFinite(row.confidence) ? [row] : [];
  });
}

const right = (row: Row) => row.truth === row.predicted;

/** The figures of a classification's held-out rows; nothing if there are no rows to draw. */
export function classificationFigures(data: ReportData): { predictions?: Html; residuals?: Html } {
  const rows = readRows(data);
  if (rows.length === 0) return {};
  const classes = data.classes ?? [];
  const title = (row: Row) =>
    `line ${row.line}: predicted ${short(classes[row.predicted] ?? "?", 40)} (${percent(row.confidence)}), truth ${short(classes[row.truth] ?? "?", 40)} (${percent(row.ofTruth)})`;
  return {
    predictions: html`${byClass(rows, classes, title)}${confusion(rows, classes)}`,
    residuals: html`${surprises(rows, title)}${truthHistogram(rows)}`,
  };
}

/** The classes to show, in their order: those with most held-out rows, at most `most`. */
function shownClasses(rows: readonly Row[], classes: readonly string[]): number[] {
  const counts = classes.map(() => 0);
  for (const { truth } of rows) counts[truth]++;
  const order = classes.map((_, k) => k).toSorted((a, b) => counts[b] - counts[a] || a - b);
  return order.slice(0, most).toSorted((a, b) => a - b);
}

function byClass(rows: readonly Row[], classes: readonly string[], title: (row: Row) => string): Html {
  const shown = shownClasses(rows, classes);
  const place = new Map(shown.map((k, i) => [k, i]));
  const members = shown.map((k) => rows.filter(({ truth }) => truth === k));
  const medians = members.flatMap((group, i) =>
    group.length === 0 ? [] : [{ i, median: median(group.map(({ ofTruth }) => ofTruth)) }],
  );
  const visible = rows.filter(({ truth }) => place.has(truth));
  const drawn = thin(visible, 900).map((row, i) => ({ ...row, y: (place.get(row.truth) ?? 0) + 0.62 * spread(i) }));
  const names = shown.map((k) => short(classes[k], 16));
  const longest = Math.max(...names.map((text) => [...text].length));
  const picture = chart("For each class, the probabilities that its held-out rows were given.", {
    height: Math.max(shown.length <= 4 ? 230 : 0, 76 + shown.length * (shown.length > 12 ? 24 : 34)),
    marginLeft: Math.min(150, 22 + 8 * longest),
    x: { ...shareAxis("probability of the true class →"), grid: true },
    y: {
      domain: [shown.length - 0.5, -0.5],
      label: null,
      ticks: shown.map((_, i) => i),
      tickFormat: (i: number) => names[i],
      tickSize: 0,
    },
    marks: [
      Plot.ruleX(medians, {
        x: "median",
        y1: ({ i }) => i - 0.4,
        y2: ({ i }) => i + 0.4,
        stroke: colour.model,
        strokeWidth: 3,
      }),
      Plot.dot(drawn.filter(right), { x: "ofTruth", y: "y", r: 2.4, fill: colour.truth, fillOpacity: 0.6, title }),
      Plot.dot(
        drawn.filter((row) => !right(row)),
        { x: "ofTruth", y: "y", r: 3, symbol: "times", stroke: colour.alarm, strokeWidth: 1.7, title },
      ),
    ],
  });
  const hidden = classes.length - shown.length;
  const notes = [
    hidden > 0
      ? ` The ${hidden === 1 ? "rarest class is" : `${hidden.toLocaleString("en-US")} rarest classes are`} not shown.`
      : "",
    drawn.length < visible.length
      ? ` Drawn are ${count(drawn.length, "row")} of ${visible.length.toLocaleString("en-US")}.`
      : "",
  ];
  return figure(
    "Probability given to the truth, by true class",
    picture,
    html`Each mark is one held-out row of the class named at the left; the further right, the more probability the model gave to what turned out to be true.${notes}`,
    {
      signs: [
        { shape: "dot", colour: colour.truth, text: "predicted right" },
        { shape: "cross", colour: colour.alarm, text: "predicted wrong" },
        { shape: "line", colour: colour.model, text: "middle of the class" },
      ],
    },
  );
}

function confusion(rows: readonly Row[], classes: readonly string[]): Html {
  const shown = shownClasses(rows, classes);
  const hidden = classes.length - shown.length;
  const names = [...shown.map((k) => name(classes[k], 18)), ...(hidden > 0 ? [html`${hidden} others`] : [])];
  const place = new Map(shown.map((k, i) => [k, i]));
  const table = names.map(() => names.map(() => 0));
  for (const row of rows) table[place.get(row.truth) ?? shown.length][place.get(row.predicted) ?? shown.length]++;
  const body = table.map((line, i) => {
    const total = line.reduce((sum, n) => sum + n, 0);
    const cells = line.map((n, j) => {
      // Empty cells stay empty; the more of the row's examples, the stronger the colour.
      if (n === 0) return html`<td class="none">·</td>`;
      return html`<td class="${i === j ? "hit" : "miss"}" style="--share:${Math.round((100 * n) / total)}%">${n.toLocaleString("en-US")}</td>`;
    });
    return html`<tr><th scope="row">${names[i]}</th>${cells}<td class="total">${total.toLocaleString("en-US")}</td></tr>\n`;
  });
  const correct = rows.filter(right).length;
  return figure(
    "What was taken for what",
    scrollBox(
      "Confusion table",
      html`<table class="confusion${names.length > 6 ? " steep" : ""}">
<thead><tr><th scope="col" class="corner">truth ↓ predicted →</th>${names.map((text) => html`<th scope="col"><span>${text}</span></th>`)}<th scope="col"><span>rows</span></th></tr></thead>
<tbody>${body}</tbody></table>`,
    ),
    html`Rows are the truth, columns the prediction, so that all off the diagonal are mistakes: ${correct.toLocaleString("en-US")} of ${count(rows.length, "row")} (${percent(correct / rows.length)}) are on it.`,
  );
}

function surprises(rows: readonly Row[], title: (row: Row) => string): Html {
  const limit = 12;
  const drawn = thin(
    rows.toSorted((a, b) => a.confidence - b.confidence || a.line - b.line),
    800,
  ).map((row) => ({ ...row, bits: Math.min(limit, Math.max(0, -Math.log2(row.ofTruth))) }));
  const picture = chart("Surprise at the truth against the confidence of the prediction.", {
    x: shareAxis("probability of the predicted class →"),
    y: { ...axis([0, 2, ...drawn.map(({ bits }) => bits)], "↑ surprise at the truth, in bits", 0), grid: true },
    marks: [
      Plot.ruleY([0], { stroke: "currentColor" }),
      Plot.dot(drawn.filter(right), {
        x: "confidence",
        y: "bits",
        r: 2.4,
        fill: colour.truth,
        fillOpacity: 0.6,
        title,
      }),
      Plot.dot(
        drawn.filter((row) => !right(row)),
        { x: "confidence", y: "bits", r: 3, symbol: "times", stroke: colour.alarm, strokeWidth: 1.7, title },
      ),
    ],
  });
  return figure(
    "How surprised it was",
    picture,
    "Every bit of surprise halves the probability that the truth was given; crosses far to the right and high up are confident mistakes, the rows to look at first.",
    {
      signs: [
        { shape: "dot", colour: colour.truth, text: "predicted right" },
        { shape: "cross", colour: colour.alarm, text: "predicted wrong" },
      ],
    },
  );
}

/**
 * What a histogram of residuals is for numbers: the probabilities given to the truth, beside those that the predictions
 * themselves announce, since a class of probability p should turn out true with probability p.
 */
function truthHistogram(rows: readonly Row[]): Html {
  const bins = 10;
  const seen = histogram(
    rows.map(({ ofTruth }) => ofTruth),
    [0, 1],
    bins,
  );
  const all = rows.flatMap((row) => row.all);
  const announced = histogram(all, [0, 1], bins, [(i) => (Number.isFinite(all[i]) ? all[i] : 0)]);
  const counts = seen.map(({ from, to, sums: [n] }, i) => ({ from, to, rows: n, expected: announced[i].sums[0] }));
  const picture = chart("Histogram of the probabilities given to the truth, beside what the predictions announce.", {
    x: { ...shareAxis("probability of the true class →") },
    y: { ...countAxis(counts.flatMap((bar) => [bar.rows, bar.expected])), grid: true },
    marks: [
      bars(counts, "rows", colour.band),
      Plot.ruleY(counts, {
        x1: "from",
        x2: "to",
        y: "expected",
        stroke: colour.truth,
        strokeWidth: 2.2,
        insetLeft: 2,
        insetRight: 2,
      }),
      Plot.ruleY([0], { stroke: "currentColor" }),
    ],
  });
  return figure(
    "The same, counted",
    picture,
    "The bars count rows by the probability their truth was given, the lines say how many the predictions themselves announce: bars above the lines at the left mean too confident.",
    {
      signs: [
        { shape: "area", colour: colour.band, text: "held-out rows" },
        { shape: "line", colour: colour.truth, text: "announced" },
      ],
    },
  );
}
