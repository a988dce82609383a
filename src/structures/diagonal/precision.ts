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
  const { precision, structure } = prior;
  const perWeight = structure === "perWeight";
  /** δ of a parameter's weights. */
  const deltaOf = (p: number) => precision[structure === "scalar" ? 0 : p];
  const all = keptNumbers(values.length);
  selection.parameters.forEach(({ at, size }, p) => {
    const delta = deltaOf(p);
    for (let i = at; i < at + size; i++) all[i] = h * values[i] + (perWeight ? precision[i] : delta);
  });
  const own = (numbers: Float64Array, { at, size }: SelectedParameter) => numbers.subarray(at, at + size);
  const blocks = selection.parameters.map((selected) => {
    return { selected, ...shapeOf(selected), qb: undefined, qa: undefined, values: own(all, selected) };
  });
  const gradient = () => {
    if (perWeight) return all.map((one, i) => precision[i] / one);
    const result = new Float64Array(precision.length);
    selection.parameters.forEach(({ at, size }, p) => {
      const delta = deltaOf(p);
      let sum = 0;
      for (let i = at; i < at + size; i++) sum += delta / all[i];
      result[structure === "scalar" ? 0 : p] += sum;
    });
    return result;
  };
  const diagonals = (part: DiagonalCurvature) => selection.parameters.map((selected) => own(part.values, selected));
  return new FactoredPrecision(selection.size, blocks, gradient, diagonals);
}
