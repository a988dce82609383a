// Likelihoods of independent outputs as plain functions of numbers.

import type { Random } from "../array/random.ts";

/** What draws: a `Random`. */
export type DrawSource = Pick<Random, "uniform" | "normal" | "integer">;

/** What numbers targets may be. */
export type TargetNumbers = "reals" | "positives" | "counts";

/**
 * A likelihood of independent outputs: functions of one output f and its target y. Its log density is
 * −loss(f, y) − constant(y).
 */
export interface NumberLikelihood {
  /** What targets may be (default "reals"). */
  readonly targets?: TargetNumbers | undefined;
  /** −log density, without what depends on the target alone. */
  loss(f: number, y: number): number;
  /** ∂ loss / ∂f */
  gradient(f: number, y: number): number;
  /** The Fisher information Λ: the mean of gradient², which is that of ∂² loss / ∂f², over targets at f. At least 0. */
  information(f: number): number;
  /** A target at f. */
  draw(f: number, random: DrawSource): number;
  /** The mean of targets at f. */
  mean(f: number): number;
  /** Their variance. */
  variance(f: number): number;
  /** What the loss leaves out (default 0). */
  constant?(y: number): number;
  /** What is read of the mean and variance over f ~ N(m, v), in closed form (default: by quadrature). */
  moments?(m: number, v: number): TargetMoments;
}

/** The law of total variance: a target has the variance aleatoric + epistemic. */
export interface TargetMoments {
  readonly mean: number;
  /** The mean of the variance at f. */
  readonly aleatoric: number;
  /** The variance of the mean at f. */
  readonly epistemic: number;
}
