// What predictions need of a posterior: a network linearised around its weights, and a Gaussian over them.

import type { Random } from "../array/random.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { Model } from "../network/run.ts";
import type { Curvature, Structure } from "../structures/curvature.ts";
import type { Precision, Prepared } from "../structures/precision.ts";
import type { Selection } from "../structures/selection.ts";

/** What predictions, scores and findings ask of a posterior; every `Posterior` is one. */
export interface Linearised<Kind extends LikelihoodKind = LikelihoodKind> {
  readonly net: Network;
  readonly likelihood: Likelihood<Kind>;
  /** @internal The network as it was at the fit. */
  readonly model: Model;
  /** How their precision is stored. */
  readonly structure: Structure;
  /** @internal What it comes of. */
  readonly curvature?: Curvature;
  /** The weights that are uncertain. */
  readonly selection: Selection;
  /** Their number. */
  readonly size: number;
  /** @internal Their precision. */
  readonly factorised: Precision;
  /** @internal The same in steps, with what is asked of it next. */
  factoring(what?: Prepared): Steps<Precision>;
  /** @internal The network's flat parameters at the fit. */
  readonly theta: Float64Array;
  /** @internal n deviations of the weights from their mean, [n, S]. */
  deviations(n: number, noise: Random | Float64Array): Steps<Float64Array>;
  /** @internal Row s of deviations at its places among all parameters, added to `base` or to zeros. */
  embed(draws: Float64Array, s: number, base?: Float64Array): Float64Array;
}
