// Kronecker eigenbases, and the curvature's own diagonal in them.

import { basisSums } from "../kronecker/sums.ts";
import { passOf, type Row } from "../structure.ts";
import { EkfacCurvature } from "./curvature.ts";
import { read, write } from "./file.ts";
import { ekfacPrecision } from "./precision.ts";
import { corrections } from "./sums.ts";

export const ekfac: Row<EkfacCurvature> = {
  options: ["sharing", "basis"],
  agree: [],
  takes: { singleWeights: false, weightPriors: false },
  passes: (basis) => (basis ? [corrections] : [passOf(basisSums), corrections]),
  precision: ekfacPrecision,
  columnSums: ({ blocks }) => blocks.map(({ values }) => values),
  lift({ blocks }, selection, examples, sums) {
    const others = sums === undefined ? blocks : blocks.map((block, i) => ({ ...block, values: sums[i] }));
    return new EkfacCurvature(selection, examples, others);
  },
  fields: [],
  write,
  read,
};
