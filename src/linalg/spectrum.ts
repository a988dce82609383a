// Eigenvalues where a factorisation would do too: they pay where a prior is tuned. Their kernels are in the bundles of programs
// that ask for the evidence, which bring them when they do.

import { eighInSteps } from "./in-steps.ts";

let brought: typeof eighInSteps | undefined;

/** Brings eigenvalues into the program. */
export const bringSpectrum = (): void => {
  brought = eighInSteps;
};

/** `eighInSteps`, where it was brought. */
export const spectrumOf = (): typeof eighInSteps | undefined => brought;
