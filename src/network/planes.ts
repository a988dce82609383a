// Correlations of every channel with windows of its own, without products of matrices: depthwise convolutions.

import { countWork } from "../kernels/dry-run.ts";
import { withLayers } from "../kernels/layers.ts";
import { allocateFloats, bytesPerElement, type Pointer, scope } from "../kernels/memory.ts";
import { chunkLength } from "./chunks.ts";
import type { ForwardPass } from "./primitive.ts";

type Pair = readonly [height: number, width: number];

/** What is correlated: channels whose rows and columns lie `gap` apart in a plane of zeros. */
export interface Planes {
  readonly channels: number;
  readonly from: Pair;
  readonly gap: Pair;
  /** Where the first element lies in the plane. */
  readonly top: number;
  readonly left: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly to: Pair;
}

/**
 * y = the sum over windows of x with the channel's own weights (or +=), for so many images.
 * @param w [channels, kernel height, kernel width], where `turned` by half a turn
 */
export function correlateChannels(
  { kernels, dtype }: ForwardPass,
  { channels, from, gap, top, left, kernel, stride, dilation, to }: Planes,
  slabs: number,
  x: Pointer,
  w: Pointer,
  y: Pointer,
  turned: boolean,
  add: boolean,
): void {
  const bytes = bytesPerElement(dtype);
  // Rows are made four at a time, and vectors have up to four numbers.
  const [high, wide] = [4 * Math.ceil(to[0] / 4), 4 * Math.ceil(to[1] / 4)];
  const rows = Math.max((high - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1, top + (from[0] - 1) * gap[0] + 1);
  const half = Math.max(
    wide + Math.floor((dilation[1] * (kernel[1] - 1)) / stride[1]),
    Math.ceil((left + (from[1] - 1) * gap[1] + 1) / stride[1]),
  );
  const [before, after] = [channels * from[0] * from[1], channels * to[0] * to[1]];
  countWork(slabs * after * kernel[0] * kernel[1]);
  scope(() => {
    const scratch = allocateFloats(dtype, rows * stride[1] * half + 4);
    const length = chunkLength(dtype, slabs, Math.max(before, after));
    for (let first = 0; first < slabs; first += length) {
      withLayers(kernels).correlatePlanes(
        Math.min(length, slabs - first),
        channels,
        ...from,
        ...gap,
        top,
        left,
        ...kernel,
        ...stride,
        ...dilation,
        ...to,
        turned,
        add,
        rows,
        half,
        scratch,
        x + first * before * bytes,
        w,
        y + first * after * bytes,
      );
    }
  });
}
