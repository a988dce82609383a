// Passes by a block Krylov space of the matrix, a block by a pass (Golub & Underwood 1977; Musco & Musco 2015,
// arXiv:1504.05477): of an exact Hessian, whose eigenvalues have either sign, and of a sum of squares whose data can be gone
// through again. Where the eigenvalues fall slowly it finds the largest, which random directions alone do not.

import { keptMatrix, sized } from "../../kernels/dry-run.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { Accumulator, Rank } from "../curvature.ts";
import { orthonormal } from "../functional/basis.ts";
import { productInSteps } from "../products.ts";
import type { Selection } from "../selection.ts";
import type { Pass, SumOptions } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { directions } from "./sketch.ts";

/** A space, and what becomes of it. */
export interface Space {
  readonly all: Selection;
  readonly rank: Rank;
  /** How many directions it has; of a block; random ones beside it, in the last pass. */
  readonly q: number;
  readonly block: number;
  readonly probes: number;
  /** Products with these rows, [c, S]. */
  along(rows: Float64Array): (options: SumOptions) => Accumulator<LowRankCurvature>;
  /** The curvature, of all directions and the products with them, [q + probes, S]. */
  made(basis: Float64Array, products: Float64Array, last: LowRankCurvature): Steps<LowRankCurvature>;
  /** In a dry run, what it takes beside both. */
  dryMade?(): void;
}

/** Directions of a pass at least. */
export const BLOCK = 10;

const none = new Float64Array(0);

export function krylovPasses({ all, rank, q, block, probes, along, made, dryMade }: Space): readonly Pass[] {
  const { size: n } = all;
  let basis = none;
  let products = none;
  /** How many directions there are so far. */
  let known = 0;
  const pass = (last: boolean): Pass => ({
    dry: (options) => along(sized((block + (last ? probes : 0)) * n))(options),
    dryBegin() {
      keptMatrix(2 * (q + probes) * n);
      if (last) dryMade?.();
    },
    *prepare(before) {
      const random = directions(n, probes + block);
      // The next block of the space: what the last became, less what all before it have.
      let next = random.subarray(probes * n);
      if (known === 0) [basis, products] = [0, 1].map(() => new Float64Array((q + probes) * n));
      else {
        next = (before as LowRankCurvature).sketch;
        products.set(next, known * n - next.length);
      }
      const count = Math.min(block, q - known);
      for (let k = 0; k < 2; k++) {
        next = yield* without(next, basis.subarray(0, known * n), n);
        next = yield* orthonormal(next, next.length / n, n, count);
      }
      basis.set(next, known * n);
      const first = known;
      known += count;
      if (last) basis.set(yield* without(random.slice(0, probes * n), basis.subarray(0, q * n), n), q * n);
      const rows = basis.slice(first * n, (last ? q + probes : known) * n);
      return new LowRankCurvature(all, 0, rank, none, none, undefined, rows);
    },
    begin: (prepared) => along((prepared as LowRankCurvature).basis as Float64Array),
    ...(last && {
      *after(total) {
        const ours = total as LowRankCurvature;
        products.set(ours.sketch, products.length - ours.sketch.length);
        return yield* made(basis, products, ours);
      },
    }),
  });
  const one = pass(false);
  return [...Array.from({ length: Math.ceil(q / block) - 1 }, () => one), pass(true)];
}

/** Rows less what they have along others, which are orthonormal. */
function* without(rows: Float64Array, others: Float64Array, n: number): Steps<Float64Array> {
  const [count, m] = [rows.length / n, others.length / n];
  if (m === 0 || count === 0) return rows;
  const shares = yield* productInSteps(count, m, n, [rows, n, 1], [others, 1, n]);
  const within = yield* productInSteps(count, n, m, [shares, m, 1], [others, n, 1]);
  return rows.map((x, i) => x - within[i]);
}
