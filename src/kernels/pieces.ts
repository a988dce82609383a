// Kernels whose work is written down, large products and solves in pieces of a few milliseconds. Cuts depend on sizes only, and
// sums are cut where the kernels cut them, so the bits are those of one call.

import type { Float64Kernels, Kernels } from "./generated/types.ts";
import { bytesPerElement, catchUp, type DType, later } from "./memory.ts";
import { largeProducts } from "./parallel.ts";
import { recording, writing } from "./tape.ts";
import { type Exports, type KernelCall, type Pool, runCalls, threadCount } from "./threads.ts";

/** Multiplications in a piece: about a millisecond. */
const MOST = 2 ** 22;
/** Numbers that are gone through at once. */
const LONG = 2 ** 18;
/** Rows, and columns, of a piece of a product: so many that packing them is little beside it. */
const SIDE = 160;
/** Bytes of the terms that a product sums before it adds them: see assembly/gemm.ts. */
const TERM_BYTES = 2048;
/** Terms up to which a product is another algorithm; and terms below which it takes as long as with these. */
const FEW_TERMS = 4;
const LEAST_TERMS = 16;

type Kernel = (...values: readonly never[]) => unknown;

/** What gives a value, and what asks nothing of memory. */
const reading = /^(allFinite|cholesky|eigh.*|turnRow)$/;

type Range = readonly [start: number, end: number];

/** [start, end) of runs of so many; the last is longer by what would be no more than `least`. */
function runs(length: number, each: number, least = 0): Range[] {
  const result: Range[] = [];
  for (let start = 0; start < length; ) {
    const end = length - start - each <= least ? length : start + each;
    result.push([start, end]);
    start = end;
  }
  return result;
}

/** Apart from what calls kernels at once, which then needs no list of what it was given. */
function writeDown(kernel: Kernel, values: readonly never[]): void {
  later(() => kernel(...values));
}

/** Kernels that write their work down as one piece; what gives a value has all that is written down done first. */
export function written<K extends Kernels>(kernels: K): K {
  return Object.fromEntries(
    Object.entries(kernels).map(([name, kernel]: [string, Kernel]): [string, Kernel] => {
      const read: Kernel = (...values) => {
        catchUp();
        return kernel(...values);
      };
      const write: Kernel = (...values) => {
        if (writing()) writeDown(kernel, values);
        else kernel(...values);
      };
      return [name, reading.test(name) ? read : write];
    }),
  ) as unknown as K;
}

/** Kernels of one element type that write their work down, and do it where none is written down. Values they read at once. */
export function inWriting(kernels: Float64Kernels, exported: Exports, dtype: DType, pool: Pool | undefined) {
  const size = bytesPerElement(dtype);
  const terms = TERM_BYTES / size;
  const call = (name: keyof Kernels, ...values: number[]): KernelCall => ({
    name: `${name}_${dtype === "float32" ? "f32" : "f64"}`,
    values,
  });

  const whole = written(kernels);

  /** A product of one batch. */
  const product = (
    m: number,
    n: number,
    k: number,
    a: number,
    ra: number,
    ca: number,
    b: number,
    rb: number,
    cb: number,
    c: number,
    rc: number,
    alpha: number,
    adds: number,
  ): KernelCall => call("gemm", 1, m, n, k, a, 0, ra, ca, b, 0, rb, cb, c, 0, rc, alpha, adds);

  /** Calls that do not depend on each other, as many at once as there are threads. */
  const job = (calls: readonly KernelCall[]) => {
    const most = pool === undefined ? 1 : threadCount();
    for (const [start, end] of runs(calls.length, most)) {
      later(() => {
        const some = calls.slice(start, end);
        largeProducts.tell?.(some.length * MOST);
        if (pool === undefined) for (const { name, values } of some) exported[name](...values);
        else runCalls(pool, some);
      });
    }
  };

  const gemm: Kernels["gemm"] = (batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, alpha, add) => {
    const each = m * n * Math.max(k, LEAST_TERMS);
    if (batch * each <= MOST || !recording()) {
      whole.gemm(batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, alpha, add);
      return;
    }
    if (batch > 1 && each <= MOST) {
      const parts = runs(batch, Math.max(1, Math.floor(MOST / Math.max(1, each))));
      job(
        parts.map(([i, end]) => {
          const [x, y, z] = [a + i * sa * size, b + i * sb * size, c + i * sc * size];
          return call("gemm", end - i, m, n, k, x, sa, ra, ca, y, sb, rb, cb, z, sc, rc, alpha, Number(add));
        }),
      );
      return;
    }
    const [rows, columns] = [runs(m, SIDE), k <= FEW_TERMS ? [[0, n] as const] : runs(n, SIDE)];
    for (let i = 0; i < batch; i++) {
      for (const [p, pe] of each <= MOST ? [[0, k] as const] : runs(k, terms, FEW_TERMS)) {
        const [x, y, z] = [a + (i * sa + p * ca) * size, b + (i * sb + p * rb) * size, c + i * sc * size];
        const adds = Number(add || p > 0);
        const part = ([r, re]: Range, [q, qe]: Range) => {
          const [from, to] = [x + r * ra * size, z + (r * rc + q) * size];
          return product(re - r, qe - q, pe - p, from, ra, ca, y + q * cb * size, rb, cb, to, rc, alpha, adds);
        };
        if (each <= MOST) job([part([0, m], [0, n])]);
        else job(rows.flatMap((some) => columns.map((others) => part(some, others))));
      }
    }
  };

  const gemmt: Kernels["gemmt"] = (n, k, a, ra, ca, b, rb, cb, c, rc, alpha, add) => {
    if ((n * n * k) / 2 <= MOST || k <= FEW_TERMS || !recording()) {
      whole.gemmt(n, k, a, ra, ca, b, rb, cb, c, rc, alpha, add);
      return;
    }
    const sides = runs(n, SIDE);
    for (const [p, pe] of runs(k, terms, FEW_TERMS)) {
      const [x, y, depth, adds] = [a + p * ca * size, b + p * rb * size, pe - p, Number(add || p > 0)];
      // Each run of rows has a triangle at the diagonal and products before it.
      const calls = sides.flatMap(([start, end], i) => {
        const [from, to, rows] = [x + start * ra * size, c + start * rc * size, end - start];
        const before = sides
          .slice(0, i)
          .map(([q, qe]) =>
            product(rows, qe - q, depth, from, ra, ca, y + q * cb * size, rb, cb, to + q * size, rc, alpha, adds),
          );
        const own = y + start * cb * size;
        return [...before, call("gemmt", rows, depth, from, ra, ca, own, rb, cb, to + start * size, rc, alpha, adds)];
      });
      job(calls);
    }
  };

  const syrk: Kernels["syrk"] = (n, k, a, ra, ca, c, rc, alpha, add, mirrored) => {
    if ((n * n * k) / 2 <= MOST || k <= FEW_TERMS || !recording()) {
      whole.syrk(n, k, a, ra, ca, c, rc, alpha, add, mirrored);
      return;
    }
    gemmt(n, k, a, ra, ca, a, ca, ra, c, rc, alpha, add);
    if (mirrored) whole.mirror(n, c, rc);
  };

  const solve =
    (name: "solveForward" | "solveBackward"): Kernels["solveForward"] =>
    (n, columns, t, rt, ct, b, rb, cb) => {
      if (!recording()) {
        kernels[name](n, columns, t, rt, ct, b, rb, cb);
        return;
      }
      const most = Math.max(8, Math.floor((4 * MOST) / Math.max(1, n * n) / 8) * 8);
      job(
        runs(columns, most).map(([start, end]) => call(name, n, end - start, t, rt, ct, b + start * cb * size, rb, cb)),
      );
    };

  const fill: Kernels["fill"] = (n, value, y) => {
    if (n <= LONG) whole.fill(n, value, y);
    else for (const [start, end] of runs(n, LONG)) whole.fill(end - start, value, y + start * size);
  };

  const dotRows: Kernels["dotRows"] = (rows, n, x, y, out, accumulate) => {
    if (rows * n <= LONG) {
      whole.dotRows(rows, n, x, y, out, accumulate);
      return;
    }
    for (const [i, end] of runs(rows, Math.max(1, Math.floor(LONG / Math.max(1, n))))) {
      const shift = i * n * size;
      whole.dotRows(end - i, n, x + shift, y + shift, out + i * size, accumulate);
    }
  };

  const [solveForward, solveBackward] = [solve("solveForward"), solve("solveBackward")];
  return { ...whole, gemm, gemmt, syrk, solveForward, solveBackward, fill, dotRows };
}
