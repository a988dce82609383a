// Solutions of linear systems by products with their matrix.

import { dot } from "../array/dot.ts";
import { ValueError } from "../errors.ts";

/** x with (H + shift) x = b (Hestenes & Stiefel 1952). @throws ValueError where the matrix is not positive along a direction */
export function conjugateGradients(
  times: (v: Float64Array) => Float64Array,
  b: Float64Array,
  shift: number,
  tolerance: number,
  products: number,
  before: (v: Float64Array) => Float64Array,
) {
  const x = new Float64Array(b.length);
  const r = b.slice();
  const norm = Math.sqrt(dot(b, b)) || 1;
  let z = before(r);
  let p = z.slice();
  let rz = dot(r, z);
  let taken = 0;
  while (taken < products && Math.sqrt(dot(r, r)) > tolerance * norm) {
    const hp = times(p).map((entry, i) => entry + shift * p[i]);
    taken++;
    const curve = dot(p, hp);
    if (!(curve > 0)) {
      throw new ValueError(
        `solve: the matrix with the shift ${shift} is not positive along a direction (pᵀHp = ${curve}). Likely cause: a curvature without full rank, or an exact Hessian with negative eigenvalues. Raise the shift.`,
      );
    }
    const length = rz / curve;
    for (let i = 0; i < x.length; i++) {
      x[i] += length * p[i];
      r[i] -= length * hp[i];
    }
    z = before(r);
    const next = dot(r, z);
    const share = next / rz;
    rz = next;
    p = p.map((entry, i) => z[i] + share * entry);
  }
  return { x, residual: Math.sqrt(dot(r, r)) / norm, taken };
}
