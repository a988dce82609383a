// Passes of an exact Hessian of low rank: the whole matrix where that is small; beyond, its products with random directions, and twice those
// with an orthonormal basis of what came of the pass before: a subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Review 53,
// algorithms 4.4 and 5.3), as the eigenvalues of a Hessian fall slowly.

import { Random } from "../../array/random.ts";
import { keptMatrix, sized } from "../../kernels/dry-run.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { Likelihood } from "../../likelihood/likelihood.ts";
import { type Rank, symmetric } from "../curvature.ts";
import { orthonormal } from "../functional/basis.ts";
import { hessianSums, productSums } from "../hessian-sums.ts";
import { productInSteps } from "../products.ts";
import type { Selection } from "../selection.ts";
import { type Pass, passOf } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { PROBES } from "./signed.ts";
import { directions, sketchSize } from "./sketch.ts";

const none = new Float64Array(0);
const zero = () => new Float64Array(1);

/** One pass up to 1024 weights, and three beyond. */
export function signedPasses({
  likelihood,
  selection: { size: n },
  rank,
}: {
  readonly likelihood: Likelihood;
  readonly selection: Selection;
  readonly rank: Rank;
}): readonly Pass[] {
  const b = sketchSize(rank, n);
  if (b === n) {
    return [
      passOf((options) =>
        hessianSums(likelihood, options, false, function* (sums, examples) {
          return new LowRankCurvature(options.selection, examples, rank, yield* symmetric(sums, n), zero(), none);
        }),
      ),
    ];
  }
  /** Products with these, which are the basis of what comes of them, or not. */
  const along =
    (rows: () => Float64Array, basis: boolean): Parameters<typeof passOf>[0] =>
    (options) => {
      const some = rows();
      return productSums(likelihood, options, some, function* (sums, examples) {
        const sketch = new Float64Array(some.length);
        for (let at = 0; at < some.length; at += n) {
          sums(at, at + n, sketch, at);
          yield;
        }
        return new LowRankCurvature(options.selection, examples, rank, sketch, zero(), basis ? some : undefined);
      });
    };
  const first = along(() => directions(n, b), false);
  const dry = (count: number, basis: boolean) => along(() => sized(count * n), basis);
  /** A pass along a basis of what came before. */
  const alongBasis = (last: boolean, basisOf: (sketch: Float64Array) => Steps<Float64Array>): Pass => ({
    dry: dry(last ? b + PROBES : b, last),
    dryBegin() {
      const steps = basisOf(sized(b * n));
      while (steps.next().done !== true);
    },
    *prepare(before) {
      const { sketch, selection } = before as LowRankCurvature;
      return new LowRankCurvature(selection, 0, rank, none, zero(), yield* basisOf(sketch));
    },
    begin: (prepared) => along(() => (prepared as LowRankCurvature).basis as Float64Array, last),
  });
  return [
    { dry: dry(b, false), begin: () => first },
    alongBasis(false, (sketch) => orthonormal(sketch, b, n, b)),
    alongBasis(true, (sketch) => probed(sketch, b, n)),
  ];
}

/** Orthonormal rows that span those of a sketch, and normal directions less what they have there. */
function* probed(sketch: Float64Array, b: number, n: number): Steps<Float64Array> {
  const q = yield* orthonormal(sketch, b, n, b);
  const result = keptMatrix((b + PROBES) * n);
  result.set(q);
  const random = new Random(1);
  const probes = new Float64Array(PROBES * n);
  for (let i = 0; i < probes.length; i++) probes[i] = random.normal();
  const shares = yield* productInSteps(PROBES, b, n, [probes, n, 1], [q, 1, n]);
  const within = yield* productInSteps(PROBES, n, b, [shares, b, 1], [q, n, 1]);
  for (let i = 0; i < probes.length; i++) result[b * n + i] = probes[i] - within[i];
  return result;
}
