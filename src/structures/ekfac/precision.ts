// The posterior precision in an eigenbasis with corrected eigenvalues.

import { eigenPrecision } from "../factored.ts";
import type { Prior } from "../prior.ts";
import type { EkfacCurvature } from "./curvature.ts";

/** P = h Q diag(values) Qᵀ + δ, for each block. */
export function ekfacPrecision(curvature: EkfacCurvature, h: number, prior: Prior) {
  return eigenPrecision(curvature, curvature.blocks, h, prior, false, ({ blocks }) =>
    blocks.map(({ values }) => values),
  );
}
