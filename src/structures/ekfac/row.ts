// Kronecker eigenbases, and the curvature's own diagonal in them.

import { oneStep } from "../../kernels/steps.ts";
import { factorBytes, factoredMemory } from "../bytes.ts";
import { basisSums, sharesPositions } from "../kronecker/sums.ts";
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
  precision: (curvature, h, prior) => oneStep(() => ekfacPrecision(curvature, h, prior)),
  memory: factoredMemory(
    true,
    (selection, vector) => {
      return { curvature: factorBytes(selection).bases, factoring: 4 * vector, first: vector, held: vector };
    },
    (selection, sharing) => {
      const { factors, bases, peak } = factorBytes(selection);
      // Reduced factors come with the expanded ones, where they differ.
      const left = sharing === "reduce" && sharesPositions(selection) ? 2 * factors : factors;
      return { left, made: bases, peak };
    },
  ),
  columnSums: ({ blocks }) => blocks.map(({ values }) => values),
  lift({ blocks }, selection, examples, sums) {
    const others = sums === undefined ? blocks : blocks.map((block, i) => ({ ...block, values: sums[i] }));
    return new EkfacCurvature(selection, examples, others);
  },
  fields: [],
  write,
  read,
};
