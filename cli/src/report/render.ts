// The report: one self-contained page, readable without scripts, made of plain numbers and texts alone.

import type { Steps } from "laplace-ts";
import type { ReportData } from "../model/report-data.ts";
import { reliabilityFigure, uncertaintyFigure } from "./charts-calibration.ts";
import { classificationFigures } from "./charts-classification.ts";
import { evidenceFigure, trainingFigure } from "./charts-fit.ts";
import { portfolioFigures } from "./charts-portfolio.ts";
import { regressionFigures } from "./charts-regression.ts";
import { sliceFigures, sliceSigns } from "./charts-slices.ts";
import { type Content, Html, html, name, short } from "./html.ts";
import { keyNumbers } from "./metric-words.ts";
import { count, number, percent } from "./numbers.ts";
import { style } from "./style.ts";
import { columnTable, guaranteeTable, uncertainRows } from "./tables.ts";

interface Section {
  readonly id: string;
  /** In the list of contents. */
  readonly entry: string;
  readonly title: string;
  readonly content: Content;
}

/**
 * The report as one HTML file, which asks for nothing from elsewhere, drawn in steps. Deterministic; whatever comes from the data is
 * escaped, long names are shortened, and of many rows some are drawn, so that the file stays under 2 MB.
 * @param data what to show; numbers that are not finite become "—" or are left out of the pictures
 */
export function* renderReport(data: ReportData): Steps<string> {
  const parts = yield* sections(data);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="laplace-ts ${data.version}">
<title>${short(data.target, 60)} · ${short(data.data, 80)}</title>
<style>${new Html(style)}</style>
</head>
<body>
<header>
<p class="eyebrow">Report on ${name(data.data, 80)}</p>
<h1>${name(data.target, 60)}</h1>
<p class="summary">${summary(data)}</p>
<nav aria-label="Contents"><ul>${parts.map(({ id, entry }) => html`<li><a href="#${id}">${entry}</a></li>`)}</ul></nav>
</header>
<main>
${parts.map(({ id, title, content }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>\n${content}\n</section>\n`)}</main>
<footer>Made by laplace-ts ${name(data.version)} on ${name(data.created)}. ${heldOutText(data)}</footer>
</body>
</html>
`;
  return page.text;
}

const heldOutText = ({ trainedElsewhere }: ReportData) =>
  trainedElsewhere
    ? "The posterior and its prior have not seen the held-out rows; whether the network has, only its training knows."
    : "Held-out rows were used neither for training nor for tuning.";

const absent = (text: string) => html`<p class="none">${text}</p>`;

function* sections(data: ReportData): Steps<Section[]> {
  const figures = data.task !== "classification" ? yield* regressionFigures(data) : classificationFigures(data);
  yield;
  const reliability = reliabilityFigure(data);
  yield;
  const uncertainty = uncertaintyFigure(data);
  yield;
  const slices = sliceFigures(data);
  yield;
  const portfolio = portfolioFigures(data);
  yield;
  const rows = uncertainRows(data);
  yield;
  const nothing = absent("There are no held-out rows to show.");
  const grid = (content: Content) => html`<div class="figures">${content}</div>`;
  return [
    { id: "diagnosis", entry: "Diagnosis", title: "Can you rely on it?", content: diagnosis(data) },
    { id: "numbers", entry: "Key numbers", title: "Key numbers, on held-out rows", content: keyNumbers(data) },
    {
      id: "predictions",
      entry: "Predictions",
      title: "Predictions against the truth",
      content: figures.predictions ? grid(figures.predictions) : nothing,
    },
    {
      id: "residuals",
      entry: "Residuals",
      title: "What is left over",
      content: figures.residuals ? grid(figures.residuals) : nothing,
    },
    {
      id: "uncertainty",
      entry: "Uncertainty",
      title: "The uncertainty itself",
      content: grid([
        reliability ?? absent("There is no reliability diagram: too few held-out rows."),
        uncertainty ?? absent("There is no uncertainty to count: no held-out rows."),
      ]),
    },
    ...(data.guarantee === undefined
      ? []
      : [
          {
            id: "guarantee",
            entry: "Guarantee",
            title: "What is guaranteed",
            content: guaranteeTable(data.guarantee, data.task),
          },
        ]),
    ...(portfolio.length === 0
      ? []
      : [{ id: "portfolio", entry: "Portfolio", title: "The models that predict together", content: grid(portfolio) }]),
    {
      id: "fit",
      entry: "Prior and training",
      title: "How it was fitted",
      content: grid([
        evidenceFigure(data) ?? absent("The evidence was not computed for other priors: the prior was given."),
        trainingFigure(data) ?? absent("There is no record of the training."),
      ]),
    },
    {
      id: "inputs",
      entry: "Inputs",
      title: "What the most important inputs do",
      content:
        slices.length > 0
          ? html`${sliceSigns(data)}${grid(slices)}`
          : absent("There are no slices: no input was varied on its own."),
    },
    { id: "rows", entry: "Uncertain rows", title: "The most uncertain rows", content: rows ?? nothing },
    {
      id: "columns",
      entry: "Columns",
      title: "The columns",
      content: data.columns.length > 0 ? columnTable(data) : absent("There are no columns."),
    },
    { id: "making", entry: "How it was made", title: "How it was made", content: making(data) },
  ];
}

/** The report in two sentences. */
function summary(data: ReportData): Html {
  const { metrics, baseline, counts, task, classes = [], trainedElsewhere } = data;
  const what =
    task !== "classification"
      ? html`A ${task === "count" ? "count" : "number"}, predicted with an interval that says how far to trust it`
      : html`One of ${classes.length} ${classes.length === 1 ? "class" : "classes"}, predicted with probabilities that say how far to trust it`;
  const rows = trainedElsewhere
    ? html`by a network that was trained elsewhere and a posterior fitted to ${count(counts.train, "row")}, checked on ${count(counts.test, "row")} that the posterior never saw`
    : counts.folded
      ? html`learned from ${count(counts.test, "row")} and checked on each of them by a model that had not seen it`
      : html`learned from ${count(counts.train, "row")} and checked on ${count(counts.test, "row")} it never saw`;
  const { rootMeanSquaredError: error, accuracy } = metrics;
  const reference = task !== "classification" ? baseline.rootMeanSquaredError : baseline.accuracy;
  let result: Html | undefined;
  if (task !== "classification" && Number.isFinite(error)) {
    const against = Number.isFinite(reference) ? ` (always guessing the mean: ${number(reference, 3)})` : "";
    result = html` On those it is typically off by ${number(error, 3)}${against}.`;
  } else if (task === "classification" && Number.isFinite(accuracy)) {
    const against = Number.isFinite(reference) ? ` (always guessing the commonest class: ${percent(reference)})` : "";
    result = html` On those it is right in ${percent(accuracy)}${against}.`;
  }
  return html`${what}, ${rows}.${result}`;
}

/** What is wrong in plain words, or what was looked at without finding anything. */
function diagnosis({ findings, task, checked }: ReportData): Html {
  if (findings.length === 0) {
    const looked = checked ?? [
      "training reached a minimum",
      "the prior is not at an edge of its range",
      ...(task === "regression" ? ["the noise agrees with the residuals"] : []),
      "uncertainty differs between rows",
      "predictions are neither over- nor under-confident",
    ];
    return html`<div class="verdict fine"><p><strong><span aria-hidden="true">✓</span> Nothing wrong was found.</strong></p>
<p>Checked: ${looked.join(", ")}.</p></div>`;
  }
  const problems = findings.filter(({ severity }) => severity === "problem").length;
  const heading =
    problems > 0
      ? `${count(problems, "problem")} to solve before you rely on these predictions.`
      : "Usable with care: there is something to know.";
  const ordered = [...findings].sort((a, b) => Number(b.severity === "problem") - Number(a.severity === "problem"));
  const items = ordered.map(
    ({ severity, message, advice }) =>
      html`<li class="${severity === "problem" ? "problem" : "warning"}"><p><span class="kind">${severity === "problem" ? "Problem" : "Warning"}</span> ${message}</p><p class="advice">What to do: ${advice}</p></li>\n`,
  );
  return html`<div class="verdict ${problems > 0 ? "serious" : "careful"}"><p><strong><span aria-hidden="true">${problems > 0 ? "✕" : "!"}</span> ${heading}</strong></p>
<ul>${items}</ul></div>`;
}

/** Each candidate with its weight, the heaviest first. */
function candidateText(candidates: NonNullable<ReportData["candidates"]>): string {
  return candidates
    .toSorted((a, b) => b.weight - a.weight)
    .map(({ name, weight, negativeLogLikelihood: loss }) => {
      const alone = Number.isFinite(loss) ? `alone ${number(loss, 4)} nats` : "given up";
      return `${name}: ${weight > 0 ? percent(weight) : "left out"} (${alone})`;
    })
    .join("; ");
}

function making(data: ReportData): Html {
  const { train, validation, test, dropped, folded } = data.counts;
  const use = data.trainedElsewhere ? "the posterior" : folded ? "training in each fold" : "training";
  const facts: readonly (readonly [string, Content])[] = [
    ...(data.candidates !== undefined && data.candidates.length > 1
      ? [["Mixture", candidateText(data.candidates)] as const, ["Heaviest network", data.network] as const]
      : [["Network", data.network] as const]),
    ["Posterior", html`${data.structure}: ${data.structureReason}`],
    ["Prior precision", number(data.priorPrecision)],
    ...(data.temperature === undefined ? [] : [["Temperature", data.temperature] as const]),
    ...(data.power === undefined ? [] : [["Power", data.power] as const]),
    ...(data.noiseByRow === undefined ? [] : [["Noise by row", `It ${data.noiseByRow}`] as const]),
    ...(data.targetScale === undefined ? [] : [["Target", data.targetScale] as const]),
    ...(data.noise === undefined
      ? []
      : [
          ["Noise", html`${number(data.noise)}, as a standard deviation in units of ${name(data.target, 30)}`] as const,
        ]),
    [
      "Rows",
      `${train.toLocaleString("en-US")} for ${use}, ${validation.toLocaleString("en-US")} for validation, ${test.toLocaleString("en-US")} held out${folded ? " in turn" : ""}, ${dropped.toLocaleString("en-US")} dropped`,
    ],
    ...(data.weights === undefined
      ? []
      : [["Weights", `Rows count ${data.weights}. Pictures show each row once.`] as const]),
    ["Seed", String(data.seed)],
    ["Made on", data.created],
    ["Version", `laplace-ts ${data.version}`],
  ];
  return html`<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>\n`)}</dl>`;
}
