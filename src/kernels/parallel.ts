// Large products, solves and factorisations cut into calls that do not depend on each other: over the batch, else over
// rows or columns of the result. Cuts depend on sizes only and no sum is cut, so the bits are those of one call.

import type { AllKernels, Float64Kernels, Kernels } from "./generated/types.ts";
import { bytesPerElement, type DType } from "./memory.ts";
import { type KernelCall, type Pool, runCalls, threadCount } from "./threads.ts";

/** Multiplications below which nothing is cut: about 130 µs of work, where waking a thread takes 70. */
const WORTH_CUTTING = 2 ** 21;
const MOST_PIECES = 8;
const LEAST_LENGTH = 64;
/** The order from which on a Cholesky factorisation is directed from here. */
const LARGE_FACTOR = 384;

/** Called with the multiplications of each large product, where somebody counts them. */
export const largeProducts: { tell?: ((multiplications: number) => void) | undefined } = {};

/** [start, end) of up to eight pieces, each a multiple of 16 long but for the last. */
function pieces(length: number): [start: number, end: number][] {
  const wanted = Math.min(MOST_PIECES, 2 ** Math.floor(Math.log2(Math.max(1, length / LEAST_LENGTH))));
  const step = Math.ceil(length / wanted / 16) * 16;
  const cuts: [number, number][] = [];
  for (let start = 0; start < length; start += step) cuts.push([start, Math.min(length, start + step)]);
  return cuts;
}

/** Kernels of one element type that use all threads where that pays. */
export function onAllThreads(kernels: Float64Kernels, dtype: DType, pool: Pool): Float64Kernels {
  const size = bytesPerElement(dtype);
  const small = (work: number) => {
    if (work < WORTH_CUTTING) return true;
    largeProducts.tell?.(work);
    return threadCount() === 1;
  };
  const call = (name: keyof AllKernels, ...values: number[]): KernelCall => ({
    name: `${name}_${dtype === "float32" ? "f32" : "f64"}`,
    values,
  });

  const gemm: Kernels["gemm"] = (batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, alpha, add) => {
    if (k <= 4 || small(batch * m * n * k)) {
      kernels.gemm(batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, alpha, add);
      return;
    }
    const part = (count: number, rows: number, columns: number, at: number, bt: number, ct: number) => {
      const [x, y, z] = [a + at * size, b + bt * size, c + ct * size];
      return call("gemm", count, rows, columns, k, x, sa, ra, ca, y, sb, rb, cb, z, sc, rc, alpha, Number(add));
    };
    let calls: KernelCall[];
    if (batch > 1) {
      const step = Math.ceil(batch / MOST_PIECES);
      calls = [];
      for (let i = 0; i < batch; i += step) calls.push(part(Math.min(step, batch - i), m, n, i * sa, i * sb, i * sc));
    } else if (m >= n || m >= 2 * LEAST_LENGTH) {
      calls = pieces(m).map(([start, end]) => part(1, end - start, n, start * ra, 0, start * rc));
    } else {
      calls = pieces(n).map(([start, end]) => part(1, m, end - start, 0, start * cb, start));
    }
    runCalls(pool, calls);
  };

  const gemmt: Kernels["gemmt"] = (n, k, a, ra, ca, b, rb, cb, c, rc, alpha, add) => {
    if (k <= 4 || small((n * n * k) / 2)) {
      kernels.gemmt(n, k, a, ra, ca, b, rb, cb, c, rc, alpha, add);
      return;
    }
    // Each piece of rows has a triangle at the diagonal and a product before it; the longest first.
    const calls = pieces(n).flatMap(([start, end]) => {
      const [x, y, z, rows] = [a + start * ra * size, b + start * cb * size, c + start * rc * size, end - start];
      const triangle = call("gemmt", rows, k, x, ra, ca, y, rb, cb, z + start * size, rc, alpha, Number(add));
      const before = call("gemm", 1, rows, start, k, x, 0, ra, ca, b, 0, rb, cb, z, 0, rc, alpha, Number(add));
      return start === 0 ? triangle : [triangle, before];
    });
    runCalls(pool, calls.reverse());
  };

  const syrk: Kernels["syrk"] = (n, k, a, ra, ca, c, rc, alpha, add, mirrored) => {
    if (k <= 4 || small((n * n * k) / 2)) {
      kernels.syrk(n, k, a, ra, ca, c, rc, alpha, add, mirrored);
      return;
    }
    gemmt(n, k, a, ra, ca, a, ca, ra, c, rc, alpha, add);
    if (mirrored) kernels.mirror(n, c, rc);
  };

  const solve =
    (name: "solveForward" | "solveBackward"): Kernels["solveForward"] =>
    (n, columns, t, rt, ct, b, rb, cb) => {
      if (columns < 2 * LEAST_LENGTH || small((n * n * columns) / 2)) {
        kernels[name](n, columns, t, rt, ct, b, rb, cb);
        return;
      }
      const part = ([start, end]: [number, number]) =>
        call(name, n, end - start, t, rt, ct, b + start * cb * size, rb, cb);
      runCalls(pool, pieces(columns).map(part));
    };

  /** Halves as assembly/symmetric.ts does, so that every element is the same sum. */
  const cholesky: Kernels["cholesky"] = (n, a, ra) => {
    if (n < LARGE_FACTOR || threadCount() === 1) return kernels.cholesky(n, a, ra);
    const half = Math.floor((n + 15) / 16) * 8;
    const below = a + half * ra * size;
    const rest = below + half * size;
    const failed = cholesky(half, a, ra);
    if (failed !== 0) return failed;
    forward(half, n - half, a, ra, 1, below, 1, ra);
    syrk(n - half, half, below, ra, 1, rest, ra, -1, true, false);
    const later = cholesky(n - half, rest, ra);
    return later === 0 ? 0 : later + half;
  };

  /** A row each, with a place of its own to work in. Bundles have this kernel as a part, which threads have not. */
  const weightedGramRows: AllKernels["weightedGramRows"] = (first, end, rows, n, x, count, step, w, c, work) => {
    const each = (rows * (n + count) + 4) * size;
    const cut = small(rows * count * n * (end - first)) ? end - first : 1;
    const calls: KernelCall[] = [];
    for (let i = first; i < end; i += cut) {
      const place = work + (i - first) * each;
      calls.push(call("weightedGramRows", i, i + cut, rows, n, x, count, step, w, c, place));
    }
    runCalls(pool, calls);
  };

  const forward = solve("solveForward");
  const solves = { solveForward: forward, solveBackward: solve("solveBackward") };
  return {
    ...kernels,
    gemm,
    gemmt,
    syrk,
    cholesky,
    ...solves,
    ...("weightedGramRows" in kernels && { weightedGramRows }),
  };
}
