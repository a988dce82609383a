// The tables: the most uncertain rows, and the columns of the data.

import { guaranteeText } from "../model/guarantee-text.ts";
import type { GuaranteeReport, ReportData } from "../model/report-data.ts";
import { uncertainties } from "./charts-calibration.ts";
import { type Content, type Html, html, name } from "./html.ts";
import { count, number, percent, toPrecisionOf } from "./numbers.ts";

/** A table in a box of its own that scrolls, also by keyboard, so that the page never does. */
export function scrollBox(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}

/** How many rows, cells and columns of the data are shown. */
const [mostRows, mostCells, mostColumns] = [12, 4, 200];

const headings = (texts: readonly Content[]) =>
  html`<thead><tr>${texts.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>`;

/** The columns whose cells say most about a row: the most important inputs, then others in their order. */
function keyColumns({ slices, columns, target, heldOut }: ReportData): string[] {
  const [row = {}] = heldOut.rows;
  const used = columns.filter(({ kind }) => kind !== "ignored").map((column) => column.name);
  const names = [...slices.map(({ input }) => input), ...used];
  return [...new Set(names)].filter((column) => column !== target && Object.hasOwn(row, column)).slice(0, mostCells);
}

/** The held-out rows about which least is known, the most uncertain first. */
export function uncertainRows(data: ReportData): Html | undefined {
  const { heldOut, classes = [] } = data;
  const values = uncertainties(data);
  const order = values
    .map((_, i) => i)
    .filter((i) => Number.isFinite(values[i]))
    .toSorted((a, b) => values[b] - values[a] || heldOut.lines[a] - heldOut.lines[b])
    .slice(0, mostRows);
  if (order.length === 0) return undefined;
  const regression = data.task !== "classification";
  const keys = keyColumns(data);
  const body = order.map((i) => {
    const cells = keys.map((key) => html`<td>${name(heldOut.rows[i]?.[key] ?? "", 24)}</td>`);
    const answer = regression ? regressionCells(data, i) : classCells(data, i, classes);
    return html`<tr><th scope="row">${heldOut.lines[i]}</th>${cells}${answer}<td>${percent(heldOut.epistemic[i])}</td><td>${heldOut.far[i] ? html`<span class="flag">far</span>` : ""}</td></tr>\n`;
  });
  const answer = regression ? ["prediction", "90 % interval", "truth"] : ["prediction", "second choice", "truth"];
  const table = scrollBox(
    "The most uncertain rows",
    html`<table>
${headings(["line", ...keys.map((key) => name(key, 24)), ...answer, "epistemic share", "far from data"])}
<tbody>${body}</tbody></table>`,
  );
  return html`<p>The ${count(order.length, "held-out row")} with the least certain predictions; lines are those of the file, the header being line 1.</p>
${table}`;
}

const verdict = (right: boolean) => (right ? undefined : html` <span class="flag" title="not as predicted">✕</span>`);

function regressionCells({ heldOut }: ReportData, i: number): Html {
  const sd = heldOut.sd?.[i] ?? Number.NaN;
  const [lower, upper] = [heldOut.lower?.[i] ?? Number.NaN, heldOut.upper?.[i] ?? Number.NaN];
  const truth = heldOut.truth[i];
  const texts = toPrecisionOf(sd, heldOut.mean[i], sd, lower, upper);
  const outside = truth < lower || truth > upper;
  return html`<td>${texts[0]} ± ${texts[1]}</td><td>${texts[2]} to ${texts[3]}</td><td>${number(truth, 6)}${verdict(!outside)}</td>`;
}

function classCells({ heldOut }: ReportData, i: number, classes: readonly string[]): Html {
  const probabilities = heldOut.probabilities?.[i] ?? [];
  const [predicted, truth] = [heldOut.mean[i], heldOut.truth[i]];
  const second = probabilities.reduce(
    (best, p, k) => (k !== predicted && (best < 0 || p > probabilities[best]) ? k : best),
    -1,
  );
  const choice = (k: number) => html`${name(classes[k] ?? "—", 24)} (${percent(probabilities[k])})`;
  return html`<td>${choice(predicted)}</td><td>${second < 0 ? "—" : choice(second)}</td><td>${name(classes[truth] ?? "—", 24)}${verdict(predicted === truth)}</td>`;
}

/** What was made of each column. */
export function columnTable({ columns, task }: ReportData): Html {
  const relevant = columns.some(({ relevance }) => relevance !== undefined);
  const important = columns.some(({ importance }) => importance !== undefined);
  const body = columns
    .slice(0, mostColumns)
    .map(
      (column) =>
        html`<tr${column.kind === "ignored" ? html` class="ignored"` : ""}><th scope="row">${name(column.name, 48)}</th><td>${column.kind}</td><td class="number">${number(column.inputs)}</td><td class="number">${number(column.missing)}</td>${relevant ? html`<td class="number">${column.relevance === undefined ? "" : percent(column.relevance)}</td>` : ""}${important ? html`<td class="number">${importanceText(column.importance)}</td>` : ""}<td class="note">${name(column.note, 300)}</td></tr>\n`,
    );
  const more = columns.length - mostColumns;
  const table = scrollBox(
    "The columns",
    html`<table>
<thead><tr><th scope="col">column</th><th scope="col">kind</th><th scope="col" class="number">inputs</th><th scope="col" class="number">missing</th>${relevant ? html`<th scope="col" class="number">relevance</th>` : ""}${important ? html`<th scope="col" class="number">importance</th>` : ""}<th scope="col">what was done</th></tr></thead>
<tbody>${body}</tbody></table>`,
  );
  const meaning = important
    ? ` Importance: by how much ${task === "classification" ? "the surprise at held-out rows (NLL)" : "the error of the distribution of held-out rows (CRPS)"} rises where the column's values are exchanged among them, with its standard error.`
    : "";
  return html`<p>What became of each column${more > 0 ? `, and ${count(more, "column")} more that ${more === 1 ? "is" : "are"} not listed` : ""}.${meaning}</p>
${table}`;
}

function importanceText(importance: readonly [number, number] | undefined): string {
  if (importance === undefined) return "";
  const [rise, error] = toPrecisionOf(importance[1], ...importance);
  return `${rise} ± ${error}`;
}

/** What is guaranteed, and how often it held, by groups. */
export function guaranteeTable(guarantee: GuaranteeReport, task: ReportData["task"]): Html {
  const body = guarantee.groups.map(({ by, group, samples, coverage, range: [low, high] }) => {
    const less =
      high < guarantee.level ? html` <span class="flag" title="held less often than the level">✕</span>` : "";
    return html`<tr><th scope="row">${name(by, 48)}</th><td>${name(group, 48)}</td><td class="number">${number(samples)}</td><td class="number">${percent(coverage)}${less}</td><td class="number">${percent(low)} to ${percent(high)}</td></tr>\n`;
  });
  const table = scrollBox(
    "What is guaranteed, by groups",
    html`<table>
<thead><tr><th scope="col">by</th><th scope="col">group</th><th scope="col" class="number">rows</th><th scope="col" class="number">held</th><th scope="col" class="number">by chance alone</th></tr></thead>
<tbody>${body}</tbody></table>`,
  );
  return html`<p>${guaranteeText(guarantee, task)}. <code>laplace predict</code> writes them.</p>
<p>On average is not in each group: below is how often they held the target in groups of held-out rows, each row's from the scores of other rows, and
where the true share is with a confidence of 95 %. A group in forty lies below its range by chance; of those marked ✕ the level is above it.</p>
${table}`;
}
