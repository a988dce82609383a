// The diagonal alone: exact, without correlations.

import { oneStep } from "../../kernels/steps.ts";
import { factoredMemory } from "../bytes.ts";
import { passOf, type Row } from "../structure.ts";
import { DiagonalCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { diagonalPrecision } from "./precision.ts";
import { diagonalSums } from "./sums.ts";

export const diagonal: Row<DiagonalCurvature> = {
  options: [],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  passes: () => [passOf(diagonalSums)],
  precision: (curvature, h, prior) => oneStep(() => diagonalPrecision(curvature, h, prior)),
  memory: factoredMemory(false, (_, vector) => {
    return { curvature: vector, factoring: 5 * vector, first: 2 * vector, held: vector };
  }),
  columnSums: ({ values }) => [values],
  lift: ({ values }, selection, examples, sums = [values]) => new DiagonalCurvature(selection, examples, sums[0]),
  fields: [],
  write,
  read,
};
