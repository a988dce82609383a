// Kernels of losses of labels, and of curvatures of many outputs.

import { classes } from "./generated/bytes.ts";
import type { ClassesKernels, Kernels } from "./generated/types.ts";
import { withPart } from "./kernels.ts";

/** The same kernels, with these. */
export const withClasses = <K extends Kernels>(kernels: K): K & ClassesKernels =>
  withPart<K, ClassesKernels>(kernels, classes);
