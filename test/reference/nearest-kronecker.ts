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

/** B ⊗ A of each group, with the B that is nearest to the block with A: B_oq = Σ_ij G_(oi)(qj) A_ij / ‖A‖². */
export function bestLeft(block: Matrix, groups: number, outputs: number, inputs: number, a: readonly Matrix[]): Matrix {
  const result = block.map((row) => row.map(() => 0));
  for (let g = 0; g < groups; g++) {
    const at = (o: number, i: number) => (g * outputs + o) * inputs + i;
    const square = a[g].flat().reduce((sum, x) => sum + x * x, 0);
    for (let o = 0; o < outputs; o++) {
      for (let q = 0; q < outputs; q++) {
        let sum = 0;
        for (let i = 0; i < inputs; i++) for (let j = 0; j < inputs; j++) sum += block[at(o, i)][at(q, j)] * a[g][i][j];
        if (square === 0) continue;
        for (let i = 0; i < inputs; i++) {
          for (let j = 0; j < inputs; j++) result[at(o, i)][at(q, j)] = (sum / square) * a[g][i][j];
        }
      }
    }
  }
  return result;
}

/**
 * The product B ⊗ A that is nearest in the Frobenius norm, by the singular values of Van Loan's rearrangement R, [outputs², inputs²] with
 * R_(oq)(ij) = G_(oi)(qj): the eigenvectors of Rᵀ R in full; and the ratio of the second largest singular value to the largest. @param eigh eigenvalues, ascending, and vectors in columns
 */
export function frobeniusNearest(
  block: Matrix,
  outputs: number,
  inputs: number,
  eigh: (matrix: Matrix) => { values: ArrayLike<number>; vectors: ArrayLike<number> },
): { readonly nearest: Matrix; readonly ratio: number } {
  const r: Matrix = [];
  for (let o = 0; o < outputs; o++) {
    for (let q = 0; q < outputs; q++) {
      const row: number[] = [];
      for (let i = 0; i < inputs; i++) for (let j = 0; j < inputs; j++) row.push(block[o * inputs + i][q * inputs + j]);
      r.push(row);
    }
  }
  const n = inputs * inputs;
  const gram = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => r.reduce((sum, row) => sum + row[i] * row[j], 0)),
  );
  const { values, vectors } = eigh(gram);
  const a = Array.from({ length: n }, (_, i) => vectors[i * n + n - 1]);
  const b = r.map((row) => row.reduce((sum, x, i) => sum + x * a[i], 0));
  const nearest = block.map((row, x) =>
    row.map((_, y) => {
      const [o, i, q, j] = [Math.floor(x / inputs), x % inputs, Math.floor(y / inputs), y % inputs];
      return b[o * outputs + q] * a[i * inputs + j];
    }),
  );
  const second = n === 1 ? 0 : Math.max(0, values[n - 2]);
  return { nearest, ratio: values[n - 1] > 0 ? Math.sqrt(second / values[n - 1]) : 0 };
}
