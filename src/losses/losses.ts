// Losses as the deep-learning frameworks define them, on logits where they concern classes.

import {
  type ArrayLike,
  asArray,
  checkFinite,
  inType,
  NDArray,
  sameShape,
  shapeText,
  zeros,
} from "../array/ndarray.ts";
import { checkChoice, checkOptions, ShapeError, ValueError } from "../errors.ts";
import { activationCode, type Kernels, kernelsFor } from "../kernels/kernels.ts";
import { allocate, copyIn, copyOut, type DType, type Pointer, scope } from "../kernels/memory.ts";

/** How the elements of a loss become one number: their mean, their sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

/** What the library knows of a loss: its elements, their gradient, its targets. */
export interface LossRule {
  readonly name: string;
  /** Elements of the loss for each example with that many outputs. */
  elementsPerExample(outputs: number): number;
  /** Targets as numbers shaped like the outputs. @throws ShapeError, ValueError */
  readTargets(where: string, targets: ArrayLike, outputShape: readonly number[], dtype: DType): NDArray;
  /** Writes the elements, in float64, for outputs f and targets t of `batch` examples. */
  elements(kernels: Kernels, batch: number, outputs: number, f: Pointer, t: Pointer, to: Pointer): void;
  /** Writes `scale` times the gradient of the elements' sum with respect to f. */
  gradient(kernels: Kernels, batch: number, outputs: number, f: Pointer, t: Pointer, scale: number, to: Pointer): void;
}

/** A loss of outputs and targets; the first axis of both counts the examples. */
export interface Loss {
  (outputs: ArrayLike, targets: ArrayLike, options?: { reduction?: "mean" | "sum" }): number;
  (outputs: ArrayLike, targets: ArrayLike, options: { reduction: "none" }): NDArray;
  (outputs: ArrayLike, targets: ArrayLike, options: { reduction?: Reduction }): number | NDArray;
  readonly rule: LossRule;
}

function makeLoss(rule: LossRule): Loss {
  const { name } = rule;
  const loss = (outputs: ArrayLike, targets: ArrayLike, options: { reduction?: Reduction } = {}): number | NDArray => {
    checkOptions(name, options, ["reduction"]);
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
    const count = batch * rule.elementsPerExample(size);
    const elements = scope(() => {
      const to = allocate(8 * count);
      rule.elements(kernelsFor(f.dtype), batch, size, copyIn(f.dtype, f.data), copyIn(f.dtype, t.data), to);
      return copyOut("float64", to, count);
    });
    if (reduction === "none") return new NDArray(elements, count === f.size ? f.shape : [batch]).as(f.dtype);
    let sum = 0;
    for (const element of elements) sum += element;
    return reduction === "sum" ? sum : sum / count;
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
  elementsPerExample: (outputs) => outputs,
  readTargets: readLike,
  elements: (kernels, batch, outputs, f, t, to) => kernels.squaredError(batch * outputs, f, t, to),
  gradient(kernels, batch, outputs, f, t, scale, to) {
    kernels.scaledDifference(batch * outputs, f, t, 2 * scale, to);
  },
});

/** Labels [B] as rows of one 1 and zeros; or probabilities [B, C], checked. */
function readClasses(where: string, targets: ArrayLike, shape: readonly number[], dtype: DType): NDArray {
  const [batch, classes] = shape;
  if (shape.length !== 2 || classes < 2) {
    throw new ShapeError(
      `${where}: outputs [B, C] of at least two classes are due, not ${shapeText(shape)}. For one logit there is binaryCrossEntropy.`,
    );
  }
  const given = asArray(targets);
  const t = given.rank === 2 && given.shape[1] === 1 ? given.reshape(-1) : given;
  if (t.shape[0] !== batch || t.rank > 2 || (t.rank === 2 && t.shape[1] !== classes)) {
    throw new ShapeError(
      `${where}: targets must be labels [${batch}] or probabilities [${batch}, ${classes}], not of shape ${shapeText(t.shape)}.`,
    );
  }
  checkFinite(where, "y", t);
  if (t.rank === 1) {
    const rows = zeros(shape, { dtype });
    t.data.forEach((label: number, i: number) => {
      if (!Number.isInteger(label) || label < 0 || label >= classes) {
        throw new ValueError(
          `${where}: label ${label} of sample ${i} is not an integer from 0 to ${classes - 1}. Likely causes: labels that count from 1, or a network with too few outputs.`,
        );
      }
      rows.data[i * classes + label] = 1;
    });
    return rows;
  }
  const rows = zeros(shape, { dtype });
  for (let i = 0; i < batch; i++) {
    let sum = 0;
    let least = 0;
    for (let c = 0; c < classes; c++) {
      sum += t.data[i * classes + c];
      least = Math.min(least, t.data[i * classes + c]);
    }
    if (least < 0 || Math.abs(sum - 1) > 1e-4) {
      throw new ValueError(
        `${where}: the targets of sample ${i} are not probabilities: they must be at least 0 and sum to 1, not to ${sum}.`,
      );
    }
    // What rounding left over is divided out, so that loss and gradient agree.
    for (let c = 0; c < classes; c++) rows.data[i * classes + c] = t.data[i * classes + c] / sum;
  }
  return rows;
}

/**
 * Cross-entropy −Σ y log softmax(f) of logits f [B, C], an element for each example. Targets are integer labels [B],
 * counted from 0, or probabilities [B, C].
 */
export const crossEntropy: Loss = makeLoss({
  name: "crossEntropy",
  elementsPerExample: () => 1,
  readTargets: readClasses,
  elements: (kernels, batch, outputs, f, t, to) => kernels.crossEntropy(batch, outputs, f, t, to),
  gradient(kernels, batch, outputs, f, t, scale, to) {
    kernels.softmax(batch, outputs, f, to);
    kernels.scaledDifference(batch * outputs, to, t, scale, to);
  },
});

/** Labels 0 and 1, or probabilities. */
function readBinary(where: string, targets: ArrayLike, shape: readonly number[], dtype: DType): NDArray {
  const t = readLike(where, targets, shape, dtype);
  t.data.forEach((target: number, i: number) => {
    if (target < 0 || target > 1) {
      throw new ValueError(`${where}: target ${target} (element ${i}) is neither a label 0 or 1 nor a probability.`);
    }
  });
  return t;
}

/**
 * Binary cross-entropy −y log σ(f) − (1 − y) log(1 − σ(f)) of logits f, an element for each output. Targets are labels
 * 0 and 1 or probabilities, shaped as the outputs.
 */
export const binaryCrossEntropy: Loss = makeLoss({
  name: "binaryCrossEntropy",
  elementsPerExample: (outputs) => outputs,
  readTargets: readBinary,
  elements: (kernels, batch, outputs, f, t, to) => kernels.binaryCrossEntropy(batch * outputs, f, t, to),
  gradient(kernels, batch, outputs, f, t, scale, to) {
    const n = batch * outputs;
    kernels.activation(activationCode.sigmoid, n, f, to, 0);
    kernels.scaledDifference(n, to, t, scale, to);
  },
});

/** Checks that an argument is one of the losses. */
export function readLoss(where: string, loss: Loss): LossRule {
  if (typeof loss !== "function" || loss.rule === undefined) {
    throw new ValueError(`${where}: the loss must be mse, crossEntropy or binaryCrossEntropy, not ${String(loss)}.`);
  }
  return loss.rule;
}

/** The factor that turns the gradient of summed elements into that of the reduced loss, over `examples` examples. */
export function reductionScale(rule: LossRule, reduction: "mean" | "sum", examples: number, outputs: number): number {
  return reduction === "sum" ? 1 : 1 / (examples * rule.elementsPerExample(outputs));
}
