// The largest eigenvalues and their vectors.

import { isIterator } from "../../data/batches.ts";
import { readBudget } from "../../errors.ts";
import { sized } from "../../kernels/dry-run.ts";
import { oneStep } from "../../kernels/steps.ts";
import type { Row } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { squaresPasses } from "./passes.ts";
import { lowRankPrecision } from "./precision.ts";
import { lengthOf, rowsWithin } from "./rows.ts";
import { sketchSize } from "./sketch.ts";

/** The structure "lowRank", as a value: the largest eigenvalues and their vectors. */
export const lowRank: Row<LowRankCurvature> = {
  name: "lowRank",
  options: ["rank"],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  takesSpread: () => false,
  together: true,
  readOwn(where, _, { memoryBudget }) {
    const withRows = rowsWithin(readBudget(where, memoryBudget));
    return {
      withRows,
      draw: (where, plan, data, adds) =>
        oneStep(() => withRows(plan, lengthOf(where, data), !adds && !isIterator(data))),
    };
  },
  passes: squaresPasses,
  precision: lowRankPrecision,
  dry(selection, { rank, signed, rows }) {
    const { size } = selection;
    const b = sketchSize(rank, size, rows);
    const basis = signed === true ? sized(b === size ? 0 : b * size) : undefined;
    return new LowRankCurvature(selection, 0, rank, sized(b * size), sized(1), undefined, basis);
  },
  columnSums: ({ sketch, trace }) => [sketch, trace],
  lift: ({ rank, sketch, trace, rows, basis }, selection, examples, sums = [sketch, trace]) =>
    new LowRankCurvature(selection, examples, rank, sums[0], sums[1], rows, basis),
  fields: ["rank", "signed", "rows", "directions"],
  write,
  read,
};
