// Convolutions of images [channels, height, width], or of sequences [channels, length], which are images of one row. With
// the weight W [outputs, inputs · kh · kw] and the windows of the input as columns, y = W · columns; a transposed
// convolution is the transpose of that, y = what Wᵀ x gives, added back to the places of the windows. Columns are made for
// a chunk of examples at a time and never kept.

import { shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { allocateFloats, bytesPerElement, type DType, type Pointer, scope } from "../../kernels/memory.ts";
import { pair, sides } from "../attributes.ts";
import { chunkLength } from "../chunks.ts";
import type { LinearSite, Shape } from "../parameters.ts";
import { correlateChannels, type Planes } from "../planes.ts";
import type { ForwardPass, Node, Primitive, SiteSide, SiteUse, Windows } from "../primitive.ts";
import { product } from "../product.ts";
import { siteRules } from "../rules.ts";
import { correlateBack, correlateTiles, pays, type Tiled } from "../winograd.ts";

/** Height and width. */
export type Pair = readonly [height: number, width: number];

/** How windows lie in an image; of a sequence, heights are 1, strides and dilations 1, paddings 0. */
export interface ConvolutionAttributes {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Zeros around the image: top, bottom, left, right. */
  readonly padding: readonly [top: number, bottom: number, left: number, right: number];
  readonly dilation: Pair;
}

export interface TransposedAttributes extends ConvolutionAttributes {
  /** Rows and columns that are added to the output, at its end. */
  readonly outputPadding: Pair;
}

/** A value's shape as that of an image. @throws ShapeError */
export function imageOf(where: string, shape: Shape): readonly [channels: number, height: number, width: number] {
  if (shape.length === 3) return [shape[0], shape[1], shape[2]];
  if (shape.length === 2) return [shape[0], 1, shape[1]];
  throw new ShapeError(
    `${where}: its input must be an image [channels, height, width] or a sequence [channels, length], not ${shapeText(shape)}.`,
  );
}

/** An image's shape as that of a value with as many axes as another. */
export function likeImage(shape: Shape, channels: number, [height, width]: Pair): Shape {
  return shape.length === 3 ? [channels, height, width] : [channels, width];
}

/** How many windows fit: the grid's height and width. @throws ShapeError where none does */
export function gridOf(
  where: string,
  shape: Shape,
  { kernel, stride, padding: [top, bottom, left, right], dilation }: ConvolutionAttributes,
): Pair {
  const [, height, width] = imageOf(where, shape);
  const along = (length: number, zeros: number, axis: 0 | 1) => {
    const span = dilation[axis] * (kernel[axis] - 1) + 1;
    return Math.floor((length + zeros - span) / stride[axis]) + 1;
  };
  const grid: Pair = [along(height, top + bottom, 0), along(width, left + right, 1)];
  if (Math.min(...grid) >= 1) return grid;
  throw new ShapeError(
    `${where}: its windows, [${kernel}] with dilation [${dilation}], are larger than the input ${shapeText(shape)} with padding [${top}, ${bottom}, ${left}, ${right}].`,
  );
}

/** @throws ShapeError unless a site's parameters are those of these channels and windows */
function checkSite(
  where: string,
  site: LinearSite,
  transposed: boolean,
  channels: readonly number[],
  kernel: Pair,
  shape: Shape,
): void {
  const { groups = 1, weight, bias, outputs, inputs } = site;
  const [rows, columns, biases] = channels;
  const expected = [rows, columns / groups, ...kernel.slice(shape.length === 2 ? 1 : 0)];
  const fits = weight.shape.length === expected.length && weight.shape.every((length, i) => length === expected[i]);
  const whole = rows % groups === 0 && columns % groups === 0 && (site.transposed ?? false) === transposed;
  if (fits && whole && outputs * inputs === weight.size && (bias === undefined || bias.size === biases)) return;
  throw new ShapeError(
    `${where}: the layer's weight has shape ${shapeText(weight.shape)} in ${groups} groups, which does not fit the input ${shapeText(shape)}.`,
  );
}

/** The arguments of `unfold` and `fold` between the number of images and the pointers. */
function layout({ image, grid, kernel, stride, padding: [top, , left], dilation }: Windows) {
  return [...image, ...kernel, ...stride, top, left, ...dilation, ...grid] as const;
}

/** Numbers of the columns of one image. */
function columnNumbers({ image: [channels], grid, kernel }: Windows): number {
  return channels * sizeOf(kernel) * sizeOf(grid);
}

/** Whether the columns are the image itself. */
function pointwise({ kernel, stride, padding }: Windows): boolean {
  return [...kernel, ...stride].every((one) => one === 1) && padding.every((zeros) => zeros === 0);
}

/** One group of channels of some images: matrices of one image after the other. */
interface Block {
  readonly count: number;
  /** Rows and columns of the group's weight, and positions of the grid. */
  readonly outputs: number;
  readonly inputs: number;
  readonly positions: number;
  /** [outputs, inputs] */
  readonly w: Pointer;
  /** [inputs, positions], and the numbers to the next image's. */
  readonly columns: Pointer;
  readonly columnStep: number;
  /** [outputs, positions] */
  readonly grid: Pointer;
  readonly gridStep: number;
  /** Whether the columns are the images themselves. */
  readonly direct: boolean;
}

/**
 * Goes through images in chunks and groups, with their columns: unfolded before, or folded afterwards (`spreading`).
 * @param x [slabs, channels, height, width] @param y [slabs, outputs, grid]
 */
function eachBlock(
  { kernels, dtype }: ForwardPass,
  site: LinearSite,
  windows: Windows,
  slabs: number,
  x: Pointer,
  w: Pointer,
  y: Pointer,
  spreading: boolean,
  visit: (block: Block) => void,
): void {
  const bytes = bytesPerElement(dtype);
  const { groups = 1, inputs } = site;
  const outputs = site.outputs / groups;
  const positions = sizeOf(windows.grid);
  const [columnStep, gridStep] = [columnNumbers(windows), site.outputs * positions];
  const direct = pointwise(windows);
  const length = direct ? slabs : chunkLength(dtype, slabs, columnStep);
  scope(() => {
    const own = direct ? 0 : allocateFloats(dtype, length * columnStep);
    for (let first = 0; first < slabs; first += length) {
      const count = Math.min(length, slabs - first);
      const image = x + first * sizeOf(windows.image) * bytes;
      const columns = direct ? image : own;
      if (!direct && !spreading) withLayers(kernels).unfold(count, ...layout(windows), image, own);
      for (let g = 0; g < groups; g++) {
        visit({
          count,
          outputs,
          inputs,
          positions,
          w: w + g * outputs * inputs * bytes,
          columns: columns + g * inputs * positions * bytes,
          columnStep,
          grid: y + (first * gridStep + g * outputs * positions) * bytes,
          gridStep,
          direct,
        });
      }
      if (!direct && spreading) withLayers(kernels).fold(count, ...layout(windows), own, image);
    }
  });
}

/** What minimal filtering is to do in the place of windows, where it pays. @param back from the grid to the image */
function tiledOf(
  { groups = 1, outputs }: LinearSite,
  windows: Windows,
  dtype: DType,
  back: boolean,
): Tiled | undefined {
  const { kernel, stride, dilation, padding, image, grid } = windows;
  const [top, , left] = padding;
  const apart = [...stride, ...dilation].every((one) => one === 1);
  if (dtype !== "float32" || groups !== 1 || !apart || kernel.some((side) => side !== 3)) return undefined;
  if (Math.min(top, left) < 0 || Math.max(top, left) > 2) return undefined;
  const after = [outputs, ...grid] as const;
  const tiled: Tiled = back
    ? { from: after, top: 2 - top, left: 2 - left, to: image }
    : { from: image, top, left, to: after };
  return pays(tiled) ? tiled : undefined;
}

/** Channels with windows of their own, where each output has one; not sequences, of which few rows are made at once. */
function planesOf({ groups = 1, outputs, inputs }: LinearSite, windows: Windows, back: boolean): Planes | undefined {
  const { kernel, stride, dilation, padding, image, grid } = windows;
  const [channels, ...size] = image;
  if (groups !== outputs || inputs !== sizeOf(kernel) || Math.min(grid[0], size[0]) === 1) return undefined;
  const [top, , left] = padding;
  const common = { channels, kernel, dilation };
  if (!back) return { ...common, from: size, gap: [1, 1], top, left, stride, to: grid };
  const [above, before] = [dilation[0] * (kernel[0] - 1) - top, dilation[1] * (kernel[1] - 1) - left];
  if (Math.min(above, before) < 0) return undefined;
  return { ...common, from: grid, gap: stride, top: above, left: before, stride: [1, 1], to: size };
}

/** y = W · columns of x (or +=) for a number of images. */
function correlate(
  pass: ForwardPass,
  site: LinearSite,
  windows: Windows,
  slabs: number,
  x: Pointer,
  w: Pointer,
  y: Pointer,
  add: boolean,
): void {
  const tiled = tiledOf(site, windows, pass.dtype, false);
  if (tiled !== undefined) {
    correlateTiles(pass, tiled, slabs, x, w, y, false, add);
    return;
  }
  const planes = planesOf(site, windows, false);
  if (planes !== undefined) {
    correlateChannels(pass, planes, slabs, x, w, y, false, add);
    return;
  }
  eachBlock(pass, site, windows, slabs, x, w, y, false, (b) => {
    const { outputs: m, positions: n, inputs: k } = b;
    const w = { at: b.w, rows: m, columns: k, step: 0 };
    product(
      pass.kernels,
      b.count,
      w,
      { at: b.columns, rows: k, columns: n, step: b.columnStep },
      b.grid,
      add,
      b.gridStep,
    );
  });
}

/** x = Wᵀ y at the places of the windows (or +=), for a number of images. */
function spread(
  pass: ForwardPass,
  site: LinearSite,
  windows: Windows,
  slabs: number,
  y: Pointer,
  w: Pointer,
  x: Pointer,
  add: boolean,
): void {
  const tiled = tiledOf(site, windows, pass.dtype, true);
  if (tiled !== undefined) {
    correlateTiles(pass, tiled, slabs, y, w, x, true, add);
    return;
  }
  const planes = planesOf(site, windows, true);
  if (planes !== undefined) {
    correlateChannels(pass, planes, slabs, y, w, x, true, add);
    return;
  }
  if (!add && !pointwise(windows)) pass.kernels.fill(slabs * sizeOf(windows.image), 0, x);
  eachBlock(pass, site, windows, slabs, x, w, y, true, (b) => {
    const w = { at: b.w, rows: b.outputs, columns: b.inputs, transposed: true, step: 0 };
    const grid = { at: b.grid, rows: b.outputs, columns: b.positions, step: b.gridStep };
    product(pass.kernels, b.count, w, grid, b.columns, b.direct && add, b.columnStep);
  });
}

/** Adds a bias or its tangent to every position of [slabs, channels, positions]. */
function addBias(
  { shape: [channels], size }: Node<never>,
  { kernels, batch }: ForwardPass,
  bias: Pointer,
  y: Pointer,
): void {
  // Channels of one position are rows.
  if (size === channels) kernels.addToRows(batch, channels, bias, y);
  else withLayers(kernels).channelAffine(batch, channels, size / channels, y, 0, bias, y, false);
}

const attributes = { kernel: pair(1), stride: pair(1), padding: sides, dilation: pair(1) };

function unfolding(windows: Windows): Pick<SiteSide, "unfold" | "windows"> {
  if (pointwise(windows)) return {};
  return {
    windows,
    unfold: (kernels, from, count, to) => withLayers(kernels).unfold(count, ...layout(windows), from, to),
  };
}

/** @param transposed whether the windows are those of what arrives */
function useOfWindows(site: LinearSite, windows: Windows, transposed: boolean): SiteUse {
  return {
    channelsFirst: true,
    positions: sizeOf(windows.grid),
    left: { channelsFirst: true },
    right: { channelsFirst: true, ...unfolding(windows) },
    sumFor(dtype) {
      const tiled = tiledOf(site, windows, dtype, false);
      if (tiled === undefined) return undefined;
      return (kernels, count, x, d, to, add) => {
        const [image, grid] = transposed ? [d, x] : [x, d];
        correlateBack(kernels, tiled, count, image, grid, to, add);
      };
    },
  };
}

function windowsOf(node: Node<ConvolutionAttributes>): Windows {
  const image = imageOf("convolution", node.inputs[0].shape);
  const [, ...grid] = imageOf("convolution", node.shape);
  return { ...node.attributes, image, grid };
}

/** y = W · columns of x + b: a cross-correlation, as the frameworks have it. */
export const convolution: Primitive<ConvolutionAttributes> = {
  name: "convolution",
  inputs: 1,
  site: "linear",
  attributes,
  shape([x], attributes, site) {
    const { outputs } = site as LinearSite;
    const [channels] = imageOf("convolution", x);
    checkSite("convolution", site as LinearSite, false, [outputs, channels, outputs], attributes.kernel, x);
    return likeImage(x, outputs, gridOf("convolution", x, attributes));
  },
  ...siteRules({
    apply(node, pass, x, w, y, add) {
      correlate(pass, node.site as LinearSite, windowsOf(node), pass.batch, x, w, y, add);
    },
    transpose(node, pass, d, w, to, add) {
      const slabs = pass.columns * pass.batch;
      spread(pass, node.site as LinearSite, windowsOf(node), slabs, d, w, to, add);
    },
    shift: addBias,
  }),
  siteUse(node): SiteUse {
    return useOfWindows(node.site as LinearSite, windowsOf(node), false);
  },
};

function transposedWindowsOf(node: Node<TransposedAttributes>): Windows {
  const [, ...grid] = imageOf("transposedConvolution", node.inputs[0].shape);
  return { ...node.attributes, image: imageOf("transposedConvolution", node.shape), grid };
}

/** The transpose of a convolution of images as large as its output: y = Wᵀ x added at the places of the windows, + b. */
export const transposedConvolution: Primitive<TransposedAttributes> = {
  name: "transposedConvolution",
  inputs: 1,
  site: "linear",
  attributes: { ...attributes, outputPadding: pair(0) },
  shape([x], attributes, site) {
    const where = "transposedConvolution";
    const { groups = 1, weight } = site as LinearSite;
    const { kernel, stride, padding, dilation, outputPadding } = attributes;
    const [channels, ...grid] = imageOf(where, x);
    const outputs = groups * weight.shape[1];
    const size = ([0, 1] as const).map((axis) => {
      const zeros = padding[2 * axis] + padding[2 * axis + 1];
      return (grid[axis] - 1) * stride[axis] - zeros + dilation[axis] * (kernel[axis] - 1) + outputPadding[axis] + 1;
    });
    checkSite(where, site as LinearSite, true, [channels, outputs, outputs], kernel, x);
    if (Math.min(...size) < 1) {
      throw new ShapeError(`${where}: padding [${padding}] leaves nothing of the input ${shapeText(x)}.`);
    }
    return likeImage(x, outputs, [size[0], size[1]]);
  },
  ...siteRules({
    apply(node, pass, x, w, y, add) {
      spread(pass, node.site as LinearSite, transposedWindowsOf(node), pass.batch, x, w, y, add);
    },
    transpose(node, pass, d, w, to, add) {
      const slabs = pass.columns * pass.batch;
      correlate(pass, node.site as LinearSite, transposedWindowsOf(node), slabs, d, w, to, add);
    },
    shift: addBias,
  }),
  siteUse(node): SiteUse {
    return useOfWindows(node.site as LinearSite, transposedWindowsOf(node), true);
  },
};
