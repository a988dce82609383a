// The factor A = Σ u uᵀ of windows u that begin at every row of an image, without the windows: two rows of a window are two rows of the
// image as far apart, so A's blocks are sums over pairs of rows, which windows share but for those at the edges. Of windows of 3 × 3
// half as many products are left. Rows are cut where a window's rows begin and end, so all terms are added, and none subtracted.

import type { Kernels } from "../../kernels/kernels.ts";
import { withLayers } from "../../kernels/layers.ts";
import { allocateFloats, bytesPerElement, type DType, type Pointer, scope } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import { chunkLength } from "../../network/chunks.ts";
import type { Windows } from "../../network/primitive.ts";
import type { ReadSums } from "../curvature.ts";

/** Pairs of an image's rows whose products are summed: row r with row r + apart, for r from `first` up to `end`. */
interface Band {
  readonly apart: number;
  readonly first: number;
  readonly end: number;
  /** The rows k of a window for which they are in the sum of its rows k and k + apart. */
  readonly of: readonly number[];
}

/** What is summed in the place of A: a matrix [n, n] for each band. */
export interface Bands {
  readonly windows: Windows;
  /** Numbers of a window's row, channels · width. */
  readonly n: number;
  readonly bands: readonly Band[];
}

/** Numbers that they are. */
export const numbersOfBands = ({ n, bands }: Bands): number => bands.length * n ** 2;

/** Numbers of the factor that they make. */
export const numbersOfFactor = ({ n, windows }: Bands): number => (n * windows.kernel[0]) ** 2;

/** Channels from which on products are long enough, and numbers of a window's column of the grid. */
const [LEAST_CHANNELS, LEAST_POSITIONS] = [16, 64];
/** Share of the windows' own products that they may take. */
const MOST_WORK = 0.7;

/** The bands of windows whose rows are neighbours. */
export function bandsOf(windows: Windows): Bands {
  const { image, kernel, padding, grid } = windows;
  const [channels, height] = image;
  const bands: Band[] = [];
  for (let apart = 0; apart < kernel[0]; apart++) {
    const ranges = Array.from({ length: kernel[0] - apart }, (_, k): readonly [number, number] => {
      const first = k - padding[0];
      return [Math.max(0, first), Math.min(height - apart, first + grid[0])];
    });
    const cuts = [...new Set(ranges.flat())].sort((a, b) => a - b);
    for (let i = 1; i < cuts.length; i++) {
      const [first, end] = [cuts[i - 1], cuts[i]];
      const of = [...ranges.keys()].filter((k) => ranges[k][0] <= first && ranges[k][1] >= end);
      if (of.length > 0) bands.push({ apart, first, end, of });
    }
  }
  return { windows, n: channels * kernel[1], bands };
}

/** The bands of windows for which they take less, in float32: float64 goes by windows. */
export function bandsThatPay(windows: Windows | undefined, dtype: DType): Bands | undefined {
  if (windows === undefined || dtype !== "float32") return undefined;
  const { image, kernel, stride, dilation, grid } = windows;
  if (kernel[0] === 1 || stride[0] !== 1 || dilation[0] !== 1) return undefined;
  if (image[0] < LEAST_CHANNELS || image[1] * grid[1] < LEAST_POSITIONS) return undefined;
  const found = bandsOf(windows);
  const rows = found.bands.reduce((sum, { apart, first, end }) => sum + (end - first) * (apart === 0 ? 0.5 : 1), 0);
  return rows <= MOST_WORK * 0.5 * kernel[0] ** 2 * grid[0] ? found : undefined;
}

/** Adds the bands' sums over so many images. */
export function addBands(
  kernels: Kernels,
  dtype: DType,
  { windows, n, bands }: Bands,
  count: number,
  images: Pointer,
  to: Pointer,
): void {
  const { image, kernel, stride, padding, dilation, grid } = windows;
  const [channels, height, width] = image;
  const bytes = bytesPerElement(dtype);
  const across = grid[1];
  // Rows of windows at every row of the image, [n, height, across].
  const [row, size] = [height * across, n * height * across];
  const length = chunkLength(dtype, count, size);
  for (let first = 0; first < count; first += length) {
    const some = Math.min(length, count - first);
    scope(() => {
      const rows = allocateFloats(dtype, some * size);
      const from = images + first * channels * height * width * bytes;
      const across1 = [1, kernel[1], 1, stride[1], 0, padding[2], 1, dilation[1], height, across] as const;
      withLayers(kernels).unfold(some, channels, height, width, ...across1, from, rows);
      bands.forEach(({ apart, first, end }, i) => {
        const [c, terms] = [to + i * n * n * bytes, (end - first) * across];
        for (let b = 0; b < some; b++) {
          const x = rows + (b * size + first * across) * bytes;
          if (apart === 0) kernels.syrk(n, terms, x, row, 1, c, n, 1, true, false);
          else kernels.gemm(1, n, n, terms, x, 0, row, 1, x + apart * across * bytes, 0, 1, row, c, 0, n, 1, true);
        }
      });
    });
  }
}

/** A, [channels · kh · kw, the same], from the bands' sums. */
export function* fromBands({ windows, n, bands }: Bands, sums: ReadSums, start: number): Steps<Float64Array> {
  const { image, kernel } = windows;
  const [height] = kernel;
  const result = new Float64Array((n * height) ** 2);
  const [block, other] = [new Float64Array(n * n), new Float64Array(n * n)];
  for (let apart = 0; apart < height; apart++) {
    for (let k = 0; k + apart < height; k++) {
      let filled = false;
      for (const [i, { of, ...band }] of bands.entries()) {
        if (band.apart !== apart || !of.includes(k)) continue;
        sums(start + i * n * n, start + (i + 1) * n * n, filled ? other : block, 0);
        for (let j = 0; filled && j < block.length; j++) block[j] += other[j];
        filled = true;
      }
      if (!filled) block.fill(0);
      yield;
      transpose(block, n, other);
      // Of a row with itself the lower triangle is known.
      if (apart === 0) for (let r = 0; r < n; r++) block.set(other.subarray(r * n + r, r * n + n), r * n + r);
      place(result, block, image[0], kernel, k, k + apart);
      if (apart > 0) place(result, other, image[0], kernel, k + apart, k);
      yield;
    }
  }
  return result;
}

/** Writes the transpose of x, [n, n], to y. */
function transpose(x: Float64Array, n: number, y: Float64Array): void {
  const tile = 16; // of rows and columns that stay in the first cache
  for (let top = 0; top < n; top += tile) {
    for (let left = 0; left < n; left += tile) {
      for (let r = top; r < Math.min(n, top + tile); r++) {
        for (let s = left; s < Math.min(n, left + tile); s++) y[s * n + r] = x[r * n + s];
      }
    }
  }
}

/** Writes the block of two rows of the windows, [channels · width, the same], to its places in A. */
function place(
  to: Float64Array,
  block: Float64Array,
  channels: number,
  [height, width]: Windows["kernel"],
  row: number,
  column: number,
): void {
  let from = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < width; i++) {
      let at = ((c * height + row) * width + i) * channels * height * width + column * width;
      for (let d = 0; d < channels; d++, at += height * width) {
        for (let j = 0; j < width; j++) to[at + j] = block[from++];
      }
    }
  }
}
