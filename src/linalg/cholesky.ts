// Cholesky factorisation and what follows from it. Always in float64.

import { checkOut } from "../array/arguments.ts";
import type { OutOptions } from "../array/einsum.ts";
import { type ArrayLike, asArray, type NDArray, shapeText } from "../array/ndarray.ts";
import { enter, resultPlace, takeResult, workPlace } from "../array/operands.ts";
import { checkOptions, NotPositiveDefiniteError, ShapeError, ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { addToDiagonal, inMemory, type Pointer, scope } from "../kernels/memory.ts";

/** A symmetric matrix argument, in float64. @throws ShapeError, ValueError for what is not square, finite or symmetric */
export function readSymmetric(where: string, matrix: ArrayLike): NDArray {
  const given = asArray(matrix);
  const a = given.as("float64");
  const [n, columns] = a.shape;
  if (a.rank !== 2 || n !== columns)
    throw new ShapeError(`${where}: expected a square matrix, got shape ${shapeText(a.shape)}.`);
  const { data } = a;
  let largest = 0;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      throw new ValueError(`${where}: the matrix has the value ${data[i]} at [${Math.floor(i / n)}, ${i % n}].`);
    }
    largest = Math.max(largest, Math.abs(data[i]));
  }
  // What a product's rounding leaves of symmetry passes; a matrix that was never symmetric does not.
  const tolerance = (given.dtype === "float32" ? 1e-4 : 1e-10) * largest;
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
function readRightSide(where: string, right: ArrayLike, n: number): NDArray {
  const b = asArray(right).as("float64");
  if (b.rank < 1 || b.rank > 2 || b.shape[0] !== n) {
    throw new ShapeError(`${where}: expected right sides of ${n} rows, got shape ${shapeText(b.shape)}.`);
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

  /** A⁻¹ b, for right sides [n] or [n, k]; into `out`, which may be b itself. @throws ShapeError, OptionError */
  solve(right: ArrayLike, options: OutOptions = {}): NDArray {
    return this.#apply("solve", right, options, (kernels, n, columns, l, b) => {
      kernels.solveForward(n, columns, l, n, 1, b, columns, 1);
      kernels.solveBackward(n, columns, l, 1, n, b, columns, 1);
    });
  }

  /** L⁻¹ b, as `solve`: white noise of what has the covariance A. @throws ShapeError, OptionError */
  solveFactor(right: ArrayLike, options: OutOptions = {}): NDArray {
    return this.#apply("solveFactor", right, options, (kernels, n, columns, l, b) => {
      kernels.solveForward(n, columns, l, n, 1, b, columns, 1);
    });
  }

  /** L⁻ᵀ b, as `solve`: what has the covariance A⁻¹, from white noise. @throws ShapeError, OptionError */
  solveTransposedFactor(right: ArrayLike, options: OutOptions = {}): NDArray {
    return this.#apply("solveTransposedFactor", right, options, (kernels, n, columns, l, b) => {
      kernels.solveBackward(n, columns, l, 1, n, b, columns, 1);
    });
  }

  /** A⁻¹, symmetric to the last bit. @throws ShapeError, OptionError */
  inverse(options: OutOptions = {}): NDArray {
    checkOptions("Cholesky.inverse", options, ["out"]);
    const n = this.order;
    checkOut("Cholesky.inverse", options.out, [n, n], "float64");
    return scope(() => {
      const kernels = kernelsFor("float64");
      // A⁻¹ = L⁻ᵀ L⁻¹, of which half is computed and the rest mirrored.
      const x = resultPlace(undefined, n * n, "float64", []);
      kernels.fill(n * n, 0, x);
      addToDiagonal(n, 1, x);
      kernels.solveForward(n, n, enter("float64", this.factor), n, 1, x, n, 1);
      const inverse = resultPlace(options.out, n * n, "float64", [this.factor]);
      kernels.syrk(n, n, x, 1, n, inverse, n, 1, false, true);
      return takeResult(options.out, [n, n], "float64", inverse);
    });
  }

  #apply(
    name: string,
    right: ArrayLike,
    options: OutOptions,
    solve: (kernels: ReturnType<typeof kernelsFor>, n: number, columns: number, l: Pointer, b: Pointer) => void,
  ): NDArray {
    const where = `Cholesky.${name}`;
    checkOptions(where, options, ["out"]);
    const n = this.order;
    const b = readRightSide(where, right, n);
    checkOut(where, options.out, b.shape, "float64");
    return scope(() => {
      const pointer = workPlace(options.out, b, "float64", [this.factor]);
      solve(kernelsFor("float64"), n, b.size / Math.max(n, 1), enter("float64", this.factor), pointer);
      return takeResult(options.out, b.shape, "float64", pointer);
    });
  }
}

/**
 * The Cholesky factorisation of a symmetric positive definite matrix, in float64. The factor is written into `out`, which
 * may be the matrix itself; if both are one array in the kernels' memory, it is factored in place, and a matrix that is
 * refused is left overwritten.
 * @throws ShapeError, ValueError for a matrix that is not square, finite or symmetric
 * @throws NotPositiveDefiniteError naming the pivot that is not positive; OptionError
 */
export function cholesky(matrix: ArrayLike, options: OutOptions = {}): Cholesky {
  checkOptions("cholesky", options, ["out"]);
  const a = readSymmetric("cholesky", matrix);
  const n = a.shape[0];
  checkOut("cholesky", options.out, a.shape, "float64");
  return scope(() => {
    const l = workPlace(options.out, a, "float64");
    const failed = kernelsFor("float64").cholesky(n, l, n);
    inMemory("float64", (memory) => {
      if (failed !== 0) {
        const index = failed - 1;
        throw new NotPositiveDefiniteError(index, memory[l / 8 + index * n + index]);
      }
      for (let i = 0; i < n; i++) memory.fill(0, l / 8 + i * n + i + 1, l / 8 + (i + 1) * n);
    });
    return new Cholesky(takeResult(options.out, a.shape, "float64", l));
  });
}
