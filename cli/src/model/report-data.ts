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
  /** The training rows' own values of this input and of the target (for classes 1 where it is the shown class). */
  readonly points: readonly { readonly x: number | string; readonly y: number }[];
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
  readonly candidates?: readonly {
    readonly name: string;
    readonly negativeLogLikelihood: number;
    readonly weight: number;
  }[];
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
