// The posterior precision that is diagonal in the weights themselves.

import { shapeOf } from "../eigenblocks.ts";
import { FactoredPrecision } from "../factored.ts";
import type { Prior } from "../prior.ts";
import type { SelectedParameter } from "../selection.ts";
import type { DiagonalCurvature } from "./curvature.ts";

/** P = h diag(H) + P₀ */
export function diagonalPrecision(curvature: DiagonalCurvature, h: number, prior: Prior) {
  const { values, selection } = curvature;
  const delta = prior.spread();
  const all = values.map((x, i) => h * x + delta[i]);
  const own = (numbers: Float64Array, { at, size }: SelectedParameter) => numbers.subarray(at, at + size);
  const blocks = selection.parameters.map((selected) => {
    return { selected, ...shapeOf(selected), qb: undefined, qa: undefined, values: own(all, selected) };
  });
  const gradient = () => prior.sums(all.map((p, i) => delta[i] / p));
  const diagonals = (part: DiagonalCurvature) => selection.parameters.map((selected) => own(part.values, selected));
  return new FactoredPrecision(curvature, blocks, gradient, diagonals);
}
