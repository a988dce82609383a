// Numbers whose noise depends on the inputs: a network gives the mean of each and the logarithm of its variance.

import { portableExp } from "../array/portable.ts";
import { checkChoice, checkOptions } from "../errors.ts";
import type { Likelihood } from "./likelihood.ts";
import { ofRows } from "./of-rows.ts";
import type { Row, RowLikelihood } from "./plain.ts";

/** Options of `heteroscedastic`. */
export interface HeteroscedasticOptions<Density extends "gaussian" | "mixture" = "gaussian" | "mixture"> {
  /**
   * The density of a target that is predicted: a "gaussian" of its mean and variance (default), as intervals are, or the
   * "mixture" of Gaussians over the function's values, whose tails are longer where the variance is uncertain.
   */
  density?: Density | undefined;
}

const rule: RowLikelihood = {
  outputs: 2,
  numbers: 1,
  loss: ([m, s], [y]) => 0.5 * (s + (y - m) ** 2 * Math.exp(-s)),
  gradient([m, s], [y], to) {
    to[0] = (m - y) * Math.exp(-s);
    to[1] = 0.5 * (1 - (y - m) ** 2 * Math.exp(-s));
  },
  information([, s], to) {
    to[0] = Math.exp(-s);
    to[3] = 0.5;
  },
  hessian([m, s], [y], to) {
    const precision = Math.exp(-s);
    to[0] = precision;
    to[1] = to[2] = (y - m) * precision;
    to[3] = 0.5 * (y - m) ** 2 * precision;
  },
  draw([m, s], random, to) {
    to[0] = m + Math.exp(0.5 * s) * random.normal();
  },
  mean([m], to) {
    to[0] = m;
  },
  variance([, s], to) {
    to[0] = portableExp(s);
  },
  constant: () => 0.5 * Math.log(2 * Math.PI),
};

/** Over f ~ N(m, V) the variance e^s is log-normal, and the mean is the Gaussian's own. */
const moments = (m: Row, covariance: Row | undefined) => ({
  mean: m.slice(0, 1),
  aleatoric: Float64Array.of(portableExp(m[1] + 0.5 * (covariance?.[3] ?? 0))),
  epistemic: Float64Array.of(covariance?.[0] ?? 0),
});

/**
 * A Gaussian likelihood whose noise depends on the inputs (Nix & Weigend 1994): of each pair of outputs (m, s) a target is
 * normal with the mean m and the variance e^s. The loss is ½ (s + (y − m)² e⁻ˢ), and Λ its Fisher information, diag(e⁻ˢ, ½). The
 * network's last axis is the pair: outputs [2] have targets [B], outputs [C, 2] targets [B, C] (`reshape(x, [C, 2])` at its end).
 * Predictions have the variance e^(s + v_s/2) + v_m of weights and noise together, "exact" (default); `functionVariance` has v_m
 * and v_s. Nothing is tuned but the prior: the noise is the network's.
 * @throws OptionError
 */
export function heteroscedastic(options?: HeteroscedasticOptions<"gaussian">): Likelihood<"varying">;
export function heteroscedastic(options: HeteroscedasticOptions<"mixture">): Likelihood<"numbers">;
export function heteroscedastic(options: HeteroscedasticOptions): Likelihood<"varying" | "numbers">;
export function heteroscedastic(options: HeteroscedasticOptions = {}): Likelihood<"varying" | "numbers"> {
  checkOptions("heteroscedastic", options, ["density"]);
  const { density = "gaussian" } = options;
  checkChoice("heteroscedastic", "density", density, ["gaussian", "mixture"]);
  const entry = density === "mixture" ? { density } : {};
  return ofRows("heteroscedastic", rule, entry, { moments, normal: density === "gaussian" });
}
