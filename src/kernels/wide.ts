// The wide build: a file beside the program, which V8 is told to fuse, and which shows first that it computes what the narrow
// build computes, to the bit. Node alone reads this module, as the build itself: no bundle has it. So it is given what it works with, the
// memory too, and imports only the check.

import { differ, type Memory, samplesOf, timesOf } from "./selfcheck.ts";
import type { Instantiated } from "./threads.ts";

interface Builtins {
  readonly arch: string;
  getBuiltinModule?(name: "node:v8"): { setFlagsFromString(flags: string): void };
  getBuiltinModule?(name: "node:fs"): { readFileSync(path: string): Uint8Array };
}

/** At most so much of the other's time, where the build is to be used only where it pays. */
const FASTER = 0.8;

/**
 * The kernels of the wide build, or why they cannot be used, in steps, the longest of which compile a product, 20 to 40 ms.
 * @param pays whether they must be faster than the others, which have been compiled well
 */
export function* wide(
  narrow: Pick<Instantiated, "exported">,
  instantiate: (bytes: Uint8Array<ArrayBuffer>) => Instantiated,
  memory: Memory,
  pays: boolean,
): Generator<undefined, Instantiated | string> {
  const { process } = globalThis as unknown as { process: Builtins };
  const v8 = process.getBuiltinModule?.("node:v8");
  if (v8 === undefined) return "this runtime does not say how its V8 is told";
  if (process.arch !== "x64") return `this processor is ${process.arch}, and V8 fuses operations on x64`;
  const { dirname } = import.meta as { dirname?: string };
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(
      process.getBuiltinModule?.("node:fs").readFileSync(`${dirname}/generated/wide.wasm`) as Uint8Array,
    );
  } catch {
    return "its file, kernels/generated/wide.wasm of the package, cannot be read";
  }
  /** Functions are compiled when they are called first, and fused if the flag is set then; the baseline compiler fuses nothing. */
  const told = <T>(body: () => T): T => {
    v8.setFlagsFromString("--experimental-wasm-revectorize");
    v8.setFlagsFromString("--no-liftoff");
    try {
      return body();
    } finally {
      v8.setFlagsFromString("--liftoff");
      v8.setFlagsFromString("--no-experimental-wasm-revectorize");
    }
  };
  let wide: Instantiated;
  try {
    wide = told(() => instantiate(bytes));
  } catch (error) {
    return `its file is not what it was, as V8 says: ${(error as Error).message}`;
  }
  yield;
  for (const { kernel, expected, found } of samplesOf(wide.exported, narrow.exported, memory)) {
    // The others are compiled without the flag.
    const theirs = expected();
    yield;
    const ours = told(found);
    if (differ(ours, theirs)) return `the kernel ${kernel} differs from the narrow build's`;
    yield;
  }
  if (pays) {
    const [ours, theirs] = timesOf(wide.exported, narrow.exported, memory);
    if (ours > FASTER * theirs) return "it is not faster here";
  }
  return wide;
}
