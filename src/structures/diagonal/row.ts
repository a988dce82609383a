// The diagonal alone: exact, without correlations.

import { sized } from "../../kernels/dry-run.ts";
import { oneStep } from "../../kernels/steps.ts";
import { passOf, type Row } from "../structure.ts";
import { DiagonalCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { diagonalPrecision } from "./precision.ts";
import { diagonalSums } from "./sums.ts";

/** The structure "diagonal", as a value: the diagonal alone. */
export const diagonal: Row<DiagonalCurvature> = {
  name: "diagonal",
  options: [],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  takesSpread: () => true,
  passes: () => [passOf(diagonalSums)],
  precision: (curvature, h, prior) => oneStep(() => diagonalPrecision(curvature, h, prior)),
  dry: (selection) => new DiagonalCurvature(selection, 0, sized(selection.size)),
  columnSums: ({ values }) => [values],
  lift: ({ values }, selection, examples, sums = [values]) => new DiagonalCurvature(selection, examples, sums[0]),
  fields: [],
  write,
  read,
};
