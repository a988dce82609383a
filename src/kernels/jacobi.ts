// Kernels of Jacobi's rotations.

import { jacobi } from "./generated/bytes.ts";
import type { Float64Kernels, JacobiKernels } from "./generated/types.ts";
import { withPart } from "./kernels.ts";

/** The same kernels, with these. */
export const withJacobi = <K extends Float64Kernels>(kernels: K): K & JacobiKernels =>
  withPart<K, JacobiKernels>(kernels, jacobi);
