// What `evaluate` gives: the metrics that fit a likelihood, as types.

import type { LikelihoodKind } from "../likelihood/likelihood.ts";

/** What there is of every likelihood; metrics are called as their functions. */
export interface Metrics {
  /** The number of samples. */
  readonly samples: number;
  /**
   * Of Gaussian targets, of labels and classes, of counts, or of a likelihood of one's own: the last two go by the Gaussian over
   * their function, which of the approximation "network" has the mean and variance of the draws.
   */
  readonly negativeLogLikelihood: number;
}

/** Of counts, and of likelihoods of one's own. */
export interface NumberMetrics extends Metrics {
  readonly rootMeanSquaredError: number;
  readonly meanAbsoluteError: number;
}

/** Of a regression with gaussian() or heteroscedastic(). */
export interface NormalMetrics extends NumberMetrics {
  readonly crps: number;
  readonly intervalCoverage: number;
  /** The mean width of those intervals. */
  readonly intervalWidth: number;
  /** Of `calibrationCurve`. */
  readonly miscalibrationArea: number;
  readonly sigmaScaling: number;
}

/** Of classes. */
export interface ClassMetrics extends Metrics {
  /** How many labels the metrics are means over, where that is not the number of samples. */
  readonly labels?: number;
  readonly accuracy: number;
  readonly brierScore: number;
  /** 15 bins, "l1". */
  readonly expectedCalibrationError: number;
}

/** Of labels 0 and 1. */
export interface LabelMetrics extends ClassMetrics {
  /** If both labels occur. */
  readonly auroc?: number;
}

interface MetricsOf {
  readonly normal: NormalMetrics;
  readonly varying: NormalMetrics;
  readonly numbers: NumberMetrics;
  readonly labels: LabelMetrics;
  readonly classes: ClassMetrics;
}

/** Every metric there is of some likelihood. */
type Name = keyof NormalMetrics | keyof LabelMetrics;

/** With the metrics of others, which are absent, and may be asked for where the likelihood is not known. */
type Complete<Own> = Own & { readonly [Other in Exclude<Name, keyof Own>]?: undefined };

/** Of one output; of its labels all may be left out. */
type OutputMetrics<Kind extends LikelihoodKind> = Complete<
  Kind extends "labels" ? Partial<LabelMetrics> & Pick<LabelMetrics, "samples"> : MetricsOf[Kind]
>;

/**
 * What `evaluate` gives: the metrics that fit the likelihood, by the names of their functions; the others are absent. Of a
 * posterior whose likelihood is not known, such as one of a file, those of each likelihood are numbers or absent.
 */
export type Evaluation<Kind extends LikelihoodKind = LikelihoodKind> = Kind extends LikelihoodKind
  ? Complete<MetricsOf[Kind]> & {
      /**
       * Regression, counts and binary labels of several outputs, [C] each example: the same metrics of each output by itself, in
       * its own unit. Those above are over all outputs: errors, scores and widths are then those of the largest unit.
       */
      readonly outputs?: readonly OutputMetrics<Kind>[];
    }
  : never;
