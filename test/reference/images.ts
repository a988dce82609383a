// Layers over images, by their definitions: loops over windows, with numbers that carry their gradient.

import {
  averagePool1d,
  averagePool2d,
  conv1d,
  conv2d,
  convTranspose2d,
  globalAveragePool,
  globalMaxPool,
  type Layer,
  maxPool1d,
  maxPool2d,
} from "../../src/index.ts";
import { type Dual, plus, scaled, sum, times } from "./dual.ts";
import type { Value } from "./network.ts";

type Pair = readonly [number, number];

interface Windows {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
}

/** Of a sequence [channels, length], heights are 1, vertical strides and dilations 1, paddings 0. */
export type ImageBlock =
  | ({
      readonly kind: "convolution";
      readonly outputs: number;
      readonly dilation: Pair;
      readonly groups: number;
      readonly bias: boolean;
      /** In the place of `padding`. */
      readonly same?: boolean;
    } & Windows)
  | ({
      readonly kind: "transposed";
      readonly outputs: number;
      readonly dilation: Pair;
      readonly groups: number;
      readonly bias: boolean;
      readonly outputPadding: Pair;
    } & Windows)
  | ({ readonly kind: "maxPool" } & Windows)
  | ({ readonly kind: "averagePool"; readonly countPadding: boolean } & Windows)
  | { readonly kind: "globalPool"; readonly mean: boolean };

export const imageKinds: readonly ImageBlock["kind"][] = [
  "convolution",
  "transposed",
  "maxPool",
  "averagePool",
  "globalPool",
];

/** What a layer's parameters are, and where its uses are recorded. */
export interface Recorder {
  /** The layer's own parameters, in order. */
  parameters(count: number): readonly Dual[];
  /** Notes products of inputs and outputs at positions of a weight; gives the outputs with probes added. */
  record(
    inputs: readonly (readonly Dual[])[],
    outputs: readonly (readonly Dual[])[],
    more: { readonly group?: number; readonly transposed?: boolean },
  ): Dual[][];
}

/** An image by channel, row and column; undefined beyond its edges. */
function reader({ shape, elements }: Value) {
  const [height, width] = shape.length === 3 ? [shape[1], shape[2]] : [1, shape[1]];
  const at = (c: number, y: number, x: number): Dual | undefined =>
    y < 0 || x < 0 || y >= height || x >= width ? undefined : elements[(c * height + y) * width + x];
  return { channels: shape[0], height, width, at };
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const cells = ([height, width]: Pair) => range(height).flatMap((y) => range(width).map((x): Pair => [y, x]));

function shapeLike(x: Value, channels: number, [height, width]: Pair): number[] {
  return x.shape.length === 3 ? [channels, height, width] : [channels, width];
}

function gridOf(height: number, width: number, kernel: Pair, stride: Pair, zeros: Pair, dilation: Pair): Pair {
  const along = (length: number, i: 0 | 1) =>
    Math.floor((length + zeros[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1;
  return [along(height, 0), along(width, 1)];
}

export function applyImage(block: ImageBlock, x: Value, recorder: Recorder): Value {
  const { channels, height, width, at } = reader(x);
  const zero = scaled(x.elements[0], 0);
  if (block.kind === "globalPool") {
    const pooled = range(channels).map((c) => {
      const all = cells([height, width]).map(([r, s]) => at(c, r, s) as Dual);
      return block.mean ? scaled(sum(all), 1 / all.length) : all.reduce((a, b) => (b.value > a.value ? b : a));
    });
    return { shape: [channels], elements: pooled };
  }
  const { kernel, stride } = block;
  switch (block.kind) {
    case "maxPool":
    case "averagePool": {
      const [v, h] = block.padding;
      const grid = gridOf(height, width, kernel, stride, [2 * v, 2 * h], [1, 1]);
      const elements = range(channels).flatMap((c) =>
        cells(grid).map(([r, s]) => {
          const window = cells(kernel).map(([i, j]) => at(c, r * stride[0] - v + i, s * stride[1] - h + j));
          const inside = window.filter((one) => one !== undefined);
          if (block.kind === "maxPool") return inside.reduce((a, b) => (b.value > a.value ? b : a));
          return scaled(sum(inside), 1 / (block.countPadding ? window.length : inside.length));
        }),
      );
      return { shape: shapeLike(x, channels, grid), elements };
    }
    case "convolution": {
      const { outputs, dilation, groups, bias, same = false } = block;
      const total = ([0, 1] as const).map((i) => (same ? dilation[i] * (kernel[i] - 1) : 2 * block.padding[i]));
      const [v, h] = total.map((zeros) => Math.floor(zeros / 2));
      const grid = gridOf(height, width, kernel, stride, [total[0], total[1]], dilation);
      const [own, inputs] = [outputs / groups, (channels / groups) * kernel[0] * kernel[1]];
      const theta = recorder.parameters(outputs * inputs + (bias ? outputs : 0));
      const rows = range(groups).map((g) => {
        const windows = cells(grid).map(([r, s]) =>
          range(channels / groups).flatMap((c) =>
            cells(kernel).map(
              ([i, j]) =>
                at(
                  (g * channels) / groups + c,
                  r * stride[0] - v + i * dilation[0],
                  s * stride[1] - h + j * dilation[1],
                ) ?? zero,
            ),
          ),
        );
        const values = windows.map((window) =>
          range(own).map((o) => {
            const row = g * own + o;
            const products = window.map((element, i) => times(theta[row * inputs + i], element));
            return sum(bias ? [...products, theta[outputs * inputs + row]] : products);
          }),
        );
        return recorder.record(windows, values, { group: g });
      });
      const positions = range(grid[0] * grid[1]);
      const elements = range(outputs).flatMap((o) => positions.map((t) => rows[Math.floor(o / own)][t][o % own]));
      return { shape: shapeLike(x, outputs, grid), elements };
    }
    case "transposed": {
      const { outputs, dilation, groups, bias, outputPadding } = block;
      const [v, h] = block.padding;
      const along = (n: number, i: 0 | 1) =>
        (n - 1) * stride[i] - 2 * block.padding[i] + dilation[i] * (kernel[i] - 1) + outputPadding[i] + 1;
      const size: Pair = [along(height, 0), along(width, 1)];
      const [own, inputs] = [outputs / groups, channels / groups];
      const columns = own * kernel[0] * kernel[1];
      const theta = recorder.parameters(channels * columns + (bias ? outputs : 0));
      let image = range(outputs).map(() => cells(size).map(() => zero));
      for (const g of range(groups)) {
        const places = cells([height, width]);
        const values = places.map(([r, s]) => range(inputs).map((c) => at(g * inputs + c, r, s) as Dual));
        const windows = values.map((row) =>
          range(columns).map((j) =>
            sum(row.map((element, c) => times(theta[(g * inputs + c) * columns + j], element))),
          ),
        );
        const probed = recorder.record(values, windows, { group: g, transposed: true });
        places.forEach(([r, s], t) => {
          range(own).forEach((o) => {
            cells(kernel).forEach(([i, j], k) => {
              const [y, z] = [r * stride[0] - v + i * dilation[0], s * stride[1] - h + j * dilation[1]];
              if (y < 0 || z < 0 || y >= size[0] || z >= size[1]) return;
              const plane = image[g * own + o];
              plane[y * size[1] + z] = plus(plane[y * size[1] + z], probed[t][o * kernel[0] * kernel[1] + k]);
            });
          });
        });
      }
      if (bias) {
        image = image.map((plane, o) => plane.map((element) => plus(element, theta[channels * columns + o])));
      }
      return { shape: shapeLike(x, outputs, size), elements: image.flat() };
    }
  }
}

/** The library's layer for a block, over a value of that many axes. */
export function imageLayer(block: ImageBlock): Layer {
  return (x) => {
    const flat = x.shape.length === 2;
    if (block.kind === "globalPool") return block.mean ? globalAveragePool(x) : globalMaxPool(x);
    const { kernel, stride, padding } = block;
    if (block.kind === "maxPool") {
      if (flat) return maxPool1d(kernel[1], { stride: stride[1], padding: padding[1] })(x);
      return maxPool2d(kernel, { stride, padding })(x);
    }
    if (block.kind === "averagePool") {
      const { countPadding } = block;
      if (flat) return averagePool1d(kernel[1], { stride: stride[1], padding: padding[1], countPadding })(x);
      return averagePool2d(kernel, { stride, padding, countPadding })(x);
    }
    throw new Error(`${block.kind} has parameters`);
  };
}

/** A layer with parameters, which is made once. */
export function convolutionLayer(block: ImageBlock & { kind: "convolution" | "transposed" }): Layer {
  const { outputs, kernel, stride, padding, dilation, groups, bias } = block;
  const more = { groups, bias };
  if (block.kind === "transposed") {
    const { outputPadding } = block;
    return convTranspose2d(outputs, kernel, undefined, { stride, padding, dilation, outputPadding, ...more });
  }
  const image = conv2d(outputs, kernel, undefined, {
    stride,
    padding: block.same ? "same" : padding,
    dilation,
    ...more,
  });
  const sequence = conv1d(outputs, kernel[1], undefined, {
    stride: stride[1],
    padding: block.same ? "same" : padding[1],
    dilation: dilation[1],
    ...more,
  });
  return (x) => (x.shape.length === 2 ? sequence : image)(x);
}

/** The shape that a block leaves. */
export function shapeAfter(block: ImageBlock, shape: readonly number[]): readonly number[] {
  const size = shape.reduce((product, length) => product * length, 1);
  const one: Dual = { value: 0, slopes: [] };
  const recorder: Recorder = {
    parameters: (count) => new Array<Dual>(count).fill(one),
    record: (_, outputs) => outputs.map((row) => [...row]),
  };
  return applyImage(block, { shape, elements: new Array<Dual>(size).fill(one) }, recorder).shape;
}
