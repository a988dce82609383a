// Passes of an exact Hessian of low rank: the whole matrix where that is small; beyond, its products with random directions, and twice those
// with an orthonormal basis of what came of the pass before: a subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Review 53,
// algorithms 4.4 and 5.3), as the eigenvalues of a Hessian fall slowly.

import { Random } from "../../array/random.ts";
import { dryBytes, keptMatrix, sized } from "../../kernels/dry-run.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import type { Likelihood } from "../../likelihood/likelihood.ts";
import { type Rank, symmetric } from "../curvature.ts";
import { orthonormal } from "../functional/basis.ts";
import { hessianSums } from "../hessian-sums.ts";
import { productInSteps } from "../products.ts";
import type { Selection } from "../selection.ts";
import { type Pass, passOf, type SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { directions, PROBES, sketchSize } from "./sketch.ts";

/** One pass up to 1024 weights, and three beyond. */
export function signedPasses(likelihood: Likelihood, { size: n }: Selection, rank: Rank): readonly Pass[] {
  const b = sketchSize(rank, n);
  /** Products with these rows, which are kept with them or not. */
  const along =
    (rows: Float64Array | "all", basis?: Float64Array) =>
    ({ selection }: SumOptions) =>
      hessianSums(likelihood, selection, rows, function* (sums, examples) {
        const sketch = rows === "all" ? yield* symmetric(sums, n) : new Float64Array(b * n);
        if (rows !== "all") sums(0, b * n, sketch, 0);
        return new LowRankCurvature(selection, examples, rank, sketch, new Float64Array(1), basis);
      });
  if (b === n) return [passOf(along("all", new Float64Array(0)))];
  /** The products with a basis of those before, which are the last or not. */
  const pass = (last: boolean): Pass => ({
    dry: (options) => along(sized(b * n), last ? sized(b * n) : undefined)(options),
    dryBegin() {
      atOnce(basisOf(sized(b * n), b, n, last));
    },
    *prepare(before) {
      const { sketch, trace, selection } = before as LowRankCurvature;
      return new LowRankCurvature(selection, 0, rank, sketch, trace, yield* basisOf(sketch, b, n, last));
    },
    begin(prepared) {
      const basis = (prepared as LowRankCurvature).basis as Float64Array;
      return along(basis, last ? basis : undefined);
    },
  });
  return [
    { dry: (options) => along(sized(b * n))(options), begin: () => along(directions(n, b)) },
    pass(false),
    pass(true),
  ];
}

/** Orthonormal rows that span those of a sketch [b, n]; of the last pass fewer, and normal directions less what they have there. */
function* basisOf(sketch: Float64Array, b: number, n: number, last: boolean): Steps<Float64Array> {
  if (!last) return yield* orthonormal(sketch, b, n, b);
  const q = b - PROBES;
  const rows = yield* orthonormal(sketch, b, n, q);
  const random = new Random(1);
  const probes = Float64Array.from({ length: PROBES * n }, () => random.normal());
  const shares = yield* productInSteps(PROBES, q, n, [probes, n, 1], [rows, 1, n]);
  const within = yield* productInSteps(PROBES, n, q, [shares, q, 1], [rows, n, 1]);
  const result = keptMatrix(b * n);
  if (dryBytes() !== undefined) return result;
  result.set(rows);
  within.forEach((x, i) => {
    result[q * n + i] = probes[i] - x;
  });
  return result;
}
