// Kernels of images, norms and softmax.

import { layers } from "./generated/bytes.ts";
import type { Kernels, LayersKernels } from "./generated/types.ts";
import { withPart } from "./kernels.ts";

/** The same kernels, with these. */
export const withLayers = <K extends Kernels>(kernels: K): K & LayersKernels =>
  withPart<K, LayersKernels>(kernels, layers);
