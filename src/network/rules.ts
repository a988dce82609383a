// The rules that primitives of one order have in common. Of linear and bilinear ones forward, pushforward and pullback follow
// from what is applied, and its transpose; of elementwise functions both derivatives follow from their slopes.

import { allocateFloats, type Pointer } from "../kernels/memory.ts";
import type { LinearSite } from "./parameters.ts";
import type { CotangentPass, ForwardPass, Node, Primitive } from "./primitive.ts";

type Rules<Attributes> = Pick<Primitive<Attributes>, "order" | "forward" | "pushforward" | "pullback">;

/** y = A x of one input. */
interface LinearMap<Attributes> {
  /** Writes A x. */
  apply(node: Node<Attributes>, pass: ForwardPass, x: Pointer, y: Pointer): void;
  /** Writes Aᵀ d, of K columns (or adds it). */
  transpose(node: Node<Attributes>, pass: CotangentPass, d: Pointer, to: Pointer, add: boolean): void;
}

/** The rules of y = A x; for y = A x + constant, `forward` is written over. */
/* @__NO_SIDE_EFFECTS__ */
export function linearRules<Attributes>({ apply, transpose }: LinearMap<Attributes>): Rules<Attributes> {
  return {
    order: "linear",
    forward: (node, pass) => apply(node, pass, pass.value(node.inputs[0]), pass.value(node)),
    pushforward: (node, pass) => apply(node, pass, pass.tangent(node.inputs[0]), pass.tangent(node)),
    pullback(node, pass) {
      pass.contribute(node.inputs[0], (to, add) => transpose(node, pass, pass.cotangent(node), to, add));
    },
  };
}

/** The rules of the same numbers, in another shape or with a constant added. */
export const copyRules: Rules<never> = linearRules({
  apply: (node, { kernels, batch }, x, y) => kernels.copyRows(1, batch * node.size, x, 0, y, 0, false),
  transpose(node, { kernels, batch, columns }, d, to, add) {
    kernels.copyRows(1, columns * batch * node.size, d, 0, to, 0, add);
  },
});

/** What all of y = φ(x) have in common, which is applied to each element: derivatives are products with its slopes. */
type ElementwiseRules<Attributes> = Pick<
  Primitive<Attributes>,
  "order" | "inputs" | "shape" | "pushforward" | "pullback" | "rowwise"
>;

/** The rules of y = φ(x), but for `forward`. @param slopes writes φ′(x) for the whole batch */
/* @__NO_SIDE_EFFECTS__ */
export function slopeRules<Attributes>(
  slopes: (node: Node<Attributes>, pass: ForwardPass, to: Pointer) => void,
): ElementwiseRules<Attributes> {
  /** For each of K columns d: φ′(x) d. */
  const scale = (
    node: Node<Attributes>,
    pass: ForwardPass,
    columns: number,
    d: Pointer,
    to: Pointer,
    add: boolean,
  ): void => {
    const n = pass.batch * node.size;
    const slope = allocateFloats(pass.dtype, n);
    slopes(node, pass, slope);
    pass.kernels.multiply(columns, n, d, slope, to, add);
  };
  return {
    order: "general",
    inputs: 1,
    shape: ([x]) => x,
    pushforward: (node, pass) => scale(node, pass, 1, pass.tangent(node.inputs[0]), pass.tangent(node), false),
    pullback(node, pass) {
      pass.contribute(node.inputs[0], (to, add) => scale(node, pass, pass.columns, pass.cotangent(node), to, add));
    },
    rowwise: () => 1,
  };
}

/** y = a ∘ b of two inputs, linear in each. */
interface BilinearMap<Attributes> {
  /** Writes a ∘ b (or adds it). */
  apply(node: Node<Attributes>, pass: ForwardPass, a: Pointer, b: Pointer, to: Pointer, add: boolean): void;
  /** Writes what K columns d are for a, given b (or adds it); and for b, given a. */
  left(node: Node<Attributes>, pass: CotangentPass, d: Pointer, b: Pointer, to: Pointer, add: boolean): void;
  right(node: Node<Attributes>, pass: CotangentPass, d: Pointer, a: Pointer, to: Pointer, add: boolean): void;
}

/** The rules of y = a ∘ b. */
/* @__NO_SIDE_EFFECTS__ */
export function bilinearRules<Attributes>({ apply, left, right }: BilinearMap<Attributes>): Rules<Attributes> {
  return {
    order: "bilinear",
    forward(node, pass) {
      const [a, b] = node.inputs;
      apply(node, pass, pass.value(a), pass.value(b), pass.value(node), false);
    },
    pushforward(node, pass) {
      const [a, b] = node.inputs;
      const [da, db, to] = [pass.tangent(a), pass.tangent(b), pass.tangent(node)];
      if (da !== 0) apply(node, pass, da, pass.value(b), to, false);
      if (db !== 0) apply(node, pass, pass.value(a), db, to, da !== 0);
    },
    pullback(node, pass) {
      const [a, b] = node.inputs;
      const d = pass.cotangent(node);
      pass.contribute(a, (to, add) => left(node, pass, d, pass.value(b), to, add));
      pass.contribute(b, (to, add) => right(node, pass, d, pass.value(a), to, add));
    },
  };
}

/** y = W ∘ x + b at a linear site, linear in its input and in its weight. */
interface SiteMap<Attributes> {
  /** Writes W ∘ x (or adds it). */
  apply(node: Node<Attributes>, pass: ForwardPass, x: Pointer, w: Pointer, y: Pointer, add: boolean): void;
  /** Writes what K columns d are for x (or adds it). */
  transpose(node: Node<Attributes>, pass: CotangentPass, d: Pointer, w: Pointer, to: Pointer, add: boolean): void;
  /** Adds a bias to every position. */
  shift(node: Node<Attributes>, pass: ForwardPass, bias: Pointer, y: Pointer): void;
}

/** The rules of y = W ∘ x + b. What arrives at W and b is contracted elsewhere. */
/* @__NO_SIDE_EFFECTS__ */
export function siteRules<Attributes>({ apply, transpose, shift }: SiteMap<Attributes>): Rules<Attributes> {
  return {
    order: "bilinear",
    forward(node, pass) {
      const { weight, bias } = node.site as LinearSite;
      const y = pass.value(node);
      apply(node, pass, pass.value(node.inputs[0]), pass.parameter(weight), y, false);
      if (bias !== undefined) shift(node, pass, pass.parameter(bias), y);
    },
    pushforward(node, pass) {
      const { weight, bias } = node.site as LinearSite;
      const [x, dx, dy] = [pass.value(node.inputs[0]), pass.tangent(node.inputs[0]), pass.tangent(node)];
      const dw = pass.parameterTangent(weight);
      if (dx !== 0) apply(node, pass, dx, pass.parameter(weight), dy, false);
      if (dw !== 0) apply(node, pass, x, dw, dy, dx !== 0);
      if (dw !== 0 && bias !== undefined) shift(node, pass, pass.parameterTangent(bias), dy);
    },
    pullback(node, pass) {
      const { weight } = node.site as LinearSite;
      pass.contribute(node.inputs[0], (to, add) => {
        transpose(node, pass, pass.cotangent(node), pass.parameter(weight), to, add);
      });
    },
  };
}
