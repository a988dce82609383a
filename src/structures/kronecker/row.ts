// A Kronecker product for each parameter.

import { passOf, type Row } from "../structure.ts";
import { columnsInA, dryFactors, KroneckerCurvature } from "./curvature.ts";
import { fields, read, write } from "./file.ts";
import { kroneckerPrecision } from "./precision.ts";
import { factorSums } from "./sums.ts";

/** The structure "kronecker", as a value: a Kronecker product for each parameter. */
export const kronecker: Row<KroneckerCurvature> = {
  name: "kronecker",
  options: ["sharing", "damping"],
  agree: ["sharing"],
  takes: { singleWeights: false, weightPriors: false },
  takesSpread: () => true,
  passes: () => [passOf(factorSums)],
  precision: kroneckerPrecision,
  dry: dryFactors,
  columnSums: ({ blocks }) => blocks.map((block) => (columnsInA(block) ? (block.a as Float64Array) : block.b)),
  lift(curvature, selection, examples, sums) {
    const others = curvature.blocks.map((block, i) =>
      sums === undefined ? block : columnsInA(block) ? { ...block, a: sums[i] } : { ...block, b: sums[i] },
    );
    return curvature.remade(selection, examples, others);
  },
  finer: ({ expanded }) => expanded,
  withFiner: ({ selection, examples, blocks }, finer) => new KroneckerCurvature(selection, examples, blocks, finer),
  fields,
  write,
  read,
};
