// The nearest Kronecker product for each parameter.

import { KroneckerCurvature } from "../kronecker/curvature.ts";
import { kronecker } from "../kronecker/row.ts";
import { factorSums } from "../kronecker/sums.ts";
import { passOf, type Row } from "../structure.ts";
import { KfocCurvature } from "./curvature.ts";
import { dryKfoc, lastTurn, turns } from "./sums.ts";

/** The structure "kfoc", as a value: the Kronecker product for each parameter that is nearest to its block, in the Frobenius norm. */
export const kfoc: Row<KfocCurvature> = {
  ...(kronecker as Row<never>),
  name: "kfoc",
  options: ["basis"],
  takesSpread: () => false,
  together: true,
  takesBasis: (basis) => basis instanceof KroneckerCurvature,
  passes: ({ basis }) =>
    basis ? [lastTurn] : [passOf((options) => factorSums({ ...options, sharing: "expand" })), ...turns],
  dry: dryKfoc,
  read: (selection, examples, ...from) =>
    new KfocCurvature(selection, examples, kronecker.read(selection, examples, ...from).blocks),
};
