// The primitive that a graph begins with.

import { integers } from "../attributes.ts";
import type { Shape } from "../parameters.ts";
import type { Primitive } from "../primitive.ts";

/** The network's input. Its value is set, not computed. */
export const input: Primitive<{ readonly shape: Shape }> = {
  name: "input",
  order: "linear",
  inputs: 0,
  attributes: { shape: integers(1) },
  shape: (_, { shape }) => shape,
  forward() {},
  pushforward() {},
  pullback() {},
};
