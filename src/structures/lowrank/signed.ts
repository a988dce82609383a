// Passes of an exact Hessian of low rank, whose eigenvalues have either sign.

import { oneStep } from "../../kernels/steps.ts";
import type { Likelihood } from "../../likelihood/likelihood.ts";
import { type Accumulator, type Rank, symmetric } from "../curvature.ts";
import { hessianSums } from "../hessian-sums.ts";
import type { Selection } from "../selection.ts";
import { type Pass, passOf, type SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { BLOCK, krylovPasses } from "./krylov.ts";
import { PROBES, sketchSize } from "./sketch.ts";

/** Of an exact Hessian: one pass up to 1024 weights; beyond, one for each ten directions. */
export function signedPasses(likelihood: Likelihood, all: Selection, rank: Rank): readonly Pass[] {
  const { size: n } = all;
  const b = sketchSize(rank, n);
  const along =
    (rows: Float64Array | "all") =>
    ({ selection }: SumOptions) =>
      hessianSums(likelihood, selection, rows, function* (sums, examples) {
        const sketch = rows === "all" ? yield* symmetric(sums, n) : new Float64Array(rows.length);
        if (rows !== "all") sums(0, rows.length, sketch, 0);
        // One of its own: a worker gives away the memory of what it answers.
        const basis = rows === "all" ? new Float64Array(0) : undefined;
        return new LowRankCurvature(selection, examples, rank, sketch, new Float64Array(1), undefined, basis);
      }) as Accumulator<LowRankCurvature>;
  if (b === n) return [passOf(along("all"))];
  return krylovPasses({
    ...{ all, rank, q: b - PROBES, block: BLOCK, probes: PROBES, along },
    made: (basis, products, { selection, examples, trace }) =>
      oneStep(() => new LowRankCurvature(selection, examples, rank, products, trace, undefined, basis)),
  });
}
