// Which positions of a sequence count, and which are padding.

import { sameShape, shapeText } from "../../array/ndarray.ts";
import { checkNumber, LaplaceError, ShapeError } from "../../errors.ts";
import { multiply, requireTraced, reshape } from "../layers.ts";
import { differs, maskedSoftmax, positions } from "../primitives/attention.ts";
import type { Traced } from "../trace.ts";
import { matmul } from "./rearrange.ts";

/** A layer that takes a mask besides: [positions], in which 0 marks padding. */
export type MaskedLayer = (x: Traced, mask?: Traced) => Traced;

/** @throws LaplaceError, ShapeError for what is not a mask of so many positions */
export function checkMask(where: string, mask: Traced, length: number): void {
  requireTraced(where, mask);
  if (!sameShape(mask.shape, [length])) {
    throw new ShapeError(
      `${where}: expected a mask [${length}], a number for each position, got ${shapeText(mask.shape)}.`,
    );
  }
  if (mask.node.dependsOnParameters) {
    throw new LaplaceError(`${where}: the mask depends on parameters, of which it would hide the derivatives.`);
  }
}

/**
 * A mask of padding, shaped as the tokens: 0 where a token is `padding`, 1 elsewhere.
 * @param padding the number that stands for no token (default 0)
 */
export function paddingMask(tokens: Traced, padding = 0): Traced {
  requireTraced("paddingMask", tokens);
  checkNumber("paddingMask", "padding", padding);
  return tokens.trace.emit(differs, [tokens], { from: padding });
}

/** Between the scores of two positions: the exponential of minus that is 0, in float64 too. */
const APART = 1000;

/**
 * The last position of a sequence [positions, width] that is not padding, [width]; zeros where all of it is. Without a mask it is the
 * last one. @param mask [positions], in which 0 marks padding, such as `paddingMask(tokens)`
 * @throws ShapeError, LaplaceError for a mask that depends on parameters
 */
export function lastPosition(x: Traced, mask?: Traced): Traced {
  const where = "lastPosition";
  requireTraced(where, x);
  const [length, width] = x.shape;
  if (x.shape.length !== 2) {
    throw new ShapeError(`${where}: expected a sequence [positions, width], got ${shapeText(x.shape)}.`);
  }
  if (mask !== undefined) checkMask(where, mask, length);
  const { trace } = x;
  const scores = reshape(multiply(trace.emit(positions, [], { length }), APART), [1, length]);
  const chosen = trace.emit(maskedSoftmax, mask === undefined ? [scores] : [scores, mask], { causal: false });
  return reshape(matmul(chosen, x), [width]);
}
