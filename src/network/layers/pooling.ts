// Pooling layers, over images [channels, height, width] and sequences [channels, length].

import { shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkInteger, checkOptions, ShapeError } from "../../errors.ts";
import { type Layer, requireTraced, reshape } from "../layers.ts";
import { imageOf, type Pair } from "../primitives/convolution.ts";
import { averagePool, maxPool } from "../primitives/pooling.ts";
import type { Traced } from "../trace.ts";
import { type PairOption, readPair } from "./convolution.ts";

/** Options of `maxPool2d`. */
export interface MaxPool2dOptions {
  /** Steps from one window to the next (default: the kernel, so that windows lie side by side). */
  stride?: PairOption;
  /** Rows and columns on every side that are never the largest (default 0); at most half of the kernel. */
  padding?: PairOption;
}

/** Options of `averagePool2d`. */
export interface AveragePool2dOptions extends MaxPool2dOptions {
  /** Whether padding counts, as zeros (default true, as in PyTorch); otherwise the mean is over the image's elements. */
  countPadding?: boolean;
}

/** Options of `maxPool1d`. */
export interface MaxPool1dOptions {
  /** Steps from one window to the next (default: the kernel). */
  stride?: number;
  /** Places on both sides that are never the largest (default 0); at most half of the kernel. */
  padding?: number;
}

/** Options of `averagePool1d`. */
export interface AveragePool1dOptions extends MaxPool1dOptions {
  /** Whether padding counts, as zeros (default true, as in PyTorch); otherwise the mean is over the sequence's elements. */
  countPadding?: boolean;
}

interface Windows {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
}

function readWindows(where: string, kernel: PairOption, { stride, padding = 0 }: MaxPool2dOptions): Windows {
  const size = readPair(where, "the kernel", kernel, 1);
  return {
    kernel: size,
    stride: stride === undefined ? size : readPair(where, "stride", stride, 1),
    padding: readPair(where, "padding", padding, 0),
  };
}

function readRow(where: string, kernel: number, { stride = kernel, padding = 0 }: MaxPool1dOptions): Windows {
  checkInteger(where, "the kernel", kernel, 1);
  checkInteger(where, "stride", stride, 1);
  checkInteger(where, "padding", padding, 0);
  return { kernel: [1, kernel], stride: [1, stride], padding: [0, padding] };
}

/**
 * The largest element of every window of an image [channels, height, width]. Of equal elements the first, row by row, has
 * the derivative.
 * @param kernel the size of the windows: a number, or [height, width]
 * @throws OptionError; ShapeError for an input that is smaller than the windows
 */
export function maxPool2d(kernel: PairOption, options: MaxPool2dOptions = {}): Layer {
  checkOptions("maxPool2d", options, ["stride", "padding"]);
  const windows = readWindows("maxPool2d", kernel, options);
  return (x) => {
    requireImage("maxPool2d", x, 3);
    return x.trace.emit(maxPool, [x], windows);
  };
}

/** The largest element of every window of a sequence [channels, length]; as `maxPool2d`. @throws OptionError, ShapeError */
export function maxPool1d(kernel: number, options: MaxPool1dOptions = {}): Layer {
  checkOptions("maxPool1d", options, ["stride", "padding"]);
  const windows = readRow("maxPool1d", kernel, options);
  return (x) => {
    requireImage("maxPool1d", x, 2);
    return x.trace.emit(maxPool, [x], windows);
  };
}

/**
 * The mean of every window of an image [channels, height, width].
 * @param kernel the size of the windows: a number, or [height, width]
 * @throws OptionError; ShapeError for an input that is smaller than the windows
 */
export function averagePool2d(kernel: PairOption, options: AveragePool2dOptions = {}): Layer {
  checkOptions("averagePool2d", options, ["stride", "padding", "countPadding"]);
  const { countPadding = true } = options;
  checkBoolean("averagePool2d", "countPadding", countPadding);
  const windows = readWindows("averagePool2d", kernel, options);
  return (x) => {
    requireImage("averagePool2d", x, 3);
    return x.trace.emit(averagePool, [x], { ...windows, countPadding });
  };
}

/** The mean of every window of a sequence [channels, length]; as `averagePool2d`. @throws OptionError, ShapeError */
export function averagePool1d(kernel: number, options: AveragePool1dOptions = {}): Layer {
  checkOptions("averagePool1d", options, ["stride", "padding", "countPadding"]);
  const { countPadding = true } = options;
  checkBoolean("averagePool1d", "countPadding", countPadding);
  const windows = readRow("averagePool1d", kernel, options);
  return (x) => {
    requireImage("averagePool1d", x, 2);
    return x.trace.emit(averagePool, [x], { ...windows, countPadding });
  };
}

/** The mean of each channel of an image [channels, height, width] or a sequence [channels, length]: a vector [channels]. */
export function globalAveragePool(x: Traced): Traced {
  requireTraced("globalAveragePool", x);
  const [channels, ...kernel] = imageOf("globalAveragePool", x.shape);
  const all = { kernel, stride: kernel, padding: [0, 0] as const, countPadding: true };
  return reshape(x.trace.emit(averagePool, [x], all), [channels]);
}

/** The largest element of each channel of an image or a sequence: a vector [channels]. */
export function globalMaxPool(x: Traced): Traced {
  requireTraced("globalMaxPool", x);
  const [channels, ...kernel] = imageOf("globalMaxPool", x.shape);
  return reshape(x.trace.emit(maxPool, [x], { kernel, stride: kernel, padding: [0, 0] }), [channels]);
}

function requireImage(where: string, x: Traced, axes: number): void {
  requireTraced(where, x);
  if (x.shape.length === axes) return;
  const expected = axes === 3 ? "an image [channels, height, width]" : "a sequence [channels, length]";
  throw new ShapeError(`${where}: expected ${expected} as input, got ${shapeText(x.shape)}.`);
}
