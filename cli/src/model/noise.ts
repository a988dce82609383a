// The noise of a table's model, the temperature of its weights, the scale on which its target was learned, and the family of counts.

import type { TableEncoding, TableModel, TargetTask } from "laplace-ts";
import type { HeldOut } from "./held-out.ts";

/** Temperatures at which nearly nothing is left of the weights' uncertainty. */
const SMALL = 0.1;

/** What is learned of a target. */
export const taskOf = ({ target }: Pick<TableEncoding, "target">): TargetTask =>
  target.kind === "classes" ? "classification" : target.counts ? "count" : "regression";

/** The dispersion of counts in the mean over the mixture, 0 where all are Poisson; undefined for other targets. */
export function dispersionOf({ posteriors, weights }: Pick<TableModel, "posteriors" | "weights">): number | undefined {
  if (posteriors[0].likelihood.dispersion === undefined) return undefined;
  return posteriors.reduce((sum, { likelihood }, k) => sum + weights[k] * (likelihood.dispersion ?? 0), 0);
}

/** The family of counts in words. */
export function familyText(model: TableModel): string | undefined {
  const dispersion = dispersionOf(model);
  if (dispersion === undefined) return undefined;
  if (dispersion === 0) return "Poisson: counts vary as much as their rates say";
  return `negative binomial, a variance of rate + ${threeDigits(dispersion)} rate²: they vary more than Poisson counts`;
}

/** The standard deviation of the noise, in the target's units; undefined for classes, and where the target is learned on another scale. */
export function noiseOf({ encoding: { target }, posterior }: TableModel): number | undefined {
  const { hyper } = posterior.likelihood;
  return target.kind === "number" && target.scale === undefined && hyper.any ? hyper.value * target.sd : undefined;
}

/** Three digits, as 22800 rather than 2.28e+4: targets are often prices. */
export function threeDigits(value: number): string {
  const text = value.toPrecision(3);
  return text.includes("e") ? String(Number(text)) : text;
}

/** The temperature of a posterior in words; undefined where it is 1. */
export function temperatureText(temperature: number): string | undefined {
  if (temperature === 1) return undefined;
  return `${threeDigits(temperature)}: the weights' variance is multiplied by it, since rows that were not seen are more probable so${temperature < SMALL ? "; what is left of it still grows away from the data" : ""}`;
}

/** The power of a classifier's probabilities in words; undefined where it is 1. */
export function powerText({ probabilityPower: power }: TableModel): string | undefined {
  if (power === 1) return undefined;
  return `${threeDigits(power)}: the mixture's probabilities are raised to it, since rows that were not seen are more probable so`;
}

/** The noise in words: a deviation, or of a logarithm the factor that one makes; undefined for classes. */
export function noiseText(model: TableModel): string | undefined {
  const { encoding, posterior } = model;
  const { target } = encoding;
  const { hyper } = posterior.likelihood;
  if (target.kind !== "number" || !hyper.any) return undefined;
  const sd = hyper.value * target.sd;
  if (target.scale?.kind === "log") return `a factor of ${threeDigits(Math.exp(sd))}`;
  return target.scale === undefined ? threeDigits(sd) : `${threeDigits(sd)} on the target's scale`;
}

/** On which scale the target was learned, in words; undefined where it was learned as it is. */
export function scaleText({ encoding: { target } }: TableModel): string | undefined {
  if (target.kind !== "number" || target.scale === undefined) return undefined;
  const { scale } = target;
  const learned = scale.kind === "log" ? "its logarithm" : `a power of it (Yeo & Johnson, λ = ${scale.lambda})`;
  return `learned as ${learned}, under which rows that were not seen are more probable`;
}

/** A noise that depends on the row. */
export interface NoiseByRow {
  /** The part of the mixture that has it. */
  readonly share: number;
  /** Its deviation at held-out rows, the 5 % and 95 % quantiles, in the target's units. */
  readonly low: number;
  readonly high: number;
}

/** How the noise depends on the row; undefined where it is one for all. */
export function noiseByRow(
  model: TableModel,
  { sd = [], epistemic }: Pick<HeldOut, "sd" | "epistemic">,
): NoiseByRow | undefined {
  const { posteriors, weights } = model;
  const share = posteriors.reduce((sum, { net }, k) => {
    return sum + (net.graph.output.size > 1 ? weights[k] : 0);
  }, 0);
  if (share === 0 || sd.length === 0) return undefined;
  const noise = sd.map((own, i) => own * Math.sqrt(Math.max(0, 1 - epistemic[i]))).sort((a, b) => a - b);
  const at = (part: number) => noise[Math.round(part * (noise.length - 1))];
  return { share, low: at(0.05), high: at(0.95) };
}

/** In words. */
export function noiseByRowText({ share, low, high }: NoiseByRow): string {
  const part = share > 0.995 ? "" : ` in ${Math.round(100 * share)} % of the mixture`;
  return `depends on the row${part}, since rows that were not seen are more probable so: a deviation of ${threeDigits(low)} to ${threeDigits(high)} at nine rows of ten`;
}
