// The second rules of primitives that are neither linear nor bilinear: how a pullback changes with the values it is taken at. They
// stand apart from the first because only exact Hessians need them.

import { type activationCode, activationCode as codes, type Kernels } from "../kernels/kernels.ts";
import { withLayers } from "../kernels/layers.ts";
import { allocateFloats, type Pointer, scope } from "../kernels/memory.ts";
import { type ForwardPass, lastAxis, type Node, type Primitive, type SecondPass } from "./primitive.ts";
import type { ElementwiseAttributes } from "./primitives/elementwise.ts";
import type { NormaliseAttributes } from "./primitives/normalise.ts";

type SecondRule<Attributes> = (node: Node<Attributes>, pass: SecondPass) => void;

/** The second rule of y = φ(x): φ″(x) ẋ δ. @param bends writes φ″(x) for the whole batch */
export function bendRule<Attributes>(
  bends: (node: Node<Attributes>, pass: ForwardPass, to: Pointer) => void,
): SecondRule<Attributes> {
  return (node, pass) => {
    const [x] = node.inputs;
    const moved = pass.tangent(x);
    if (moved === 0) return;
    const n = pass.batch * node.size;
    pass.contribute(x, (to, add) => {
      scope(() => {
        const bend = allocateFloats(pass.dtype, n);
        bends(node, pass, bend);
        pass.kernels.multiply(1, n, bend, moved, bend, false);
        pass.kernels.multiply(1, n, bend, pass.cotangent(node), to, add);
      });
    });
  };
}

/** The values of a pass that φ″ is made of. */
interface Bending {
  readonly kernels: Kernels;
  readonly n: number;
  readonly x: Pointer;
  readonly y: Pointer;
  /** φ′(x), where φ″ is written. */
  readonly to: Pointer;
  /** Memory for n numbers more. */
  scratch(): Pointer;
}

const ROOT_HALF = Math.SQRT1_2;

/** φ″ of the usual activations, from φ and φ′; undefined where it is 0. */
const bends: Record<keyof typeof activationCode, ((of: Bending) => void) | undefined> = {
  relu: undefined,
  leakyRelu: undefined,
  elu: exponentialPart,
  selu: exponentialPart,
  /** φ(x) (2 − x²), φ being the normal density: e^(−x²/2) is what erf′(x/√2) has. */
  gelu({ kernels, n, x, to, scratch }) {
    const shrunk = scratch();
    kernels.affine(n, ROOT_HALF, x, 0, shrunk, false);
    kernels.activationDerivative(codes.erf, n, shrunk, shrunk, to, 0);
    kernels.multiply(1, n, shrunk, shrunk, shrunk, false);
    kernels.affine(n, -ROOT_HALF, shrunk, ROOT_HALF, shrunk, false);
    kernels.multiply(1, n, to, shrunk, to, false);
  },
  /** s (1 − s) (2 + x (1 − 2 s)) of the sigmoid s */
  silu({ kernels, n, x, to, scratch }) {
    const s = scratch();
    kernels.activation(codes.sigmoid, n, x, s, 0);
    kernels.activationDerivative(codes.sigmoid, n, x, s, to, 0);
    kernels.affine(n, -2, s, 1, s, false);
    kernels.multiply(1, n, s, x, s, false);
    kernels.affine(n, 1, s, 2, s, false);
    kernels.multiply(1, n, to, s, to, false);
  },
  softplus: ({ kernels, n, x, y, to }) => kernels.activationDerivative(codes.sigmoid, n, x, y, to, 0),
  /** φ′ (1 − 2 y) */
  sigmoid: ({ kernels, n, y, to, scratch }) => timesAffine(kernels, n, -2, y, 1, to, scratch()),
  /** −2 y φ′ */
  tanh: ({ kernels, n, y, to, scratch }) => timesAffine(kernels, n, -2, y, 0, to, scratch()),
  exp: () => {},
  /** −φ′² */
  log({ kernels, n, to }) {
    kernels.multiply(1, n, to, to, to, false);
    kernels.affine(n, -1, to, 0, to, false);
  },
  /** −2 x φ′ */
  erf: ({ kernels, n, x, to, scratch }) => timesAffine(kernels, n, -2, x, 0, to, scratch()),
  cos: ({ kernels, n, y, to }) => kernels.affine(n, -1, y, 0, to, false),
};

/** φ′ (slope v + intercept) */
function timesAffine(
  kernels: Kernels,
  n: number,
  slope: number,
  v: Pointer,
  intercept: number,
  to: Pointer,
  scratch: Pointer,
): void {
  kernels.affine(n, slope, v, intercept, scratch, false);
  kernels.multiply(1, n, to, scratch, to, false);
}

/** φ′ where x is not positive, and 0 elsewhere: that of an exponential. */
function exponentialPart({ kernels, n, x, y, to, scratch }: Bending): void {
  const above = scratch();
  kernels.activationDerivative(codes.relu, n, x, y, above, 0);
  kernels.affine(n, -1, above, 1, above, false);
  kernels.multiply(1, n, to, above, to, false);
}

const elementwise: SecondRule<ElementwiseAttributes> = (node, pass) => {
  const { function: name, alpha } = node.attributes;
  const bend = bends[name];
  if (bend === undefined) return;
  bendRule<ElementwiseAttributes>((_, { kernels, dtype, batch }, to) => {
    const n = batch * node.size;
    const [x, y] = [pass.value(node.inputs[0]), pass.value(node)];
    kernels.activationDerivative(codes[name], n, x, y, to, alpha);
    bend({ kernels, n, x, y, to, scratch: () => allocateFloats(dtype, n) });
  })(node, pass);
};

/** Of J δ = y ⊙ (δ − y·δ): ẏ ⊙ (δ − y·δ) − y (ẏ·δ) */
const softmax: SecondRule<unknown> = (node, pass) => {
  const { kernels, dtype, batch } = pass;
  const [y, moved, d] = [pass.value(node), pass.tangent(node), pass.cotangent(node)];
  if (moved === 0) return;
  const width = lastAxis(node);
  const n = batch * node.size;
  const rows = n / width;
  pass.contribute(node.inputs[0], (to, add) => {
    scope(() => {
      const [dots, term] = [allocateFloats(dtype, rows), allocateFloats(dtype, n)];
      kernels.multiply(1, n, moved, d, to, add);
      for (const [a, b] of [
        [y, moved],
        [moved, y],
      ]) {
        kernels.dotRows(rows, width, a, d, dots, false);
        kernels.scaleRows(rows, width, b, dots, 1, term);
        kernels.affine(n, -1, term, 0, to, true);
      }
    });
  });
};

/**
 * Of J δ = (δ − mean(δ) − y mean(y δ)) / s with s = √(variance + ε): −mean(y ẋ)/s J δ − (ẏ mean(y δ) + y mean(ẏ δ)) / s.
 */
const normalise: SecondRule<NormaliseAttributes> = (node, pass) => {
  const { kernels, dtype, batch } = pass;
  const [input] = node.inputs;
  const [x, dx] = [pass.value(input), pass.tangent(input)];
  const [y, moved, d] = [pass.value(node), pass.tangent(node), pass.cotangent(node)];
  if (dx === 0) return;
  const { length: width, centred, epsilon } = node.attributes;
  const n = batch * node.size;
  const rows = n / width;
  pass.contribute(input, (to, add) => {
    scope(() => {
      const [term, factors] = [allocateFloats(dtype, n), allocateFloats(dtype, rows)];
      const scales = inverseScales(node, pass, x);
      if (!add) kernels.fill(n, 0, to);
      /** Takes mean(a b)/s of each row times v from the result. */
      const take = (a: Pointer, b: Pointer, v: Pointer) => {
        kernels.dotRows(rows, width, a, b, factors, false);
        kernels.multiply(1, rows, factors, scales, factors, false);
        kernels.scaleRows(rows, width, v, factors, 1, term);
        kernels.affine(n, -1 / width, term, 0, to, true);
      };
      const pulled = allocateFloats(dtype, n);
      withLayers(kernels).normaliseJacobian(1, rows, width, x, y, d, pulled, centred, epsilon, false);
      take(y, dx, pulled);
      take(y, d, moved);
      take(moved, d, y);
    });
  });
};

/** 1/s of each row. */
function inverseScales(node: Node<NormaliseAttributes>, { kernels, dtype, batch }: ForwardPass, x: Pointer): Pointer {
  const { length: width, centred, epsilon } = node.attributes;
  const n = batch * node.size;
  const rows = n / width;
  const [scales, from] = [allocateFloats(dtype, rows), allocateFloats(dtype, n)];
  if (centred) {
    kernels.sumAxis(rows, width, 1, x, scales, 1, false);
    const ones = allocateFloats(dtype, n);
    kernels.fill(n, 1, ones);
    kernels.scaleRows(rows, width, ones, scales, 1, from);
    kernels.affine(n, -1 / width, from, 0, from, false);
    kernels.copyRows(1, n, x, 0, from, 0, true);
  } else kernels.copyRows(1, n, x, 0, from, 0, false);
  kernels.dotRows(rows, width, from, from, scales, false);
  // s⁻¹ = e^(−½ log s²)
  kernels.affine(rows, 1 / width, scales, epsilon, scales, false);
  kernels.activation(codes.log, rows, scales, scales, 0);
  kernels.affine(rows, -0.5, scales, 0, scales, false);
  kernels.activation(codes.exp, rows, scales, scales, 0);
  return scales;
}

/** Piecewise linear: what a pullback takes does not change. */
const none: SecondRule<never> = () => {};

const rules: Readonly<Record<string, SecondRule<never>>> = {
  elementwise,
  softmax,
  maskedSoftmax: softmax,
  normalise,
  maxPool: none,
  differs: none,
  embedding: none,
  paddedEmbedding: none,
};

/** The second rule of a primitive of the order "general"; undefined where it has none. */
export function secondRuleOf<Attributes>(primitive: Primitive<Attributes>): SecondRule<Attributes> | undefined {
  const { name, second } = primitive;
  return second ?? (Object.hasOwn(rules, name) ? (rules[name] as SecondRule<unknown>) : undefined);
}
