// The Kronecker product nearest to a positive definite matrix, by dense formulas.

import { inverted, kroneckerProduct, type Matrix } from "./laplace.ts";

/**
 * N ⊗ K, of each group, with the least ½ (tr(P (N ⊗ K)⁻¹) + log det (N ⊗ K)): each factor in turn is the best with the other,
 * N = Tr_K(P (1 ⊗ K⁻¹)) / inputs.
 */
export function nearestKroneckerProduct(p: Matrix, groups: number, outputs: number, inputs: number): Matrix {
  const size = outputs * inputs;
  const result = p.map((row) => row.map(() => 0));
  for (let g = 0; g < groups; g++) {
    const at = (o: number, i: number) => g * size + o * inputs + i;
    let left: Matrix = identity(outputs);
    let right: Matrix = identity(inputs);
    for (let turn = 0; turn < 400; turn++) {
      const { inverse: k } = inverted(right);
      left = left.map((row, o) =>
        row.map((_, q) => {
          let sum = 0;
          for (let i = 0; i < inputs; i++) for (let j = 0; j < inputs; j++) sum += p[at(o, i)][at(q, j)] * k[j][i];
          return sum / inputs;
        }),
      );
      const { inverse: n } = inverted(left);
      right = right.map((row, i) =>
        row.map((_, j) => {
          let sum = 0;
          for (let o = 0; o < outputs; o++) for (let q = 0; q < outputs; q++) sum += p[at(o, i)][at(q, j)] * n[q][o];
          return sum / outputs;
        }),
      );
    }
    kroneckerProduct(left, right).forEach((row, i) => {
      row.forEach((value, j) => {
        result[g * size + i][g * size + j] = value;
      });
    });
  }
  return result;
}

const identity = (n: number): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
