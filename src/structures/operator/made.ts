// What works by products, which a program has once it made a solver.

import type { Precision } from "../precision.ts";
import type { Prior } from "../prior.ts";
import type { Own } from "../structure.ts";
import type { OperatorCurvature } from "./curvature.ts";

/** Keeps data, and factors P = h H + P₀ of a curvature by products. */
export interface Made {
  readonly keep: NonNullable<Own["keep"]>;
  precision(curvature: OperatorCurvature, h: number, prior: Prior): Precision;
}

let brought: Made | undefined;

/** Has it from now on. */
export function bring(made: Made): void {
  brought = made;
}

/** What was brought. */
export const made = (): Made => brought as Made;
