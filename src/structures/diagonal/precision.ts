// The posterior precision that is diagonal in the weights themselves.

import { keptNumbers } from "../../kernels/dry-run.ts";
import { shapeOf } from "../eigenblocks.ts";
import { FactoredPrecision } from "../factored.ts";
import type { Prior } from "../prior.ts";
import type { SelectedParameter } from "../selection.ts";
import type { DiagonalCurvature } from "./curvature.ts";

/** P = h diag(H) + P₀ */
export function diagonalPrecision(curvature: DiagonalCurvature, h: number, prior: Prior) {
  const { values, selection } = curvature;
  const delta = prior.spread();
  const all = keptNumbers(values.length);
  for (let i = 0; i < all.length; i++) all[i] = h * values[i] + delta[i];
  const own = (numbers: Float64Array, { at, size }: SelectedParameter) => numbers.subarray(at, at + size);
  const blocks = selection.parameters.map((selected) => {
    return { selected, ...shapeOf(selected), qb: undefined, qa: undefined, values: own(all, selected) };
  });
  const gradient = () => prior.sums(all.map((p, i) => delta[i] / p));
  const diagonals = (part: DiagonalCurvature) => selection.parameters.map((selected) => own(part.values, selected));
  return new FactoredPrecision(selection.size, blocks, gradient, diagonals);
}
