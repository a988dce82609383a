// The slow way to the curvature as the functions at some points see it.

import { eigh } from "../../src/index.ts";
import { type Matrix, product, transposed } from "./laplace.ts";

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** Orthonormal rows with the span of these, by Gram and Schmidt, twice; what is left of a row by less than a part is nothing. */
export function spanOf(rows: Matrix, part = 1e-8): Matrix {
  const basis: Matrix = [];
  for (const row of rows) {
    let rest = row;
    for (let pass = 0; pass < 2; pass++) {
      for (const direction of basis) {
        const along = dot(rest, direction);
        rest = rest.map((x, i) => x - along * direction[i]);
      }
    }
    const length = Math.sqrt(dot(rest, rest));
    if (length > part * Math.sqrt(dot(row, row))) basis.push(rest.map((x) => x / length));
  }
  return basis;
}

/** H V (Vᵀ H V)⁺ Vᵀ H of orthonormal rows Vᵀ. */
export function seenBy(h: Matrix, basis: Matrix): Matrix {
  const sketch = product(basis, h);
  const { values, vectors } = eigh(product(sketch, transposed(basis)));
  const k = values.size;
  const result = h.map((row) => row.map(() => 0));
  for (let e = 0; e < k; e++) {
    const value = values.data[e];
    if (!(value > 1e-11 * values.data[k - 1])) continue;
    const [row] = product([basis.map((_, i) => vectors.data[i * k + e])], sketch);
    for (let a = 0; a < row.length; a++) for (let b = 0; b < row.length; b++) result[a][b] += (row[a] * row[b]) / value;
  }
  return result;
}
