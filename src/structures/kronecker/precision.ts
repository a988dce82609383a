// The posterior precision in the eigenbases of Kronecker factors.

import type { Steps } from "../../kernels/steps.ts";
import { diagonalInBasis } from "../eigenblocks.ts";
import { eigenPrecision } from "../factored.ts";
import type { Precision, PrecisionOptions } from "../precision.ts";
import type { Prior } from "../prior.ts";
import { columnsInA, type KroneckerCurvature } from "./curvature.ts";

/** P = h B ⊗ A + δ, or with damping (√h B + √δ) ⊗ (√h A + √δ), for each block. */
export function* kroneckerPrecision(
  curvature: KroneckerCurvature,
  h: number,
  prior: Prior,
  { damping }: PrecisionOptions,
): Steps<Precision> {
  const eigen = yield* curvature.decomposing();
  return eigenPrecision(curvature, eigen, h, prior, damping, ({ blocks }) =>
    blocks.map((block, i) => {
      const inA = columnsInA(block);
      return diagonalInBasis(eigen[i], inA ? (block.a as Float64Array) : block.b, inA);
    }),
  );
}
