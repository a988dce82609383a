// The wide build: a file beside the program, which V8 is told to fuse, and which shows first that it computes what the narrow
// build computes. Node alone reads this module, as the build itself: no bundle has it. So it is given what it works with, the
// memory too, and imports only the check.

import type { Float64Kernels, Kernels } from "./generated/types.ts";
import { firstDifference, type Memory } from "./selfcheck.ts";

interface Builtins {
  readonly versions: { readonly node?: string };
  getBuiltinModule?(name: "node:v8"): { setFlagsFromString(flags: string): void };
  getBuiltinModule?(name: "node:fs"): { readFileSync(path: string): Uint8Array };
}

/** Kernels of both types. */
interface Both {
  readonly float32: Kernels;
  readonly float64: Float64Kernels;
}

/** The kernels of the wide build, or why it cannot be used. */
export function wide<Loaded extends Both>(
  narrow: () => Loaded,
  instantiate: (bytes: Uint8Array<ArrayBuffer>) => Loaded,
  memory: Memory,
): Loaded | string {
  const { process } = globalThis as unknown as { process: Builtins };
  const v8 = process.getBuiltinModule?.("node:v8");
  if (v8 === undefined) return "this runtime does not say how its V8 is told";
  const { dirname } = import.meta as { dirname?: string };
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(
      process.getBuiltinModule?.("node:fs").readFileSync(`${dirname}/generated/wide.wasm`) as Uint8Array,
    );
  } catch {
    return "its file, kernels/generated/wide.wasm of the package, cannot be read";
  }
  const theirs = narrow();
  v8.setFlagsFromString("--experimental-wasm-revectorize");
  // The baseline compiler does not fuse anything: without it, the check runs the code that will be used.
  v8.setFlagsFromString("--no-liftoff");
  let fits = false;
  try {
    const ours = instantiate(bytes);
    const found = firstDifference(ours, theirs, memory);
    if (found !== undefined) return `the kernel ${found.kernel} differs from the narrow build's by ${found.difference}`;
    fits = true;
    return ours;
  } finally {
    if (!fits) v8.setFlagsFromString("--no-experimental-wasm-revectorize");
    v8.setFlagsFromString("--liftoff");
  }
}
