// A report rendered, its markup checked, and parsed.

import { parseHTML } from "linkedom";
import { expect } from "vitest";
import type { ReportData } from "../src/model/report-data.ts";
import { renderReport } from "../src/report/render.ts";

/** The sections of every report, in their order. */
export const sections = [
  "diagnosis",
  "numbers",
  "predictions",
  "residuals",
  "uncertainty",
  "portfolio",
  "fit",
  "inputs",
  "rows",
  "columns",
  "making",
];

const voids = new Set(["meta", "link", "br", "img", "input", "hr"]);

/** Every tag that is opened is closed, in order, and every `<` begins one. */
export function checkTags(page: string) {
  const open: string[] = [];
  const markup = page.replace(/<style>[^<]*<\/style>/g, "").replace("<!doctype html>", "");
  const tags = [...markup.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s+[-\w:]+="[^"<]*")*)\s*(\/?)>/gi)];
  expect(tags.length).toBe(markup.split("<").length - 1);
  for (const [, closing, tag, , alone] of tags) {
    if (closing) expect(open.pop()).toBe(tag);
    else if (!alone && !voids.has(tag)) open.push(tag);
  }
  expect(open).toEqual([]);
}

/** The page as text. */
export function pageOf(data: ReportData): string {
  const steps = renderReport(data);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The page as text and as a document. */
export function render(data: ReportData) {
  const page = pageOf(data);
  checkTags(page);
  // Plot's own warnings appear as this sign; numbers that were not caught, by their names.
  expect(page).not.toMatch(/⚠|NaN|undefined|Infinity|\[object/);
  const { document } = parseHTML(page);
  const text = (selector: string) => document.querySelector(selector)?.textContent.replace(/\s+/g, " ") ?? "";
  return { page, document, text };
}
