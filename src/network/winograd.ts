// Correlations with windows of 3 × 3 by minimal filtering (assembly/winograd.ts), for passes in float32.

import type { Kernels } from "../kernels/kernels.ts";
import { withLayers } from "../kernels/layers.ts";
import { allocateFloats, type Pointer, scope } from "../kernels/memory.ts";
import { chunkLength } from "./chunks.ts";
import type { ForwardPass } from "./primitive.ts";

/** Images whose windows of 3 × 3 begin at every place: what is correlated, and what becomes of it. */
export interface Tiled {
  readonly from: readonly [channels: number, height: number, width: number];
  /** Zeros above and left of `from`. */
  readonly top: number;
  readonly left: number;
  readonly to: readonly [channels: number, height: number, width: number];
}

/** Channels from which on products are long enough. */
const LEAST_CHANNELS = 16;
/** Share of the tiles' outputs that images must have. */
const LEAST_FILLED = 0.7;

/** Rows of tiles, and tiles in a row, in fours. */
const tilesOf = ([, height, width]: Tiled["to"]) => [Math.ceil(height / 2), 4 * Math.ceil(width / 8)] as const;

/** A length that is a multiple of 4, and none of a high power of 2: what lies so far apart does not share its place in the cache. */
const skewed = (length: number) => 16 * (2 * Math.ceil(length / 32) + 1);

/** Whether it pays: with fewer channels, or images of which little fills the tiles, windows take less. */
export function pays({ from, to }: Tiled): boolean {
  const [rows, across] = tilesOf(to);
  return Math.min(from[0], to[0]) >= LEAST_CHANNELS && to[1] * to[2] >= LEAST_FILLED * 4 * rows * across;
}

/**
 * y = W · windows of x (or +=) for so many images.
 * @param w [to, from, 3, 3], or where `transposed` [from, to, 3, 3], and then turned by half a turn
 */
export function correlateTiles(
  { kernels: plain }: ForwardPass,
  tiled: Tiled,
  slabs: number,
  x: Pointer,
  w: Pointer,
  y: Pointer,
  transposed: boolean,
  add: boolean,
): void {
  const { from, top, left, to } = tiled;
  const kernels = withLayers(plain);
  const [inputs, outputs] = [from[0], to[0]];
  const [rows, across] = tilesOf(to);
  const tiles = rows * across;
  const dtype = "float32";
  scope(() => {
    const apart = skewed(inputs * outputs);
    const u = allocateFloats(dtype, 16 * apart);
    kernels.winogradWeights(inputs * outputs, transposed, w, u, apart);
    const length = chunkLength(dtype, slabs, 16 * (inputs + outputs) * tiles);
    const plane = skewed(length * tiles);
    const [stepV, stepM] = [skewed(inputs * plane), skewed(outputs * plane)];
    const v = allocateFloats(dtype, 16 * stepV);
    const m = allocateFloats(dtype, 16 * stepM);
    const scratch = allocateFloats(dtype, 4 * (2 * rows + 2) * (across + 4));
    for (let first = 0; first < slabs; first += length) {
      const count = Math.min(length, slabs - first);
      const [image, result] = [x + 4 * first * from[0] * from[1] * from[2], y + 4 * first * to[0] * to[1] * to[2]];
      kernels.winogradInput(count, ...from, top, left, rows, across, scratch, image, v, stepV, plane);
      const [rowU, columnU] = transposed ? [1, outputs] : [inputs, 1];
      const n = count * tiles;
      kernels.gemm(16, outputs, n, inputs, u, apart, rowU, columnU, v, stepV, plane, 1, m, stepM, plane, 1, false);
      kernels.winogradOutput(count, ...to, rows, across, scratch, m, stepM, plane, result, add);
    }
  });
}

/**
 * dW = Σ d ⊗ windows of x (or +=) over so many images: what arrives at the weights [to, from, 3, 3] of y = W · windows of x.
 * @param d what arrives at y
 */
export function correlateBack(
  plain: Kernels,
  tiled: Tiled,
  slabs: number,
  x: Pointer,
  d: Pointer,
  w: Pointer,
  add: boolean,
): void {
  const { from, top, left, to } = tiled;
  const kernels = withLayers(plain);
  const [inputs, outputs] = [from[0], to[0]];
  const [rows, across] = tilesOf(to);
  const tiles = rows * across;
  const dtype = "float32";
  scope(() => {
    const apart = skewed(inputs * outputs);
    const products = allocateFloats(dtype, 16 * apart);
    const length = chunkLength(dtype, slabs, 16 * (inputs + outputs) * tiles);
    const plane = skewed(length * tiles);
    const [stepX, stepD] = [skewed(inputs * plane), skewed(outputs * plane)];
    const vx = allocateFloats(dtype, 16 * stepX);
    const vd = allocateFloats(dtype, 16 * stepD);
    const scratch = allocateFloats(dtype, 36 + 4 * (2 * rows + 2) * (across + 4));
    for (let first = 0; first < slabs; first += length) {
      const count = Math.min(length, slabs - first);
      const [image, arrived] = [x + 4 * first * from[0] * from[1] * from[2], d + 4 * first * to[0] * to[1] * to[2]];
      kernels.winogradInput(count, ...from, top, left, rows, across, scratch, image, vx, stepX, plane);
      kernels.winogradCotangent(count, ...to, rows, across, scratch, arrived, vd, stepD, plane);
      const k = count * tiles;
      kernels.gemm(
        16,
        outputs,
        inputs,
        k,
        vd,
        stepD,
        plane,
        1,
        vx,
        stepX,
        1,
        plane,
        products,
        apart,
        inputs,
        1,
        first > 0,
      );
    }
    kernels.winogradWeightsBack(inputs * outputs, products, apart, scratch, w, add);
  });
}
