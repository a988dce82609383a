// The primitive that gives the same elements another shape.

import { shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { integers } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { Primitive } from "../primitive.ts";
import { copyRules } from "../rules.ts";

/** The same elements in another shape. */
export const reshape: Primitive<{ readonly shape: Shape }> = {
  name: "reshape",
  inputs: 1,
  attributes: { shape: integers(1) },
  shape([x], { shape }) {
    if (sizeOf(x) !== sizeOf(shape) || !shape.every((length) => Number.isInteger(length) && length > 0)) {
      throw new ShapeError(`reshape: ${shapeText(x)} cannot take the shape ${shapeText(shape)}.`);
    }
    return shape;
  },
  ...copyRules,
  same: true,
  rowwise: () => 1,
  finite: () => true,
};
