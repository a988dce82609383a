// Loads the kernels: compiled and instantiated at the first call, in Node and in browsers alike.

import type { Kernels } from "./generated/types.ts";
import { simd } from "./generated/wasm.ts";
import { type DType, memory, STATIC_BYTES } from "./memory.ts";

export type { Kernels } from "./generated/types.ts";

/** The numbers of the elementwise functions in assembly/elementwise.ts. */
export const activationCode = {
  relu: 0,
  leakyRelu: 1,
  elu: 2,
  gelu: 3,
  silu: 4,
  softplus: 5,
  sigmoid: 6,
  tanh: 7,
  exp: 8,
  selu: 9,
} as const;

let loaded: { float32: Kernels; float64: Kernels } | undefined;

/** The kernels for one element type. */
export function kernelsFor(dtype: DType): Kernels {
  loaded ??= load();
  return loaded[dtype];
}

function load(): { float32: Kernels; float64: Kernels } {
  const bytes = Uint8Array.from(atob(simd), (character) => character.charCodeAt(0));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const exported = instance.exports as Record<string, (...values: number[]) => number>;
  if (exported.heapBase() > STATIC_BYTES) throw new Error("The kernels' static data overlaps their heap.");
  const withSuffix = (suffix: string): Kernels => {
    const names = Object.keys(exported).filter((name) => name.endsWith(suffix));
    const entries = names.map((name) => [name.slice(0, -suffix.length), exported[name]]);
    return Object.fromEntries(entries) as unknown as Kernels;
  };
  return { float32: withSuffix("_f32"), float64: withSuffix("_f64") };
}
