// Covariances at the last layer. A row of the Jacobian is e_c ⊗ φ, φ the layer's inputs and a 1 for the bias: of Z = U⁻ᵀ, P = U Uᵀ,
// it needs the rows of the weights of output c alone, where a solution by U goes through all of them.

import { keptMatrix } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { addToDiagonal, allocateFloats, bringOut, copyIn, type Numbers, scope } from "../../kernels/memory.ts";
import { inPieces, type Steps } from "../../kernels/steps.ts";
import type { Forward } from "../../network/passes.ts";
import type { Head } from "../head.ts";
import { asFloat64 } from "../jacobian-rows.ts";

/** Columns of Z that are kept, and taken, together. */
const PANEL = 128;

/** The panels of Z, lower triangular [n, n]: of columns `first` to `first + width`, the rows from `first` on, [n − first, width]. */
export interface Panel {
  readonly first: number;
  readonly width: number;
  readonly values: Float64Array;
}

/**
 * Z = U⁻ᵀ in panels, half of a matrix of zeros and numbers.
 * @param upper U, [n, n]
 */
export function* inversePanels(n: number, upper: Float64Array): Steps<readonly Panel[]> {
  const panels: Panel[] = [];
  for (let first = 0; first < n; first += PANEL) {
    const [width, rows] = [Math.min(PANEL, n - first), n - first];
    panels.push({ first, width, values: keptMatrix(rows * width) });
  }
  yield* inPieces(() => {
    const kernels = kernelsFor("float64");
    const u = copyIn("float64", upper, true);
    for (const { first, width, values } of panels) {
      scope(() => {
        const rows = n - first;
        const z = allocateFloats("float64", rows * width);
        kernels.fill(rows * width, 0, z);
        addToDiagonal(width, 1, z);
        kernels.solveForward(rows, width, u + 8 * first * (n + 1), 1, n, z, width, 1);
        bringOut("float64", z, rows * width, values, 0);
      });
    }
  });
  return panels;
}

/**
 * (φ ⊗ I) P⁻¹ (φ ⊗ I)ᵀ of every example, [B, C, C]: the products of φᵀ Z_c of all outputs c, a panel of their columns at a time.
 * The weights are those of output after output, then the biases, if n has them.
 */
export function headCovariance(n: number, { site, input }: Head, panels: readonly Panel[], forward: Forward): Numbers {
  const { batch, dtype } = forward;
  const { inputs, outputs } = site;
  const kernels = kernelsFor("float64");
  const length = batch * outputs * outputs;
  const at = allocateFloats("float64", length);
  kernels.fill(length, 0, at);
  const a = asFloat64(dtype, forward.value(input), batch * inputs);
  const weights = inputs * outputs;
  for (const { first, width, values } of panels) {
    scope(() => {
      const z = copyIn("float64", values, true);
      const row = outputs * width;
      const y = allocateFloats("float64", batch * row);
      kernels.fill(batch * row, 0, y);
      for (let c = 0; c < outputs; c++) {
        const to = y + 8 * c * width;
        // Above its diagonal Z has nothing.
        const bias = weights + c;
        if (bias < n && bias >= first)
          kernels.copyRows(batch, width, z + 8 * (bias - first) * width, 0, to, row, false);
        const [from, end] = [Math.max(c * inputs, first), (c + 1) * inputs];
        if (from >= end) continue;
        const some = a + 8 * (from - c * inputs);
        const own = z + 8 * (from - first) * width;
        kernels.gemm(1, batch, width, end - from, some, 0, inputs, 1, own, 0, width, 1, to, 0, row, 1, true);
      }
      const each = outputs * outputs;
      kernels.gemm(batch, outputs, outputs, width, y, row, width, 1, y, row, 1, width, at, each, outputs, 1, true);
    });
  }
  return { dtype: "float64", at, length };
}
