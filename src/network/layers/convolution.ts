// Convolutional layers, over images [channels, height, width] and sequences [channels, length].

import { shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkChoice, checkInteger, checkOptions, OptionError, ShapeError } from "../../errors.ts";
import { type Initialisation, initialisations, initialiserOf, type Layer, requireTraced, zeros } from "../layers.ts";
import { convolution, imageOf, type Pair, transposedConvolution } from "../primitives/convolution.ts";
import type { Traced } from "../trace.ts";

/** A number for both axes, or one each: height, then width. */
export type PairOption = number | readonly [height: number, width: number];

/** Options of `conv1d`. */
export interface Conv1dOptions {
  /** Steps from one window to the next (default 1). */
  stride?: number;
  /** Zeros on both sides (default 0); "same" keeps the length, with one more at the end where they are odd. */
  padding?: number | "same" | "valid";
  /** Steps from one element of a window to the next (default 1). */
  dilation?: number;
  /** Groups of channels that are convolved by themselves (default 1). */
  groups?: number;
  /** Whether a bias is added (default true). */
  bias?: boolean;
  /** How weights begin (default "glorotUniform"). */
  init?: Initialisation;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/** Options of `conv2d`: as of `conv1d`, with a number for both axes or [height, width]. */
export interface Conv2dOptions extends Omit<Conv1dOptions, "stride" | "padding" | "dilation"> {
  /** Steps from one window to the next (default 1). */
  stride?: PairOption;
  /** Zeros on both sides of each axis (default 0); "same" keeps the size, with one more at the end where they are odd. */
  padding?: PairOption | "same" | "valid";
  /** Steps from one element of a window to the next (default 1). */
  dilation?: PairOption;
}

/** Options of `convTranspose2d`. */
export interface ConvTranspose2dOptions extends Omit<Conv2dOptions, "padding"> {
  /** Rows and columns that are cut off on every side (default 0). */
  padding?: PairOption;
  /** Rows and columns that are added at the end (default 0), less than the stride or the dilation. */
  outputPadding?: PairOption;
}

const optionNames = ["stride", "padding", "dilation", "groups", "bias", "init", "name"];

/** @throws OptionError */
export function readPair(where: string, name: string, value: unknown, least: number): Pair {
  const pair = typeof value === "number" ? [value, value] : value;
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw new OptionError(`${where}: ${name} must be a number, or a list of two: height and width.`);
  }
  for (const one of pair) checkInteger(where, name, one, least);
  return [pair[0], pair[1]];
}

type Zeros = readonly [top: number, bottom: number, left: number, right: number];

/** @throws OptionError */
function readPadding(where: string, padding: unknown, kernel: Pair, stride: Pair, dilation: Pair): Zeros {
  if (padding === "valid") return [0, 0, 0, 0];
  if (padding === "same") {
    if (stride.some((step) => step !== 1)) {
      throw new OptionError(`${where}: padding "same" needs a stride of 1; give the padding as a number.`);
    }
    const [v, h] = ([0, 1] as const).map((axis) => dilation[axis] * (kernel[axis] - 1));
    return [Math.floor(v / 2), Math.ceil(v / 2), Math.floor(h / 2), Math.ceil(h / 2)];
  }
  if (typeof padding === "string") {
    throw new OptionError(`${where}: padding must be a number, [height, width], "same" or "valid", not "${padding}".`);
  }
  const [v, h] = readPair(where, "padding", padding, 0);
  return [v, v, h, h];
}

interface Settings {
  readonly channels: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly groups: number;
  readonly bias: boolean;
  readonly init: Initialisation;
  readonly name: string | undefined;
}

function readSettings(
  where: string,
  channels: number,
  kernel: PairOption,
  activation: Layer | undefined,
  options: Omit<Conv2dOptions, "padding">,
): Settings {
  checkInteger(where, "the number of output channels", channels, 1);
  if (activation !== undefined && typeof activation !== "function") {
    throw new OptionError(
      `${where}: the activation must be a function such as relu, not ${typeof activation}; options come fourth.`,
    );
  }
  const { stride = 1, dilation = 1, groups = 1, bias = true, init = "glorotUniform", name } = options;
  checkInteger(where, "groups", groups, 1);
  checkBoolean(where, "bias", bias);
  checkChoice(where, "init", init, initialisations);
  if (channels % groups !== 0) {
    throw new OptionError(`${where}: ${channels} output channels do not divide into ${groups} groups.`);
  }
  return {
    channels,
    kernel: readPair(where, "the kernel", kernel, 1),
    stride: readPair(where, "stride", stride, 1),
    dilation: readPair(where, "dilation", dilation, 1),
    groups,
    bias,
    init,
    name,
  };
}

/** The input's channels. @throws ShapeError unless they divide into the groups, and there are that many axes */
function channelsOf(where: string, x: Traced, axes: number, groups: number): number {
  if (x.shape.length !== axes) {
    const expected = axes === 3 ? "an image [channels, height, width]" : "a sequence [channels, length]";
    throw new ShapeError(`${where}: expected ${expected} as input, got ${shapeText(x.shape)}.`);
  }
  const [channels] = imageOf(where, x.shape);
  if (channels % groups !== 0) {
    throw new ShapeError(`${where}: the input's ${channels} channels do not divide into ${groups} groups.`);
  }
  return channels;
}

function layerOf(
  where: string,
  axes: 2 | 3,
  { channels: outputs, groups, bias, init, name, ...windows }: Settings,
  padding: Zeros,
  activation: Layer | undefined,
): Layer {
  const layer: Layer = (x) => {
    requireTraced(where, x);
    const channels = channelsOf(where, x, axes, groups);
    const kernel = windows.kernel.slice(3 - axes);
    const elements = kernel.reduce((product, length) => product * length, 1);
    const site = x.trace.site(layer, name, (parameter) => ({
      kind: "linear",
      inputs: (channels / groups) * elements,
      outputs,
      ...(groups > 1 && { groups }),
      weight: parameter({
        role: "weight",
        shape: [outputs, channels / groups, ...kernel],
        initialise: initialiserOf(init, (channels / groups) * elements, outputs * elements),
      }),
      ...(bias && { bias: parameter({ role: "bias", shape: [outputs], initialise: zeros }) }),
    }));
    const y = x.trace.emit(convolution, [x], { ...windows, padding }, site);
    return activation === undefined ? y : activation(y);
  };
  return layer;
}

/**
 * A convolution of images [channels, height, width] (a cross-correlation, as in PyTorch), with a weight
 * [channels out, channels in / groups, kernel height, kernel width].
 * @param channels the number of output channels
 * @param kernel the size of the windows: a number, or [height, width]
 * @param activation a function over traced values, such as `relu` (default: none)
 * @throws OptionError; ShapeError for an input that is not an image, smaller than the windows, or not divisible into groups
 */
export function conv2d(channels: number, kernel: PairOption, activation?: Layer, options: Conv2dOptions = {}): Layer {
  const where = "conv2d";
  checkOptions(where, options, optionNames);
  const settings = readSettings(where, channels, kernel, activation, options);
  const { stride, dilation } = settings;
  const padding = readPadding(where, options.padding ?? 0, settings.kernel, stride, dilation);
  return layerOf(where, 3, settings, padding, activation);
}

/**
 * A convolution of sequences [channels, length], with a weight [channels out, channels in / groups, kernel].
 * @throws OptionError; ShapeError for an input that is not such a sequence, shorter than the windows, or not divisible into groups
 */
export function conv1d(channels: number, kernel: number, activation?: Layer, options: Conv1dOptions = {}): Layer {
  const where = "conv1d";
  checkOptions(where, options, optionNames);
  const { stride = 1, dilation = 1, padding = 0, ...rest } = options;
  checkInteger(where, "the kernel", kernel, 1);
  checkInteger(where, "stride", stride, 1);
  checkInteger(where, "dilation", dilation, 1);
  if (typeof padding !== "string") checkInteger(where, "padding", padding, 0);
  const row = { ...rest, stride: [1, stride], dilation: [1, dilation] } as const;
  const settings = readSettings(where, channels, [1, kernel], activation, row);
  const both = typeof padding === "string" ? padding : [0, padding];
  const zeros = readPadding(where, both, settings.kernel, settings.stride, settings.dilation);
  return layerOf(where, 2, settings, zeros, activation);
}

/**
 * A transposed convolution of images, which a strided convolution shrinks and this enlarges: its output has
 * (size − 1) · stride − 2 · padding + dilation · (kernel − 1) + outputPadding + 1 rows and columns, and its weight is
 * [channels in, channels out / groups, kernel height, kernel width], as in PyTorch. Its Kronecker factors are those of this
 * matrix: of the inputs of each position, and of what arrives at its window.
 * @throws OptionError; ShapeError for an input that is not an image, or not divisible into groups
 */
export function convTranspose2d(
  channels: number,
  kernel: PairOption,
  activation?: Layer,
  options: ConvTranspose2dOptions = {},
): Layer {
  const where = "convTranspose2d";
  checkOptions(where, options, [...optionNames, "outputPadding"]);
  const {
    channels: outputs,
    groups,
    bias,
    init,
    name,
    ...windows
  } = readSettings(where, channels, kernel, activation, options);
  const [v, h] = readPair(where, "padding", options.padding ?? 0, 0);
  const outputPadding = readPair(where, "outputPadding", options.outputPadding ?? 0, 0);
  const [height, width] = windows.kernel;
  outputPadding.forEach((more, axis) => {
    if (more < Math.max(windows.stride[axis], windows.dilation[axis])) return;
    throw new OptionError(`${where}: outputPadding must be less than the stride or the dilation, not ${more}.`);
  });
  const layer: Layer = (x) => {
    requireTraced(where, x);
    const inputs = channelsOf(where, x, 3, groups);
    const elements = height * width;
    const site = x.trace.site(layer, name, (parameter) => ({
      kind: "linear",
      inputs: (outputs / groups) * elements,
      outputs: inputs,
      ...(groups > 1 && { groups }),
      transposed: true,
      weight: parameter({
        role: "weight",
        shape: [inputs, outputs / groups, height, width],
        initialise: initialiserOf(init, (outputs / groups) * elements, inputs * elements),
      }),
      ...(bias && { bias: parameter({ role: "bias", shape: [outputs], initialise: zeros }) }),
    }));
    const attributes = { ...windows, padding: [v, v, h, h] as const, outputPadding };
    const y = x.trace.emit(transposedConvolution, [x], attributes, site);
    return activation === undefined ? y : activation(y);
  };
  return layer;
}
