// How the fit came about: the evidence that chose the prior, and the course of training.

import * as Plot from "@observablehq/plot";
import type { ReportData } from "../model/report-data.ts";
import { axis, chart, colour, figure, logAxis } from "./chart.ts";
import { type Html, html } from "./html.ts";
import { number } from "./numbers.ts";
import { median, thin } from "./points.ts";

interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * The part of a curve around its peak: far from it the evidence falls so deep that on one scale with that the peak looks
 * flat. It is cut, between points too, where it is 2.5 times as far below the peak as half of the points are.
 */
function nearPeak(points: readonly Point[]): readonly Point[] {
  const heights = points.map(({ y }) => y);
  const peak = Math.max(...heights);
  const floor = peak - 2.5 * (peak - median(heights));
  return points.flatMap((point, i) => {
    if (point.y >= floor) return [point];
    // Where the lines from here to neighbours above the floor cross it.
    return [points[i - 1], points[i + 1]].flatMap((next) => {
      if (next === undefined || next.y < floor) return [];
      const share = (floor - point.y) / (next.y - point.y);
      return [{ x: point.x * (next.x / point.x) ** share, y: floor }];
    });
  });
}

/** Log evidence against prior precision, on a logarithmic scale, with the chosen one. */
export function evidenceFigure({ evidence, priorPrecision }: ReportData): Html | undefined {
  const all = evidence.priorPrecision.flatMap((x, i) => {
    const y = evidence.logEvidence[i];
    return x > 0 && Number.isFinite(x) && Number.isFinite(y) ? [{ x, y }] : [];
  });
  if (all.length === 0) return undefined;
  const whole = thin(
    all.toSorted((a, b) => a.x - b.x),
    300,
  );
  const points = nearPeak(whole);
  const chosen = priorPrecision > 0 && Number.isFinite(priorPrecision) ? [priorPrecision] : [];
  const positions = [...whole.map(({ x }) => x), ...chosen];
  let [low, high] = [Math.min(...positions), Math.max(...positions)];
  if (low === high) [low, high] = [low / 10, high * 10];
  const picture = chart(`Log evidence against prior precision; ${number(priorPrecision)} was chosen.`, {
    x: logAxis(low, high, "prior precision →"),
    y: {
      ...axis(
        points.map(({ y }) => y),
        "↑ log evidence",
      ),
      grid: true,
    },
    marks: [
      Plot.ruleX(chosen, { stroke: colour.quiet, strokeWidth: 1.5, strokeDasharray: "5 3" }),
      Plot.line(points, { x: "x", y: "y", stroke: colour.model, strokeWidth: 2 }),
      ...(points.length <= 40 ? [Plot.dot(points, { x: "x", y: "y", r: 2.2, fill: colour.model })] : []),
      // The text stays within the picture wherever the chosen value lies.
      Plot.text(chosen, {
        x: (value: number) => value,
        frameAnchor: "top",
        text: (value: number) => `chosen: ${number(value, 3)}`,
        dy: -14,
        textAnchor: chosen.length > 0 && Math.log(chosen[0] / low) > 0.7 * Math.log(high / low) ? "end" : "start",
        fill: "currentColor",
      }),
    ],
  });
  return figure(
    "How the prior was chosen",
    picture,
    "The prior says how large weights are expected to be; the evidence says how well each choice explains the training data without overfitting, and the dashed line should stand at the top of the curve, away from the edges.",
  );
}

/** Loss of training and validation by epoch, and the epoch that was kept. */
export function trainingFigure({ training }: ReportData): Html | undefined {
  const { epochs, kept } = training;
  const series = (values: readonly number[]) =>
    thin(
      epochs.flatMap((epoch, i) =>
        Number.isFinite(epoch) && Number.isFinite(values[i]) ? [{ epoch, loss: values[i] }] : [],
      ),
      400,
    );
  const [train, validation] = [series(training.train), series(training.validation)];
  const losses = [...train, ...validation].map(({ loss }) => loss);
  if (losses.length === 0) return undefined;
  // Losses that span decades are read on a logarithmic scale.
  const logarithmic = Math.min(...losses) > 0 && Math.max(...losses) / Math.min(...losses) > 20;
  const y = logarithmic
    ? logAxis(Math.min(...losses) / 1.1, 1.1 * Math.max(...losses), "↑ loss (logarithmic)")
    : axis(losses, "↑ loss");
  const keptEpoch = Number.isFinite(kept) ? [kept] : [];
  const ends = [...train, ...validation].map(({ epoch }) => epoch);
  const x = axis([...ends, ...keptEpoch], "epoch →", 0.02);
  const curve = (points: readonly { epoch: number; loss: number }[], stroke: string, dashes?: string) =>
    points.length === 1
      ? Plot.dot(points, { x: "epoch", y: "loss", r: 3.5, fill: stroke })
      : Plot.line(points, {
          x: "epoch",
          y: "loss",
          stroke,
          strokeWidth: 1.8,
          ...(dashes ? { strokeDasharray: dashes } : {}),
        });
  const picture = chart(`Loss in training and validation by epoch; epoch ${number(kept)} was kept.`, {
    x,
    y: { ...y, grid: true },
    marks: [
      Plot.ruleX(keptEpoch, { stroke: colour.quiet, strokeWidth: 1.5, strokeDasharray: "5 3" }),
      curve(train, colour.model),
      curve(validation, colour.alarm, "7 2"),
      Plot.text(keptEpoch, {
        x: (epoch: number) => epoch,
        frameAnchor: "top",
        text: (epoch: number) => `kept: ${number(epoch)}`,
        dy: -14,
        textAnchor: keptEpoch.length > 0 && keptEpoch[0] > 0.7 * x.domain[1] ? "end" : "start",
        fill: "currentColor",
      }),
    ],
  });
  return figure(
    "How training went",
    picture,
    html`Lower is better; the weights kept are those of the epoch at the dashed line${validation.length > 0 ? ", and where the validation curve rises while the other falls, the network learns noise" : ""}.`,
    {
      signs: [
        { shape: "line", colour: colour.model, text: "training rows" },
        ...(validation.length > 0 ? [{ shape: "dash" as const, colour: colour.alarm, text: "validation rows" }] : []),
      ],
    },
  );
}
