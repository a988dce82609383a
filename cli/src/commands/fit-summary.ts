// What a fit did and found, on one screen.

import { type findingsOf, growthOf } from "../fitting/findings.ts";
import { mixtureText, type TableFit } from "../fitting/fit.ts";
import type { formatNotes } from "../fitting/formats.ts";
import { clearly } from "../fitting/gains.ts";
import { meanPrecision } from "../fitting/to-report.ts";
import { gainText } from "../model/gain-text.ts";
import {
  familyText,
  noiseByRow,
  noiseByRowText,
  noiseText,
  powerText,
  scaleText,
  temperatureText,
  threeDigits,
} from "../model/noise.ts";
import { cellLines } from "../output/cells.ts";
import { columnLines, guaranteeLines, judgementLines, line } from "../output/summary.ts";
import { plain, repeatedText, styled } from "../output/terminal.ts";

/** What happened around a fit. */
export interface Circumstances {
  readonly target: string;
  readonly files: readonly string[];
  readonly findings: ReturnType<typeof findingsOf>;
  /** Rows of the table, and of those the ones that were looked at. */
  readonly read: number;
  readonly used: number;
  /** Rows that could not be read, and lines of headers among the rows. */
  readonly skipped: number;
  readonly repeated: readonly number[];
  readonly notes: ReturnType<typeof formatNotes>;
}

/** Columns whose format is said. */
const FORMATS = 6;

const copiesText = (copies: number) =>
  copies === 1 ? "1 row is a copy of another" : `${copies.toLocaleString("en")} rows are copies of others`;

/** What was tried, in words. */
function triedText(candidates: TableFit["candidates"]): string {
  const texts = candidates.map(({ name, negativeLogLikelihood: loss }) => {
    return `${name} (${Number.isFinite(loss) ? loss.toPrecision(4) : "given up"})`;
  });
  return `${texts.join(", ")}: −log p of rows that each had not seen`;
}

/** Columns whose importance is said. */
const IMPORTANT = 6;

/** What held-out rows lose without each column, in words. */
function importanceText(importance: TableFit["importance"], task: TableFit["task"]): string {
  const texts = importance.slice(0, IMPORTANT).map(({ name, rise, standardError }) => {
    const places = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(standardError || 1))));
    return `"${plain(name)}" ${rise.toFixed(places)} ± ${standardError.toFixed(places)}`;
  });
  const more = importance.length - IMPORTANT;
  return `${texts.join(", ")}${more > 0 ? `, and ${more} more` : ""}: by so much ${task === "classification" ? "NLL" : "CRPS"} rises where a column's values are exchanged among held-out rows`;
}

/** How much better the mixture is than a linear model alone, on the same rows. */
function linearLines({ candidates, portfolio: { overLinear } }: TableFit): string[] {
  if (overLinear === undefined || candidates.length === 1) return [];
  const said = gainText(overLinear);
  if (clearly(overLinear)) return [`  Better than a linear model alone by ${said} per row.`];
  return [
    overLinear.gain > 0
      ? `  Better than a linear model alone by ${said} per row, which may be chance.`
      : `  No better than a linear model alone (${said} per row): the columns' effects add up, as far as these rows say.`,
  ];
}

/** The lines. */
export function summary(
  fit: TableFit,
  { target, files, findings, read, used, skipped, repeated, notes }: Circumstances,
): string[] {
  const { model, heldOut, task, guessed } = fit;
  const { target: encoded } = model.encoding;
  const other = { regression: "classification", classification: "regression", count: "regression" }[task];
  const guess = guessed === undefined ? "" : ` (guessed: ${guessed}; --task ${other} says otherwise)`;
  const classes = encoded.kind === "classes" ? `, ${encoded.classes.length} classes` : "";
  const rows = fit.rows.rows.length.toLocaleString("en");
  const sampled = used < read ? `, a sample of ${used.toLocaleString("en")} from ${read.toLocaleString("en")}` : "";
  const dropped = fit.dropped > 0 ? `, ${fit.dropped} dropped because "${plain(target)}" is missing` : "";
  const skips = skipped > 0 ? `, ${skipped} skipped because they cannot be read` : "";
  const [noise, byRow] = [noiseText(model), noiseByRow(model, heldOut)];
  const scale = scaleText(model) ?? familyText(model);
  const temperature = temperatureText(fit.temperature);
  const power = powerText(model);
  return [
    line("task", `${task} of "${plain(target)}"${classes}${guess}`),
    ...(scale === undefined ? [] : [line("target", scale)]),
    line("rows", `${rows}${sampled}${dropped}${skips}`),
    ...(fit.weights === undefined ? [] : [line("weights", plain(fit.weights))]),
    ...(fit.copies > 0 ? [`  ${copiesText(fit.copies)}: copies are held out together`] : []),
    ...(repeated.length > 0 ? [`  ${repeatedText(repeated)}`] : []),
    ...columnLines(model),
    ...notes.slice(0, FORMATS).map(({ open, message }) => {
      const text = `  ${plain(message)}`;
      return open ? styled("yellow", text) : text;
    }),
    ...(notes.length > FORMATS
      ? [`  and ${notes.length - FORMATS} more that are not written plainly (--json lists them)`]
      : []),
    ...cellLines(fit.cells, target),
    ...(fit.candidates.length > 1 ? [line("tried", triedText(fit.candidates))] : []),
    ...(fit.candidates.length > 1 ? [line("mixture", mixtureText(fit.candidates))] : []),
    line("network", fit.network),
    line("posterior", `${fit.structure}: ${fit.structureReason}`),
    line(
      "tuned",
      `prior precision ${threeDigits(meanPrecision(fit.tuned))}${noise === undefined ? "" : `, noise ${noise}`}`,
    ),
    ...(temperature === undefined ? [] : [line("temperature", temperature)]),
    ...(power === undefined ? [] : [line("power", power)]),
    ...(byRow === undefined ? [] : [line("noise", noiseByRowText(byRow))]),
    line("held out", fit.scheme),
    ...judgementLines(task, heldOut, findings, "this model"),
    ...linearLines(fit),
    ...growthOf(fit).map((text) => line("larger", text)),
    ...(fit.importance.length === 0 ? [] : [line("importance", importanceText(fit.importance, task))]),
    ...(fit.guarantee === undefined ? [] : guaranteeLines(fit.guarantee, task)),
    line("written", files.map(plain).join(", ")),
  ];
}
