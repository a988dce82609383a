// Pooling of images [channels, height, width], or of sequences [channels, length]: the largest element or the mean of every
// window. Padding is never the largest; windows hold at least one element of the image.

import { sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { allocate, type Pointer, scope } from "../../kernels/memory.ts";
import { boolean, pair } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { ForwardPass, Node, Primitive } from "../primitive.ts";
import { linearRules } from "../rules.ts";
import { type ConvolutionAttributes, gridOf, imageOf, likeImage, type Pair } from "./convolution.ts";

/** How windows lie in an image; of a sequence, heights are 1. */
export interface PoolingAttributes {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** On either side of both axes; at most half of the kernel. */
  readonly padding: Pair;
}

export interface AveragePoolingAttributes extends PoolingAttributes {
  /** Whether padding counts, as zeros, in a window's mean. */
  readonly countPadding: boolean;
}

function pooledShape(where: string, x: Shape, { kernel, stride, padding }: PoolingAttributes): Shape {
  const [channels] = imageOf(where, x);
  if (padding.some((zeros, axis) => zeros > kernel[axis] / 2)) {
    throw new ShapeError(`${where}: padding [${padding}] is more than half of the kernel [${kernel}].`);
  }
  const [v, h] = padding;
  const windows: ConvolutionAttributes = { kernel, stride, padding: [v, v, h, h], dilation: [1, 1] };
  return likeImage(x, channels, gridOf(where, x, windows));
}

/** Height and width of the input, and of the output. */
function planesOf(node: Node): { channels: number; image: Pair; grid: Pair } {
  const [channels, ...image] = imageOf(node.primitive.name, node.inputs[0].shape);
  const [, ...grid] = imageOf(node.primitive.name, node.shape);
  return { channels, image, grid };
}

/** Writes the largest element of each window, or its place in the image, where a pointer is not 0. */
function largest(node: Node<PoolingAttributes>, pass: ForwardPass, y: Pointer, places: Pointer): void {
  const { channels, image, grid } = planesOf(node as Node);
  const { kernel, stride, padding } = node.attributes;
  withLayers(pass.kernels).maxPool(
    pass.batch * channels,
    ...image,
    ...kernel,
    ...stride,
    ...padding,
    ...grid,
    pass.value(node.inputs[0]),
    y,
    places,
  );
}

/** The places of the largest elements, and the sizes of planes before and after. */
function placesOf(node: Node<PoolingAttributes>, pass: ForwardPass): { places: Pointer; m: number; n: number } {
  const { image, grid } = planesOf(node as Node);
  const places = allocate(4 * pass.batch * node.size);
  largest(node, pass, 0, places);
  return { places, m: sizeOf(grid), n: sizeOf(image) };
}

const windows = { kernel: pair(1), stride: pair(1), padding: pair(0) };

/** The largest element of every window; of equal ones the first has the derivative. */
export const maxPool: Primitive<PoolingAttributes> = {
  name: "maxPool",
  order: "general",
  inputs: 1,
  attributes: windows,
  shape: ([x], attributes) => pooledShape("maxPool", x, attributes),
  forward(node, pass) {
    largest(node, pass, pass.value(node), 0);
  },
  pushforward(node, pass) {
    scope(() => {
      const { places, m, n } = placesOf(node, pass);
      const planes = (pass.batch * node.size) / m;
      withLayers(pass.kernels).takePlaces(planes, m, n, places, pass.tangent(node.inputs[0]), pass.tangent(node));
    });
  },
  pullback(node, pass) {
    pass.contribute(node.inputs[0], (to, add) => {
      scope(() => {
        const { places, m, n } = placesOf(node, pass);
        const planes = (pass.batch * node.size) / m;
        if (!add) pass.kernels.fill(pass.columns * planes * n, 0, to);
        withLayers(pass.kernels).addAtPlaces(pass.columns, planes, m, n, places, pass.cotangent(node), to);
      });
    });
  },
};

/** The mean of every window. */
export const averagePool: Primitive<AveragePoolingAttributes> = {
  name: "averagePool",
  inputs: 1,
  attributes: { ...windows, countPadding: boolean },
  shape: ([x], attributes) => pooledShape("averagePool", x, attributes),
  ...linearRules({
    apply(node, { kernels, batch }, x, y) {
      const { channels, image, grid } = planesOf(node as Node);
      const { kernel, stride, padding, countPadding } = node.attributes;
      const layout = [...image, ...kernel, ...stride, ...padding, ...grid] as const;
      withLayers(kernels).averagePool(batch * channels, ...layout, countPadding, x, y);
    },
    transpose(node, { kernels, batch, columns }, d, to, add) {
      const { channels, image, grid } = planesOf(node as Node);
      const { kernel, stride, padding, countPadding } = node.attributes;
      const planes = columns * batch * channels;
      if (!add) kernels.fill(planes * sizeOf(image), 0, to);
      const layout = [...image, ...kernel, ...stride, ...padding, ...grid] as const;
      withLayers(kernels).averagePoolBack(planes, ...layout, countPadding, d, to);
    },
  }),
};
