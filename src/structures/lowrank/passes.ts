// Passes of an exact Hessian of low rank: the whole matrix where that is small; beyond, a block Krylov space of it, a block by a pass, and the
// products with all of that in the last (Golub & Underwood 1977; Musco & Musco 2015, arXiv:1504.05477), as the eigenvalues of a Hessian fall slowly.

import { keptMatrix, sized } from "../../kernels/dry-run.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { Likelihood } from "../../likelihood/likelihood.ts";
import { type Rank, symmetric } from "../curvature.ts";
import { orthonormal } from "../functional/basis.ts";
import { hessianSums } from "../hessian-sums.ts";
import { productInSteps } from "../products.ts";
import type { Selection } from "../selection.ts";
import { type Pass, passOf, type SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { directions, PROBES, sketchSize } from "./sketch.ts";

/** Directions of a pass, as many as probes. */
const BLOCK = PROBES;

/** One pass up to 1024 weights; beyond, one for each ten directions. */
export function signedPasses(likelihood: Likelihood, all: Selection, rank: Rank): readonly Pass[] {
  const { size: n } = all;
  const b = sketchSize(rank, n);
  /** Products with these rows, which are kept with them or not. */
  const along =
    (rows: Float64Array | "all", basis?: Float64Array) =>
    ({ selection }: SumOptions) =>
      hessianSums(likelihood, selection, rows, function* (sums, examples) {
        const sketch = rows === "all" ? yield* symmetric(sums, n) : new Float64Array(rows.length);
        if (rows !== "all") sums(0, rows.length, sketch, 0);
        return new LowRankCurvature(selection, examples, rank, sketch, new Float64Array(1), undefined, basis);
      });
  const none = new Float64Array(0);
  if (b === n) return [passOf(along("all", none))];
  const q = b - PROBES;
  let basis: Float64Array = new Float64Array(0);
  let known = 0;
  const pass = (last: boolean): Pass => {
    const sums = (rows: Float64Array) => along(rows, last ? rows : undefined);
    return {
      dry: (options) => sums(sized((last ? b : BLOCK) * n))(options),
      dryBegin() {
        keptMatrix(b * n);
      },
      *prepare(before) {
        if (known === 0) basis = new Float64Array(b * n);
        const random = directions(n, 2 * BLOCK);
        // The next block of the space: what the last became, less what all before it have.
        let block = (before as LowRankCurvature | undefined)?.sketch ?? random.subarray(PROBES * n);
        const count = Math.min(BLOCK, q - known);
        for (let k = 0; k < 2; k++) {
          block = yield* without(block, basis.subarray(0, known * n), n);
          block = yield* orthonormal(block, block.length / n, n, count);
        }
        basis.set(block, known * n);
        known += count;
        if (last) basis.set(yield* without(random.slice(0, PROBES * n), basis.subarray(0, q * n), n), q * n);
        return new LowRankCurvature(all, 0, rank, none, none, undefined, last ? basis : block);
      },
      begin: (prepared) => sums((prepared as LowRankCurvature).basis as Float64Array),
    };
  };
  const krylov = pass(false);
  return [...Array.from({ length: Math.ceil(q / BLOCK) - 1 }, () => krylov), pass(true)];
}

/** Rows less what they have along others, which are orthonormal. */
function* without(rows: Float64Array, others: Float64Array, n: number): Steps<Float64Array> {
  const [count, m] = [rows.length / n, others.length / n];
  if (m === 0) return rows;
  const shares = yield* productInSteps(count, m, n, [rows, n, 1], [others, 1, n]);
  const within = yield* productInSteps(count, n, m, [shares, m, 1], [others, n, 1]);
  return rows.map((x, i) => x - within[i]);
}
