// Solutions of linear systems by products with their matrix.

import { dot } from "../array/dot.ts";
import type { Steps } from "../kernels/steps.ts";

/** A system H x = b with a positive matrix, and when its solution is good enough. */
export interface System<Report> {
  times(v: Float64Array): Steps<Float64Array, Report>;
  readonly b: Float64Array;
  /** An approximation of H⁻¹ r. */
  before(r: Float64Array): Float64Array;
  /** Products at most. */
  readonly products: number;
  /** @param rz rᵀ before(r) */
  enough(r: Float64Array, rz: number): boolean;
}

/** What was found: the solution so far, b − H x, the products taken, and pᵀHp of a direction p in which H is not positive. */
export interface Solved {
  readonly x: Float64Array;
  readonly residual: Float64Array;
  readonly taken: number;
  readonly notPositive: number | undefined;
}

/** Conjugate gradients (Hestenes & Stiefel 1952), until it is enough, or the matrix is not positive along a direction. */
export function* conjugateGradients<Report>(system: System<Report>): Steps<Solved, Report> {
  const { b, products } = system;
  const [x, residual] = [new Float64Array(b.length), b.slice()];
  let z = system.before(residual);
  let rz = dot(residual, z);
  const p = z.slice();
  let taken = 0;
  while (taken < products && !system.enough(residual, rz)) {
    const hp = yield* system.times(p);
    taken++;
    const curve = dot(p, hp);
    if (!(curve > 0)) return { x, residual, taken, notPositive: curve };
    const length = rz / curve;
    for (let i = 0; i < x.length; i++) {
      x[i] += length * p[i];
      residual[i] -= length * hp[i];
    }
    z = system.before(residual);
    const next = dot(residual, z);
    for (let i = 0; i < p.length; i++) p[i] = z[i] + (next / rz) * p[i];
    rz = next;
  }
  return { x, residual, taken, notPositive: undefined };
}
