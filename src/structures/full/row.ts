// The whole matrix: exact.

import { sized } from "../../kernels/dry-run.ts";
import { passOf, type Row } from "../structure.ts";
import { FullCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { fullPrecision } from "./precision.ts";
import { fullSums, soleLinearSite } from "./sums.ts";

/** The structure "full", as a value: the whole matrix. */
export const full: Row<FullCurvature> = {
  name: "full",
  options: [],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  // Between layers there are products of both.
  takesSpread: (selection, site) => !selection.sites().has(site) || soleLinearSite(selection) === site,
  // Of one layer it says which blocks there need not be.
  spreadFrom: (selection, site) => (soleLinearSite(selection) === site ? 5 : undefined),
  passes: () => [passOf(fullSums)],
  precision: fullPrecision,
  dry: (selection) => new FullCurvature(selection, 0, sized(selection.size ** 2)),
  columnSums: ({ matrix }) => [matrix],
  lift: ({ matrix }, selection, examples, sums = [matrix]) => new FullCurvature(selection, examples, sums[0]),
  fields: [],
  write,
  read,
};
