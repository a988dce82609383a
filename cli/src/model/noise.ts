// The noise of a table's model, and the scale on which its target was learned.

import type { TableModel } from "laplace-ts";

/** The standard deviation of the noise, in the target's units; undefined for classes, and where the target is learned on another scale. */
export function noiseOf({ encoding: { target }, posterior }: TableModel): number | undefined {
  const { hyper } = posterior.likelihood;
  return target.kind === "number" && target.scale === undefined && hyper.any ? hyper.value * target.sd : undefined;
}

/** The noise in words: a deviation, or of a logarithm the factor that one makes; undefined for classes. */
export function noiseText(model: TableModel): string | undefined {
  const { encoding, posterior } = model;
  const { target } = encoding;
  const { hyper } = posterior.likelihood;
  if (target.kind !== "number" || !hyper.any) return undefined;
  const sd = hyper.value * target.sd;
  if (target.scale?.kind === "log") return `a factor of ${Math.exp(sd).toPrecision(3)}`;
  return target.scale === undefined ? sd.toPrecision(3) : `${sd.toPrecision(3)} on the target's scale`;
}

/** On which scale the target was learned, in words; undefined where it was learned as it is. */
export function scaleText({ encoding: { target } }: TableModel): string | undefined {
  if (target.kind !== "number" || target.scale === undefined) return undefined;
  const { scale } = target;
  const learned = scale.kind === "log" ? "its logarithm" : `a power of it (Yeo & Johnson, λ = ${scale.lambda})`;
  return `learned as ${learned}, under which rows that were not seen are more probable`;
}
