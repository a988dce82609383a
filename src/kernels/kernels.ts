// Loads the kernels at the first call: the best build of the same source that this runtime takes.

import { checkInteger, OptionError, PlatformError } from "../errors.ts";
import { countWork, dryBytes } from "./dry-run.ts";
import { fuse } from "./fuse.ts";
import { common, type Part, type Text, unpacker, whole } from "./generated/bytes.ts";
import type { AllKernels, Float64Kernels, Kernels } from "./generated/types.ts";
import { SCRATCH, STATIC_BYTES, shared, theMemory } from "./heap.ts";
import { allocate, bytesPerElement, copyOut, type DType, inMemory, memoryUse, scope, writeIntegers } from "./memory.ts";
import { largeProducts, onAllThreads } from "./parallel.ts";
import { inWriting, written } from "./pieces.ts";
import { recording } from "./tape.ts";
import {
  type Exports,
  giveModule,
  type Instantiated,
  makePool,
  type Pool,
  setThreadCount,
  threadCount,
} from "./threads.ts";
import { type Bytes, unpack } from "./unpack.ts";
import type { wide } from "./wide.ts";

export { activationCode } from "./activations.ts";
export type { Float64Kernels, Kernels } from "./generated/types.ts";

/**
 * SIMD with fused multiply-add where the runtime has it (relaxed SIMD), plain SIMD elsewhere; "wide" is the former with
 * products by tiles that V8 turns into 256-bit operations, to the same bits.
 */
export type KernelBuild = "relaxed" | "simd" | "wide";

interface Loaded {
  readonly build: KernelBuild;
  /** The module whose functions do large products, on all threads of the pool. */
  readonly products: Instantiated;
  readonly pool: Pool | undefined;
  readonly exported: Exports;
  readonly float32: Kernels;
  readonly float64: Float64Kernels;
  /** Those that write their work down. */
  readonly inWriting: { readonly float32: Kernels; readonly float64: Float64Kernels };
  /** Those of dry runs, which do nothing: everything is finite, and everything succeeds. */
  readonly dry: Float64Kernels;
}

let loaded: Loaded | undefined;
/** What was used before wide products. */
let narrowed: Loaded | undefined;
/** How often somebody said whether products are to be wide. */
let wishes = 0;

/** The kernels for one element type. */
export function kernelsFor(dtype: "float64"): Float64Kernels;
export function kernelsFor(dtype: DType): Kernels;
export function kernelsFor(dtype: DType): Kernels {
  loaded ??= load();
  if (dryBytes() !== undefined) return loaded.dry;
  return recording() ? loaded.inWriting[dtype] : loaded[dtype];
}

/**
 * The same kernels, with a part that not every program has. Node's file has all; as text they are modules of their own, so that a bundle has
 * those whose kernels something in it calls. They work with the memory and the products of what every program has.
 */
export function withPart<K extends Kernels, P>(kernels: K, part: Part): K & P {
  if (!(part.first in kernels)) bringPart(part);
  return kernels as K & P;
}

function bringPart(part: Part): void {
  loaded ??= load();
  if (part.first in loaded.float64) return;
  const bytes = unpacked(common, part);
  if (shared) markMemoryShared(bytes);
  if (loaded.build !== "simd") fuse(bytes);
  const { gemm_f32, gemm_f64 } = loaded.exported;
  const env = { memory: theMemory() as WebAssembly.Memory, gemm_f32, gemm_f64 };
  const exported = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env }).exports as Exports;
  exported.setScratch(SCRATCH);
  const [float32, float64] = ["_f32", "_f64"].map((suffix) => named(exported, suffix));
  // A build that is made of this one has them, too.
  for (const name of Object.keys(exported)) if (/_f\d\d$/.test(name)) loaded.exported[name] = exported[name];
  Object.assign(loaded.float32, float32);
  Object.assign(loaded.float64, float64);
  Object.assign(loaded.inWriting.float32, written(float32));
  Object.assign(loaded.inWriting.float64, written(float64));
  Object.assign(loaded.dry, dryKernels(float64));
}

/** Uses these from here on. */
function use(next: Loaded): void {
  if (next.build !== "wide") narrowed = next;
  loaded = next;
  const { pool, products } = next;
  if (pool !== undefined && pool.module !== products.module) giveModule(pool, products.module, products.exported);
}

interface NodeProcess {
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(name: "node:module"): { createRequire(url: string): (path: string) => { wide: typeof wide } };
  getBuiltinModule?(name: "node:fs"): { readFileSync(file: URL): Bytes };
}

const nodeProcess = (): NodeProcess | undefined => (globalThis as { process?: NodeProcess }).process;

/**
 * The wide build, in steps: by a module beside this one that is not imported, so that no bundle has it; or why it cannot be used.
 * @param pays whether it is to be used only where it is faster
 */
function* wideInSteps(pays: boolean): Generator<undefined, Loaded | string> {
  const { url } = import.meta;
  const process = nodeProcess();
  if (!(Number.parseInt(process?.versions?.node ?? "", 10) >= 24)) return "it needs Node 24 or later";
  let beside: { readonly wide: typeof wide } | undefined;
  try {
    beside = process?.getBuiltinModule?.("node:module").createRequire(url)(`./wide${url.slice(url.lastIndexOf("."))}`);
  } catch {}
  if (beside === undefined) return "kernels/wide.js of the package is not beside the program, as after bundling";
  const compiled = (bytes: Bytes) => {
    if (shared) markMemoryShared(bytes);
    return instantiate(new WebAssembly.Module(bytes));
  };
  const narrow = relaxed();
  const memory = { allocate, bytesPerElement, copyOut, inMemory, scope, writeIntegers };
  const found = yield* beside.wide(narrow, compiled, memory, pays);
  if (typeof found === "string") return found;
  return withWide(narrow, found);
}

const withWide = ({ exported, pool }: Loaded, found: Instantiated): Loaded =>
  loadedFrom("wide", found, { ...exported, ...found.exported }, pool);

/** The build whose bits wide products have. */
const relaxed = (): Loaded => [loaded, narrowed].find((one) => one?.build === "relaxed") ?? load("relaxed");

/** @throws OptionError with the reason where it cannot be used */
function loadWide(): Loaded {
  const steps = wideInSteps(false);
  for (;;) {
    const { done, value } = steps.next();
    if (!done) continue;
    if (typeof value === "string") throw new OptionError(`Wide SIMD cannot be used: ${value}.`);
    return value as Loaded;
  }
}

/** The plain build, for memory of the kind that there is. */
function plainBuild(): Bytes {
  const bytes = fileOfNode() ?? unpacked(common);
  if (shared) markMemoryShared(bytes);
  return bytes;
}

/** @throws PlatformError where modules are not compiled */
function unpacked(...texts: readonly Text[]): Bytes {
  try {
    return unpack(unpacker.module, ...texts);
  } catch (error) {
    throw refusal(error as Error);
  }
}

/** The file of all kernels, where it is beside the program: no work at all. Deno would ask its user for permission to read. */
function fileOfNode(): Bytes | undefined {
  if ("Deno" in globalThis) return undefined;
  try {
    const { url } = import.meta;
    const file = new URL(`${url.slice(0, url.lastIndexOf("/"))}/generated/plain.wasm`);
    const bytes = nodeProcess()?.getBuiltinModule?.("node:fs").readFileSync(file);
    return bytes?.length === whole ? new Uint8Array(bytes) : undefined;
  } catch {
    return undefined; // a bundle has the text alone
  }
}

function load(only?: "relaxed" | "simd"): Loaded {
  theMemory(); // which says what a runtime without WebAssembly lacks
  const plain = plainBuild();
  // Relaxed SIMD is tried on the real bytes: what a runtime claims and what it takes may differ.
  for (const build of ["relaxed", "simd"] as const) {
    if (only !== undefined && only !== build) continue;
    const bytes = build === "simd" ? plain : new Uint8Array(plain);
    if (build === "relaxed") fuse(bytes);
    let module: WebAssembly.Module;
    try {
      module = new WebAssembly.Module(bytes);
    } catch (error) {
      // Validating first would do the work twice. Valid bytes are refused for another reason, which is to be seen.
      if (WebAssembly.validate(bytes)) throw refusal(error as Error);
      continue;
    }
    return loadedAlone(build, module);
  }
  if (only !== undefined) throw new OptionError(`This runtime does not take the build "${only}".`);
  throw new PlatformError(
    "This runtime's WebAssembly has no SIMD, in which the library computes. Node 20.19, Chrome 91, Firefox 89, Safari 16.4 and everything later have it.",
  );
}

/** Why a valid module is not compiled: most likely the page's policy (CSP level 3, "wasm-unsafe-eval"). */
function refusal(cause: Error): PlatformError {
  if (/content.security.policy|unsafe-eval|\bCSP\b/i.test(cause.message)) {
    return new PlatformError(
      "The page's content security policy forbids compiling WebAssembly, in which the library computes. Add 'wasm-unsafe-eval' to its script-src (or to default-src where there is no script-src), as in: Content-Security-Policy: script-src 'self' 'wasm-unsafe-eval'. It allows WebAssembly only, not eval.",
      { cause },
    );
  }
  return new PlatformError(`The runtime does not compile the library's WebAssembly: ${cause.message}`, { cause });
}

function instantiate(module: WebAssembly.Module): Instantiated {
  const instance = new WebAssembly.Instance(module, { env: { memory: theMemory() as WebAssembly.Memory } });
  const exported = instance.exports as Exports;
  if (exported.heapBase() > SCRATCH || SCRATCH + exported.scratchBytes() > STATIC_BYTES) {
    throw new Error("The kernels' static data overlaps their heap.");
  }
  exported.setScratch(SCRATCH);
  return { module, exported };
}

/** A build that is one module. */
function loadedAlone(build: KernelBuild, module: WebAssembly.Module): Loaded {
  const products = instantiate(module);
  const { exported } = products;
  const pool = shared ? makePool(module, exported, exported.scratchBytes()) : undefined;
  return loadedFrom(build, products, { ...exported }, pool);
}

function loadedFrom(build: KernelBuild, products: Instantiated, exported: Exports, pool: Pool | undefined): Loaded {
  const kernelsOf = (dtype: DType, suffix: string): Float64Kernels => {
    const kernels = named(exported, suffix);
    return pool === undefined ? kernels : onAllThreads(kernels, dtype, pool);
  };
  const float64 = kernelsOf("float64", "_f64");
  const dry = {
    ...dryKernels(float64),
    allFinite: () => 1,
    gemm: (batch: number, m: number, n: number, k: number) => countWork(batch * m * n * k),
    syrk: (n: number, k: number) => countWork((n * n * k) / 2),
    rowGrams: (rows: number, columns: number, n: number) => countWork((rows * columns * n * n) / 2),
  } as unknown as Float64Kernels;
  const float32 = kernelsOf("float32", "_f32");
  const writing = {
    float32: inWriting(float32, exported, "float32", pool),
    float64: inWriting(float64, exported, "float64", pool),
  };
  return { build, products, pool, exported, float32, float64, inWriting: writing, dry };
}

/** Kernels of one element type, by their names without it. */
function named(exported: Exports, suffix: string): Float64Kernels {
  const names = Object.keys(exported).filter((name) => name.endsWith(suffix));
  return Object.fromEntries(
    names.map((name) => [name.slice(0, -suffix.length), exported[name]]),
  ) as unknown as Float64Kernels;
}

/** Kernels of the same names that do nothing, but for one that gives a size. */
function dryKernels(kernels: Kernels): object {
  const nothing = Object.keys(kernels).map((name) => [name, () => 0]);
  const { eighWorkspace } = kernels as Partial<AllKernels>;
  return {
    ...Object.fromEntries(nothing),
    ...(eighWorkspace !== undefined && { eighWorkspace }),
  };
}

/**
 * Says in a module's bytes that the memory it imports is shared. One build then serves both kinds of memory: its
 * instructions are the same. (Import section: WebAssembly core specification 5.5.5; limits: 5.3.8 and the threads
 * proposal.)
 */
function markMemoryShared(bytes: Uint8Array): void {
  let at = 8; // after the magic number and the version
  const number = (): number => {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    const end = number() + at;
    if (section === 2) {
      // Of each import: module name, field name, kind; a function has a type.
      for (let left = number(); left > 0; left--) {
        for (let name = 0; name < 2; name++) {
          const length = number();
          at += length;
        }
        if (bytes[at++] === 2) {
          bytes[at] |= 2;
          return;
        }
        number();
      }
    }
    at = end;
  }
}

/** What the kernels run on. */
export interface KernelInfo {
  /** The build in use. */
  readonly build: KernelBuild;
  /** Whether the memory is one that worker threads can see. */
  readonly sharedMemory: boolean;
  /** Threads that large products use, the calling one included. */
  readonly threads: number;
  /** Bytes the kernels' memory has taken from the runtime; it never shrinks, and is used again. */
  readonly memoryBytes: number;
  /** Bytes of it that calls and arrays hold now. */
  readonly bytesInUse: number;
}

/** The kernels themselves: what they run on. */
export const kernels = {
  /**
   * Has products in 256-bit operations from here on, about twice as fast and to the same bits, or not at all if `wanted` is false.
   * For Node 24 and later on x64, which does so by itself where products take long. V8 makes these operations where an experimental
   * flag is set, as it is while they are compiled and compared with the others, a tenth of a second. With the environment variable
   * LAPLACE_WIDE_SIMD=0 it does not; with 1 from the first large product on. @throws OptionError with the reason where they cannot be used
   */
  useWideSimd(wanted = true): void {
    largeProducts.tell = undefined;
    wishes++;
    if (wanted === (loaded?.build === "wide")) return;
    if (wanted) use(loadWide());
    else if (loaded !== undefined) use(narrowed ?? load());
  },

  /**
   * Sets the number of threads that large products use, the calling one included (default: the number of cores; always 1
   * without SharedArrayBuffer). Results are the same bits with any number. Workers start with the first product that is
   * large enough, and do not keep a process alive. @throws OptionError
   */
  setThreads(count: number): void {
    checkInteger("kernels.setThreads", "count", count, 1);
    setThreadCount(count);
  },

  /** The build, the memory and what is held of it. Loads the kernels if they are not yet. */
  info(): KernelInfo {
    loaded ??= load();
    const { bytes, inUse } = memoryUse();
    return { build: loaded.build, sharedMemory: shared, threads: threadCount(), memoryBytes: bytes, bytesInUse: inUse };
  },
};

/** Uses the wide build, if it is faster than the one that is used when this begins, in steps between which other calls may come. */
export function* widen(): Generator<undefined, void> {
  const before = [loaded, wishes];
  const found = yield* wideInSteps(true);
  if (typeof found !== "string" && before[0] === loaded && before[1] === wishes) use(found);
}

/** The WebAssembly module of wide products, where they are used: another thread's may use it as it is, compiled. */
export function wideModule(): object | undefined {
  return loaded?.build === "wide" ? loaded.products.module : undefined;
}

/** Uses another thread's wide products. */
export function useWideModule(module: object): void {
  if (loaded?.build !== "wide") use(withWide(relaxed(), instantiate(module)));
}

/** For tests: switches to another build of the same source. @throws OptionError where the runtime does not take it */
export function useBuild(build: KernelBuild): void {
  use(build === "wide" ? loadWide() : load(build));
}
