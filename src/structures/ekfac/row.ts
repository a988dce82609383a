// Kronecker eigenbases, and the curvature's own diagonal in them.

import { oneStep } from "../../kernels/steps.ts";
import { basisSums } from "../kronecker/sums.ts";
import { passOf, type Row } from "../structure.ts";
import { EkfacCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { ekfacPrecision } from "./precision.ts";
import { corrections, dryBasis } from "./sums.ts";

/** The structure "ekfac", as a value: the Kronecker factors' eigenbasis, with the curvature's own diagonal in it. */
export const ekfac: Row<EkfacCurvature> = {
  name: "ekfac",
  options: ["sharing", "basis"],
  agree: [],
  takes: { singleWeights: false, weightPriors: false },
  takesSpread: () => true,
  passes: ({ basis }) => (basis ? [corrections] : [passOf(basisSums), corrections]),
  precision: (curvature, h, prior) => oneStep(() => ekfacPrecision(curvature, h, prior)),
  dry: (selection) => new EkfacCurvature(selection, 0, dryBasis(selection)),
  columnSums: ({ blocks }) => blocks.map(({ values }) => values),
  lift({ blocks }, selection, examples, sums) {
    const others = sums === undefined ? blocks : blocks.map((block, i) => ({ ...block, values: sums[i] }));
    return new EkfacCurvature(selection, examples, others);
  },
  fields: [],
  write,
  read,
};
