// The structures that a program has, by their names: each is a folder and a row.

import { OptionError } from "../errors.ts";
import { dryRun, sized } from "../kernels/dry-run.ts";
import { atOnce } from "../kernels/steps.ts";
import type { Curvature, Structure } from "./curvature.ts";
import type { hessian as Hessian } from "./hessian.ts";
import type { Precision } from "./precision.ts";
import { Prior } from "./prior.ts";
import type { Selection } from "./selection.ts";
import type { Row, Sizes } from "./structure.ts";

const rows = new Map<Structure, Row>();

/** Those that there are now, in the order in which they came. */
export const table = (): readonly Row[] => [...rows.values()];

/**
 * Brings structures into the program. Who takes them by name brings all (`all.ts`), when called and not before: so a bundle of
 * what is given its structure as a value has no other.
 */
export function bring(...some: readonly Row[]): void {
  for (const row of some) rows.set(row.name, row);
}

let hessian: typeof Hessian | undefined;

/** Brings the exact Hessian, which `laplace-ts/mini` does not have. */
export function bringHessian(brought: typeof Hessian): void {
  hessian = brought;
}

/** What was brought. */
export const broughtHessian = (): typeof Hessian => hessian as typeof Hessian;

/** The matrices that there are. */
export const kinds = () =>
  ["ggn", "monteCarlo", "empiricalFisher", ...(hessian === undefined ? [] : (["hessian"] as const))] as const;

/** The row of a structure that was brought. */
export const rowNamed = (structure: Structure): Row => rows.get(structure) as Row;

/** The row of a curvature, or of what else has a structure. */
export function rowOf({ structure }: Pick<Curvature, "structure">): Row {
  return rowNamed(structure);
}

/** Lengths where nothing was said of them. */
export const anySizes: Sizes = { rank: "auto", points: 1 };

/** The precision of a curvature of lengths alone, for dry runs, and what a dry run counts until its determinant is known. */
export function dryPrecision(structure: Structure, selection: Selection, sizes = anySizes) {
  const { dry, precision: factor } = rowNamed(structure);
  const prior = new Prior(selection, Float64Array.of(1), sized(selection.size));
  let precision: Precision | undefined;
  const bytes = dryRun(() => {
    precision = atOnce(factor(dry(selection, sizes), 1, prior, { damping: false }));
    return precision.logDeterminant;
  });
  return { precision: precision as Precision | undefined as Precision, bytes };
}

/** Bytes of a curvature's arrays. */
export function curvatureBytes(structure: Structure, selection: Selection, sizes: Sizes): number {
  const { dry, write } = rowNamed(structure);
  const arrays = new Set<Float64Array>();
  write(dry(selection, sizes), (_, values) => arrays.add(values));
  return [...arrays].reduce((sum, { length }) => sum + 8 * length, 0);
}

const named = (fits: (row: Row) => boolean) =>
  table()
    .filter(fits)
    .map(({ name }) => `"${name}"`)
    .join(", ");

/** @throws OptionError for single weights in a structure of whole parameters */
export function checkWeights(where: string, structure: Structure, selection: Selection): void {
  if (selection.whole || rowNamed(structure).takes.singleWeights) return;
  throw new OptionError(
    `${where}: the structure "${structure}" takes whole parameters, not single weights of one. Structures that fit: ${named(({ takes }) => takes.singleWeights)}.`,
  );
}

/** @throws OptionError for a prior of one number for each weight in a structure of eigenbases */
export function checkPrior(where: string, structure: Structure, prior: Prior): void {
  if (prior.structure !== "perWeight" || rowNamed(structure).takes.weightPriors) return;
  throw new OptionError(
    `${where}: with the structure "${structure}" the prior precision is one number, or one for each parameter: it is added in the factors' eigenbasis. Structures that take one for each weight: ${named(({ takes }) => takes.weightPriors)}.`,
  );
}
