// Wide products by themselves, in Node: where large products take long, the build that has them is compiled and compared between
// turns of the event loop.

import { widen } from "./kernels.ts";
import { largeProducts } from "./parallel.ts";

/** Multiplications of large products, about half a second, that are worth the tenth of a second. */
const LONG = 2 ** 33;

interface Runtime {
  readonly process?: {
    readonly arch?: string;
    readonly versions?: { readonly node?: string; readonly electron?: string };
    readonly env?: Record<string, string | undefined>;
    getBuiltinModule?(name: string): { readonly isMainThread: boolean };
  };
  setTimeout?(callback: () => void, milliseconds: number): { unref?(): void };
}

/**
 * Whether products become wide by themselves: in Node 24 or later on x64, unless LAPLACE_WIDE_SIMD=0 forbids it. On the main thread alone, since
 * the flag is the process's; `workers()` have their kernels from there.
 */
export function becomesWide(): boolean {
  const { process } = globalThis as Runtime;
  const { node = "", electron } = process?.versions ?? {};
  const other = "Deno" in globalThis || "Bun" in globalThis || electron !== undefined;
  if (other || !(Number.parseInt(node, 10) >= 24) || process?.arch !== "x64") return false;
  if (process.env?.LAPLACE_WIDE_SIMD === "0") return false;
  return process.getBuiltinModule?.("node:worker_threads").isMainThread === true;
}

/** Has them become wide when large ones have taken long. What fails leaves everything as it is. */
export function widenInTime(): void {
  const { process, setTimeout } = globalThis as Runtime;
  if (!becomesWide() || setTimeout === undefined) return;
  let left = process?.env?.LAPLACE_WIDE_SIMD === "1" ? 0 : LONG;
  largeProducts.tell = (multiplications) => {
    left -= multiplications;
    if (left > 0) return;
    largeProducts.tell = undefined;
    const steps = widen();
    const next = () => {
      try {
        if (steps.next().done !== true) later();
      } catch {}
    };
    // A process that has nothing else to do ends.
    const later = () => setTimeout(next, 1).unref?.();
    later();
  };
}
