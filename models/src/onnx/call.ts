// What an operator is told, and how it asks for its inputs.

import { type Builder, isValue, type Operand, type Value } from "../builder.ts";
import { unsupported } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { Attributes } from "./attributes.ts";

/** A node that is read: its inputs, missing ones undefined, and how many outputs it has. */
export interface Call {
  readonly builder: Builder;
  readonly inputs: readonly (Operand | undefined)[];
  readonly attributes: Attributes;
  readonly opset: number;
  readonly outputs: number;
  /** The node, by its name or what it makes. */
  readonly node: string;
  /** Whether logits are asked for in the place of labels and probabilities. */
  readonly bare: boolean;
}

/** Writes a node's operator in primitives. @throws Unsupported */
export type Lower = (call: Call) => Operand | readonly (Operand | undefined)[];

export function operand({ inputs }: Call, i: number): Operand {
  return inputs[i] ?? unsupported(`its input ${i} is missing.`);
}

export const valueAt = (call: Call, i: number): Value => call.builder.value(operand(call, i));

/** An input that must be known. @throws Unsupported */
export function constantAt(call: Call, i: number, what: string): Tensor {
  const one = operand(call, i);
  return isValue(one) ? unsupported(`${what} depends on the network's input.`) : one;
}

export function optionalConstant(call: Call, i: number, what: string): Tensor | undefined {
  return call.inputs[i] === undefined ? undefined : constantAt(call, i, what);
}

/** The inputs that are known. */
export const constants = ({ inputs }: Call) =>
  inputs.map((one) => (one === undefined || isValue(one) ? undefined : one));
