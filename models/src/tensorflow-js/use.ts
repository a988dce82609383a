// A layer of Keras that is applied: its settings, of which nothing is believed, its arrays, and the functions that they name.

import { elu, exp, gelu, relu, selu, sigmoid, silu, softmax, softplus, tanh } from "laplace-ts";
import { type Builder, type Value, valued, withoutFirst } from "../builder.ts";
import { unsupported } from "../errors.ts";
import type { Attributes } from "../onnx/attributes.ts";
import { layers as operators } from "../onnx/layers.ts";
import type { Tensor } from "../tensor.ts";

/** A layer's settings. */
export type Config = Readonly<Record<string, unknown>>;

/** A layer that is applied. */
export interface Use {
  readonly builder: Builder;
  readonly inputs: readonly Value[];
  readonly config: Config;
  /** The layer's array whose name ends so, of a layer within it whose name begins so. */
  weight(role: string, within?: string): Tensor | undefined;
}

/** A layer's class. */
export type Apply = (use: Use) => Value;

export const number = (config: Config, name: string, otherwise: number): number => {
  const value = config[name] ?? otherwise;
  return typeof value === "number" ? value : unsupported(`its ${name} is ${JSON.stringify(value)}.`);
};
export const numbers = (config: Config, name: string, count: number, otherwise?: readonly number[]): number[] => {
  const value = config[name] ?? otherwise;
  const all = typeof value === "number" ? Array.from({ length: count }, () => value) : value;
  const fits = Array.isArray(all) && all.length === count && all.every((one) => Number.isInteger(one));
  return fits ? (all as number[]) : unsupported(`its ${name} is ${JSON.stringify(value)}.`);
};

/** What an operator of ONNX is told. */
function attributes(given: Readonly<Record<string, number | string | readonly number[]>>): Attributes {
  const get = (name: string) => given[name] as never;
  return {
    int: (name, otherwise) => get(name) ?? otherwise,
    float: (name, otherwise) => get(name) ?? otherwise,
    text: (name, otherwise) => get(name) ?? otherwise,
    ints: get,
    floats: get,
    texts: get,
    has: (name) => name in given,
  };
}

export type Given = Parameters<typeof attributes>[0];

/** Applies an operator of ONNX. */
export function onnx(
  op: string,
  { builder }: Use,
  inputs: readonly (Value | Tensor | undefined)[],
  given: Given,
): Value {
  const call = { builder, inputs, attributes: attributes(given), opset: 17, outputs: 1, node: op, bare: false };
  const made = operators[op](call);
  return builder.value(made as Value);
}

/** A function of values by its name in Keras. @throws Unsupported */
export function activate(use: Use, v: Value, name: unknown): Value {
  const { builder } = use;
  const known: Readonly<Record<string, (v: Value) => Value>> = {
    linear: (x) => x,
    relu: (x) => builder.map(x, relu),
    relu6: (x) => builder.plain("clip", x, 0, 6),
    elu: (x) => builder.map(x, elu),
    selu: (x) => builder.map(x, selu),
    gelu: (x) => builder.map(x, gelu),
    tanh: (x) => builder.map(x, tanh),
    sigmoid: (x) => builder.map(x, sigmoid),
    hard_sigmoid: (x) => builder.plain("hardSigmoid", x, 0.2, 0.5),
    hardSigmoid: (x) => builder.plain("hardSigmoid", x, 0.2, 0.5),
    softplus: (x) => builder.map(x, softplus),
    softsign: (x) => builder.plain("softsign", x),
    swish: (x) => builder.map(x, silu),
    silu: (x) => builder.map(x, silu),
    mish: (x) => builder.plain("mish", x),
    exponential: (x) => builder.map(x, exp),
    softmax: (x) => valued(softmax(withoutFirst(x)), x.dims),
  };
  const text = typeof name === "string" ? name : "";
  const own = Object.hasOwn(known, text) ? known[text] : undefined;
  return own === undefined ? unsupported(`the function ${JSON.stringify(name)} is not known.`) : own(v);
}

/** An array that the layer must have. @throws Unsupported */
export const need = (use: Use, role: string): Tensor => use.weight(role) ?? unsupported(`it has no array "${role}".`);

const isRecord = (one: unknown): one is Config => typeof one === "object" && one !== null && !Array.isArray(one);

/** The layer that a layer is around. */
export function innerOf({ layer }: Config): { readonly kind: string; readonly config: Config } {
  if (!isRecord(layer)) return unsupported("it is around no layer.");
  const kind = layer.class_name ?? layer.className;
  return { kind: typeof kind === "string" ? kind : "", config: isRecord(layer.config) ? layer.config : {} };
}
