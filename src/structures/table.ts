// The structures: a folder and a row each.

import { OptionError } from "../errors.ts";
import { type Curvature, type Structure, structures } from "./curvature.ts";
import { diagonal } from "./diagonal/row.ts";
import { ekfac } from "./ekfac/row.ts";
import { full } from "./full/row.ts";
import { kronecker } from "./kronecker/row.ts";
import type { Prior } from "./prior.ts";
import type { Selection } from "./selection.ts";
import type { Row } from "./structure.ts";

export const table: Readonly<Record<Structure, Row>> = { full, diagonal, kronecker, ekfac };

/** The row of a curvature, or of what else has a structure. */
export function rowOf({ structure }: Pick<Curvature, "structure">): Row {
  return table[structure];
}

const named = (fits: (row: Row) => boolean) =>
  structures
    .filter((name) => fits(table[name]))
    .map((name) => `"${name}"`)
    .join(", ");

/** @throws OptionError for single weights in a structure of whole parameters */
export function checkWeights(where: string, structure: Structure, selection: Selection): void {
  if (selection.whole || table[structure].takes.singleWeights) return;
  throw new OptionError(
    `${where}: the structure "${structure}" takes whole parameters, not single weights of one. Structures that fit: ${named(({ takes }) => takes.singleWeights)}.`,
  );
}

/** @throws OptionError for a prior of one number for each weight in a structure of eigenbases */
export function checkPrior(where: string, structure: Structure, prior: Prior): void {
  if (prior.structure !== "perWeight" || table[structure].takes.weightPriors) return;
  throw new OptionError(
    `${where}: with the structure "${structure}" the prior precision is one number, or one for each parameter: it is added in the factors' eigenbasis. Structures that take one for each weight: ${named(({ takes }) => takes.weightPriors)}.`,
  );
}
