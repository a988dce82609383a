// All structures, for what takes them by their names.

import { diagonal } from "./diagonal/row.ts";
import { ekfac } from "./ekfac/row.ts";
import { full } from "./full/row.ts";
import { kronecker } from "./kronecker/row.ts";
import { lowRank } from "./lowrank/row.ts";
import { bring } from "./table.ts";

/** Brings all structures into the program. */
export const bringAll = (): void => bring(full, diagonal, kronecker, ekfac, lowRank);
