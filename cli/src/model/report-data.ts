// Everything a report shows, as plain numbers and texts in the units of the table: the report computes nothing of its own.

import type { HeldOut } from "./held-out.ts";

/** What is wrong with a fit, if something is, and which option to change; as `posterior.diagnose` gives it. */
export interface Finding {
  readonly severity: "problem" | "warning";
  readonly message: string;
  readonly advice: string;
}

/** A column of the table, and what was made of it. */
export interface ColumnNote {
  readonly name: string;
  readonly kind: "number" | "category" | "date" | "ignored";
  /** How many inputs of the network it became. */
  readonly inputs: number;
  readonly missing: number;
  /** How much it moves the target by the learned prior, in parts of the most relevant column's, where that was learned. */
  readonly relevance?: number;
  /** By so much the loss of held-out rows (numbers: CRPS; classes: −log p) rises where its values are exchanged among them, and the standard error. */
  readonly importance?: readonly [rise: number, standardError: number];
  /** In words: "standardised", "one-hot, 4 categories", "ignored: every row differs". */
  readonly note: string;
}

/** The predictions along one input, the others at a typical row. */
export interface Slice {
  readonly input: string;
  readonly kind: "number" | "category" | "date";
  /** Positions along the input; categories by name, dates as ISO texts. */
  readonly x: readonly (number | string)[];
  /** Regression: the mean. Classification: the probability of the shown class. */
  readonly mean: readonly number[];
  /** 90 % band of the function (what the weights leave open). */
  readonly functionLower: readonly number[];
  readonly functionUpper: readonly number[];
  /** Regression: 90 % band of a new target. */
  readonly lower?: readonly number[];
  readonly upper?: readonly number[];
  /** Classification: the class whose probability is shown. */
  readonly shownClass?: string;
  /** Of three classes and more: the probability of each, in the order of their numbers. */
  readonly classes?: readonly ClassSlice[];
  /** The training rows' own values of this input and of the target (for classes 1 where it is the shown class, and which one it is). */
  readonly points: readonly { readonly x: number | string; readonly y: number; readonly label?: number }[];
}

/** The probability of one class along an input, as of the shown class. */
export interface ClassSlice extends Pick<Slice, "mean" | "functionLower" | "functionUpper"> {
  readonly name: string;
}

/** A bin of a reliability diagram. */
export interface ReliabilityBin {
  readonly confidence: number;
  readonly accuracy: number;
  readonly count: number;
}

/** How often a guaranteed interval or set holds the target in a group of rows. */
export interface GroupCoverage {
  /** The column, or what else rows are told apart by. */
  readonly by: string;
  readonly group: string;
  readonly samples: number;
  readonly coverage: number;
  /** Where the true coverage is with a confidence of 95 %. */
  readonly range: readonly [lower: number, upper: number];
}

/** What is promised of intervals or sets, and how often they held held-out rows. */
export interface GuaranteeReport extends Omit<GroupCoverage, "by" | "group"> {
  readonly level: number;
  /** One, or those of so many folds. */
  readonly models: number;
  /** The coverage that is sure, on average over rows. */
  readonly sure: number;
  readonly groups: readonly GroupCoverage[];
}

/** By how many nats of a row held-out rows become more probable, on average, and the standard error. */
export interface Gain {
  readonly gain: number;
  readonly standardError: number;
}

/** A step from a linear model to the mixture. */
export interface GainStep extends Gain {
  readonly name: string;
}

/** What the mixture gains over a linear model in a part of the rows: "20.1 to 24.5", or those of a class. */
export interface GainPart extends Gain {
  readonly rows: string;
  readonly samples: number;
}

/** What the larger of two candidates that differ in their width alone gains. */
export interface Growth extends Gain {
  readonly from: string;
  readonly to: string;
  /** Whether another candidate is better than the larger one beyond chance. */
  readonly behind: boolean;
}

/** A candidate, and how it did. */
export interface CandidateReport {
  readonly name: string;
  /** Mean −log p of held-out rows; infinite where it was given up. */
  readonly negativeLogLikelihood: number;
  /** In the mixture. */
  readonly weight: number;
  /** The standard error of how far it is behind the best one. */
  readonly standardError?: number;
  /** Log evidence per row, relative to the greatest of all. */
  readonly evidence?: number;
}

/** A candidate in JSON and in a model's file. */
export interface WrittenCandidate extends Omit<CandidateReport, "negativeLogLikelihood"> {
  /** Mean −log p of held-out rows; null where it was given up. */
  readonly negativeLogLikelihood: number | null;
  /** Its posteriors in the mixture. */
  readonly members: number;
}

/** What held-out rows say of the portfolio. */
export interface PortfolioReport {
  readonly steps: readonly GainStep[];
  readonly parts: readonly GainPart[];
  /** What the mixture gains over a linear model. */
  readonly overLinear?: Gain;
  readonly wider?: Growth;
  /** What the second half of the training brought to the rows that said when to stop. */
  readonly longer?: number;
}

/** Everything a report shows. */
export interface ReportData {
  readonly data: string;
  readonly target: string;
  readonly task: "regression" | "classification" | "count";
  /** Names of the classes, in the order of their numbers. */
  readonly classes?: readonly string[];
  readonly created: string;
  readonly version: string;
  readonly seed: number;
  /** Whether the network was trained by another program: which rows that saw nobody knows here. */
  readonly trainedElsewhere?: boolean;
  /** How many rows were used for what. */
  readonly counts: {
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    readonly dropped: number;
    /** Whether every row was held out once, by cross-validation; "train" counts what each of its models learned from. */
    readonly folded?: boolean;
  };
  /** How much rows count, in words, where they do not all count once. */
  readonly weights?: string;
  readonly columns: readonly ColumnNote[];
  /** What was tried, and with which weights it predicts together (default: one model). */
  readonly candidates?: readonly CandidateReport[];
  readonly portfolio?: PortfolioReport;
  /** The network in a line: "13 → 32 → 32 → 1, tanh, 1,537 parameters". */
  readonly network: string;
  /** The structure of the posterior, and why it was chosen, in words. */
  readonly structure: string;
  readonly structureReason: string;
  readonly priorPrecision: number;
  /** Regression: standard deviation of the noise, in the target's units. */
  readonly noise?: number;
  /** Classification: the temperature of the weights in words, where it is not 1. */
  readonly temperature?: string;
  /** Classification: the power of probabilities in words, where it is not 1. */
  readonly power?: string;
  /** Regression: how the noise depends on the row, in words, where it does. */
  readonly noiseByRow?: string;
  /** Regression: the scale on which the target was learned, in words, where it is not its own; of counts their family. */
  readonly targetScale?: string;
  /** Metrics on the held-out rows, by the names that `evaluate` gives; and those of the baseline (mean or majority). */
  readonly metrics: Readonly<Record<string, number>>;
  readonly baseline: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  /** What was looked at for the findings, each in a few words: "training reached a minimum" (default: all of `diagnose`). */
  readonly checked?: readonly string[];
  readonly heldOut: HeldOut;
  /** Where intervals or sets are guaranteed. */
  readonly guarantee?: GuaranteeReport;
  /** Classification: of the predicted probabilities. Regression: empirical frequency below each predicted quantile. */
  readonly reliability: readonly ReliabilityBin[];
  readonly evidence: { readonly priorPrecision: readonly number[]; readonly logEvidence: readonly number[] };
  readonly training: {
    readonly epochs: readonly number[];
    readonly train: readonly number[];
    readonly validation: readonly number[];
    /** The epoch whose weights were kept. */
    readonly kept: number;
  };
  /** In order of importance, the most important first. */
  readonly slices: readonly Slice[];
}
