// Kernels of eigenvalues.

import { eigh } from "./generated/bytes.ts";
import type { EighKernels, Float64Kernels } from "./generated/types.ts";
import { withPart } from "./kernels.ts";

/** The same kernels, with these. */
export const withEigh = <K extends Float64Kernels>(kernels: K): K & EighKernels =>
  withPart<K, EighKernels>(kernels, eigh);
