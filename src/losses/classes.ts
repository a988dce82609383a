// Which outputs are the logits of one label, and which labels are left out. A network may give one label's logits [C], or
// those of a label at every position: [T, C] with the classes last, [C, H, W] with the classes first.

import { checkFinite } from "../array/arguments.ts";
import { gatherStrided } from "../array/einsum.ts";
import { type ArrayLike, asArray, type NDArray, shapeText, zeros } from "../array/ndarray.ts";
import { checkChoice, checkInteger, checkOptions, ShapeError, ValueError } from "../errors.ts";
import { withLayers } from "../kernels/layers.ts";
import {
  allocateFloats,
  bytesPerElement,
  type DType,
  type FloatArray,
  inMemory,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { Outputs } from "../network/part-outputs.ts";

/** The axis of one example's outputs that counts the classes. */
export type ClassAxis = "first" | "last";

/** What is done with targets of a certain value. */
export interface IgnoreOptions {
  /**
   * Labels of this value, an integer, are left out: they have no loss, no gradient and no curvature, and a mean is over the
   * others (default: there is none; PyTorch's is −100).
   */
  ignoredLabel?: number | undefined;
}

/** How class labels belong to outputs. */
export interface ClassOptions extends IgnoreOptions {
  /**
   * The axis of one example's outputs that counts the classes, where there is more than one: "last" for [..., C], as
   * dense layers give it for sequences; "first" for [C, ...], as images have channels. Labels have the shape of the others.
   */
  classAxis?: ClassAxis | undefined;
}

/** @throws OptionError */
export function checkClassOptions(where: string, options: ClassOptions, known: readonly (keyof ClassOptions)[]): void {
  checkOptions(where, options, known);
  const { classAxis, ignoredLabel } = options;
  if (classAxis !== undefined) checkChoice(where, "classAxis", classAxis, ["first", "last"]);
  if (ignoredLabel !== undefined) checkInteger(where, "ignoredLabel", ignoredLabel, Number.MIN_SAFE_INTEGER);
}

/** One example's outputs as T labels of C logits each; label t's are at `startOf(t)`, `step` apart. */
export interface ClassLayout {
  readonly classes: number;
  readonly positions: number;
  readonly step: number;
}

/**
 * The layout of outputs of that shape, for one example.
 * @throws ShapeError for fewer than two classes, or where the axis must be named
 */
export function classLayout(where: string, shape: readonly number[], axis: ClassAxis | undefined): ClassLayout {
  if (shape.length > 1 && axis === undefined) {
    throw new ShapeError(
      `${where}: the outputs of an example have shape ${shapeText(shape)}. Of several axes, the one that counts the classes must be named, by the option classAxis of crossEntropy.with or categorical: "last", as of [positions, classes], or "first", as of [classes, height, width].`,
    );
  }
  const classes = shape[axis === "first" ? 0 : shape.length - 1] ?? 0;
  if (classes < 2) {
    throw new ShapeError(
      `${where}: expected outputs of at least two classes, got shape ${shapeText(shape)} for an example. For one logit there is binaryCrossEntropy.`,
    );
  }
  const positions = shape.reduce((product, length) => product * length, 1) / classes;
  return { classes, positions, step: axis === "first" ? positions : 1 };
}

/** Where the logits of a position begin. */
export function startOf({ classes, step }: ClassLayout, position: number): number {
  return step === 1 ? position * classes : position;
}

/** The shape of one example's labels. */
export function labelShape(shape: readonly number[], axis: ClassAxis | undefined): readonly number[] {
  return axis === "first" ? shape.slice(1) : shape.slice(0, -1);
}

/** An array [B, C], in the outputs' order, as rows [B, `count`, classes] of the positions from `first` on: a copy, or it itself. */
export function classRows(
  { kernels, dtype, batch, outputs }: Outputs,
  layout: ClassLayout,
  from: Pointer,
  first = 0,
  count: number = layout.positions,
): Pointer {
  const { classes, positions, step } = layout;
  if (step === 1 && count === positions) return from;
  const rows = allocateFloats(dtype, batch * count * classes);
  const start = from + startOf(layout, first) * bytesPerElement(dtype);
  gatherStrided(kernels, [batch, count, classes], [outputs, step === 1 ? classes : 1, step], start, rows);
  return rows;
}

/** Writes rows [B, T, classes] to `to` in the outputs' order. What `write` does with them must not allocate. */
function writeRows(
  { kernels, dtype, batch, outputs }: Outputs,
  { classes, positions, step }: ClassLayout,
  to: Pointer,
  write: (rows: Pointer) => void,
): void {
  if (step === 1) {
    write(to);
    return;
  }
  scope(() => {
    const rows = allocateFloats(dtype, batch * outputs);
    write(rows);
    gatherStrided(kernels, [batch, classes, positions], [outputs, 1, classes], rows, to);
  });
}

/** Writes softmax(f) of every position, in the outputs' order. */
export function writeSoftmax(outputs: Outputs, layout: ClassLayout, to: Pointer): void {
  const { kernels, batch, f } = outputs;
  scope(() => {
    const rows = classRows(outputs, layout, f);
    writeRows(outputs, layout, to, (p) =>
      withLayers(kernels).softmax(batch * layout.positions, layout.classes, rows, p),
    );
  });
}

/**
 * Targets as probabilities shaped like the outputs [B, ...]: labels as rows of one 1 and zeros, those that are ignored as
 * zeros alone; probabilities checked. @throws ShapeError, ValueError
 */
export function readClasses(
  where: string,
  targets: ArrayLike,
  [batch, ...shape]: readonly number[],
  dtype: DType,
  { classAxis, ignoredLabel }: ClassOptions,
): NDArray {
  const layout = classLayout(where, shape, classAxis);
  const { classes, positions, step } = layout;
  const labelsShape = [batch, ...labelShape(shape, classAxis)];
  const given = asArray(targets);
  const t = shape.length === 1 && given.rank === 2 && given.shape[1] === 1 ? given.reshape(-1) : given;
  const text = shapeText(t.shape);
  const labelled = text === shapeText(labelsShape);
  if (!labelled && text !== shapeText([batch, ...shape])) {
    throw new ShapeError(
      `${where}: targets must be labels ${shapeText(labelsShape)} or probabilities ${shapeText([batch, ...shape])}, not of shape ${text}.`,
    );
  }
  checkFinite(where, "y", t);
  const rows = zeros([batch, ...shape], { dtype });
  const [memory, n] = [t.data, classes * positions];
  for (let i = 0; i < batch * positions; i++) {
    const start = Math.floor(i / positions) * n + startOf(layout, i % positions);
    const place = () => `sample ${Math.floor(i / positions)}${positions === 1 ? "" : `, position ${i % positions},`}`;
    if (labelled) {
      const label = memory[i];
      if (label === ignoredLabel) continue;
      if (!Number.isInteger(label) || label < 0 || label >= classes) {
        throw new ValueError(
          `${where}: label ${label} of ${place()} is not an integer from 0 to ${classes - 1}. Likely causes: labels that count from 1, a network with too few outputs, or a label that stands for none (option ignoredLabel).`,
        );
      }
      rows.data[start + label * step] = 1;
      continue;
    }
    let sum = 0;
    let least = 0;
    for (let c = 0; c < classes; c++) {
      sum += memory[start + c * step];
      least = Math.min(least, memory[start + c * step]);
    }
    if (least < 0 || Math.abs(sum - 1) > 1e-4) {
      throw new ValueError(
        `${where}: the targets of ${place()} are not probabilities: they must be at least 0 and sum to 1, not to ${sum}.`,
      );
    }
    // What rounding left over is divided out, so that loss and gradient agree.
    for (let c = 0; c < classes; c++) rows.data[start + c * step] = memory[start + c * step] / sum;
  }
  return rows;
}

/** Whether a label, at `start` of what `readClasses` gave, is left out. */
function isIgnored({ classes, step }: ClassLayout, targets: FloatArray, start: number): boolean {
  for (let c = 0; c < classes; c++) if (targets[start + c * step] !== 0) return false;
  return true;
}

/** The number of labels that are not left out, of any number of examples. */
export function countLabels(layout: ClassLayout, targets: FloatArray): number {
  const { classes, positions } = layout;
  const labels = targets.length / classes;
  let ignored = 0;
  for (let i = 0; i < labels; i++) {
    const start = Math.floor(i / positions) * positions * classes + startOf(layout, i % positions);
    if (isIgnored(layout, targets, start)) ignored++;
  }
  return labels - ignored;
}

/** Sets to 0 what columns [K, B, C] have at labels that are left out. */
export function dropIgnored(
  { dtype, batch, outputs }: Outputs,
  layout: ClassLayout,
  targets: Pointer,
  columns: number,
  at: Pointer,
): void {
  const size = bytesPerElement(dtype);
  const { classes, positions, step } = layout;
  inMemory(dtype, (memory) => {
    for (let i = 0; i < batch * positions; i++) {
      const start = Math.floor(i / positions) * outputs + startOf(layout, i % positions);
      if (!isIgnored(layout, memory, targets / size + start)) continue;
      for (let k = 0; k < columns; k++) {
        const from = at / size + k * batch * outputs + start;
        for (let c = 0; c < classes; c++) memory[from + c * step] = 0;
      }
    }
  });
}
