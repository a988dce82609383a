// What a diagnosis finds.

/** What a finding is about. */
export type FindingCode =
  /** The network's loss is not near a minimum. */
  | "not-at-minimum"
  /** Columns of the inputs differ in size by more than the network's numbers have digits. */
  | "inputs-of-different-size"
  /** A column of the inputs is further from 0, beside its spread, than the network's numbers have digits. */
  | "inputs-far-from-zero"
  /** Two columns of the inputs differ by less than the network's numbers have digits. */
  | "inputs-nearly-equal"
  /** Tuning ended before the evidence was at a maximum. */
  | "tuning-not-converged"
  /** Tuning drove prior precisions to 0 or to infinity. */
  | "prior-at-edge"
  /** The prior is far wider or narrower than the weights are large. */
  | "prior-far-from-weights"
  /** The noise is far from what the residuals of the fit ask for. */
  | "noise-far-from-residuals"
  /** The network leaves nothing of the data that it was trained on. */
  | "perfect-fit"
  /** The weights are so certain that predictions do not see their uncertainty. */
  | "function-variance-negligible"
  /** Nearly all of the predictive uncertainty is epistemic: about the weights. */
  | "function-variance-dominating"
  /** The uncertainty about the weights is the same at every input. */
  | "uncertainty-constant"
  /** Predictions are more certain than they are right. */
  | "over-confident"
  /** Predictions are less sure than they are right. */
  | "under-confident"
  /** Predictions are worse than those that ignore the inputs. */
  | "worse-than-baseline"
  /** Inputs are far from those of the training. */
  | "far-from-training-data";

/** Something that is wrong, or may be. */
export interface Finding {
  readonly code: FindingCode;
  /** A "problem" makes predictions wrong; a "warning" may have a good reason. */
  readonly severity: "problem" | "warning";
  /** What was found, in plain words. */
  readonly message: string;
  /** What to do about it, with the option to change. */
  readonly advice: string;
  /** The numbers it rests on, `output` being which of several it is about; variances and residuals are those of unit noise where they are named so. */
  readonly measured: Readonly<Record<string, number>>;
}

/** What `diagnose` gives. */
export interface Diagnosis {
  /** Whether there is no problem; there may be warnings. */
  readonly ok: boolean;
  /** Causes before effects. */
  readonly findings: readonly Finding[];
  /**
   * What was looked at: the fit alone, also the data it was fitted on (recognised by their number and loss, and no judge of
   * calibration), or other data.
   */
  readonly data: "none" | "training" | "held-out";
}

/** Where data determine fewer weights than this, they determine none: the posterior is the prior. */
export const NO_WEIGHT = 0.1;

/** Numbers as people read them. */
export const text = (x: number) => String(Number(x.toPrecision(2)));

/** Which output is meant, where there are several. */
export const ofOutput = (output: number | undefined) => (output === undefined ? "" : ` of output ${output}`);

/** The finding that the posterior is all but a point. */
export function negligible(effective: number, output?: number): Finding {
  return {
    code: "function-variance-negligible",
    severity: "warning",
    message: `The weights count as all but certain, so that predictions${ofOutput(output)} are hardly more than the network's own: the prior is so narrow that the data change nothing.`,
    advice:
      "Let optimizePrior() choose the prior, or give a smaller priorPrecision. If it was tuned, train the network further, so that its weights matter.",
    measured: { ...(output !== undefined && { output }), effectiveParameters: effective },
  };
}
