// Regression: predictions with their intervals against the truth, and standardised residuals.

import * as Plot from "@observablehq/plot";
import { normalCdf, normalQuantile, type Steps } from "laplace-ts";
import type { ReportData } from "../model/report-data.ts";
import { axis, bars, chart, colour, countAxis, figure } from "./chart.ts";
import { type Html, html, short } from "./html.ts";
import { count, number, percent, toPrecisionOf } from "./numbers.ts";
import { histogram, thin } from "./points.ts";

/** Half the width of a 90 % interval, in standard deviations. */
const half = normalQuantile(0.95);

interface Row {
  readonly line: number;
  readonly truth: number;
  readonly mean: number;
  readonly sd: number;
  /** The residual as a normal deviate. */
  readonly z: number;
  readonly functionSd: number;
  readonly lower: number;
  readonly upper: number;
}

/** The held-out rows whose numbers can be drawn. */
function readRows({ heldOut }: ReportData): Row[] {
  const { lines, truth, mean, sd = [], functionSd = [], lower = [], upper = [], z } = heldOut;
  return truth.flatMap((y, i) => {
    const row = {
      line: lines[i],
      truth: y,
      mean: mean[i],
      sd: sd[i],
      z: z?.[i] ?? (truth[i] - mean[i]) / sd[i],
      functionSd: Number.isFinite(functionSd[i]) ? functionSd[i] : 0,
      lower: lower[i],
      upper: upper[i],
    };
    return Object.values(row).every(Number.isFinite) ? [row] : [];
  });
}

const inside = (row: Row) => row.truth >= row.lower && row.truth <= row.upper;

function tooltip(row: Row): string {
  const [mean, sd, truth] = toPrecisionOf(row.sd, row.mean, row.sd, row.truth);
  return `line ${row.line}: predicted ${mean} ± ${sd}, truth ${truth}`;
}

const drawnOf = (drawn: number, all: number) =>
  drawn < all ? ` Drawn are ${count(drawn, "row")}, evenly spaced, of ${all.toLocaleString("en-US")}.` : "";

/** The figures of a regression's held-out rows, in steps; nothing if there are no rows to draw. */
export function* regressionFigures(data: ReportData): Steps<{ predictions?: Html; residuals?: Html }> {
  const rows = readRows(data).toSorted((a, b) => a.mean - b.mean || a.line - b.line);
  if (rows.length === 0) return {};
  const first = predictions(data, rows);
  yield;
  const second = html`${residuals(rows)}${residualHistogram(rows)}`;
  yield;
  return { predictions: first, residuals: html`${second}${deviations(data, rows) ?? ""}` };
}

function predictions(data: ReportData, rows: readonly Row[]): Html {
  const drawn = thin(rows, 240).map((row, place) => ({ ...row, place: place + 1 }));
  const stroke = Math.max(1, Math.min(7, 260 / drawn.length));
  const within = rows.filter(inside).length;
  const share = percent(within / rows.length);
  const hits = drawn.filter(inside);
  const misses = drawn.filter((row) => !inside(row));
  const values = drawn.flatMap((row) => [row.lower, row.upper, row.truth]);
  const picture = chart(
    `Predictions of ${count(rows.length, "held-out row")} with 90 % intervals; the truth lies inside ${share} of them.`,
    {
      x: {
        domain: [0, drawn.length + 1],
        label: "held-out rows, by their prediction →",
        labelAnchor: "right",
        ticks: [],
      },
      y: { ...axis(values, short(data.target, 40)), grid: true },
      marginBottom: 30,
      marks: [
        Plot.ruleX(drawn, { x: "place", y1: "lower", y2: "upper", stroke: colour.band, strokeWidth: stroke }),
        Plot.ruleX(drawn, {
          x: "place",
          y1: (row: Row) => row.mean - half * row.functionSd,
          y2: (row: Row) => row.mean + half * row.functionSd,
          stroke: colour.model,
          strokeOpacity: 0.45,
          strokeWidth: stroke,
        }),
        Plot.line(drawn, { x: "place", y: "mean", stroke: colour.model, strokeWidth: 1.8 }),
        Plot.dot(hits, {
          x: "place",
          y: "truth",
          r: 2,
          fill: colour.truth,
          stroke: colour.paper,
          strokeWidth: 0.5,
          title: tooltip,
        }),
        Plot.dot(misses, {
          x: "place",
          y: "truth",
          r: 3,
          symbol: "times",
          stroke: colour.alarm,
          strokeWidth: 1.8,
          title: tooltip,
        }),
        ...(drawn.length === 1 ? [Plot.dot(drawn, { x: "place", y: "mean", r: 3, fill: colour.model })] : []),
      ],
    },
  );
  return figure(
    "Predictions with their 90 % intervals, against the truth",
    picture,
    html`Each vertical bar is the range in which the truth of one row should lie nine times in ten: here it does in ${share} of ${count(rows.length, "row")}.${drawnOf(drawn.length, rows.length)}`,
    {
      className: "lone",
      signs: [
        { shape: "line", colour: colour.model, text: "prediction" },
        { shape: "area", colour: colour.band, text: "90 % interval" },
        {
          shape: "area",
          colour: "color-mix(in srgb, var(--model) 45%, var(--band))",
          text: "the network's own uncertainty in it",
        },
        { shape: "dot", colour: colour.truth, text: "truth, inside" },
        { shape: "cross", colour: colour.alarm, text: "truth, outside" },
      ],
    },
  );
}

/** Residuals beyond this are drawn at the edge. */
const edge = 6;

function residuals(rows: readonly Row[]): Html {
  const beyond = rows.filter(({ z }) => Math.abs(z) > edge).length;
  const drawn = thin(rows, 800).map((row) => ({ ...row, z: Math.min(edge, Math.max(-edge, row.z)) }));
  const tallest = Math.max(3, ...drawn.map(({ z }) => Math.abs(z)));
  const out = (row: { z: number }) => Math.abs(row.z) > half;
  const picture = chart("Standardised residuals against the prediction.", {
    x: axis(
      drawn.map(({ mean }) => mean),
      "prediction →",
    ),
    y: { ...axis([-tallest, tallest], "↑ residual, in standard deviations"), grid: true },
    marks: [
      Plot.rect([0], { y1: -half, y2: half, fill: colour.band, fillOpacity: 0.6 }),
      Plot.ruleY([0], { stroke: colour.model, strokeWidth: 1.5 }),
      Plot.dot(
        drawn.filter((row) => !out(row)),
        { x: "mean", y: "z", r: 2.4, fill: colour.truth, fillOpacity: 0.75, title: tooltip },
      ),
      Plot.dot(drawn.filter(out), {
        x: "mean",
        y: "z",
        r: 3,
        symbol: "times",
        stroke: colour.alarm,
        strokeWidth: 1.6,
        title: tooltip,
      }),
    ],
  });
  const note = beyond === 0 ? "" : ` ${count(beyond, "row")} beyond ±${edge} drawn at the edge.`;
  return figure(
    "How far off, in units of the stated uncertainty",
    picture,
    html`Nine points in ten should lie in the shaded band, above and below alike and with no pattern from left to right; a bend or a funnel means that something is left to learn.${note}${drawnOf(drawn.length, rows.length)}`,
  );
}

function residualHistogram(rows: readonly Row[]): Html {
  const z = rows.map((row) => row.z);
  const bins = histogram(z, [-4, 4], 16).map(({ from, to, sums: [rows_] }) => ({ from, to, rows: rows_ }));
  const grid = Array.from({ length: 81 }, (_, i) => -4 + i / 10);
  // The number of rows that a bin of this width around each point would hold.
  const expected = grid.map((x) => ({ x, rows: rows.length * (normalCdf(x + 0.25) - normalCdf(x - 0.25)) }));
  const picture = chart("Histogram of the standardised residuals beside the standard normal distribution.", {
    x: { ...axis([-4, 4], "residual, in standard deviations →", 0), ticks: [-4, -3, -2, -1, 0, 1, 2, 3, 4] },
    y: {
      ...countAxis([...bins.map((bin) => bin.rows), ...expected.map((point) => point.rows)]),
      grid: true,
    },
    marks: [
      bars(bins, "rows", colour.band),
      Plot.line(expected, { x: "x", y: "rows", stroke: colour.truth, strokeWidth: 1.8, strokeDasharray: "5 3" }),
      Plot.ruleY([0], { stroke: "currentColor" }),
    ],
  });
  const deviation = Math.sqrt(z.reduce((sum, value) => sum + value * value, 0) / z.length);
  return figure(
    "The same, counted",
    picture,
    html`The bars should follow the dashed curve: wider than it means too confident, narrower means too cautious (their root mean square is ${number(deviation, 3)}, and 1 would be right).`,
    {
      signs: [
        { shape: "area", colour: colour.band, text: "held-out rows" },
        { shape: "dash", colour: colour.truth, text: "expected, N(0, 1)" },
      ],
    },
  );
}

/** Rows of a bin at least, and bins at most. */
const [fewest, mostBins] = [15, 10];

/** The stated deviation along the prediction, and that of the residuals; undefined with few rows. */
function deviations(data: ReportData, rows: readonly Row[]): Html | undefined {
  const parts = Math.min(mostBins, Math.floor(rows.length / fewest));
  if (parts < 3) return undefined;
  const bins = Array.from({ length: parts }, (_, k) => {
    const own = rows.slice(Math.round((k * rows.length) / parts), Math.round(((k + 1) * rows.length) / parts));
    const root = (of: (row: Row) => number) => Math.sqrt(own.reduce((sum, row) => sum + of(row) ** 2, 0) / own.length);
    const seen = root((row) => row.truth - row.mean);
    // Of a root mean square of n normal numbers the deviation is about 1 / √(2 n) of it.
    const error = seen * half * Math.sqrt(1 / (2 * own.length));
    return {
      mean: own.reduce((sum, row) => sum + row.mean / own.length, 0),
      stated: root((row) => row.sd),
      seen,
      low: Math.max(0, seen - error),
      high: seen + error,
    };
  });
  if (!bins.every((bin) => Object.values(bin).every(Number.isFinite))) return undefined;
  const picture = chart("The stated deviation of a new target along the prediction, beside that of the residuals.", {
    x: axis(
      bins.map(({ mean }) => mean),
      "prediction →",
    ),
    y: {
      ...axis(
        [0, ...bins.flatMap(({ stated, high }) => [stated, high])],
        `↑ deviation of ${short(data.target, 30)}`,
        0,
      ),
      grid: true,
    },
    marks: [
      Plot.ruleX(bins, { x: "mean", y1: "low", y2: "high", stroke: colour.quiet, strokeWidth: 1.5 }),
      Plot.line(bins, { x: "mean", y: "stated", stroke: colour.model, strokeWidth: 1.8 }),
      Plot.dot(bins, { x: "mean", y: "seen", r: 3, fill: colour.truth }),
    ],
  });
  return figure(
    "How much noise, along the prediction",
    picture,
    html`The line is the standard deviation that was stated, noise and the network's own uncertainty together; points are the root mean square of the residuals in ${count(parts, "part")} of the rows, with the range that chance leaves nine times in ten.`,
    {
      signs: [
        { shape: "line", colour: colour.model, text: "stated" },
        { shape: "dot", colour: colour.truth, text: "seen" },
      ],
    },
  );
}
