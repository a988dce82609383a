// The portfolio: what each candidate is worth by rows that it has not seen, its weight, whether its evidence says the same, and where
// the mixture gains over a linear model.

import * as Plot from "@observablehq/plot";
import { gainText } from "../model/gain-text.ts";
import type { CandidateReport, ReportData } from "../model/report-data.ts";
import { axis, chart, colour, figure } from "./chart.ts";
import { type Html, html, name, short } from "./html.ts";
import { number, percent } from "./numbers.ts";
import { median } from "./points.ts";

/** A candidate with its number in both pictures, and where it is drawn. */
interface Drawn extends CandidateReport {
  readonly place: number;
  readonly at: number;
}

/** How many times as far from the best as half of them are candidates are drawn; others stand at the edge. */
const FARTHEST = 4;

const finite = ({ negativeLogLikelihood: loss, weight }: CandidateReport) =>
  Number.isFinite(loss) && Number.isFinite(weight);

/** The area of a dot says the weight; a left out one is a ring. */
const radius = ({ weight }: CandidateReport) => 3 + 6.5 * Math.sqrt(Math.max(0, weight));

const filled = ({ weight }: CandidateReport) => (weight > 0 ? colour.model : colour.paper);

/** The figures; none of a single candidate. */
export function portfolioFigures(data: ReportData): Html[] {
  const { candidates = [] } = data;
  const known = candidates.filter(finite);
  const losses = known.map(({ negativeLogLikelihood: loss }) => loss);
  const best = Math.min(...losses);
  const limit = best + FARTHEST * Math.max(median(losses) - best, 0.01);
  const drawn = known.map((one, i): Drawn => {
    return { ...one, place: i + 1, at: Math.min(one.negativeLogLikelihood, limit) };
  });
  if (candidates.length < 2 || drawn.length === 0) return [];
  const figures = [lossFigure(data, drawn), evidenceFigure(drawn), gainFigure(data)];
  return figures.filter((one) => one !== undefined);
}

function lossFigure({ candidates = [], metrics, portfolio }: ReportData, drawn: readonly Drawn[]): Html {
  const mixed = metrics.negativeLogLikelihood;
  const mixture = Number.isFinite(mixed) ? [mixed] : [];
  const barOf = ({ at, negativeLogLikelihood: loss, standardError = 0 }: Drawn) =>
    at < loss ? [at, at] : [loss - standardError, loss + standardError];
  const ends = drawn.flatMap(barOf);
  const out = candidates.filter((one) => !finite(one)).map(({ name: own }) => own);
  const text = ({ place, name: own, at, negativeLogLikelihood: loss }: Drawn) =>
    `${place}  ${short(own, 48)}: ${number(loss, 4)}${at < loss ? ", beyond the edge" : ""}`;
  const picture = chart(`Loss on held-out rows of ${drawn.length} candidates, with their weights in the mixture.`, {
    height: 60 + 34 * drawn.length,
    marginLeft: 24,
    marginRight: 66,
    x: { ...axis([...ends, ...mixture], "mean −log p of held-out rows →", 0.06), grid: true },
    y: { domain: [drawn.length + 0.5, 0.3], axis: null },
    marks: [
      Plot.ruleX(mixture, { stroke: colour.alarm, strokeWidth: 1.5, strokeDasharray: "5 3" }),
      Plot.ruleY(drawn, {
        y: "place",
        x1: (one: Drawn) => barOf(one)[0],
        x2: (one: Drawn) => barOf(one)[1],
        stroke: colour.model,
        strokeWidth: 1.5,
      }),
      Plot.dot(drawn, {
        x: "at",
        y: "place",
        r: { value: radius, scale: null } as never,
        fill: filled,
        stroke: colour.model,
        strokeWidth: 1.5,
      }),
      Plot.text(drawn, {
        frameAnchor: "left",
        y: ({ place }: Drawn) => place - 0.4,
        text,
        textAnchor: "start",
        fill: "currentColor",
        stroke: colour.paper,
        strokeWidth: 4,
      }),
      Plot.text(drawn, {
        frameAnchor: "right",
        y: "place",
        dx: 58,
        text: ({ weight }: Drawn) => (weight > 0 ? percent(weight) : "left out"),
        textAnchor: "end",
        fill: "currentColor",
      }),
    ],
  });
  const wider =
    portfolio?.wider === undefined
      ? undefined
      : html` ${short(portfolio.wider.to, 40)} in the place of ${short(portfolio.wider.from, 40)} gain ${gainText(portfolio.wider)} per row.`;
  const given =
    out.length > 0
      ? html` Given up on the first rows, or because a fit failed: ${out.map((own) => short(own, 40)).join(", ")}.`
      : undefined;
  return figure(
    "Candidates and their weights",
    picture,
    html`Further left is better. Each candidate was judged by rows that it had not seen; the bar is one standard error of its distance from the best, and the dot's area its weight in the mixture, whose own loss is the dashed line.${wider}${given}`,
    {
      signs: [
        { shape: "dot", colour: colour.model, text: "a candidate, as large as its weight" },
        ...(mixture.length > 0 ? [{ shape: "dash" as const, colour: colour.alarm, text: "the mixture" }] : []),
      ],
    },
  );
}

/** Whether the evidence, which saw the training rows alone, says what held-out rows say. */
function evidenceFigure(drawn: readonly Drawn[]): Html | undefined {
  const known = drawn.filter(({ evidence }) => evidence !== undefined && Number.isFinite(evidence));
  if (known.length < 2) return undefined;
  const picture = chart("Log evidence per row against the loss of held-out rows, a dot for each candidate.", {
    x: {
      ...axis(
        known.map(({ evidence = 0 }) => evidence),
        "log evidence per row, behind the greatest →",
        0.08,
      ),
      grid: true,
    },
    y: {
      ...axis(
        known.map(({ at }) => at),
        "↑ mean −log p of held-out rows",
        0.1,
      ),
      grid: true,
    },
    marks: [
      Plot.dot(known, {
        x: "evidence",
        y: "at",
        r: { value: radius, scale: null } as never,
        fill: filled,
        fillOpacity: 0.7,
        stroke: colour.model,
        strokeWidth: 1.5,
      }),
      Plot.text(known, {
        x: "evidence",
        y: "at",
        text: ({ place }: Drawn) => String(place),
        dy: -14,
        fill: "currentColor",
      }),
    ],
  });
  return figure(
    "Does the evidence agree?",
    picture,
    "The evidence is computed from the training rows alone. Where dots fall from left to right, a greater evidence means better predictions of new rows; where they do not, the weights follow the held-out rows. The numbers are those of the candidates in the picture of their weights.",
  );
}

/** Where the mixture gains over a linear model, and by which steps. */
function gainFigure({ portfolio, task, target }: ReportData): Html | undefined {
  const { parts = [], steps = [] } = portfolio ?? {};
  const drawn = parts
    .filter(({ gain, standardError }) => Number.isFinite(gain) && Number.isFinite(standardError))
    .map((part, place) => ({ ...part, place }));
  const said = steps
    .filter(({ gain }) => Number.isFinite(gain))
    .map((step) => `${step.name} ${gainText(step)}`)
    .join(", ");
  const sum = said === "" ? undefined : html` Step by step: ${said}.`;
  if (drawn.length === 0)
    return sum && figure("The gain over a linear model", html`<p>${sum}</p>`, "Nats per row that was held out.");
  const classes = task === "classification";
  const texts = drawn.map(({ rows, samples }) => `${short(rows, 16)} (${samples})`);
  const picture = chart("Gain of the mixture over a linear model, in parts of the held-out rows.", {
    height: 80 + 34 * drawn.length,
    marginLeft: Math.min(170, 24 + 7 * Math.max(...texts.map((text) => text.length))),
    x: {
      ...axis(
        [0, ...drawn.flatMap(({ gain, standardError: e }) => [gain - e, gain + e])],
        "nats gained per row →",
        0.05,
      ),
      grid: true,
    },
    y: {
      domain: [drawn.length - 0.4, -0.6],
      label: null,
      ticks: drawn.map(({ place }) => place),
      tickFormat: (place: number) => texts[place],
      tickSize: 0,
    },
    marks: [
      Plot.rect(drawn, {
        x1: 0,
        x2: "gain",
        y1: ({ place }) => place - 0.3,
        y2: ({ place }) => place + 0.3,
        fill: colour.band,
        stroke: colour.model,
      }),
      Plot.ruleY(drawn, {
        y: "place",
        x1: ({ gain, standardError }) => gain - standardError,
        x2: ({ gain, standardError }) => gain + standardError,
        stroke: colour.model,
        strokeWidth: 2,
      }),
      Plot.ruleX([0], { stroke: colour.quiet, strokeWidth: 1.5 }),
    ],
  });
  const along = classes ? html`by the true class` : html`along the predicted ${name(target, 30)}`;
  return figure(
    "Where the gain over a linear model comes from",
    picture,
    html`How much more probable held-out rows are under the mixture than under a linear model, ${along} (in parentheses the number of rows), with a standard error.${sum}`,
  );
}
