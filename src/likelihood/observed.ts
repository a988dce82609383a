// The observed information: Λ as second derivatives of the loss at the data's own targets, which may be negative.

import { ValueError } from "../errors.ts";
import { semidefiniteRoot } from "./logit-draws.ts";
import type { NumberLikelihood, Row, RowLikelihood } from "./plain.ts";

/** What counts as rounding of 0, beside the expected information. */
const ROUNDING = 1e-10;
/** What counts as rounding of an entry of L Lᵀ, beside its diagonal's. */
const DIFFERENCE = 1e-6;

const rowText = (row: ArrayLike<number>) => `[${Array.from(row, (x) => Number(x.toPrecision(6))).join(", ")}]`;

/** L, lower triangular, with L Lᵀ = Λ, [n, n]; undefined where Λ has a negative eigenvalue or is not symmetric. */
export function informationRoot(information: Row, n: number): Row | undefined {
  const at = (i: number, j: number) => information[i * n + j];
  // A root is cut off where there is none: then it is that of another matrix.
  const root = semidefiniteRoot(information, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let product = 0;
      for (let k = 0; k <= Math.min(i, j); k++) product += root[i * n + k] * root[j * n + k];
      if (!(Math.abs(product - at(i, j)) <= DIFFERENCE * Math.sqrt(at(i, i) * at(j, j)))) return undefined;
    }
  }
  return root;
}

function refuse(name: string, what: string, f: string, y: string): never {
  throw new ValueError(
    `${name}: the observed information is ${what} at f = ${f} and the target ${y}, where the loss is not convex in the outputs: a Gaussian has no such curvature. Take curvature: "expected" in what defines the likelihood, which is never negative.`,
  );
}

/** Λ^½ at an output and its target. @throws ValueError where Λ is negative */
export function observedRoot(name: string, rule: NumberLikelihood, f: number, y: number): number {
  const value = rule.hessian?.(f, y) ?? Number.NaN;
  if (!(value >= -ROUNDING * rule.information(f))) refuse(name, String(value), String(f), String(y));
  return Math.sqrt(Math.max(value, 0));
}

/** Λ^½ at a row of outputs and its target; `to` takes Λ. @throws ValueError where Λ has a negative eigenvalue */
export function observedRowRoot(name: string, rule: RowLikelihood, f: Row, y: Row, to: Row): Row {
  rule.hessian?.(f, y, to.fill(0));
  const root = informationRoot(to, rule.outputs);
  return root ?? refuse(name, `${rowText(to)}, with a negative eigenvalue,`, rowText(f), rowText(y));
}
