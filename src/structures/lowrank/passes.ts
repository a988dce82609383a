// Passes of a low rank over rows of the Jacobian.

import { allocateFloats, scope } from "../../kernels/memory.ts";
import { type Pass, type PassOptions, passOf } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { BLOCK, krylovPasses } from "./krylov.ts";
import { nystrom, productsOf } from "./nystrom.ts";
import { directions, SPARE, sketchSize } from "./sketch.ts";
import { lowRankSums } from "./sums.ts";

/** Passes at most. */
const MOST_PASSES = 12;

/** Of rows r of the Jacobian, H = Σ rᵀ r: one pass, or as many as a space takes where the data may be gone through again. */
export function squaresPasses({ selection: all, rank, rows }: PassOptions): readonly Pass[] {
  const { size: n } = all;
  if (rows !== "again") return [passOf(lowRankSums(rank, rows))];
  const b = sketchSize(rank, n);
  // What is found is kept by its products with b random directions, which say all of a matrix of this rank.
  const q = b - SPARE;
  return krylovPasses({
    ...{ all, rank, q, block: Math.max(BLOCK, Math.ceil(q / MOST_PASSES)), probes: 0 },
    along: (rows) => lowRankSums(rank, undefined, rows),
    *made(basis, products, { selection, examples, trace }) {
      const found = yield* nystrom(basis, q, products, n);
      return new LowRankCurvature(selection, examples, rank, yield* productsOf(found, directions(n, b), n), trace);
    },
    dryMade: () => scope(() => allocateFloats("float64", 4 * q * n)),
  });
}
