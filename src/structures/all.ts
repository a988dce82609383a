// All structures, for what takes them by their names.

import { bringSpectrum } from "../linalg/spectrum.ts";
import { diagonal } from "./diagonal/row.ts";
import { ekfac } from "./ekfac/row.ts";
import { fullWithHead } from "./full/head.ts";
import { functional } from "./functional/row.ts";
import { hessian } from "./hessian.ts";
import { kfoc } from "./kfoc/row.ts";
import { kronecker } from "./kronecker/row.ts";
import { lowRank } from "./lowrank/row.ts";
import { operator } from "./operator/row.ts";
import { bring, bringHessian } from "./table.ts";

/** Brings all structures into the program, the exact Hessian and eigenvalues. */
export function bringAll(): void {
  bring(fullWithHead, diagonal, kronecker, ekfac, kfoc, lowRank, functional, operator);
  bringHessian(hessian);
  bringSpectrum();
}
