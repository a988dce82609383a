// Sums of the curvature's products with random directions, and of its trace.

import { dryBytes, sized } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, copyIn } from "../../kernels/memory.ts";
import { type Accumulator, symmetric } from "../curvature.ts";
import { float64Rows } from "../jacobian-rows.ts";
import type { SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { directions, sketchSize } from "./sketch.ts";

/** Σ (Ω r) rᵀ over rows r of the Jacobian, [b, S], and Σ ‖r‖² behind it. */
export const lowRankSums =
  (rank: number | "auto") =>
  ({ selection }: SumOptions): Accumulator<LowRankCurvature> => {
    const n = selection.size;
    const b = sketchSize(rank, n);
    return {
      dtype: "float64",
      length: b * n + 1,
      add(backward, to) {
        const kernels = kernelsFor("float64");
        const count = backward.columns * backward.batch;
        const rows = float64Rows(backward, selection);
        const squares = allocateFloats("float64", count);
        kernels.dotRows(count, n, rows, rows, squares, false);
        kernels.sumAxis(1, count, 1, squares, to + 8 * b * n, 1, true);
        if (b === n) {
          kernels.syrk(n, count, rows, 1, n, to, n, 1, true, false);
          return;
        }
        const omega = copyIn("float64", dryBytes() === undefined ? directions(n, b) : sized(b * n), true);
        const along = allocateFloats("float64", count * b);
        kernels.gemm(1, count, b, n, rows, 0, n, 1, omega, 0, 1, n, along, 0, b, 1, false);
        kernels.gemm(1, b, n, count, along, 0, 1, b, rows, 0, n, 1, to, 0, n, 1, true);
      },
      *finish(sums, examples) {
        const sketch = b === n ? yield* symmetric(sums, n) : new Float64Array(b * n);
        if (b !== n) sums(0, b * n, sketch, 0);
        const trace = new Float64Array(1);
        sums(b * n, b * n + 1, trace, 0);
        return new LowRankCurvature(selection, examples, rank, sketch, trace);
      },
    };
  };
