// Losses as the deep-learning frameworks define them, on logits where they concern classes.

import { checkFinite, inType } from "../array/arguments.ts";
import { type ArrayLike, asArray, NDArray, sameShape, shapeText, sizeOf } from "../array/ndarray.ts";
import { readWeights } from "../data/dataset.ts";
import { checkChoice, checkOptions, ShapeError, ValueError } from "../errors.ts";
import { withClasses } from "../kernels/classes.ts";
import { activationCode, kernelsFor } from "../kernels/kernels.ts";
import {
  allocate,
  bytesPerElement,
  copyIn,
  copyOut,
  type DType,
  type FloatArray,
  inMemory,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { withTraining } from "../kernels/training.ts";
import type { Network } from "../network/network.ts";
import type { Outputs } from "../network/part-outputs.ts";
import {
  type ClassOptions,
  checkClassOptions,
  classLayout,
  classRows,
  countLabels,
  dropIgnored,
  type IgnoreOptions,
  labelShape,
  readClasses,
  writeSoftmax,
} from "./classes.ts";

/** How the elements of a loss become one number: their mean, their sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

/** What the library knows of a loss: its elements, their gradient, its targets. Shapes are those of one example. */
export interface LossRule {
  readonly name: string;
  /** Its options, with which it is made again elsewhere. */
  readonly entry?: Readonly<Record<string, unknown>>;
  /** The shape of the elements for outputs of that shape. */
  elementShape(shape: readonly number[]): readonly number[];
  /** Targets as numbers shaped like the outputs [B, ...]. @throws ShapeError, ValueError */
  readTargets(where: string, targets: ArrayLike, outputShape: readonly number[], dtype: DType): NDArray;
  /** How many elements count, of the examples whose targets, as `readTargets` gives them, these are; others are 0. */
  counted(shape: readonly number[], targets: FloatArray): number;
  /** Writes the elements, in float64, for targets t. */
  elements(outputs: Outputs, t: Pointer, to: Pointer): void;
  /** Writes `scale` times the gradient of the elements' sum with respect to f. */
  gradient(outputs: Outputs, t: Pointer, scale: number, to: Pointer): void;
  /** Refuses networks whose outputs are not what the loss takes. @throws LaplaceError, ShapeError */
  checkNetwork?(where: string, net: Network): void;
  /** Sets to 0 what columns [K, B, C] have at targets that are ignored; undefined where none can be. */
  dropIgnored?(outputs: Outputs, t: Pointer, columns: number, at: Pointer): void;
}

/** How much each example counts in a loss or a metric, [B], at least 0 (default: all count once). */
export interface WeightOptions {
  weights?: ArrayLike | undefined;
}

/**
 * A loss of outputs and targets; the first axis of both counts the examples. With `weights` each example counts as though it were
 * there so many times: a mean is over their sum, and "none" gives elements times weights.
 */
export interface Loss {
  (outputs: ArrayLike, targets: ArrayLike, options?: { reduction?: "mean" | "sum" } & WeightOptions): number;
  (outputs: ArrayLike, targets: ArrayLike, options: { reduction: "none" } & WeightOptions): NDArray;
  (outputs: ArrayLike, targets: ArrayLike, options: { reduction?: Reduction } & WeightOptions): number | NDArray;
  readonly rule: LossRule;
}

/** A loss that has options. */
export interface LossWithOptions<Options> extends Loss {
  /** The same loss with other options, to be used wherever a loss is. @throws OptionError */
  with(options: Options): LossWithOptions<Options>;
}

/* @__NO_SIDE_EFFECTS__ */
function makeLoss(rule: LossRule): Loss {
  const { name } = rule;
  const loss = (
    outputs: ArrayLike,
    targets: ArrayLike,
    options: { reduction?: Reduction } & WeightOptions = {},
  ): number | NDArray => {
    checkOptions(name, options, ["reduction", "weights"]);
    const { reduction = "mean" } = options;
    checkChoice(name, "reduction", reduction, ["mean", "sum", "none"]);
    const f = asArray(outputs);
    if (f.rank === 0) throw new ShapeError(`${name}: outputs must have an axis that counts the examples.`);
    if (f.shape[0] === 0) throw new ShapeError(`${name}: the batch is empty.`);
    if (f.size === 0) throw new ShapeError(`${name}: there are no outputs; their shape is ${shapeText(f.shape)}.`);
    checkFinite(name, "the network's output", f);
    const t = rule.readTargets(name, targets, f.shape, f.dtype);
    const batch = f.shape[0];
    const size = f.size / batch;
    const shape = f.shape.slice(1);
    const elementsShape = [batch, ...rule.elementShape(shape)];
    const count = sizeOf(elementsShape);
    const elements = scope(() => {
      const to = allocate(8 * count);
      const [kernels, dtype] = [kernelsFor(f.dtype), f.dtype];
      const outputs = { kernels, dtype, batch, outputs: size, shape, f: copyIn(dtype, f.data) };
      rule.elements(outputs, copyIn(dtype, t.data), to);
      return copyOut("float64", to, count);
    });
    const weights = options.weights === undefined ? undefined : readWeights(name, options.weights, batch).data;
    if (weights !== undefined) for (let i = 0; i < count; i++) elements[i] *= weights[Math.floor((i * batch) / count)];
    if (reduction === "none") return new NDArray(elements, elementsShape).as(f.dtype);
    let sum = 0;
    for (const element of elements) sum += element;
    return reduction === "sum" ? sum : sum / (weightOf(rule, shape, t.data, weights) || 1);
  };
  return Object.assign(loss, { rule }) as Loss;
}

/** Targets shaped as the outputs; [B] will do for a single output. */
function readLike(where: string, targets: ArrayLike, shape: readonly number[], dtype: DType): NDArray {
  const t = asArray(targets);
  const single = t.rank === 1 && shape.slice(1).every((length) => length === 1) && t.shape[0] === shape[0];
  if (!single && !sameShape(t.shape, shape)) {
    throw new ShapeError(
      `${where}: the targets have shape ${shapeText(t.shape)}, but the outputs ${shapeText(shape)}; they must agree.`,
    );
  }
  return inType(where, "y", t, dtype).reshape(...shape);
}

/**
 * Squared error (f − y)², an element for each output. "mean" divides by all of them, as the frameworks do: there is no
 * factor ½. Targets are shaped as the outputs.
 */
export const mse: Loss = makeLoss({
  name: "mse",
  elementShape: (shape) => shape,
  readTargets: readLike,
  counted: (_, targets) => targets.length,
  elements: ({ kernels, batch, outputs, f }, t, to) => withTraining(kernels).squaredError(batch * outputs, f, t, to),
  gradient({ kernels, batch, outputs, f }, t, scale, to) {
    withTraining(kernels).scaledDifference(batch * outputs, f, t, 2 * scale, to);
  },
});

/* @__NO_SIDE_EFFECTS__ */
function makeCrossEntropy(options: ClassOptions): LossWithOptions<ClassOptions> {
  const name = "crossEntropy";
  const { classAxis, ignoredLabel } = options;
  const layoutOf = (shape: readonly number[]) => classLayout(name, shape, classAxis);
  const ignores: Pick<LossRule, "dropIgnored"> =
    ignoredLabel === undefined
      ? {}
      : { dropIgnored: (outputs, t, columns, at) => dropIgnored(outputs, layoutOf(outputs.shape), t, columns, at) };
  const loss = makeLoss({
    name,
    entry: { ...options },
    elementShape: (shape) => labelShape(shape, classAxis),
    readTargets: (where, targets, shape, dtype) => readClasses(where, targets, shape, dtype, options),
    counted(shape, targets) {
      const layout = layoutOf(shape);
      return ignoredLabel === undefined ? targets.length / layout.classes : countLabels(layout, targets);
    },
    elements(outputs, t, to) {
      const layout = layoutOf(outputs.shape);
      scope(() => {
        const [f, rows] = [outputs.f, t].map((from) => classRows(outputs, layout, from));
        // Of a label that is ignored all targets are 0, and so is the loss.
        withClasses(outputs.kernels).crossEntropy(outputs.batch * layout.positions, layout.classes, f, rows, to);
      });
    },
    gradient(outputs, t, scale, to) {
      writeSoftmax(outputs, layoutOf(outputs.shape), to);
      withTraining(outputs.kernels).scaledDifference(outputs.batch * outputs.outputs, to, t, scale, to);
      ignores.dropIgnored?.(outputs, t, 1, to);
    },
    ...ignores,
  });
  return Object.assign(loss, {
    with(changes: ClassOptions) {
      checkClassOptions("crossEntropy.with", changes, ["classAxis", "ignoredLabel"]);
      return makeCrossEntropy({ ...options, ...changes });
    },
  });
}

/**
 * Cross-entropy −Σ y log softmax(f) of logits f [B, C], an element for each label. Targets are integer labels [B],
 * counted from 0, or probabilities [B, C]. Where every position has a label of its own, name the axis of the classes:
 * `crossEntropy.with({ classAxis: "last" })` of logits [B, T, C] and labels [B, T], or "first" of [B, C, H, W] and
 * [B, H, W]. `crossEntropy.with({ ignoredLabel: -100 })` leaves labels of that value out: "mean" divides by the number of
 * the others, and is 0 where there are none (PyTorch: NaN).
 */
export const crossEntropy: LossWithOptions<ClassOptions> = makeCrossEntropy({});

/** What stands for a binary target that is ignored. */
const IGNORED = -1;

/** Labels 0 and 1, or probabilities. */
function readBinary(
  where: string,
  targets: ArrayLike,
  shape: readonly number[],
  dtype: DType,
  ignoredLabel: number | undefined,
): NDArray {
  const t = readLike(where, targets, shape, dtype);
  const result = ignoredLabel === undefined ? t : t.clone();
  t.data.forEach((target: number, i: number) => {
    if (target === ignoredLabel) {
      result.data[i] = IGNORED;
    } else if (target < 0 || target > 1) {
      throw new ValueError(`${where}: target ${target} (element ${i}) is neither a label 0 or 1 nor a probability.`);
    }
  });
  return result;
}

/** Does something for each binary target of a part that is ignored. */
function eachIgnored({ dtype, batch, outputs }: Outputs, t: Pointer, visit: (i: number) => void): void {
  const start = t / bytesPerElement(dtype);
  inMemory(dtype, (memory) => {
    for (let i = 0; i < batch * outputs; i++) if (memory[start + i] === IGNORED) visit(i);
  });
}

/* @__NO_SIDE_EFFECTS__ */
function makeBinaryCrossEntropy(options: IgnoreOptions): LossWithOptions<IgnoreOptions> {
  const name = "binaryCrossEntropy";
  const { ignoredLabel } = options;
  const ignores: Pick<LossRule, "dropIgnored"> =
    ignoredLabel === undefined
      ? {}
      : {
          dropIgnored(outputs, t, columns, at) {
            const start = at / bytesPerElement(outputs.dtype);
            const n = outputs.batch * outputs.outputs;
            inMemory(outputs.dtype, (memory) =>
              eachIgnored(outputs, t, (i) => {
                for (let k = 0; k < columns; k++) memory[start + k * n + i] = 0;
              }),
            );
          },
        };
  const loss = makeLoss({
    name,
    entry: { ...options },
    elementShape: (shape) => shape,
    readTargets: (where, targets, shape, dtype) => readBinary(where, targets, shape, dtype, ignoredLabel),
    counted(_, targets) {
      let count = 0;
      for (const target of targets) if (target !== IGNORED) count++;
      return count;
    },
    elements(outputs, t, to) {
      withClasses(outputs.kernels).binaryCrossEntropy(outputs.batch * outputs.outputs, outputs.f, t, to);
      if (ignoredLabel === undefined) return;
      inMemory("float64", (elements) =>
        eachIgnored(outputs, t, (i) => {
          elements[to / 8 + i] = 0;
        }),
      );
    },
    gradient(outputs, t, scale, to) {
      const { kernels, batch, f } = outputs;
      const n = batch * outputs.outputs;
      kernels.activation(activationCode.sigmoid, n, f, to, 0);
      withTraining(kernels).scaledDifference(n, to, t, scale, to);
      ignores.dropIgnored?.(outputs, t, 1, to);
    },
    ...ignores,
  });
  return Object.assign(loss, {
    with(changes: IgnoreOptions) {
      checkClassOptions("binaryCrossEntropy.with", changes, ["ignoredLabel"]);
      return makeBinaryCrossEntropy({ ...options, ...changes });
    },
  });
}

/**
 * Binary cross-entropy −y log σ(f) − (1 − y) log(1 − σ(f)) of logits f, an element for each output. Targets are labels
 * 0 and 1 or probabilities, shaped as the outputs. `binaryCrossEntropy.with({ ignoredLabel: -100 })` leaves targets of that
 * value out, as `crossEntropy` does.
 */
export const binaryCrossEntropy: LossWithOptions<IgnoreOptions> = makeBinaryCrossEntropy({});

/** The rule of a loss or of a likelihood, which is one, checked against the network. @throws ValueError, LaplaceError */
export function readLoss(where: string, loss: Loss | LossRule, net: Network): LossRule {
  const rule = typeof loss === "function" ? loss.rule : loss;
  if (typeof rule?.elements !== "function") {
    const call = typeof loss === "function" ? " It is a function: call it, as in gaussian()." : "";
    throw new ValueError(
      `${where}: the loss must be mse, crossEntropy, binaryCrossEntropy or a likelihood such as poisson(), not ${typeof loss === "string" ? `"${loss}"` : typeof loss}.${call}`,
    );
  }
  rule.checkNetwork?.(where, net);
  return rule;
}

/**
 * The factor that turns the gradient of summed elements into that of the reduced loss, over the examples of these targets;
 * where none of them counts, the gradient is 0 with any factor.
 */
export function reductionScale(
  rule: LossRule,
  reduction: "mean" | "sum",
  shape: readonly number[],
  targets: FloatArray,
  weights?: FloatArray,
): number {
  return reduction === "sum" ? 1 : 1 / (weightOf(rule, shape, targets, weights) || 1);
}

/** How many elements count, of the examples whose targets these are, or the sum of their weights. */
export function weightOf(
  rule: LossRule,
  shape: readonly number[],
  targets: FloatArray,
  weights: FloatArray | undefined,
): number {
  if (weights === undefined) return rule.counted(shape, targets);
  const each = targets.length / weights.length;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i] * rule.counted(shape, targets.subarray(i * each, (i + 1) * each));
  }
  return sum;
}

/** Multiplies the elements of a loss, as many for each example, by the examples' weights. */
export function weighElements(at: Pointer, count: number, weights: Float64Array): void {
  const each = count / weights.length;
  inMemory("float64", (elements) => {
    for (let i = 0; i < count; i++) elements[at / 8 + i] *= weights[Math.floor(i / each)];
  });
}
