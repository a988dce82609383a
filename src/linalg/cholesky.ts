// Cholesky factorisation and what follows from it. Always in float64.

import { type ArrayLike, asArray, NDArray, shapeText } from "../array/ndarray.ts";
import { NotPositiveDefiniteError, ShapeError, ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { copyIn, copyOut, floats, type Pointer, scope } from "../kernels/memory.ts";

/** A symmetric matrix argument, in float64. @throws ShapeError, ValueError for what is not square, finite or symmetric */
export function readSymmetric(where: string, matrix: ArrayLike): NDArray {
  const a = asArray(matrix).as("float64");
  const [n, columns] = a.shape;
  if (a.rank !== 2 || n !== columns)
    throw new ShapeError(`${where}: a square matrix is due, not ${shapeText(a.shape)}.`);
  const { data } = a;
  let largest = 0;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      throw new ValueError(`${where}: the matrix has the value ${data[i]} at [${Math.floor(i / n)}, ${i % n}].`);
    }
    largest = Math.max(largest, Math.abs(data[i]));
  }
  // What float32 arithmetic leaves of symmetry passes; a matrix that was never symmetric does not.
  const tolerance = 1e-5 * largest;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const difference = Math.abs(data[i * n + j] - data[j * n + i]);
      if (difference > tolerance) {
        throw new ValueError(
          `${where}: the matrix is not symmetric: [${i}, ${j}] is ${data[i * n + j]} and [${j}, ${i}] is ${data[j * n + i]}.`,
        );
      }
    }
  }
  return a;
}

/** Right sides of n rows: a vector [n] or a matrix [n, k], in float64. */
export function readRightSide(where: string, right: ArrayLike, n: number): NDArray {
  const b = asArray(right).as("float64");
  if (b.rank < 1 || b.rank > 2 || b.shape[0] !== n) {
    throw new ShapeError(`${where}: right sides of ${n} rows are due, not of shape ${shapeText(b.shape)}.`);
  }
  return b;
}

/** The factor L of a positive definite matrix A = L Lᵀ: factored once, asked often. */
export class Cholesky {
  /** L, [n, n], zero above the diagonal. */
  readonly factor: NDArray;

  constructor(factor: NDArray) {
    this.factor = factor;
  }

  /** n, the order of the matrix. */
  get order(): number {
    return this.factor.shape[0];
  }

  /** log det A = 2 Σ log L[i, i]. */
  logDeterminant(): number {
    const n = this.order;
    let sum = 0;
    for (let i = 0; i < n; i++) sum += Math.log(this.factor.data[i * n + i]);
    return 2 * sum;
  }

  /** A⁻¹ b, for right sides [n] or [n, k]. @throws ShapeError */
  solve(right: ArrayLike): NDArray {
    return this.#apply("solve", right, (kernels, n, columns, l, b) => {
      kernels.solveForward(n, columns, l, n, 1, b, columns, 1);
      kernels.solveBackward(n, columns, l, 1, n, b, columns, 1);
    });
  }

  /** L⁻¹ b: white noise of what has the covariance A. @throws ShapeError */
  solveFactor(right: ArrayLike): NDArray {
    return this.#apply("solveFactor", right, (kernels, n, columns, l, b) => {
      kernels.solveForward(n, columns, l, n, 1, b, columns, 1);
    });
  }

  /** L⁻ᵀ b: what has the covariance A⁻¹, from white noise. @throws ShapeError */
  solveTransposedFactor(right: ArrayLike): NDArray {
    return this.#apply("solveTransposedFactor", right, (kernels, n, columns, l, b) => {
      kernels.solveBackward(n, columns, l, 1, n, b, columns, 1);
    });
  }

  /** A⁻¹, symmetric to the last bit. */
  inverse(): NDArray {
    const n = this.order;
    const identity = new NDArray(new Float64Array(n * n), [n, n]);
    for (let i = 0; i < n; i++) identity.data[i * n + i] = 1;
    return scope(() => {
      const kernels = kernelsFor("float64");
      // A⁻¹ = L⁻ᵀ L⁻¹, of which half is computed and the rest mirrored.
      const l = copyIn("float64", this.factor.data);
      const x = copyIn("float64", identity.data);
      kernels.solveForward(n, n, l, n, 1, x, n, 1);
      kernels.syrk(n, n, x, 1, n, l, n, 1, false, true);
      return new NDArray(copyOut("float64", l, n * n), [n, n]);
    });
  }

  #apply(
    name: string,
    right: ArrayLike,
    solve: (kernels: ReturnType<typeof kernelsFor>, n: number, columns: number, l: Pointer, b: Pointer) => void,
  ): NDArray {
    const n = this.order;
    const b = readRightSide(`Cholesky.${name}`, right, n);
    return scope(() => {
      const pointer = copyIn("float64", b.data);
      solve(kernelsFor("float64"), n, b.size / Math.max(n, 1), copyIn("float64", this.factor.data), pointer);
      return new NDArray(copyOut("float64", pointer, b.size), b.shape);
    });
  }
}

/**
 * The Cholesky factorisation of a symmetric positive definite matrix, in float64.
 * @throws ShapeError, ValueError for a matrix that is not square, finite or symmetric
 * @throws NotPositiveDefiniteError naming the pivot that is not positive
 */
export function cholesky(matrix: ArrayLike): Cholesky {
  const a = readSymmetric("cholesky", matrix);
  const n = a.shape[0];
  return scope(() => {
    const l = copyIn("float64", a.data);
    const failed = kernelsFor("float64").cholesky(n, l, n);
    if (failed !== 0) {
      const index = failed - 1;
      throw new NotPositiveDefiniteError(index, floats("float64")[l / 8 + index * n + index]);
    }
    const factor = copyOut("float64", l, n * n);
    for (let i = 0; i < n; i++) factor.fill(0, i * n + i + 1, (i + 1) * n);
    return new Cholesky(new NDArray(factor, [n, n]));
  });
}
