// The structures: a folder and a row each.

import { OptionError } from "../errors.ts";
import { dryRun, sized } from "../kernels/dry-run.ts";
import { atOnce } from "../kernels/steps.ts";
import { type Curvature, type Structure, structures } from "./curvature.ts";
import { diagonal } from "./diagonal/row.ts";
import { ekfac } from "./ekfac/row.ts";
import { full } from "./full/row.ts";
import { kronecker } from "./kronecker/row.ts";
import type { Precision } from "./precision.ts";
import { Prior } from "./prior.ts";
import type { Selection } from "./selection.ts";
import type { Row } from "./structure.ts";

export const table: Readonly<Record<Structure, Row>> = { full, diagonal, kronecker, ekfac };

/** The row of a curvature, or of what else has a structure. */
export function rowOf({ structure }: Pick<Curvature, "structure">): Row {
  return table[structure];
}

/** The precision of a curvature of lengths alone, for dry runs, and what a dry run counts until its determinant is known. */
export function dryPrecision(structure: Structure, selection: Selection) {
  const { dry, precision: factor } = table[structure];
  const prior = new Prior(selection, Float64Array.of(1), sized(selection.size));
  let precision: Precision | undefined;
  const bytes = dryRun(() => {
    precision = atOnce(factor(dry(selection), 1, prior, { damping: false }));
    return precision.logDeterminant;
  });
  return { precision: precision as Precision | undefined as Precision, bytes };
}

/** Bytes of a curvature's arrays. */
export function curvatureBytes(structure: Structure, selection: Selection): number {
  const { dry, write } = table[structure];
  const arrays = new Set<Float64Array>();
  write(dry(selection), (_, values) => arrays.add(values));
  return [...arrays].reduce((sum, { length }) => sum + 8 * length, 0);
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
