// Large products cut into calls that do not depend on each other: over the batch, else over rows or columns of C. Cuts
// depend on sizes only and no sum is cut, so the bits are those of one call.

import type { Kernels } from "./generated/types.ts";
import { bytesPerElement, type DType } from "./memory.ts";
import { type KernelCall, type Pool, runCalls, threadCount } from "./threads.ts";

/** Multiplications below which a product is not cut: about 130 µs of work, where waking a thread takes 70. */
const WORTH_CUTTING = 2 ** 21;
const MOST_PIECES = 8;
const LEAST_LENGTH = 64;

/** [start, end) of up to eight pieces, each a multiple of 16 long but for the last. */
function pieces(length: number): [start: number, end: number][] {
  const wanted = Math.min(MOST_PIECES, 2 ** Math.floor(Math.log2(Math.max(1, length / LEAST_LENGTH))));
  const step = Math.ceil(length / wanted / 16) * 16;
  const cuts: [number, number][] = [];
  for (let start = 0; start < length; start += step) cuts.push([start, Math.min(length, start + step)]);
  return cuts;
}

/** `gemm` of one element type, on all threads where that pays. */
export function parallelGemm(gemm: Kernels["gemm"], dtype: DType, pool: Pool): Kernels["gemm"] {
  const name = dtype === "float32" ? "gemm_f32" : "gemm_f64";
  const size = bytesPerElement(dtype);
  return (batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, mode) => {
    if (batch * m * n * k < WORTH_CUTTING || k <= 4 || threadCount() === 1) {
      gemm(batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, mode);
      return;
    }
    const call = (count: number, rows: number, columns: number, at: number, bt: number, ct: number): KernelCall => ({
      name,
      values: [
        count,
        rows,
        columns,
        k,
        a + at * size,
        sa,
        ra,
        ca,
        b + bt * size,
        sb,
        rb,
        cb,
        c + ct * size,
        sc,
        rc,
        mode,
      ],
    });
    let calls: KernelCall[];
    if (batch > 1) {
      const step = Math.ceil(batch / MOST_PIECES);
      calls = [];
      for (let i = 0; i < batch; i += step) calls.push(call(Math.min(step, batch - i), m, n, i * sa, i * sb, i * sc));
    } else if (m >= n || m >= 2 * LEAST_LENGTH) {
      calls = pieces(m).map(([start, end]) => call(1, end - start, n, start * ra, 0, start * rc));
    } else {
      calls = pieces(n).map(([start, end]) => call(1, m, end - start, 0, start * cb, start));
    }
    runCalls(pool, calls);
  };
}
