// Kernels of optimisers, and of squared errors.

import { training } from "./generated/bytes.ts";
import type { Kernels, TrainingKernels } from "./generated/types.ts";
import { withPart } from "./kernels.ts";

/** The same kernels, with these. */
export const withTraining = <K extends Kernels>(kernels: K): K & TrainingKernels =>
  withPart<K, TrainingKernels>(kernels, training);
