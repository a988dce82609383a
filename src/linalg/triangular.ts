// Solves with a triangle, and symmetric products: what factorisations are made of.

import { checkOut } from "../array/arguments.ts";
import type { OutOptions } from "../array/einsum.ts";
import { type ArrayLike, asArray, type NDArray, shapeText, widest } from "../array/ndarray.ts";
import { enter, resultPlace, takeResult, workPlace } from "../array/operands.ts";
import {
  checkBoolean,
  checkChoice,
  checkNumber,
  checkOptions,
  OptionError,
  ShapeError,
  ValueError,
} from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { scope } from "../kernels/memory.ts";

/** Options of `solveTriangular`. */
export interface TriangularOptions extends OutOptions {
  /** T X = B (default), or X T = B. */
  side?: "left" | "right";
  /** Whether T is the lower triangle of the matrix (default) or the upper one; the other half is not read. */
  triangle?: "lower" | "upper";
  /** Whether Tᵀ stands in the place of T (default false). */
  transpose?: boolean;
}

/**
 * Solves T X = B or X T = B for a triangle T and many right sides at once, in float32 if both are, else in float64; into
 * `out`, which may be B itself.
 * @param matrix [n, n] @param right [n] or [n, k] on the left, [k, n] on the right
 * @throws ShapeError for shapes that do not fit, ValueError for a zero on the diagonal, OptionError
 */
export function solveTriangular(matrix: ArrayLike, right: ArrayLike, options: TriangularOptions = {}): NDArray {
  const where = "solveTriangular";
  checkOptions(where, options, ["side", "triangle", "transpose", "out"]);
  const { side = "left", triangle = "lower", transpose = false, out } = options;
  checkChoice(where, "side", side, ["left", "right"]);
  checkChoice(where, "triangle", triangle, ["lower", "upper"]);
  checkBoolean(where, "transpose", transpose);
  const [t, b] = [asArray(matrix), asArray(right)];
  const n = t.shape[0];
  const rows = side === "left" ? b.shape[0] : b.shape[b.rank - 1];
  if (t.rank !== 2 || t.shape[1] !== n || b.rank < 1 || b.rank > 2 || rows !== n) {
    throw new ShapeError(`${where}: ${shapeText(t.shape)} does not fit right sides ${shapeText(b.shape)} (${side}).`);
  }
  for (let i = 0; i < n; i++) {
    if (t.data[i * n + i] === 0) throw new ValueError(`${where}: the triangle is singular: [${i}, ${i}] is 0.`);
  }
  const dtype = widest([t, b]);
  checkOut(where, out, b.shape, dtype);
  const columns = b.size / Math.max(n, 1);
  // T or Tᵀ as it is read: strides of rows and columns, and whether that is a lower triangle.
  const [row, column] = transpose ? [1, n] : [n, 1];
  const lower = (triangle === "lower") !== transpose;
  return scope(() => {
    const kernels = kernelsFor(dtype);
    const x = workPlace(out, b, dtype, [t]);
    const a = enter(dtype, t);
    // X T = B is Tᵀ Xᵀ = Bᵀ: strides exchanged.
    const left = side === "left";
    const [r, c] = left ? [row, column] : [column, row];
    const [rb, cb] = left ? [columns, 1] : [1, n];
    const solve = lower === left ? kernels.solveForward : kernels.solveBackward;
    solve(n, columns, a, r, c, x, rb, cb);
    return takeResult(out, b.shape, dtype, x);
  });
}

/** Options of `syrk`. */
export interface SyrkOptions extends OutOptions {
  /** The factor α (default 1). */
  alpha?: number;
  /** Whether the product is added to what `out` holds, which must be symmetric (default false). */
  add?: boolean;
}

/**
 * The symmetric product α A Aᵀ of a matrix [n, k], by half the work of a general product: [n, n], symmetric to the last
 * bit. With `add`, out + α A Aᵀ: of what `out` holds, the lower triangle is read.
 * @throws ShapeError if it is not a matrix, OptionError
 */
export function syrk(matrix: ArrayLike, options: SyrkOptions = {}): NDArray {
  checkOptions("syrk", options, ["alpha", "add", "out"]);
  const { alpha = 1, add = false, out } = options;
  checkNumber("syrk", "alpha", alpha);
  checkBoolean("syrk", "add", add);
  const a = asArray(matrix);
  if (a.rank !== 2) throw new ShapeError(`syrk: expected a matrix, got shape ${shapeText(a.shape)}.`);
  if (add && out === undefined) throw new OptionError("syrk: add needs an `out` to add to.");
  const [n, k] = a.shape;
  checkOut("syrk", out, [n, n], a.dtype);
  return scope(() => {
    const c = add ? workPlace(out, out as NDArray, a.dtype, [a]) : resultPlace(out, n * n, a.dtype, [a]);
    kernelsFor(a.dtype).syrk(n, k, enter(a.dtype, a), k, 1, c, n, alpha, add, true);
    return takeResult(out, [n, n], a.dtype, c);
  });
}
