// The largest eigenvalues and their vectors.

import { sized } from "../../kernels/dry-run.ts";
import { passOf, type Row } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { lowRankPrecision } from "./precision.ts";
import { sketchSize } from "./sketch.ts";
import { lowRankSums } from "./sums.ts";

/** The structure "lowRank", as a value: the largest eigenvalues and their vectors. */
export const lowRank: Row<LowRankCurvature> = {
  name: "lowRank",
  options: ["rank"],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  takesSpread: () => false,
  together: true,
  passes: ({ rank }) => [passOf(lowRankSums(rank))],
  precision: lowRankPrecision,
  dry(selection, { rank, signed }) {
    const { size } = selection;
    const b = sketchSize(rank, size);
    const basis = signed === true ? sized(b === size ? 0 : b * size) : undefined;
    return new LowRankCurvature(selection, 0, rank, sized(b * size), sized(1), basis);
  },
  columnSums: ({ sketch, trace }) => [sketch, trace],
  lift: ({ rank, sketch, trace, basis }, selection, examples, sums = [sketch, trace]) =>
    new LowRankCurvature(selection, examples, rank, sums[0], sums[1], basis),
  fields: ["rank", "signed"],
  write,
  read,
};
