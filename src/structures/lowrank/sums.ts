// Sums of the curvature's products with random directions, and of its trace.

import { dryBytes, sized } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { copyIn } from "../../kernels/memory.ts";
import { type Accumulator, symmetric } from "../curvature.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { addProducts, addTrace } from "../sketch-sums.ts";
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
        const count = backward.columns * backward.batch;
        const rows = float64Rows(backward, selection);
        addTrace(count, n, rows, to + 8 * b * n);
        if (b === n) {
          kernelsFor("float64").syrk(n, count, rows, 1, n, to, n, 1, true, false);
          return;
        }
        const omega = copyIn("float64", dryBytes() === undefined ? directions(n, b) : sized(b * n), true);
        addProducts(count, n, rows, b, omega, to);
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
