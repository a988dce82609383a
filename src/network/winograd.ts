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

/** Some of the images: what is correlated as a matrix for each place of a tile, and room for those of the other side. */
interface Chunk {
  readonly images: number;
  /** Rows of tiles, and tiles in a row. */
  readonly tiles: readonly [rows: number, across: number];
  /** Columns of a matrix. */
  readonly columns: number;
  /** Numbers between two rows of a matrix. */
  readonly plane: number;
  /** [16, channels, columns] of what is correlated, and the numbers between two matrices. */
  readonly v: Pointer;
  readonly stepV: number;
  /** Room for [16, channels, columns] of the other side. */
  readonly m: Pointer;
  readonly stepM: number;
  /** The images of the other side. */
  readonly y: Pointer;
  readonly first: boolean;
  readonly scratch: Pointer;
}

/** Calls for a number of images at a time. */
function eachChunk(
  kernels: ReturnType<typeof withLayers>,
  { from, top, left, to }: Tiled,
  slabs: number,
  x: Pointer,
  y: Pointer,
  visit: (chunk: Chunk) => void,
): void {
  const tiles = tilesOf(to);
  const [rows, across] = tiles;
  const length = chunkLength("float32", slabs, 16 * (from[0] + to[0]) * rows * across);
  const plane = skewed(length * rows * across);
  const [stepV, stepM] = [skewed(from[0] * plane), skewed(to[0] * plane)];
  const [v, m, scratch] = [16 * stepV, 16 * stepM, 4 * (2 * rows + 2) * (across + 4)].map((size) =>
    allocateFloats("float32", size),
  );
  for (let first = 0; first < slabs; first += length) {
    const images = Math.min(length, slabs - first);
    const [image, other] = [from, to].map(([c, h, w], side) => (side === 0 ? x : y) + 4 * first * c * h * w);
    kernels.winogradInput(images, ...from, top, left, rows, across, scratch, image, v, stepV, plane);
    const columns = images * rows * across;
    visit({ images, tiles, columns, plane, v, stepV, m, stepM, y: other, first: first === 0, scratch });
  }
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
  const { from, to } = tiled;
  const [inputs, outputs] = [from[0], to[0]];
  const kernels = withLayers(plain);
  scope(() => {
    const apart = skewed(inputs * outputs);
    const u = allocateFloats("float32", 16 * apart);
    kernels.winogradWeights(inputs * outputs, transposed, w, u, apart);
    const [rowU, columnU] = transposed ? [1, outputs] : [inputs, 1];
    eachChunk(kernels, tiled, slabs, x, y, (chunk) => {
      const { images, tiles, columns, plane, v, stepV, m, stepM, y, scratch } = chunk;
      kernels.gemm(
        16,
        outputs,
        columns,
        inputs,
        u,
        apart,
        rowU,
        columnU,
        v,
        stepV,
        plane,
        1,
        m,
        stepM,
        plane,
        1,
        false,
      );
      kernels.winogradOutput(images, ...to, ...tiles, scratch, m, stepM, plane, y, add);
    });
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
  const { from, to } = tiled;
  const [inputs, outputs] = [from[0], to[0]];
  const kernels = withLayers(plain);
  scope(() => {
    const apart = skewed(inputs * outputs);
    const u = allocateFloats("float32", 16 * apart);
    eachChunk(kernels, tiled, slabs, x, d, (chunk) => {
      const { images, tiles, columns, plane, v, stepV, m, stepM, y, first, scratch } = chunk;
      kernels.winogradCotangent(images, ...to, ...tiles, scratch, y, m, stepM, plane);
      kernels.gemm(16, outputs, inputs, columns, m, stepM, plane, 1, v, stepV, 1, plane, u, apart, inputs, 1, !first);
    });
    kernels.winogradWeightsBack(inputs * outputs, u, apart, allocateFloats("float32", 36), w, add);
  });
}
