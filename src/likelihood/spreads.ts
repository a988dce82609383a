// Columns at the outputs of which only the sum is known: what contractions take of it. Each column lies at one position, so positions
// are rows like examples.

import { withClasses } from "../kernels/classes.ts";
import { type Kernels, kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  type DType,
  inMemory,
  later,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { BLOCKS_AT_ONCE, ROWS_AT_ONCE, type Spread } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";

/** Λ = diag(q) − q qᵀ / Σ q of each row where entries are `shared`, as of classes, and diag(q) elsewhere. */
export class OutputSpread implements Spread {
  readonly node: Node;
  readonly rows: number;
  readonly shared: boolean;
  /** [rows, C] */
  readonly q: Pointer;
  readonly #dtype: DType;
  readonly #kernels: Kernels;
  readonly #width: number;

  constructor(dtype: DType, node: Node, rows: number, width: number, shared: boolean, q: Pointer) {
    this.#dtype = dtype;
    this.#kernels = kernelsFor(dtype);
    this.#width = width;
    this.node = node;
    this.rows = rows;
    this.shared = shared;
    this.q = q;
  }

  in(dtype: DType): OutputSpread {
    if (dtype === this.#dtype) return this;
    const length = this.rows * this.#width;
    const to = allocateFloats(dtype, length);
    kernelsFor("float64").widen(length, this.q, to);
    return new OutputSpread(dtype, this.node, this.rows, this.#width, this.shared, to);
  }

  variances(): Pointer {
    return this.#parts().variances;
  }

  /** diag Λ, and v, where Λ is that on its diagonal and −v vᵀ beside it; 0 for no v. No variance is a difference. */
  #parts(): { readonly variances: Pointer; readonly v: Pointer } {
    if (!this.shared) return { variances: this.q, v: 0 };
    const { rows, q } = this;
    const [n, dtype] = [this.#width, this.#dtype];
    const [variances, v] = [0, 0].map(() => allocateFloats(dtype, rows * n));
    const size = bytesPerElement(dtype);
    later(() =>
      inMemory(dtype, (memory) => {
        const to = memory.subarray(variances / size, variances / size + rows * n);
        const scaled = memory.subarray(v / size, v / size + rows * n);
        for (let r = 0; r < rows; r++) {
          const row = memory.subarray(q / size + r * n, q / size + (r + 1) * n);
          let [largest, others] = [0, 0];
          for (let c = 1; c < n; c++) if (row[c] > row[largest]) largest = c;
          for (let c = 0; c < n; c++) if (c !== largest) others += row[c];
          const total = others + row[largest];
          for (let c = 0; c < n; c++) {
            const rest = c === largest ? others : total - row[c];
            to[r * n + c] = total > 0 ? (row[c] * rest) / total : 0;
            scaled[r * n + c] = total > 0 ? row[c] / Math.sqrt(total) : 0;
          }
        }
      }),
    );
    return { variances, v };
  }

  add(to: Pointer): void {
    scope(() => {
      const [n, rows, kernels] = [this.#width, this.rows, this.#kernels];
      const { variances, v } = this.#parts();
      const diagonal = allocateFloats(this.#dtype, n);
      kernels.sumAxis(1, rows, n, variances, diagonal, n, false);
      kernels.copyRows(n, 1, to, n + 1, diagonal, 1, true);
      if (v !== 0) kernels.syrk(n, rows, v, 1, n, to, n, -1, true, false);
      kernels.copyRows(n, 1, diagonal, 1, to, n + 1, false);
    });
  }

  write(to: Pointer): void {
    const [n, rows, kernels, bytes] = [this.#width, this.rows, this.#kernels, bytesPerElement(this.#dtype)];
    const { variances, v } = this.#parts();
    if (v === 0) kernels.fill(rows * n * n, 0, to);
    else kernels.gemm(rows, n, n, 1, v, n, 1, 1, v, n, 1, 1, to, n * n, n, -1, false);
    for (let r = 0; r < rows; r++) {
      kernels.copyRows(n, 1, variances + r * n * bytes, 1, to + r * n * n * bytes, n + 1, false);
    }
  }

  addBlocks(dtype: DType, rows: number, n: number, x: Pointer, weights: Pointer, to: Pointer, work: Pointer): void {
    const kernels = withClasses(kernelsFor(dtype));
    const bytes = bytesPerElement(dtype);
    const classes = this.#width;
    const beside = (classes * (classes - 1)) / 2;
    const block = (q: number) => to + q * n * n * bytes;
    const [first, end] = this.shared ? [0, beside] : [beside, beside + classes];
    for (let q = first; q < end; q += BLOCKS_AT_ONCE) {
      const count = Math.min(BLOCKS_AT_ONCE, end - q);
      for (let i = 0; i < n; i += ROWS_AT_ONCE) {
        const last = Math.min(n, i + ROWS_AT_ONCE);
        const w = weights + q * bytes;
        kernels.weightedGramRows(i, last, rows, n, x, count, beside + classes, w, block(q), work);
      }
    }
    if (!this.shared) return;
    // Rows of Λ sum to 0: a block of o = p is minus the sum of the others of its row, all of which have one sign.
    kernels.fill(classes * n * n, 0, block(beside));
    for (let o = 0, q = 0; o < classes; o++) {
      for (let p = 0; p < o; p++, q++) {
        for (const own of [o, p]) kernels.affine(n * n, -1, block(q), 0, block(beside + own), true);
      }
    }
  }

  rotated(matrix: Pointer): Pointer {
    const [n, rows, kernels, dtype] = [this.#width, this.rows, this.#kernels, this.#dtype];
    const squares = allocateFloats(dtype, rows * n);
    kernels.fill(rows * n, 0, squares);
    const columns = n - Number(this.shared);
    const [mean, all] = [allocateFloats(dtype, n), allocateFloats(dtype, columns * n)];
    for (let r = 0; r < rows; r++) {
      const shift = r * n * bytesPerElement(dtype);
      withClasses(kernels).spreadColumns(1, n, n, this.q + shift, matrix, this.shared, 0, columns, mean, all, n, 0);
      kernels.addSquares(columns, n, all, squares + shift);
    }
    return squares;
  }
}

/**
 * Writes columns whose outer products sum to a semidefinite matrix, of n rows, whose lower triangle is given: those of its Cholesky
 * factor, `count` of them from `first` on, `step` apart. Before that the diagonal grows by as many roundings as a factor needs.
 * @param work has room for n² numbers of float64
 */
export function writeCholeskyColumns(
  dtype: DType,
  n: number,
  matrix: Pointer,
  work: Pointer,
  { first, count }: { readonly first: number; readonly count: number },
  to: Pointer,
  step: number,
): void {
  later(() =>
    inMemory("float64", (wide) =>
      inMemory(dtype, (memory) => {
        const from = matrix / bytesPerElement(dtype);
        const l = work / 8;
        const start = dtype === "float64" ? 1e-15 : 5e-7;
        for (let shift = start, failed = 1; failed !== 0 && shift < 1; shift *= 4) {
          for (let i = 0; i < n; i++) {
            for (let j = 0; j <= i; j++) wide[l + i * n + j] = memory[from + i * n + j];
            // A row of zeros has a pivot too, whose square is nothing beside any number.
            wide[l + i * n + i] = wide[l + i * n + i] * (1 + shift) + 1e-300;
          }
          failed = kernelsFor("float64").cholesky(n, work, n);
        }
        for (let j = 0; j < count; j++) {
          const at = to / bytesPerElement(dtype) + j * step;
          for (let i = 0; i < n; i++) memory[at + i] = i < first + j ? 0 : wide[l + i * n + first + j];
        }
      }),
    ),
  );
}
