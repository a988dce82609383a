// Matrices in eigenbases that are Kronecker products: a block Q diag(values) Qᵀ for each parameter, with Q = Q_B ⊗ Q_A for a
// weight. Where outputs come in groups with inputs of their own, Q falls into as many blocks.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { blockOf, type Side, type Use } from "../derivatives/uses.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bringOut, bytesPerElement, copyIn, copyOut, type Pointer, scope } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, positionsOf } from "../network/primitive.ts";
import { type Curvature, type Eigenbasis, readVectors, SelectedCurvature } from "./curvature.ts";
import type { SelectedParameter } from "./selection.ts";

/** The shape of a parameter's block: groups of outputs by inputs; a vector has one input. */
export interface BlockShape {
  readonly groups: number;
  /** Of one group. */
  readonly outputs: number;
  readonly inputs: number;
}

/** A block in its eigenbasis. */
export interface EigenBlock extends BlockShape {
  readonly selected: SelectedParameter;
  /** [groups, outputs, outputs], eigenvectors in columns. */
  readonly qb: Float64Array;
  /** [groups, inputs, inputs]; undefined for a vector. */
  readonly qa: Float64Array | undefined;
  /** [groups, outputs, inputs] */
  readonly values: Float64Array;
  /** The factors' own eigenvalues, of which `values` are the products; undefined where they are corrected. */
  readonly factors: { readonly b: Float64Array; readonly a: Float64Array } | undefined;
  /** Computes vectors in steps that are not there yet. */
  complete?(): Steps<void>;
}

/** A curvature that gives eigenbases. */
export interface HasBasis extends Curvature {
  /** The blocks in eigenbases that are defined up to that relative rounding of the sums. */
  basis(rounding: number): Steps<readonly EigenBlock[]>;
}

/** Whether it is such a curvature, and the library's own. */
export function hasBasis(curvature: Curvature | undefined): curvature is HasBasis {
  return curvature instanceof SelectedCurvature && "basis" in curvature;
}

export function shapeOf({ parameter, role, site }: SelectedParameter): BlockShape {
  const groups = site.kind === "linear" && (role === "weight" || !site.transposed) ? (site.groups ?? 1) : 1;
  const outputs = parameter.shape[0] / groups;
  return { groups, outputs, inputs: role === "weight" ? parameter.size / (groups * outputs) : 1 };
}

/** Numbers as an array of their own, with an axis of groups where there are several. */
export function inGroups(values: Float64Array, groups: number, ...shape: readonly number[]): NDArray {
  return new NDArray(values.slice(), groups === 1 ? shape : [groups, ...shape]);
}

/** Blocks as users read them. */
export function eigenbasesOf(blocks: readonly EigenBlock[]): readonly Eigenbasis[] {
  return blocks.map(({ selected, groups, outputs, inputs, qb, qa, values }) => ({
    parameter: selected.parameter.name,
    values: inGroups(values, groups, outputs, ...(qa === undefined ? [] : [inputs])),
    b: inGroups(qb, groups, outputs, outputs),
    a: qa && inGroups(qa, groups, inputs, inputs),
  }));
}

/** Rows [n, S] in the blocks' eigenbases, or back out of them, in place in the kernels' float64 memory. */
export function rotate(blocks: readonly EigenBlock[], n: number, width: number, rows: Pointer, back: boolean): void {
  const kernels = kernelsFor("float64");
  for (const { selected, groups, outputs, inputs, qb, qa } of blocks) {
    scope(() => {
      const size = outputs * inputs;
      const x = allocateFloats("float64", n * size);
      const y = allocateFloats("float64", n * size);
      const b = copyIn("float64", qb, true);
      const a = qa === undefined ? 0 : copyIn("float64", qa, true);
      for (let g = 0; g < groups; g++) {
        const place = rows + 8 * (selected.at + g * size);
        kernels.copyRows(n, size, place, width, x, size, false);
        // Qᵀ X or Q X, for each row's X [outputs, inputs].
        const [q, rb, cb] = [b + 8 * g * outputs ** 2, ...(back ? [outputs, 1] : [1, outputs])];
        kernels.gemm(n, outputs, inputs, outputs, q, 0, rb, cb, x, size, inputs, 1, y, size, inputs, 1, false);
        let result = y;
        if (a !== 0) {
          const [r, ra, ca] = [a + 8 * g * inputs ** 2, ...(back ? [1, inputs] : [inputs, 1])];
          kernels.gemm(1, n * outputs, inputs, inputs, y, 0, inputs, 1, r, 0, ra, ca, x, 0, inputs, 1, false);
          result = x;
        }
        kernels.copyRows(n, size, result, size, place, width, false);
      }
    });
  }
}

/** Rows [n, size] times Q, for each of `groups` that lie side by side, or as they are. */
export function rotated(
  { kernels, dtype }: Backward,
  n: number,
  { groups, outputs: size }: Pick<BlockShape, "groups" | "outputs">,
  x: Pointer,
  q: Pointer | undefined,
): Pointer {
  if (q === undefined) return x;
  const bytes = bytesPerElement(dtype);
  const width = groups * size;
  const result = allocateFloats(dtype, n * width);
  for (let g = 0; g < groups; g++) {
    const [from, to, turn] = [x + g * size * bytes, result + g * size * bytes, q + g * size ** 2 * bytes];
    kernels.gemm(1, n, size, size, from, 0, width, 1, turn, 0, size, 1, to, 0, width, 1, false);
  }
  return result;
}

/** A side of `count` examples, `columns` of it if it has columns, times Q: [columns, count, ...] in its own layout. */
function rotatedSide(
  { kernels, dtype, columns }: Backward,
  count: number,
  positions: number,
  groups: number,
  n: number,
  side: Side,
  q: Pointer | undefined,
): Side {
  if (q === undefined) return side;
  const bytes = bytesPerElement(dtype);
  const { example } = side;
  const many = side.column === 0 ? 1 : columns;
  const to = allocateFloats(dtype, many * count * example);
  for (let k = 0; k < many; k++) {
    for (let g = 0; g < groups; g++) {
      const shift = g * n * side.element * bytes;
      const [from, turn] = [side.at + k * side.column * bytes + shift, q + g * n * n * bytes];
      const at = to + k * count * example * bytes + shift;
      if (side.element === 1 && side.position * positions === example) {
        const [rows, step] = [count * positions, side.position];
        kernels.gemm(1, rows, n, n, from, 0, step, 1, turn, 0, n, 1, at, 0, step, 1, false);
      } else {
        const [e, p] = [side.element, side.position];
        kernels.gemm(count, n, positions, n, turn, 0, 1, n, from, example, e, p, at, example, e, 1, false);
      }
    }
  }
  return { ...side, at: to, column: side.column === 0 ? 0 : count * example };
}

/** diag(Q diag(values) Qᵀ): Σ_op Q_B[i, o]² Q_A[j, p]² values[o, p]. */
export function* diagonalOf(
  { groups, outputs, inputs }: BlockShape,
  qb: Float64Array,
  qa: Float64Array | undefined,
  values: Float64Array,
): Steps<Float64Array> {
  const size = outputs * inputs;
  const result = new Float64Array(groups * size);
  yield* inPieces(() => {
    const kernels = kernelsFor("float64");
    const square = (q: Float64Array) => {
      const at = copyIn("float64", q, true);
      kernels.multiply(1, q.length, at, at, at, false);
      return at;
    };
    const half = allocateFloats("float64", groups * size);
    const whole = allocateFloats("float64", groups * size);
    const [v, b, a] = [copyIn("float64", values, true), square(qb), qa === undefined ? 0 : square(qa)];
    const [sb, sa] = [outputs ** 2, inputs ** 2];
    kernels.gemm(groups, outputs, inputs, outputs, b, sb, outputs, 1, v, size, inputs, 1, half, size, inputs, 1, false);
    if (a !== 0) {
      const to = [whole, size, inputs, 1, false] as const;
      kernels.gemm(groups, outputs, inputs, inputs, half, size, inputs, 1, a, sa, 1, inputs, ...to);
    }
    bringOut("float64", a === 0 ? half : whole, groups * size, result, 0);
  });
  return result;
}

/** Q diag(values) Qᵀ v of all blocks, for a vector or rows. */
export function timesBlocks(v: ArrayLike, size: number, blocks: readonly EigenBlock[]): NDArray {
  const x = readVectors("times", v, size);
  const n = x.size / size;
  return scope(() => {
    const rows = copyIn("float64", x.data);
    rotate(blocks, n, size, rows, false);
    for (const { selected, values } of blocks) {
      const scale = copyIn("float64", values);
      const part = allocateFloats("float64", n * values.length);
      kernelsFor("float64").copyRows(n, values.length, rows + 8 * selected.at, size, part, values.length, false);
      kernelsFor("float64").multiply(n, values.length, part, scale, part, false);
      kernelsFor("float64").copyRows(n, values.length, part, values.length, rows + 8 * selected.at, size, false);
    }
    rotate(blocks, n, size, rows, true);
    return new NDArray(copyOut("float64", rows, x.size), x.shape);
  });
}

/**
 * The diagonal, in a block's eigenbasis, of the block whose factor on one side is another: q_iᵀ M q_i times the other side's
 * eigenvalues, [groups, outputs, inputs].
 * @param factor M, [groups, n, n] @param inputsSide whether it is on the side of the inputs
 */
export function diagonalInBasis(block: EigenBlock, factor: Float64Array, inputsSide: boolean): Float64Array {
  const { groups, outputs, inputs, qb, qa, factors } = block;
  const [n, q] = inputsSide ? [inputs, qa as Float64Array] : [outputs, qb];
  const forms = new Float64Array(groups * n);
  scope(() => {
    const [m, basis] = [copyIn("float64", factor), copyIn("float64", q)];
    const to = allocateFloats("float64", n * n);
    for (let g = 0; g < groups; g++) {
      const at = 8 * g * n * n;
      kernelsFor("float64").gemm(1, n, n, n, m + at, 0, n, 1, basis + at, 0, n, 1, to, 0, n, 1, false);
      const product = copyOut("float64", to, n * n) as Float64Array;
      for (let i = 0; i < n * n; i++) forms[g * n + (i % n)] += q[g * n * n + i] * product[i];
    }
  });
  const result = new Float64Array(groups * outputs * inputs);
  for (let i = 0; i < result.length; i++) {
    const row = Math.floor(i / inputs);
    const column = Math.floor(row / outputs) * inputs + (i % inputs);
    result[i] = inputsSide ? forms[column] * (factors?.b[row] ?? 1) : forms[row] * (factors?.a[column] ?? 1);
  }
  return result;
}

/** Numbers that rotating the sides of a weight takes for each example. */
export function rotatedNumbers(site: LinearSite, nodes: readonly Node[], columns: number): number {
  const { groups, outputs, inputs } = blockOf(site);
  const [left, right] = [groups * outputs, groups * inputs];
  const both = site.transposed ? left + columns * right : columns * left + right;
  return nodes.reduce((sum, node) => sum + positionsOf(node) * both, 0);
}

/** The uses of a site in an eigenbasis. */
export function rotatedUses(
  backward: Backward,
  site: LinearSite,
  count: number,
  uses: readonly Use[],
  qb: Pointer | undefined,
  qa: Pointer | undefined,
): Use[] {
  const { groups, outputs, inputs } = blockOf(site);
  return uses.map(({ left, right, positions }) => ({
    positions,
    left: rotatedSide(backward, count, positions, groups, outputs, left, qb),
    right: rotatedSide(backward, count, positions, groups, inputs, right, qa),
  }));
}
