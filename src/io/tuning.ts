// How a posterior was tuned, as JSON.

import type { Tuning } from "../posterior/tuning.ts";
import { type Fields, numberJson } from "./fields.ts";

export const tuningFields: readonly string[] = ["steps", "gradientNorm", "converged", "heldOut"];

const MOST_EDGES = 1e4;

/** How tuning went, but for its curve. */
export function tuningEntry({ steps, gradientNorm, converged, heldOut }: Tuning) {
  const known = { steps, gradientNorm: numberJson(gradientNorm), converged };
  if (heldOut === undefined) return known;
  const { score, value, edges } = heldOut;
  return { ...known, heldOut: { score, value: numberJson(value), edges: [...edges] } };
}

/** @throws FileError */
export function readTuning(fields: Fields): Tuning {
  const known = {
    steps: fields.integer("steps", 0),
    gradientNorm: fields.number("gradientNorm"),
    converged: fields.boolean("converged"),
  };
  if (!fields.has("heldOut")) return known;
  const own = fields.object("heldOut", ["score", "value", "edges"]);
  const edges = own.texts("edges", MOST_EDGES);
  return { ...known, heldOut: { score: own.text("score"), value: own.number("value"), edges, curve: [] } };
}
