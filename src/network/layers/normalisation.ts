// Layers that normalise. What follows the normalisation, scale and shift, is an elementwise site, so that curvature
// covers it.

import { shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkInteger, checkNumber, checkOptions, OptionError, ShapeError } from "../../errors.ts";
import { type Layer, lastAxis, requireTraced, scaleShift } from "../layers.ts";
import { normalise } from "../primitives/normalise.ts";
import { batchNormalise } from "../primitives/training.ts";

/** Options of `layerNorm` and `groupNorm`. */
export interface NormOptions {
  /** What is added to the variance (default 1e-5, as in PyTorch). */
  epsilon?: number;
  /** Whether a scale follows, beginning at 1 (default true). */
  scale?: boolean;
  /** Whether a shift follows, beginning at 0 (default true). */
  shift?: boolean;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/** Options of `rmsNorm`. */
export type RmsNormOptions = Omit<NormOptions, "shift">;

interface ReadOptions {
  readonly epsilon: number;
  /** The elementwise layer that follows. */
  readonly affine: Layer;
}

function readOptions(
  where: string,
  options: NormOptions,
  known: readonly (keyof NormOptions)[],
  axis: "last" | "channels" = "last",
): ReadOptions {
  checkOptions(where, options, known);
  const { epsilon = 1e-5, scale = true, shift = known.includes("shift"), name } = options;
  checkNumber(where, "epsilon", epsilon, 0, true);
  checkBoolean(where, "scale", scale);
  checkBoolean(where, "shift", shift);
  const named = name === undefined ? {} : { name };
  // The layer under whose name they are: a new function also where there is nothing to do.
  return { epsilon, affine: scale || shift ? scaleShift({ scale, shift, axis, ...named }) : (x) => x };
}

/**
 * Layer normalisation (Ba et al. 2016, arXiv:1607.06450) over the last axis: (x − mean)/√(variance + ε), with the variance
 * around the mean divided by the axis's length, then scale and shift of each entry. PyTorch calls them weight and bias;
 * the option `rename` of `loadWeights` maps the names.
 * @throws OptionError, ShapeError
 */
export function layerNorm(options: NormOptions = {}): Layer {
  const { epsilon, affine } = readOptions("layerNorm", options, ["epsilon", "scale", "shift", "name"]);
  return (x) => {
    requireTraced("layerNorm", x);
    return affine(x.trace.emit(normalise, [x], { length: lastAxis("layerNorm", x), centred: true, epsilon }));
  };
}

/**
 * Root mean square normalisation (Zhang & Sennrich 2019, arXiv:1910.07467) over the last axis: x/√(mean(x²) + ε), then a
 * scale of each entry. PyTorch's default ε is that of the element type; here it is 1e-5.
 * @throws OptionError, ShapeError
 */
export function rmsNorm(options: RmsNormOptions = {}): Layer {
  const { epsilon, affine } = readOptions("rmsNorm", options, ["epsilon", "scale", "name"]);
  return (x) => {
    requireTraced("rmsNorm", x);
    return affine(x.trace.emit(normalise, [x], { length: lastAxis("rmsNorm", x), centred: false, epsilon }));
  };
}

/**
 * Group normalisation (Wu & He 2018, arXiv:1803.08494) of a vector of channels, or of channels first such as an image
 * [channels, height, width]: the channels in so many groups, each normalised over its channels and positions as in
 * `layerNorm`, then scale and shift of each channel. One group for each channel is instance normalisation.
 * @param groups a divisor of the number of channels
 * @throws OptionError, ShapeError
 */
export function groupNorm(groups: number, options: NormOptions = {}): Layer {
  checkInteger("groupNorm", "groups", groups, 1);
  const { epsilon, affine } = readOptions("groupNorm", options, ["epsilon", "scale", "shift", "name"], "channels");
  return (x) => {
    requireTraced("groupNorm", x);
    if (x.shape.length === 0 || x.shape[0] % groups !== 0) {
      throw new ShapeError(`groupNorm: the channels of ${shapeText(x.shape)} do not divide into ${groups} groups.`);
    }
    return affine(x.trace.emit(normalise, [x], { length: x.node.size / groups, centred: true, epsilon }));
  };
}

/** Options of `batchNorm`. */
export interface BatchNormOptions extends NormOptions {
  /** The share of a batch's statistics in the running ones, above 0, at most 1 (default 0.1, as in PyTorch). */
  momentum?: number;
}

/**
 * Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) of a vector, or of channels first such as an image
 * [channels, height, width]: (x − mean)/√(variance + ε) for each channel, then scale and shift.
 *
 * In `train`, mean and variance are those of the batch, over examples and positions, and derivatives go through them; they
 * join the running statistics, running ← (1 − momentum) running + momentum · batch, with the unbiased variance. Everywhere
 * else (outputs, all other derivatives, curvature, posteriors) the running statistics are used: the layer is a fixed affine
 * map, and examples stay independent of each other. They are not parameters but `net.buffers`, named running_mean and
 * running_var as in PyTorch, whose weight and bias are scale and shift here; clones, files and posteriors have their own.
 * PyTorch's num_batches_tracked has no use here: `rename` of `loadWeights` can pass it over. A frozen layer keeps to its
 * running statistics in training too.
 * @throws OptionError, ShapeError
 */
export function batchNorm(options: BatchNormOptions = {}): Layer {
  const where = "batchNorm";
  checkOptions(where, options, ["epsilon", "momentum", "scale", "shift", "name"]);
  const { momentum = 0.1, ...norm } = options;
  checkNumber(where, "momentum", momentum, 0, true);
  if (momentum > 1) throw new OptionError(`${where}: momentum must be at most 1, not ${momentum}.`);
  const { epsilon, affine } = readOptions(where, norm, ["epsilon", "scale", "shift", "name"], "channels");
  return (x) => {
    requireTraced(where, x);
    lastAxis(where, x);
    const statistics = x.trace.statistics(x.trace.nameOf(affine, options.name), x.shape[0]);
    return affine(x.trace.emit(batchNormalise, [x], { ...statistics, epsilon, momentum }));
  };
}
