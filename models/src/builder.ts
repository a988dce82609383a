// Builds a network from operators of other frameworks. Their values have a batch axis; here they are those of a batch of one,
// whose shape is kept beside the traced value, so that giving it another one costs nothing.

import { type Layer, multiply, reshape, type Traced } from "laplace-ts";
import { applyPrimitive, type LinearSite, type ParameterDraft, type Primitive, primitives } from "laplace-ts/graph";
import { unsupported } from "./errors.ts";
import { type PlainFunction, plainFunction, stridedView } from "./primitives.ts";
import { broadcast, checkedSize, sizeOf, stretching, type Tensor } from "./tensor.ts";

/** A value that depends on the input, and its shape in a batch of one. */
export interface Value {
  readonly x: Traced;
  readonly dims: readonly number[];
  /** Whether it is known to have whole numbers alone. */
  readonly whole?: boolean;
}

export type Operand = Value | Tensor;

export const isValue = (one: Operand): one is Value => "x" in one;

/** A parameter of the network, and the array of the file that it was. */
export interface ParameterOrigin {
  readonly parameter: string;
  readonly array: string;
  /** Whether the file has it in another layout, such as [inputs, outputs]. */
  readonly moved: boolean;
}

/** The library's primitive of that name. */
export function primitive<Attributes>(name: string): Primitive<Attributes> {
  const found = primitives.find((one) => one.name === name);
  if (found === undefined) throw new Error(`laplace-ts has no primitive "${name}".`);
  return found as unknown as Primitive<Attributes>;
}

const largestNumber = 2 ** 100;
const finite = (x: number) =>
  Number.isFinite(x) ? x : x > 0 ? largestNumber : x < 0 ? -largestNumber : unsupported("a constant is NaN.");

/** What values were before they were given another shape. */
const reshapedFrom = new WeakMap<Traced, Traced>();

/** A value in a shape that it may be written in without moving anything. */
export function as({ x }: Value, dims: readonly number[]): Traced {
  const shape = dims.length === 0 ? [1] : dims;
  const from = reshapedFrom.get(x) ?? x;
  for (const one of [x, from]) if (String(one.shape) === String(shape)) return one;
  const y = reshape(from, shape);
  reshapedFrom.set(y, from);
  return y;
}

/**
 * A value without the axes of one entry before the others, as that of the batch: what computes along the last axis, or element by
 * element, has those of layers that were made here, and what knows the last layer by its place finds it.
 */
export function withoutFirst(v: Value): Traced {
  const first = v.dims.findIndex((length) => length !== 1);
  return as(v, v.dims.slice(first < 0 ? -1 : first));
}

export const valued = (x: Traced, dims: readonly number[] = x.shape): Value => ({ x, dims });

/** What a network is being built of. */
export class Builder {
  readonly origins: ParameterOrigin[] = [];
  /** Constants of the file: training and posteriors leave them as they are. */
  readonly constants: string[] = [];
  /** What parameters and running statistics begin with, by name. */
  readonly numbers = new Map<string, ArrayLike<number>>();
  readonly #input: Traced;
  readonly #layers = new Map<string, object>();
  readonly #names = new Set<string>();
  /** What values were before their axes were moved. */
  readonly #moved = new Map<
    Traced,
    { readonly from: Value; readonly axes: readonly number[]; readonly dims: string }
  >();
  #count = 0;

  constructor(input: Traced) {
    this.#input = input;
  }

  /** A name that no layer has yet: that of an array without its last part. */
  layerName(...arrays: (string | undefined)[]): string {
    const known = arrays.filter((name) => name !== undefined);
    const last = /(\.[^./]+|\/(?:\w*kernel|bias|gamma|beta|moving_mean|moving_variance|embeddings))$/;
    const dotted = known.find((name) => last.test(name));
    const base = dotted?.replace(last, "") ?? known[0] ?? `constant${this.#count++}`;
    let name = base;
    for (let i = 2; this.#names.has(name); i++) name = `${base}:${i}`;
    this.#names.add(name);
    return name;
  }

  /** What stands for the layer of a key: the same object for the same key, so that sites are shared. */
  layer<Made extends object>(key: string | undefined, make: () => Made): Made {
    if (key === undefined) return make();
    const known = this.#layers.get(key);
    if (known !== undefined) return known as Made;
    const made = make();
    this.#layers.set(key, made);
    return made;
  }

  /** Says what a parameter begins with. */
  set(parameter: string, from: Tensor, moved = false, data: ArrayLike<number> = from.data): void {
    this.numbers.set(parameter, Float64Array.from(data, finite));
    if (from.name !== undefined) this.origins.push({ parameter, array: from.name, moved });
    else this.constants.push(parameter);
  }

  /** Applies a primitive at a linear site whose weight [outputs, …] and bias are these. */
  linear<Attributes>(
    of: Primitive<Attributes>,
    x: Traced,
    attributes: Attributes,
    weight: Tensor & { readonly moved?: boolean },
    bias: Tensor | undefined,
    more: Partial<Pick<LinearSite, "groups" | "transposed">> & { inputs: number; outputs: number },
  ): Traced {
    const key = weight.name && `${of.name} ${weight.name} ${weight.moved ?? false} ${bias?.name} ${weight.dims}`;
    const made = this.layer(key, () => ({ name: this.layerName(weight.name, bias?.name) }));
    const site = x.trace.site(made, made.name, (parameter) => {
      const put = (role: string, from: Tensor, moved: boolean) => {
        const draft: ParameterDraft = { role, shape: from.dims, initialise: () => {} };
        const one = parameter(draft);
        this.set(one.name, from, moved);
        return one;
      };
      const w = put("weight", weight, weight.moved ?? false);
      return { kind: "linear", ...more, weight: w, ...(bias && { bias: put("bias", bias, false) }) };
    });
    return applyPrimitive(of, [x], attributes, site);
  }

  /** s ⊙ x or x + t over the last axis or the first one. */
  elementwise(x: Traced, role: "scale" | "shift", t: Tensor, axis: "last" | "channels"): Traced {
    const size = sizeOf(t.dims);
    const made = this.layer(t.name && `${role} ${t.name} ${size}`, () => ({ name: this.layerName(t.name) }));
    const site = x.trace.site(made, made.name, (parameter) => {
      const one = parameter({ role, shape: [size], initialise: () => {} });
      this.set(one.name, t);
      return { kind: "elementwise", size, [role]: one };
    });
    return applyPrimitive(primitive<{ axis: "last" | "channels" }>("scaleShift"), [x], { axis }, site);
  }

  /** s ⊙ x + t of channels, at one site. */
  affine(x: Traced, scale: Tensor, shift: Tensor, axis: "last" | "channels"): Traced {
    const size = sizeOf(scale.dims);
    const key = scale.name && shift.name && `affine ${scale.name} ${shift.name}`;
    const made = this.layer(key, () => ({ name: this.layerName(scale.name, shift.name) }));
    const site = x.trace.site(made, made.name, (parameter) => {
      const put = (role: string, from: Tensor) => {
        const one = parameter({ role, shape: [size], initialise: () => {} });
        this.set(one.name, from);
        return one;
      };
      return { kind: "elementwise", size, scale: put("scale", scale), shift: put("shift", shift) };
    });
    return applyPrimitive(primitive<{ axis: "last" | "channels" }>("scaleShift"), [x], { axis }, site);
  }

  /** Numbers as a value: the same ones for every example. */
  constant(t: Tensor): Value {
    const { trace } = this.#input;
    const positions = trace.emit(primitive<{ length: number }>("positions"), [], { length: sizeOf(t.dims) });
    const [first] = t.data;
    if (Array.from(t.data).every((x) => x === first)) return this.line(valued(positions, t.dims), 0, first);
    return valued(this.elementwise(multiply(positions, 0), "shift", t, "last"), t.dims);
  }

  value(one: Operand): Value {
    return isValue(one) ? one : this.constant(one);
  }

  /** x stretched to a shape. */
  stretch(v: Value, dims: readonly number[]): Value {
    if (String(broadcast(v.dims, dims)) !== String(dims)) unsupported(`[${v.dims}] does not stretch to [${dims}].`);
    if (sizeOf(dims) === sizeOf(v.dims)) return { ...v, dims };
    return this.view(v, dims, stretching(v.dims, dims));
  }

  view(v: Value, dims: readonly number[], strides: readonly number[], offset = 0): Value {
    if (dims.length === 0) return { ...this.view(v, [1], [1], offset), dims };
    if (!dims.every((length) => length > 0)) unsupported(`a value of shape [${dims.join(", ")}] has no elements.`);
    checkedSize(dims);
    const at = { shape: dims, strides, offset };
    return valued(applyPrimitive(stridedView, [v.x], at), dims);
  }

  /** Axes in another order. Moved back, as exporters of [height, width, channels] move images, they were never moved. */
  permute(v: Value, axes: readonly number[]): Value {
    const dims = axes.map((axis) => v.dims[axis]);
    // Axes that are 1 long may go anywhere.
    const long = axes.filter((axis) => v.dims[axis] > 1);
    if (long.every((axis, i) => i === 0 || long[i - 1] < axis)) return { ...v, dims };
    const before = this.#moved.get(v.x);
    if (before !== undefined && before.dims === String(v.dims)) {
      return this.permute(
        before.from,
        axes.map((axis) => before.axes[axis]),
      );
    }
    const y = applyPrimitive(primitive<{ axes: readonly number[] }>("permute"), [as(v, v.dims)], { axes });
    this.#moved.set(y, { from: v, axes, dims: String(dims) });
    return valued(y, dims);
  }

  /** The result of a function of single elements, which may be applied before axes are moved, too. */
  #single(v: Value, apply: (x: Traced) => Traced): Value {
    const y = apply(v.x);
    const before = this.#moved.get(v.x);
    // Which of both is used shows when axes are moved again; what is not used is left out of the network.
    if (before !== undefined) this.#moved.set(y, { ...before, from: this.#single(before.from, apply) });
    return valued(y, v.dims);
  }

  plain(name: PlainFunction, v: Value, a = 0, b = 0): Value {
    return this.#single(v, (x) => applyPrimitive(plainFunction, [x], { function: name, a, b }));
  }

  /** A function of single elements. */
  map(v: Value, layer: Layer): Value {
    return this.#single(v, layer);
  }

  /** slope x + intercept */
  line(v: Value, slope: number, intercept: number): Value {
    const at = { slope: finite(slope), intercept: finite(intercept) };
    return this.#single(v, (x) => applyPrimitive(primitive<typeof at>("affine"), [x], at));
  }

  /** Two operands, at least one of them a value, added or multiplied element by element. */
  combine(role: "scale" | "shift", a: Operand, b: Operand): Value {
    if (!isValue(a)) {
      if (!isValue(b)) unsupported("both of its inputs are constants.");
      return this.combine(role, b, a);
    }
    const dims = broadcast(a.dims, b.dims);
    if (isValue(b)) {
      const [x, y] = [a, b].map((one) => withoutFirst(this.stretch(one, dims)));
      const of = primitive<undefined>(role === "scale" ? "multiply" : "add");
      const result = applyPrimitive(of, [x, y], undefined);
      const [p, q] = [a, b].map((one) => this.#moved.get(one.x));
      if (p && q && String(p.axes) === String(q.axes) && p.dims === String(dims) && q.dims === String(dims)) {
        this.#moved.set(result, { ...p, from: this.combine(role, p.from, q.from) });
      }
      return valued(result, dims);
    }
    const v = this.stretch(a, dims);
    if (b.data.length === 1) return role === "scale" ? this.line(v, b.data[0], 0) : this.line(v, 1, b.data[0]);
    return this.#along(v, role, b);
  }

  /** s ⊙ x or x + t, where t stretches to x. */
  #along(v: Value, role: "scale" | "shift", t: Tensor): Value {
    const { dims } = v;
    const own = (axis: number) => t.dims[axis - dims.length + t.dims.length] ?? 1;
    const axes = dims.map((_, i) => i);
    const varying = axes.filter((axis) => own(axis) > 1);
    const rest = axes.filter((axis) => own(axis) === 1 && dims[axis] > 1);
    const flat = { ...t, dims: [t.data.length] };
    const n = t.data.length;
    const outer = sizeOf(dims) / n;
    if (rest.every((axis) => axis < varying[0])) {
      return valued(this.elementwise(as(v, outer === 1 ? [n] : [outer, n]), role, flat, "last"), dims);
    }
    const last = varying[varying.length - 1];
    if (rest.every((axis) => axis > last)) {
      return valued(this.elementwise(as(v, [n, outer]), role, flat, "channels"), dims);
    }
    const order = [...axes.filter((axis) => !varying.includes(axis)), ...varying];
    const moved = this.permute(v, order);
    const done = this.elementwise(as(moved, [outer, n]), role, flat, "last");
    return this.permute(
      valued(done, moved.dims),
      axes.map((axis) => order.indexOf(axis)),
    );
  }

  /** a − b */
  subtract(a: Operand, b: Operand): Value {
    if (isValue(b)) return this.combine("shift", a, this.line(b, -1, 0));
    if (b.data.length === 1) return this.line(this.value(a), 1, -b.data[0]);
    return this.line(this.combine("shift", this.line(this.value(a), -1, 0), b), -1, 0);
  }

  /** a / b */
  divide(a: Operand, b: Operand): Value {
    if (isValue(b)) return this.combine("scale", a, this.plain("reciprocal", b));
    const { name: _, ...plain } = b;
    return this.combine("scale", a, { ...plain, data: Float64Array.from(b.data, (x) => 1 / x) });
  }
}
