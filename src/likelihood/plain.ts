// Likelihoods as plain functions of numbers: of one output, or of rows of outputs.

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
  /** That it has none tells it from a `RowLikelihood`. */
  readonly outputs?: undefined;
  /** What targets may be (default "reals"). */
  readonly targets?: TargetNumbers | undefined;
  /**
   * Which Λ a fit's "ggn" takes (default "expected"): the information, or "observed", second derivatives at the data's own
   * targets, which are refused where they are negative. Predictions and scores take the information.
   */
  readonly curvature?: "expected" | "observed" | undefined;
  /** −log density, without what depends on the target alone. */
  loss(f: number, y: number): number;
  /** ∂ loss / ∂f */
  gradient(f: number, y: number): number;
  /** The Fisher information Λ: the mean of gradient², which is that of ∂² loss / ∂f², over targets at f. At least 0. */
  information(f: number): number;
  /** ∂² loss / ∂f² at a target, for "observed" and exact Hessians. */
  hessian?(f: number, y: number): number;
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

/** Numbers of a row: its outputs f, or its target y. Lent for the call: copy what is kept. */
export type Row = Float64Array;

/**
 * A likelihood of rows of outputs that belong together, such as a mean and the logarithm of its variance: functions of the
 * row's outputs f and its target y. A network has one such row, or one at every position: its last axis has `outputs`
 * entries. Targets have `numbers` in their place, or no such axis where that is 1 of several outputs. What is written into
 * `to` is 0 before. Its log density is −loss(f, y) − constant(y).
 */
export interface RowLikelihood {
  /** G, how many outputs a row has. */
  readonly outputs: number;
  /** T, how many numbers its target has, at most G (default G). */
  readonly numbers?: number | undefined;
  /** What they may be (default "reals"). */
  readonly targets?: TargetNumbers | undefined;
  /**
   * Which Λ a fit's "ggn" takes (default "expected"): the information, or "observed", second derivatives at the data's own
   * targets, which are refused where they are negative. Predictions and scores take the information.
   */
  readonly curvature?: "expected" | "observed" | undefined;
  /** −log density, without what depends on the target alone. */
  loss(f: Row, y: Row): number;
  /** Writes ∂ loss / ∂f, [G]. */
  gradient(f: Row, y: Row, to: Row): void;
  /** Writes the Fisher information Λ, [G, G], row by row: the mean of gradient gradientᵀ over targets at f. */
  information(f: Row, to: Row): void;
  /** Writes ∂² loss / ∂f² at a target, [G, G], for "observed" and exact Hessians. */
  hessian?(f: Row, y: Row, to: Row): void;
  /** Writes a target at f, [T]. */
  draw(f: Row, random: DrawSource, to: Row): void;
  /** Writes the mean of targets at f, [T]. */
  mean(f: Row, to: Row): void;
  /** Writes the variance of each of their numbers, [T]. */
  variance(f: Row, to: Row): void;
  /** What the loss leaves out (default 0). */
  constant?(y: Row): number;
}

/** The law of total variance: a target has the variance aleatoric + epistemic. */
export interface TargetMoments {
  readonly mean: number;
  /** The mean of the variance at f. */
  readonly aleatoric: number;
  /** The variance of the mean at f. */
  readonly epistemic: number;
}
