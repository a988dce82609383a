// Predictions along one input, the others held at a typical row, with both bands over the training points.

import * as Plot from "@observablehq/plot";
import type { ReportData, Slice } from "../model/report-data.ts";
import { axis, chart, colour, figure, legend, type Sign, shareAxis } from "./chart.ts";
import { type Html, html, name, short } from "./html.ts";
import { spread, thin } from "./points.ts";

/** More slices than this are not drawn, nor more categories of one, nor more classes, nor more rows in the small pictures of all classes together. */
const [mostSlices, mostCategories, mostClasses, mostRows] = [12, 20, 30, 240];

interface Step {
  /** Along the input; categories and dates not yet placed. */
  readonly at: number | string;
  readonly mean: number;
  readonly inner: readonly [number, number];
  readonly outer?: readonly [number, number];
}

const finite = (...values: readonly (number | undefined)[]) => values.every(Number.isFinite);

function readSteps(slice: Slice): Step[] {
  return slice.x.flatMap((at, i) => {
    const inner = [slice.functionLower[i], slice.functionUpper[i]] as const;
    const [lower, upper] = [slice.lower?.[i], slice.upper?.[i]];
    const outer =
      lower !== undefined && upper !== undefined && finite(lower, upper) ? ([lower, upper] as const) : undefined;
    return finite(slice.mean[i], ...inner) ? [{ at, mean: slice.mean[i], inner, outer }] : [];
  });
}

/** What the signs mean, for all slices together. */
export function sliceSigns({ task }: ReportData): Html {
  const inner: Sign = {
    shape: "area",
    colour: "color-mix(in srgb, var(--model) 45%, var(--band))",
    text: "90 % band of the function: the network's own uncertainty",
  };
  return legend([
    { shape: "line", colour: colour.model, text: "prediction" },
    inner,
    ...(task !== "classification"
      ? [{ shape: "area", colour: colour.band, text: "90 % band of a new row" } as const]
      : []),
    { shape: "dot", colour: colour.quiet, text: "training rows" },
  ]);
}

/** A figure for each of the most important inputs. */
export function sliceFigures(data: ReportData): Html[] {
  return data.slices.slice(0, mostSlices).flatMap((slice) => {
    const steps = readSteps(slice);
    if (steps.length === 0) return [];
    const picture = slice.kind === "category" ? categories(data, slice, steps) : curve(data, slice, steps);
    if (picture === undefined) return [];
    const what =
      slice.shownClass === undefined
        ? html`Predicted ${name(data.target, 30)}`
        : html`Probability of ${name(slice.shownClass, 30)}`;
    return [
      figure(
        html`${name(slice.input, 40)}`,
        html`${picture}${eachClass(data, slice)}`,
        html`${what} as ${name(slice.input, 30)} alone changes, the other inputs at a typical row; where the ${data.task !== "classification" ? "inner band" : "band"} is wide, the network has seen too little.`,
      ),
    ];
  });
}

/** The same for each class, folded in where there are many. */
function eachClass(data: ReportData, slice: Slice): Html | undefined {
  const { classes = [], points } = slice;
  if (classes.length < 2) return undefined;
  const rows = Math.min(40, Math.floor(mostRows / Math.min(classes.length, mostClasses)));
  const pictures = classes.slice(0, mostClasses).flatMap((own, label) => {
    const one: Slice = {
      ...slice,
      ...own,
      shownClass: own.name,
      points: thin(points, rows).map(({ x, label: its }) => ({ x, y: Number(its === label) })),
    };
    const steps = readSteps(one);
    if (steps.length === 0) return [];
    return [slice.kind === "category" ? categories(data, one, steps) : curve(data, one, steps)];
  });
  const more = classes.length - mostClasses;
  return html`<details class="classes"${classes.length <= 3 ? html` open=""` : undefined}><summary>Each of ${classes.length} classes</summary>
<div class="small">${pictures}</div>${more > 0 ? html`<p>${more} classes more are not drawn.</p>` : undefined}</details>`;
}

/** The vertical axis, or for categories the horizontal one: the target, or the probability of the shown class. */
function valueAxis(data: ReportData, slice: Slice, steps: readonly Step[], arrows: readonly [string, string]) {
  const [before, after] = arrows;
  if (slice.shownClass !== undefined) {
    return {
      ...shareAxis(`${before}probability of ${short(slice.shownClass, 24)}${after}`),
      domain: [-0.06, 1.06],
      ticks: [0, 0.25, 0.5, 0.75, 1],
    };
  }
  const values = steps.flatMap(({ mean, inner, outer = [] }) => [mean, ...inner, ...outer]);
  const points = slice.points.map(({ y }) => y);
  return axis([...values, ...points], `${before}${short(data.target, 34)}${after}`);
}

/** Labels are 0 and 1: a little spread makes many of them visible. */
const height = (slice: Slice, y: number, i: number) => (slice.shownClass === undefined ? y : y + 0.09 * spread(i));

function curve(data: ReportData, slice: Slice, steps: readonly Step[]): Html | undefined {
  const place = (at: number | string) => (slice.kind === "date" ? Date.parse(String(at)) : Number(at));
  const line = thin(
    steps
      .map((step) => ({ ...step, x: place(step.at) }))
      .filter(({ x }) => Number.isFinite(x))
      .toSorted((a, b) => a.x - b.x)
      .filter(({ x }, i, sorted) => i === 0 || x !== sorted[i - 1].x),
    200,
  );
  if (line.length === 0) return undefined;
  const points = thin(slice.points, 400)
    .map((point, i) => ({ x: place(point.x), y: height(slice, point.y, i) }))
    .filter(({ x, y }) => finite(x, y));
  const positions = [...line, ...points].map(({ x }) => x);
  const numbers = axis(positions, `${short(slice.input, 40)} →`, 0.02);
  const x =
    slice.kind === "date"
      ? { type: "utc" as const, domain: numbers.domain.map((time) => new Date(time)), label: numbers.label, ticks: 5 }
      : numbers;
  const bars = line.length === 1;
  const band = (pick: (step: Step) => readonly [number, number] | undefined, fill: string, opacity: number) => {
    const drawn = line.filter((step) => pick(step) !== undefined);
    const [y1, y2] = [(step: Step) => pick(step)?.[0], (step: Step) => pick(step)?.[1]];
    return bars
      ? Plot.ruleX(drawn, { x: "x", y1, y2, stroke: fill, strokeOpacity: opacity, strokeWidth: 12 })
      : Plot.areaY(drawn, { x: "x", y1, y2, fill, fillOpacity: opacity });
  };
  return chart(`Prediction along ${short(slice.input, 60)}, with its bands.`, {
    x,
    y: { ...valueAxis(data, slice, steps, ["↑ ", ""]), grid: true },
    marginBottom: slice.kind === "date" ? 56 : 46,
    marks: [
      band(({ outer }) => outer, colour.band, 1),
      band(({ inner }) => inner, colour.model, 0.45),
      Plot.dot(points, { x: "x", y: "y", r: 1.9, fill: colour.quiet, fillOpacity: 0.65 }),
      bars
        ? Plot.dot(line, { x: "x", y: "mean", r: 4, fill: colour.model })
        : Plot.line(line, { x: "x", y: "mean", stroke: colour.model, strokeWidth: 2.2 }),
    ],
  });
}

function categories(data: ReportData, slice: Slice, steps: readonly Step[]): Html {
  // Of too many, those with most training rows.
  const counts = new Map<string, number>();
  for (const { x } of slice.points) counts.set(String(x), (counts.get(String(x)) ?? 0) + 1);
  const frequent = steps
    .map(({ at }) => String(at))
    .toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0))
    .slice(0, mostCategories);
  const kept = new Set(frequent);
  const shown = steps.filter(({ at }) => kept.has(String(at)));
  const place = new Map(shown.map(({ at }, i) => [String(at), i]));
  const names = shown.map(({ at }) => short(String(at), 16));
  const longest = Math.max(...names.map((text) => [...text].length));
  const points = thin(
    slice.points.filter(({ x, y }) => place.has(String(x)) && Number.isFinite(y)),
    400,
  ).map((point, i) => ({ x: height(slice, point.y, i), y: (place.get(String(point.x)) ?? 0) + 0.7 * spread(i, 1) }));
  const rows = shown.map((step, i) => ({ ...step, y: i }));
  const outer = rows.filter((step) => step.outer !== undefined);
  return chart(`Prediction for each value of ${short(slice.input, 60)}, with its bands.`, {
    height: Math.max(220, 76 + rows.length * 34),
    marginLeft: Math.min(150, 22 + 8 * longest),
    x: { ...valueAxis(data, slice, steps, ["", " →"]), grid: true },
    y: {
      domain: [rows.length - 0.5, -0.5],
      label: null,
      ticks: rows.map((_, i) => i),
      tickFormat: (i: number) => names[i],
      tickSize: 0,
    },
    marks: [
      Plot.rect(outer, {
        x1: ({ outer: o }: Step) => o?.[0],
        x2: ({ outer: o }: Step) => o?.[1],
        y1: ({ y }) => y - 0.36,
        y2: ({ y }) => y + 0.36,
        fill: colour.band,
      }),
      Plot.rect(rows, {
        x1: ({ inner }: Step) => inner[0],
        x2: ({ inner }: Step) => inner[1],
        y1: ({ y }) => y - 0.36,
        y2: ({ y }) => y + 0.36,
        fill: colour.model,
        fillOpacity: 0.45,
      }),
      Plot.dot(points, { x: "x", y: "y", r: 1.9, fill: colour.quiet, fillOpacity: 0.65 }),
      Plot.ruleX(rows, {
        x: "mean",
        y1: ({ y }) => y - 0.36,
        y2: ({ y }) => y + 0.36,
        stroke: colour.model,
        strokeWidth: 3,
      }),
    ],
  });
}
