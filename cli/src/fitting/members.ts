// Rows of a table as numbers, and the models that posteriors of them make together.

import {
  mixture,
  type Posterior,
  type Steps,
  type TableEncoding,
  type TableModel,
  tableModel,
  ValueError,
} from "laplace-ts";
import type { Numbers, Rows } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";
import { withGaps } from "./gaps.ts";
import { scaled } from "./scales.ts";

/** Rows of a table, encoded. */
export interface Prepared {
  readonly rows: Rows;
  readonly encoding: TableEncoding;
  readonly numbers: Numbers;
  /** Divides the rows as the table's are. */
  readonly divide: (share: number, seed: number) => Division;
}

/** A posterior of a mixture. */
export interface Member {
  readonly posterior: Posterior;
  readonly weight: number;
  /** That of its mean, of numbers (default: the weight). */
  readonly meanWeight?: number | undefined;
  /** That of its uncertainty. */
  readonly scale: number;
}

/** A model of posteriors of the same rows, in steps; no row is far yet. */
export function* modelOf(
  members: readonly Member[],
  { encoding, numbers }: Pick<Prepared, "encoding" | "numbers">,
  approximation: TableModel["approximation"],
): Steps<TableModel> {
  if (members.length === 0) throw new ValueError("fit: no candidate predicts the rows that choose among them.");
  const found = [];
  for (const { posterior, scale } of members) found.push(yield* withGaps(scaled(posterior, scale), encoding, numbers));
  const weights = members.map(({ weight }) => weight);
  // How far values that are missing may be from the others, the heaviest says for all.
  const { encoding: whole } = found[weights.indexOf(Math.max(...weights))];
  const posteriors = found.map(({ posterior }) => posterior);
  const names = new Set(posteriors.map(({ likelihood: { name, dispersion = "" } }) => `${name} ${dispersion}`));
  const mixed = { posteriors, weights: shares(weights) };
  const own = members.map(({ weight, meanWeight = weight }) => meanWeight);
  const apart = members.length > 1 && own.some((one, k) => one !== weights[k]) && own.some((one) => one > 0);
  return tableModel({
    mixture: names.size > 1 ? mixed : mixture(posteriors, weights),
    encoding: whole,
    approximation,
    ...(apart && { meanWeights: shares(own) }),
  });
}

/** Weights with sum 1. */
function shares(weights: readonly number[]): Float64Array {
  const sum = weights.reduce((all, one) => all + one, 0);
  return Float64Array.from(weights, (weight) => weight / sum);
}
