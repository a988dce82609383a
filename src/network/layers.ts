// Layers are plain functions over traced values. Applying the same layer twice shares its parameters.

import { sizeOf } from "../array/ndarray.ts";
import {
  checkBoolean,
  checkChoice,
  checkInteger,
  checkOptions,
  LaplaceError,
  OptionError,
  ShapeError,
} from "../errors.ts";
import type { Parameter, Shape, Site } from "./parameters.ts";
import * as arithmetic from "./primitives/arithmetic.ts";
import { type ElementwiseFunction, elementwise } from "./primitives/elementwise.ts";
import { linear, scaleShift as scaleShiftPrimitive } from "./primitives/linear.ts";
import { reshape as reshapePrimitive } from "./primitives/reshape.ts";
import { softmax as softmaxPrimitive } from "./primitives/softmax.ts";
import { type Initialiser, type ParameterDraft, Traced } from "./trace.ts";

/** A function from a value to a value, for one example. */
export type Layer = (x: Traced) => Traced;

/** How weights begin: Glorot & Bengio 2010, He et al. 2015, uniform or normal; biases begin at 0. */
export type Initialisation = "glorotUniform" | "glorotNormal" | "heUniform" | "heNormal" | "zeros";

/** The ways there are. */
export const initialisations: readonly Initialisation[] = [
  "glorotUniform",
  "glorotNormal",
  "heUniform",
  "heNormal",
  "zeros",
];

/** Options of `dense`. */
export interface DenseOptions {
  /** Whether a bias is added (default true). */
  bias?: boolean;
  /** How weights begin (default "glorotUniform"). */
  init?: Initialisation;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/** A weight's initial values, for a position with so many inputs and outputs. */
export function initialiserOf(init: Initialisation, inputs: number, outputs: number): Initialiser {
  const fan = init.startsWith("glorot") ? (inputs + outputs) / 2 : inputs;
  const deviation = init === "zeros" ? 0 : Math.sqrt((init.startsWith("he") ? 2 : 1) / fan);
  // A uniform variable on (-1, 1) has the standard deviation 1 / sqrt(3).
  const limit = deviation * Math.sqrt(3);
  return (values, random) => {
    for (let i = 0; i < values.length; i++) {
      values[i] = init.endsWith("Normal") ? deviation * random.normal() : limit * (2 * random.uniform() - 1);
    }
  };
}

/** Zeros, as arrays are made. */
export const zeros: Initialiser = () => {};
const ones: Initialiser = (values) => {
  values.fill(1);
};

/** The size of the last axis, over which layers work. */
export function lastAxis(where: string, x: Traced): number {
  if (x.shape.length === 0) throw new ShapeError(`${where}: expected a vector as input, got a single number.`);
  return x.shape[x.shape.length - 1];
}

/**
 * A dense layer: y = activation(W x + b) over the last axis of its input, which gives the number of inputs.
 * @param outputs the number of outputs
 * @param activation a function over traced values, such as `relu` (default: none)
 * @throws OptionError, ShapeError
 */
export function dense(outputs: number, activation?: Layer, options: DenseOptions = {}): Layer {
  checkInteger("dense", "outputs", outputs, 1);
  if (activation !== undefined && typeof activation !== "function") {
    throw new OptionError(
      `dense: the activation must be a function such as relu, not ${typeof activation}; options come third.`,
    );
  }
  checkOptions("dense", options, ["bias", "init", "name"]);
  const { bias = true, init = "glorotUniform", name } = options;
  checkBoolean("dense", "bias", bias);
  checkChoice("dense", "init", init, initialisations);
  const layer: Layer = (x) => {
    requireTraced("dense", x);
    const y = applyLinear(layer, x, { outputs, bias, name, weights: (inputs) => initialiserOf(init, inputs, outputs) });
    return activation === undefined ? y : activation(y);
  };
  return layer;
}

/** A linear site of a layer, as the layer asks for it. */
interface LinearDraft {
  readonly outputs: number;
  readonly bias: boolean;
  /** How the weight begins, for that many inputs. */
  readonly weights: (inputs: number) => Initialiser;
  /** How the bias begins (default: at 0). */
  readonly biases?: Initialiser;
  readonly name: string | undefined;
  /** Which part of the layer this is, where it has several. */
  readonly part?: string;
}

/** y = W x + b over the last axis of x, at a site of the layer. */
export function applyLinear(layer: object, x: Traced, draft: LinearDraft): Traced {
  const { outputs, bias, weights, biases = zeros, name, part } = draft;
  const inputs = lastAxis("dense", x);
  const create = (parameter: (draft: ParameterDraft) => Parameter): Site => ({
    kind: "linear",
    inputs,
    outputs,
    weight: parameter({ role: "weight", shape: [outputs, inputs], initialise: weights(inputs) }),
    ...(bias && { bias: parameter({ role: "bias", shape: [outputs], initialise: biases }) }),
  });
  return x.trace.emit(linear, [x], undefined, x.trace.site(layer, name, create, part));
}

/** Options of `scaleShift`. */
export interface ScaleShiftOptions {
  /** Whether there is a scale, beginning at 1 (default true). */
  scale?: boolean;
  /** Whether there is a shift, beginning at 0 (default true). */
  shift?: boolean;
  /** The axis they run over: "last" (default), or "channels", the first one, as of images [channels, height, width]. */
  axis?: "last" | "channels";
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/** An elementwise layer: y = s ⊙ x + t over the last axis of its input, or over its channels. @throws OptionError, ShapeError */
export function scaleShift(options: ScaleShiftOptions = {}): Layer {
  checkOptions("scaleShift", options, ["scale", "shift", "axis", "name"]);
  const { scale = true, shift = true, axis = "last", name } = options;
  checkChoice("scaleShift", "axis", axis, ["last", "channels"]);
  checkBoolean("scaleShift", "scale", scale);
  checkBoolean("scaleShift", "shift", shift);
  if (!scale && !shift) throw new OptionError("scaleShift: without a scale and without a shift nothing is left of it.");
  const layer: Layer = (x) => {
    requireTraced("scaleShift", x);
    const last = lastAxis("scaleShift", x);
    const size = axis === "last" ? last : x.shape[0];
    const site = x.trace.site(layer, name, (parameter) => ({
      kind: "elementwise",
      size,
      ...(scale && { scale: parameter({ role: "scale", shape: [size], initialise: ones }) }),
      ...(shift && { shift: parameter({ role: "shift", shape: [size], initialise: zeros }) }),
    }));
    return x.trace.emit(scaleShiftPrimitive, [x], { axis }, site);
  };
  return layer;
}

/** x + layers(x): a block with a way around it. Its output must be shaped as its input. */
export function residual(...layers: Layer[]): Layer {
  return (x) => add(x, compose(layers)(x));
}

/** Layers one after the other, as one layer. */
export function compose(layers: readonly Layer[]): Layer {
  for (const layer of layers) {
    if (typeof layer !== "function" || isClass(layer)) {
      const found = typeof layer === "function" ? `the class ${layer.name}` : typeof layer;
      throw new LaplaceError(`A layer must be a function over traced values, not ${found}.`);
    }
  }
  return (x) => layers.reduce((value, layer) => layer(value), x);
}

/** Whether a function is a class, which cannot be called without new. */
export const isClass = (f: Layer): boolean => Function.prototype.toString.call(f).startsWith("class");

/** @throws LaplaceError unless x is a value of a model's function */
export function requireTraced(where: string, x: unknown): asserts x is Traced {
  if (x instanceof Traced) return;
  throw new LaplaceError(`${where}: expected a traced value, as a model's function receives it, got ${typeof x}.`);
}

/** `x * 2` of a traced value is NaN to JavaScript: it must not pass for a constant. */
function requireFinite(where: string, constant: number): void {
  if (Number.isFinite(constant)) return;
  throw new LaplaceError(`${where}: the constant ${constant} is not finite.`);
}

function apply(name: ElementwiseFunction, x: Traced, alpha = 0): Traced {
  requireTraced(name, x);
  requireFinite(name, alpha);
  return x.trace.emit(elementwise, [x], { function: name, alpha });
}

/** x itself. */
export function identity(x: Traced): Traced {
  return x;
}

/** max(x, 0); its derivative at 0 is 0. */
export function relu(x: Traced): Traced {
  return apply("relu", x);
}

/** x where positive, otherwise slope · x. */
export function leakyRelu(x: Traced, negativeSlope = 0.01): Traced {
  return apply("leakyRelu", x, negativeSlope);
}

/** x where positive, otherwise α (eˣ − 1) (Clevert et al. 2016). */
export function elu(x: Traced, alpha = 1): Traced {
  return apply("elu", x, alpha);
}

/** λ x where positive, otherwise λ α (eˣ − 1), with the constants of Klambauer et al. 2017. */
export function selu(x: Traced): Traced {
  return apply("selu", x);
}

/** x Φ(x) with the normal distribution function Φ, exactly (Hendrycks & Gimpel 2016). */
export function gelu(x: Traced): Traced {
  return apply("gelu", x);
}

/** x · sigmoid(x), also called swish. */
export function silu(x: Traced): Traced {
  return apply("silu", x);
}

/** log(1 + eˣ). */
export function softplus(x: Traced): Traced {
  return apply("softplus", x);
}

/** 1 / (1 + e⁻ˣ). */
export function sigmoid(x: Traced): Traced {
  return apply("sigmoid", x);
}

/** The hyperbolic tangent. */
export function tanh(x: Traced): Traced {
  return apply("tanh", x);
}

/** eˣ. */
export function exp(x: Traced): Traced {
  return apply("exp", x);
}

/** The natural logarithm: −∞ at 0 and NaN below. */
export function log(x: Traced): Traced {
  return apply("log", x);
}

/** The error function, 2/√π ∫₀ˣ exp(−t²) dt. */
export function erf(x: Traced): Traced {
  return apply("erf", x);
}

/** The cosine, of radians: sin x is cos(x − π/2), `cos(subtract(x, Math.PI / 2))`. */
export function cos(x: Traced): Traced {
  return apply("cos", x);
}

/** softmax over the last axis, inside a network. A network may not end in it: losses take logits. */
export function softmax(x: Traced): Traced {
  requireTraced("softmax", x);
  return x.trace.emit(softmaxPrimitive, [x], undefined);
}

/** The sum of two values of one shape, or of a value and a constant. */
export function add(x: Traced, y: Traced | number): Traced {
  requireTraced("add", x);
  if (typeof y === "number") requireFinite("add", y);
  if (typeof y === "number") return x.trace.emit(arithmetic.affine, [x], { slope: 1, intercept: y });
  return x.trace.emit(arithmetic.add, [x, y], undefined);
}

/** The difference of two values of one shape, or of a value and a constant. */
export function subtract(x: Traced, y: Traced | number): Traced {
  requireTraced("subtract", x);
  if (typeof y === "number") requireFinite("subtract", y);
  else requireTraced("subtract", y);
  return typeof y === "number" ? add(x, -y) : add(x, multiply(y, -1));
}

/** The elementwise product of two values of one shape, or of a value and a constant. */
export function multiply(x: Traced, y: Traced | number): Traced {
  requireTraced("multiply", x);
  if (typeof y === "number") requireFinite("multiply", y);
  if (typeof y === "number") return x.trace.emit(arithmetic.affine, [x], { slope: y, intercept: 0 });
  return x.trace.emit(arithmetic.multiply, [x, y], undefined);
}

/** The same elements in another shape, for one example: the batch axis is not counted. */
export function reshape(x: Traced, shape: Shape): Traced {
  requireTraced("reshape", x);
  return x.trace.emit(reshapePrimitive, [x], { shape: [...shape] });
}

/** The same elements as one vector. */
export function flatten(x: Traced): Traced {
  return reshape(x, [sizeOf(x.shape)]);
}
