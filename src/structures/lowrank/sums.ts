// Sums of the curvature's products with random directions, and of its trace.

import { dryBytes, sized } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { copyIn, scope } from "../../kernels/memory.ts";
import { type Accumulator, symmetric } from "../curvature.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { addProducts, addTrace } from "../sketch-sums.ts";
import type { SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { directions, sketchSize } from "./sketch.ts";

/** Numbers of directions that are in the kernels' memory at once (8 MiB). */
const AT_ONCE = 2 ** 20;

/**
 * Σ (Ω r) rᵀ over rows r of the Jacobian, [b, S], and Σ ‖r‖² behind it.
 * @param most how many rows there may be, where that is known @param given directions, [b, S], in the place of Ω
 */
export const lowRankSums =
  (rank: number | "auto", most?: number, given?: Float64Array) =>
  ({ selection }: SumOptions): Accumulator<LowRankCurvature> => {
    const n = selection.size;
    const b = given === undefined ? sketchSize(rank, n, most) : given.length / n;
    const block = Math.max(1, Math.floor(AT_ONCE / n));
    let seen = 0;
    let known = given;
    return {
      dtype: "float64",
      length: b * n + 1,
      add(backward, to) {
        const count = backward.columns * backward.batch;
        seen += count;
        const rows = float64Rows(backward, selection);
        addTrace(count, n, rows, to + 8 * b * n);
        if (b === n) {
          kernelsFor("float64").syrk(n, count, rows, 1, n, to, n, 1, true, false);
          return;
        }
        known ??= dryBytes() === undefined ? directions(n, b) : sized(b * n);
        for (let first = 0; first < b; first += block) {
          const end = Math.min(b, first + block);
          const some = known.subarray(first * n, end * n);
          scope(() => addProducts(count, n, rows, end - first, copyIn("float64", some, true), to + 8 * first * n));
        }
      },
      *finish(sums, examples) {
        const sketch = b === n ? yield* symmetric(sums, n) : new Float64Array(b * n);
        if (b !== n) sums(0, b * n, sketch, 0);
        const trace = new Float64Array(1);
        sums(b * n, b * n + 1, trace, 0);
        const rows = given === undefined ? seen : undefined;
        return new LowRankCurvature(selection, examples, rank, sketch, trace, rows);
      },
    };
  };
