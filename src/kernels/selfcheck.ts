// Runs the kernels of two builds on the same numbers and compares what they write. The wide build is experimental in
// V8, so it has to show once, in the very code that will run, that it computes what the narrow build computes. `wide.ts` alone reads
// this file: no page loads it. So it is given the memory that it works in, and imports none.

import type { AllKernels, Kernels, TileKernels } from "./generated/types.ts";
import type * as memory from "./memory.ts";
import type { DType, Pointer } from "./memory.ts";
import type { Exports } from "./threads.ts";

/** What it needs of the memory. */
export type Memory = Pick<typeof memory, "allocate" | "bytesPerElement" | "copyOut" | "inMemory" | "scope">;

/** Where a sample call finds its operands: numbers in [-1, 1), a definite matrix, and room to write. */
interface Places {
  readonly x: Pointer;
  readonly y: Pointer;
  readonly definite: Pointer;
  readonly out: Pointer;
  readonly more: Pointer;
}

const N = 41; // no multiple of any vector or tile
const LENGTH = 8 * N * N;

type Call = (kernels: AllKernels, places: Places, allocate: Memory["allocate"]) => void;

/** A sample call of every kernel. The type makes a missing one an error. */
const calls: Record<keyof TileKernels, readonly Call[]> = {
  gemm: [
    (k, { x, y, out }) => k.gemm(1, N, N + 2, N, x, 0, N, 1, y, 0, N + 2, 1, out, 0, N + 2, 1, false),
    (k, { x, y, out }) => k.gemm(1, N, N, 7 * N, x, 0, 1, N, y, 0, 1, 7 * N, out, 0, N, -1, true),
    (k, { x, y, out }) => k.gemm(3, N, N, 2, x, N, 2, 1, y, N, N, 1, out, N * N, N, 0.3, true),
  ],
  syrk: [(k, { x, out }) => k.syrk(N, 3 * N, x, 3 * N, 1, out, N, 1, false, true)],
  gemmt: [
    (k, { x, y, out }) => {
      k.gemmt(N, 3 * N, x, 1, N, y, N, 1, out, N, 0.5, true);
      k.mirror(N, out, N);
    },
  ],
  cholesky: [
    (k, { definite, y, out, more }) => {
      // Above the diagonal anything may be left: a solve reads the rest.
      k.copyRows(1, N * N, definite, 0, more, 0, false);
      k.cholesky(N, more, N);
      solve(k, more, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, N, 1));
      k.fill(N * N, 0, more);
    },
  ],
  rowGrams: [1, 0].map((rest) => (k, { x, out }, allocate) => {
    const work = allocate(8 * N * 2 * N);
    for (let i = 0; i < 5 * N; i++) k.affine(N / 2, rest, x + 8 * i * N, 0, x + 8 * i * N, false);
    k.rowGrams(3, 5, N, x, 3 * N, N, out, work, allocate(4 * N));
    // Above the diagonal anything may be left.
    k.mirror(N, out, N);
  }),
  weightedGramRows: [N - 1, 3].map((i) => (k, { x, y, out }, allocate) => {
    for (let r = 0; r < 5; r++) k.affine(1, 0, x + 8 * r * 3 * N, 0, x + 8 * r * 3 * N, false);
    k.weightedGramRows(i, i + 1, 9, N, x, 6, 7, y, out, allocate(8 * (9 * (N + 6) + 4)));
  }),
  solveForward: [
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, N, 1)),
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, 1, N)),
  ],
  solveBackward: [
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveBackward(N, N, l, 1, N, b, N, 1)),
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveBackward(N, N, l, 1, N, b, 1, N)),
  ],
};

/** A solve in place, with the right sides in `out`. */
function solve(k: Kernels, l: Pointer, y: Pointer, out: Pointer, run: (l: Pointer, b: Pointer) => void): void {
  k.copyRows(1, N * N, y, 0, out, 0, false);
  run(l, out);
}

/** What a call writes into `out` and `more`. */
function written(memory: Memory, kernels: AllKernels, dtype: DType, call: Call): Float64Array {
  const { allocate, bytesPerElement, copyOut, inMemory, scope } = memory;
  return scope(() => {
    const [x, y, definite, out, more] = Array.from({ length: 5 }, () => allocate(8 * LENGTH));
    const size = bytesPerElement(dtype);
    inMemory(dtype, (memory) => {
      let state = 1;
      for (let i = 0; i < LENGTH; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const number = state / 2 ** 31 - 1;
        memory[x / size + i] = number;
        memory[y / size + i] = -number / 2 + 0.1;
        memory[out / size + i] = number / 3;
        memory[more / size + i] = 0;
      }
      for (let i = 0; i < N; i++) {
        for (let j = 0; j < N; j++) memory[definite / size + i * N + j] = i === j ? N : 1 / (1 + i + j);
      }
    });
    call(kernels, { x, y, definite, out, more }, allocate);
    return Float64Array.from([...copyOut(dtype, out, LENGTH), ...copyOut(dtype, more, LENGTH)]);
  });
}

/** The kernels of a type. */
const ofType = (exported: Exports, dtype: DType): AllKernels => {
  const suffix = dtype === "float32" ? "_f32" : "_f64";
  const own = Object.entries(exported).filter(([name]) => name.endsWith(suffix));
  return Object.fromEntries(
    own.map(([name, kernel]) => [name.slice(0, -suffix.length), kernel]),
  ) as unknown as AllKernels;
};

/** What the kernels of tiles write, and what their namesakes do, one sample after the other. */
export function* samplesOf(ours: Exports, theirs: Exports, memory: Memory) {
  for (const dtype of ["float32", "float64"] as const) {
    const narrow = ofType(theirs, dtype);
    const wide = { ...narrow, ...ofType(ours, dtype) };
    for (const [name, samples] of Object.entries(calls)) {
      for (const call of samples) {
        const by = (kernels: AllKernels) => () => written(memory, kernels, dtype, call);
        yield { kernel: `${name} (${dtype})`, expected: by(narrow), found: by(wide) };
      }
    }
  }
}

/** Whether two results have other bits somewhere. */
export const differ = (found: Float64Array, expected: Float64Array): boolean =>
  found.some((x, i) => !Object.is(x, expected[i]));

/** The least times of a product by both, in milliseconds. */
export function timesOf(ours: Exports, theirs: Exports, { allocate, scope }: Memory): readonly [number, number] {
  const [n, times] = [128, 8];
  return scope(() => {
    const [x, y, out] = Array.from({ length: 3 }, () => allocate(4 * n * n));
    const both = [ours, theirs].map((exported) => ofType(exported, "float32"));
    const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const kernels of both) for (const place of [x, y]) (kernels.fill ?? both[1].fill)(n * n, 0.5, place);
    for (let i = 0; i < 2 * times; i++) {
      const start = performance.now();
      both[i % 2].gemm(1, n, n, n, x, 0, n, 1, y, 0, n, 1, out, 0, n, 1, false);
      least[i % 2] = Math.min(least[i % 2], performance.now() - start);
    }
    return [least[0], least[1]];
  });
}
