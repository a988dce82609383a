// Primitives that files of other frameworks need and the library's layers do not. They are known by name as soon as this package
// is imported, so that posteriors with them can be loaded.

import {
  bytesPerElement,
  definePrimitive,
  elementwiseRules,
  finite,
  gatherStrided,
  inMemory,
  integers,
  linearRules,
  oneOf,
  type Shape,
} from "laplace-ts/graph";
import { sizeOf, stridesOf } from "./tensor.ts";

interface Plain {
  value(x: number, a: number, b: number): number;
  slope(x: number, y: number, a: number, b: number): number;
  bend(x: number, y: number, a: number, b: number): number;
}

const sign = (x: number) => (x > 0 ? 1 : x < 0 ? -1 : 0);
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const flat = () => 0;

/** Functions of a number x and of constants a and b, with their first and second derivatives in x. */
const plain = {
  abs: { value: Math.abs, slope: sign, bend: flat },
  celu: {
    value: (x, a) => (x > 0 ? x : a * Math.expm1(x / a)),
    slope: (x, _, a) => (x > 0 ? 1 : Math.exp(x / a)),
    bend: (x, _, a) => (x > 0 ? 0 : Math.exp(x / a) / a),
  },
  clip: {
    value: (x, a, b) => Math.min(Math.max(x, a), b),
    slope: (x, _, a, b) => (x > a && x < b ? 1 : 0),
    bend: flat,
  },
  cos: { value: Math.cos, slope: (x) => -Math.sin(x), bend: (_, y) => -y },
  // min(max(a x + b, 0), 1)
  hardSigmoid: {
    value: (x, a, b) => Math.min(Math.max(a * x + b, 0), 1),
    slope: (x, _, a, b) => (a * x + b > 0 && a * x + b < 1 ? a : 0),
    bend: flat,
  },
  hardSwish: {
    value: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
    slope: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    bend: (x) => (Math.abs(x) < 3 ? 1 / 3 : 0),
  },
  log: { value: Math.log, slope: (x) => 1 / x, bend: (x) => -1 / (x * x) },
  mish: {
    value: (x) => x * Math.tanh(softplus(x)),
    slope: (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * (1 - t * t) * sigmoid(x);
    },
    bend: (x) => {
      const [t, s] = [Math.tanh(softplus(x)), sigmoid(x)];
      const first = (1 - t * t) * s;
      return 2 * first + x * first * (1 - s - 2 * t * s);
    },
  },
  power: {
    value: (x, a) => x ** a,
    slope: (x, _, a) => (a === 0 ? 0 : a * x ** (a - 1)),
    bend: (x, _, a) => (a === 0 || a === 1 ? 0 : a * (a - 1) * x ** (a - 2)),
  },
  reciprocal: { value: (x) => 1 / x, slope: (_, y) => -y * y, bend: (_, y) => 2 * y ** 3 },
  // 1 where x equals a, and where x is greater: constant but for their jumps.
  equal: { value: (x, a) => (x === a ? 1 : 0), slope: flat, bend: flat },
  greater: { value: (x, a) => (x > a ? 1 : 0), slope: flat, bend: flat },
  sign: { value: sign, slope: flat, bend: flat },
  sin: { value: Math.sin, slope: (x) => Math.cos(x), bend: (_, y) => -y },
  softsign: {
    value: (x) => x / (1 + Math.abs(x)),
    slope: (x) => 1 / (1 + Math.abs(x)) ** 2,
    bend: (x) => (-2 * sign(x)) / (1 + Math.abs(x)) ** 3,
  },
  sqrt: { value: Math.sqrt, slope: (_, y) => 0.5 / y, bend: (_, y) => -0.25 / y ** 3 },
  thresholdedRelu: { value: (x, a) => (x > a ? x : 0), slope: (x, _, a) => (x > a ? 1 : 0), bend: flat },
  truncate: { value: Math.trunc, slope: flat, bend: flat },
} satisfies Record<string, Plain>;

/** The functions there are. */
export type PlainFunction = keyof typeof plain;

interface PlainAttributes {
  readonly function: PlainFunction;
  readonly a: number;
  readonly b: number;
}

const rules = elementwiseRules<PlainAttributes>({
  value: (x, { function: name, a, b }) => (plain[name] as Plain).value(x, a, b),
  slope: (x, y, { function: name, a, b }) => (plain[name] as Plain).slope(x, y, a, b),
  bend: (x, y, { function: name, a, b }) => (plain[name] as Plain).bend(x, y, a, b),
});

/** The values of `clip`, which MobileNets have behind each convolution: a loop of its own, where no number is boxed for a call. */
const clipped: typeof rules.forward = (node, pass) => {
  const bytes = bytesPerElement(pass.dtype);
  const [x, y, count] = [pass.value(node.inputs[0]) / bytes, pass.value(node) / bytes, pass.batch * node.size];
  const { a, b } = node.attributes;
  inMemory(pass.dtype, (memory) => {
    for (let i = 0; i < count; i++) memory[y + i] = Math.min(Math.max(memory[x + i], a), b);
  });
};

/** y = φ(x; a, b), applied to each element. */
export const plainFunction = definePrimitive<PlainAttributes>({
  name: "plainFunction",
  label: ({ attributes }) => attributes.function,
  attributes: { function: oneOf(...(Object.keys(plain) as PlainFunction[])), a: finite, b: finite },
  ...rules,
  forward: (node, pass) => (node.attributes.function === "clip" ? clipped : rules.forward)(node, pass),
});

interface ViewAttributes {
  readonly shape: Shape;
  /** Elements from one entry of each axis to the next; 0 repeats. */
  readonly strides: readonly number[];
  /** The element at which all indices are 0. */
  readonly offset: number;
}

/** Elements at offset + Σ index · stride: stretched, taken at steps, reversed, or windows that overlap. */
export const stridedView = definePrimitive<ViewAttributes>({
  name: "stridedView",
  inputs: 1,
  attributes: { shape: integers(1), strides: integers(-(2 ** 31)), offset: finite },
  shape([x], { shape, strides, offset }) {
    const reach = (of: (one: number) => number) =>
      shape.reduce((sum, length, axis) => sum + (length - 1) * of(strides[axis]), offset);
    const [first, last] = [reach((one) => Math.min(one, 0)), reach((one) => Math.max(one, 0))];
    if (strides.length === shape.length && first >= 0 && last < sizeOf(x) && Number.isInteger(offset)) return shape;
    throw new RangeError(`stridedView: [${shape}] by [${strides}] from ${offset} reaches out of [${x}].`);
  },
  ...linearRules<ViewAttributes>({
    apply({ inputs: [x], shape, attributes: { strides, offset } }, { kernels, batch, dtype }, from, to) {
      gatherStrided(kernels, [batch, ...shape], [x.size, ...strides], from + offset * bytesPerElement(dtype), to);
    },
    transpose({ inputs: [x], size, shape, attributes: { strides, offset } }, pass, d, to, add) {
      const slabs = pass.columns * pass.batch;
      if (!add) pass.kernels.fill(slabs * x.size, 0, to);
      const bytes = bytesPerElement(pass.dtype);
      inMemory(pass.dtype, (memory) => {
        const places = placesOf(shape, strides, offset);
        for (let slab = 0; slab < slabs; slab++) {
          const [source, target] = [d / bytes + slab * size, to / bytes + slab * x.size];
          for (let i = 0; i < size; i++) memory[target + places[i]] += memory[source + i];
        }
      });
    },
  }),
});

/** The place of each element of a view. */
export function placesOf(shape: Shape, strides: readonly number[], offset: number): Int32Array {
  const own = stridesOf(shape);
  const places = new Int32Array(sizeOf(shape));
  for (let i = 0; i < places.length; i++) {
    let at = offset;
    for (let axis = 0; axis < own.length; axis++) at += (Math.floor(i / own[axis]) % shape[axis]) * strides[axis];
    places[i] = at;
  }
  return places;
}

/** The place of the largest element of each row of `width`, the first of equal ones. */
function eachLargest(
  memory: { readonly [i: number]: number },
  rows: number,
  width: number,
  start: number,
  visit: (row: number, place: number) => void,
): void {
  for (let row = 0; row < rows; row++) {
    const first = start + row * width;
    let best = first;
    for (let i = first + 1; i < first + width; i++) if (memory[i] > memory[best]) best = i;
    visit(row, best - start);
  }
}

/** The largest element over the last axis, which is gone then; the first of equal ones has the derivative. */
export const largest = definePrimitive<undefined>({
  name: "largest",
  order: "general",
  inputs: 1,
  shape([x]) {
    if (x.length < 2) throw new RangeError(`largest: expected two axes or more, got [${x}].`);
    return x.slice(0, -1);
  },
  forward(node, pass) {
    const { dtype, batch } = pass;
    const bytes = bytesPerElement(dtype);
    const [x, y] = [pass.value(node.inputs[0]) / bytes, pass.value(node) / bytes];
    const width = node.inputs[0].size / node.size;
    inMemory(dtype, (memory) => {
      eachLargest(memory, batch * node.size, width, x, (row, place) => {
        memory[y + row] = memory[x + place];
      });
    });
  },
  pushforward(node, pass) {
    const bytes = bytesPerElement(pass.dtype);
    const [x, dx] = [pass.value(node.inputs[0]) / bytes, pass.tangent(node.inputs[0]) / bytes];
    const dy = pass.tangent(node) / bytes;
    const width = node.inputs[0].size / node.size;
    inMemory(pass.dtype, (memory) => {
      eachLargest(memory, pass.batch * node.size, width, x, (row, place) => {
        memory[dy + row] = memory[dx + place];
      });
    });
  },
  pullback(node, pass) {
    const bytes = bytesPerElement(pass.dtype);
    const [input] = node.inputs;
    const [x, d, rows] = [pass.value(input) / bytes, pass.cotangent(node) / bytes, pass.batch * node.size];
    pass.contribute(input, (to, add) => {
      if (!add) pass.kernels.fill(pass.columns * pass.batch * input.size, 0, to);
      inMemory(pass.dtype, (memory) => {
        eachLargest(memory, rows, input.size / node.size, x, (row, place) => {
          for (let k = 0; k < pass.columns; k++) {
            memory[to / bytes + k * pass.batch * input.size + place] += memory[d + k * rows + row];
          }
        });
      });
    });
  },
  // Where the largest element is does not change with small steps.
  second() {},
});
