// A node's attributes, with what ONNX takes where one is missing.

import { unsupported } from "../errors.ts";
import type { OnnxNode } from "./file.ts";

/** How a node's attributes are asked for; each gives the default where the file has none. */
export interface Attributes {
  int(name: string, otherwise: number): number;
  float(name: string, otherwise: number): number;
  text(name: string, otherwise: string): string;
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  texts(name: string): readonly string[] | undefined;
  has(name: string): boolean;
}

const MOST = 2 ** 31;

export function attributesOf(node: OnnxNode): Attributes {
  const get = (name: string) => node.attributes.get(name);
  const whole = (name: string, value: number) => {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 53) return Math.max(-MOST, Math.min(MOST, value));
    return unsupported(`its attribute ${name} is ${value}.`);
  };
  return {
    int: (name, otherwise) => whole(name, get(name)?.i ?? otherwise),
    float: (name, otherwise) => get(name)?.f ?? otherwise,
    text: (name, otherwise) => get(name)?.s ?? otherwise,
    ints: (name) => get(name)?.ints.map((value) => whole(name, value)),
    floats: (name) => get(name)?.floats,
    texts: (name) => get(name)?.strings,
    has: (name) => get(name) !== undefined,
  };
}
