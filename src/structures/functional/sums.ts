// Sums of the curvature's products with the directions of the points.

import { sized } from "../../kernels/dry-run.ts";
import { copyIn } from "../../kernels/memory.ts";
import type { Accumulator } from "../curvature.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { addProducts, addTrace } from "../sketch-sums.ts";
import type { Pass, PassOptions, SumOptions } from "../structure.ts";
import { sizesOf } from "../structure.ts";
import { basisOf, dryBasis, featuresOf } from "./basis.ts";
import { FunctionalCurvature } from "./curvature.ts";

/** Numbers that are read in one step. */
const AT_ONCE = 2 ** 18;

/** Finds the directions of the points once, then sums Vᵀ H. */
export function functionalPass(options: PassOptions): Pass {
  const { selection } = options;
  const sizes = sizesOf(options);
  return {
    dry: (given) => sumsIn(sized(featuresOf(selection, sizes) * selection.size), given),
    dryBegin: () => dryBasis(selection, sizes),
    *prepare() {
      return new FunctionalCurvature(selection, 0, yield* basisOf(options));
    },
    begin(prepared) {
      const { basis } = prepared as FunctionalCurvature;
      return (given) => sumsIn(basis, given);
    },
  };
}

/** Σ (r V)ᵀ r over rows r of the Jacobian, [k, S], and Σ ‖r‖² behind it. */
function sumsIn(basis: Float64Array, { selection }: SumOptions): Accumulator<FunctionalCurvature> {
  const n = selection.size;
  const k = basis.length / n;
  return {
    dtype: "float64",
    length: k * n + 1,
    add(backward, to) {
      const count = backward.columns * backward.batch;
      const rows = float64Rows(backward, selection);
      addTrace(count, n, rows, to + 8 * k * n);
      addProducts(count, n, rows, k, copyIn("float64", basis, true), to);
    },
    *finish(sums, examples) {
      const sketch = new Float64Array(k * n);
      for (let first = 0; first < k * n; first += AT_ONCE) {
        sums(first, Math.min(k * n, first + AT_ONCE), sketch, first);
        yield;
      }
      const trace = new Float64Array(1);
      sums(k * n, k * n + 1, trace, 0);
      return new FunctionalCurvature(selection, examples, basis, sketch, trace);
    },
  };
}
