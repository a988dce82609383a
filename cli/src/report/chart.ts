// One chart: Observable Plot draws it as SVG on linkedom's document; colours are variables of the page's style sheet.

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { type Content, Html, html } from "./html.ts";
import { number, powerOfTen, tickLabel } from "./numbers.ts";
import { extent } from "./points.ts";

/** The colours, by meaning; `style.ts` gives their values in light and dark. */
export const colour = {
  /** Predictions, and what the weights leave open. */
  model: "var(--model)",
  /** The uncertainty of a new target, noise included. */
  band: "var(--band)",
  /** What was measured. */
  truth: "var(--ink)",
  /** What deserves a look: misses, mistakes, rows far from the training data. */
  alarm: "var(--alarm)",
  /** Lines to compare with. */
  quiet: "var(--quiet)",
  paper: "var(--paper)",
} as const;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

const geometry = ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d", "transform"];

/**
 * A chart as SVG, 480 units wide; it has no scripts, no ids and no styles of its own.
 * @param description what a reader hears who cannot see it
 */
export function chart(description: string, options: Plot.PlotOptions): Html {
  const svg = Plot.plot({
    document,
    width: 480,
    height: 300,
    marginTop: 30,
    marginRight: 24,
    marginBottom: 46,
    marginLeft: 62,
    ...options,
  });
  for (const style of svg.querySelectorAll("style")) style.remove();
  // Positions to a hundredth of a unit: a third of the bytes, and no difference to see.
  for (const element of svg.querySelectorAll("*")) {
    element.removeAttribute("aria-label");
    element.removeAttribute("aria-hidden");
    for (const attribute of geometry) {
      const value = element.getAttribute(attribute);
      const rounded = value?.replace(/\d+\.\d{3,}(e-\d+)?/g, (digits) => String(Number(Number(digits).toFixed(2))));
      if (value !== null && rounded !== undefined && rounded !== value) element.setAttribute(attribute, rounded);
    }
  }
  // The opening tag is ours: linkedom leaves some characters of attributes as they are.
  return html`<svg class="chart" role="img" aria-label="${description}" viewBox="${svg.getAttribute("viewBox") ?? ""}" fill="currentColor" text-anchor="middle">${new Html(svg.innerHTML)}</svg>`;
}

/** Options of a numeric axis that shows the values: its ends, its ticks' texts. */
export function axis(values: Iterable<number>, label: string, room?: number) {
  const domain = extent(values, room);
  return { domain, label, ticks: 5, tickFormat: tickLabel(...domain) };
}

/** Options of an axis of counts from 0, with ticks at whole numbers only. */
export function countAxis(counts: Iterable<number>) {
  const [, high] = extent([0, ...counts], 0);
  return { ...axis([0, high], "↑ rows", 0), ticks: Math.max(1, Math.min(5, Math.floor(high))) };
}

/** Options of a logarithmic axis between two positive numbers, with ticks at powers of ten, or 1, 2 and 5 times those. */
export function logAxis(low: number, high: number, label: string) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const steps = last - first > 3 ? [1] : [1, 2, 5];
  const stride = Math.ceil((last - first) / 8);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => first + i).flatMap((exponent, i) =>
    i % stride === 0 ? steps.map((step) => Number(`${step}e${exponent}`)) : [],
  );
  const plain = low >= 1e-3 && high <= 1e4;
  return {
    type: "log" as const,
    domain: [low, high],
    label,
    ticks: ticks.filter((tick) => tick >= low && tick <= high),
    tickFormat: (value: number) => {
      const exponent = Math.log10(value);
      return plain || Math.abs(exponent - Math.round(exponent)) > 1e-9
        ? number(value, 2)
        : powerOfTen(Math.round(exponent));
    },
  };
}

/** Options of an axis of shares, from 0 to 1. */
export function shareAxis(label: string) {
  return { domain: [0, 1], label, ticks: 5, tickFormat: (value: number) => `${Math.round(100 * value)}\u00a0%` };
}

/** A sign in the legend of a figure. */
export interface Sign {
  readonly shape: "dot" | "cross" | "line" | "area" | "dash" | "triangle";
  readonly colour: string;
  readonly text: string;
}

/** A figure: heading, legend, chart, and a sentence that says how to read it. */
export function figure(
  heading: Content,
  content: Content,
  caption: Content,
  options: { readonly signs?: readonly Sign[]; readonly className?: string } = {},
): Html {
  return html`<figure class="card ${options.className ?? ""}"><h3>${heading}</h3>
${options.signs && legend(options.signs)}${content}
<figcaption>${caption}</figcaption></figure>
`;
}

/** What the signs of a chart mean. */
export function legend(signs: readonly Sign[]): Html {
  return html`<ul class="signs">${signs.map(
    (sign) =>
      html`<li><svg viewBox="0 0 20 12" aria-hidden="true">${drawn(sign.shape, sign.colour)}</svg>${sign.text}</li>`,
  )}</ul>`;
}

function drawn(shape: Sign["shape"], colour: string): Html {
  if (shape === "dot") return html`<circle cx="10" cy="6" r="3.5" fill="${colour}"/>`;
  if (shape === "area") return html`<rect x="2" y="1" width="16" height="10" rx="2" fill="${colour}"/>`;
  if (shape === "triangle") return html`<path d="M10 1L15 10H5Z" fill="${colour}"/>`;
  const path = shape === "cross" ? "M6 2L14 10M14 2L6 10" : "M1 6H19";
  const dashes = shape === "dash" ? html` stroke-dasharray="4 3"` : undefined;
  return html`<path d="${path}" stroke="${colour}" stroke-width="2" fill="none"${dashes}/>`;
}
