// Shapes: lengths of axes.

import { ShapeError, valueText } from "../errors.ts";

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/** A shape as text: "[32, 1]". */
export function shapeText(shape: readonly number[]): string {
  return `[${Array.from(shape, valueText).join(", ")}]`;
}

/** @throws ShapeError for what is not a list of lengths */
export function checkShape(shape: readonly number[]): void {
  if (!Array.isArray(shape)) {
    throw new ShapeError(`A shape is a list of lengths, such as [2, 3], not ${valueText(shape)}.`);
  }
  for (const length of shape) {
    if (!Number.isInteger(length) || length < 0) {
      throw new ShapeError(`${shapeText(shape)} is not a shape.`);
    }
  }
}

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Lists nested deeper are those that contain themselves. */
export const MOST_AXES = 64;
