// Runs every kernel of two builds on the same numbers and compares what they write. The wide build is experimental in
// V8, so it has to show once, in the very code that will run, that it computes what the narrow build computes. `wide.ts` alone reads
// this file: no page loads it. So it is given the memory that it works in, and imports none.

import { activationCode } from "./activations.ts";
import type { AllKernels, Kernels } from "./generated/types.ts";
import type * as memory from "./memory.ts";
import type { DType, Pointer } from "./memory.ts";

/** What it needs of the memory. */
export type Memory = Pick<
  typeof memory,
  "allocate" | "bytesPerElement" | "copyOut" | "inMemory" | "scope" | "writeIntegers"
>;

/** Where a sample call finds its operands: numbers in [-1, 1), positive ones, a definite matrix, and room to write. */
interface Places {
  readonly x: Pointer;
  readonly y: Pointer;
  readonly positive: Pointer;
  readonly definite: Pointer;
  readonly out: Pointer;
  readonly more: Pointer;
  readonly table: Pointer;
}

const N = 41; // no multiple of any vector or tile
const LENGTH = 8 * N * N;

type Call = (kernels: AllKernels, places: Places, allocate: Memory["allocate"]) => void;

/** A sample call of every kernel. The type makes a missing one an error. */
const calls: Record<keyof AllKernels, readonly Call[]> = {
  gather: [false, true].map((add) => (k, { x, out, table }) => {
    k.gather(2, table, table + 8, table + 16, x, out, add);
  }),
  sumAxis: [
    (k, { x, out }) => k.sumAxis(3, N, 1, x, out, 1, false),
    (k, { x, out }) => k.sumAxis(1, 7 * N, N, x, out, N, true),
  ],
  copyRows: [(k, { x, out }) => k.copyRows(5, N, x, 2 * N, out, 3 * N, true)],
  fill: [(k, { out }) => k.fill(N, 0.3, out)],
  scaleRows: [(k, { x, y, out }) => k.scaleRows(5, N, x, y, 3, out)],
  dotRows: [(k, { x, y, out }) => k.dotRows(5, N, x, y, out, false)],
  allFinite: [(k, { x, out }) => k.fill(1, k.allFinite(LENGTH, x), out)],
  activation: Object.values(activationCode).map(
    (f) =>
      (k, { x, out }) =>
        k.activation(f, 5 * N, x, out, 0.3),
  ),
  activationDerivative: Object.values(activationCode).map((f) => (k, { x, out, more }) => {
    k.activation(f, 5 * N, x, more, 0.3);
    k.activationDerivative(f, 5 * N, x, more, out, 0.3);
  }),
  multiply: [(k, { x, y, out }) => k.multiply(3, N, x, y, out, true)],
  affine: [(k, { x, out }) => k.affine(N, 0.7, x, 0.1, out, true)],
  addToRows: [(k, { x, out }) => k.addToRows(3, N, x, out)],
  gemm: [
    (k, { x, y, out }) => k.gemm(1, N, N + 2, N, x, 0, N, 1, y, 0, N + 2, 1, out, 0, N + 2, 1, false),
    (k, { x, y, out }) => k.gemm(1, N, N, 7 * N, x, 0, 1, N, y, 0, 1, 7 * N, out, 0, N, -1, true),
    (k, { x, y, out }) => k.gemm(3, N, N, 2, x, N, 2, 1, y, N, N, 1, out, N * N, N, 0.3, true),
  ],
  addSquares: [(k, { x, out }) => k.addSquares(5, N, x, out)],
  oneHot: [
    (k, { out, more }) => {
      k.fill(5, 3, more);
      k.oneHot(5, N, more, out);
    },
  ],
  unfold: [(k, { x, out }) => k.unfold(1, 2, 7, N, 3, 2, 2, 1, 1, 1, 1, 2, 3, N, x, out)],
  fold: [(k, { x, out }) => k.fold(1, 2, 7, N, 3, 2, 2, 1, 1, 1, 1, 2, 3, N, x, out)],
  correlatePlanes: [
    (k, { x, y, out, more }) =>
      k.correlatePlanes(2, 3, 7, N, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 7, N, false, false, 10, N + 8, more, x, y, out),
    (k, { x, y, out, more }) =>
      k.correlatePlanes(2, 3, 7, N, 1, 1, 1, 1, 3, 3, 2, 2, 1, 1, 4, N >> 1, true, true, 9, N + 8, more, x, y, out),
  ],
  maxPool: [
    (k, { x, out }) => k.maxPool(3, 8, N, 2, 2, 2, 2, 0, 0, 4, 20, x, out, 0),
    (k, { x, out, more }) => {
      k.maxPool(3, 8, N, 2, 2, 2, 2, 0, 0, 4, 20, x, 0, more);
      k.takePlaces(3, 80, 8 * N, more, x, out);
      k.fill(240, 0, more);
    },
    (k, { x, out, more }) => k.maxPool(2, 7, N, 3, 2, 2, 1, 1, 1, 3, N, x, out, more + 8 * N * N),
  ],
  takePlaces: [
    (k, { x, out, more }) => {
      k.maxPool(2, 7, N, 3, 2, 2, 1, 1, 1, 3, N, x, 0, more);
      k.takePlaces(2, 3 * N, 7 * N, more, x, out);
      k.fill(6 * N, 0, more);
    },
  ],
  addAtPlaces: [
    (k, { x, y, out, more }) => {
      k.maxPool(2, 7, N, 3, 2, 2, 1, 1, 1, 3, N, x, 0, more);
      k.addAtPlaces(2, 2, 3 * N, 7 * N, more, y, out);
      k.fill(6 * N, 0, more);
    },
  ],
  averagePool: [(k, { x, out }) => k.averagePool(2, 7, N, 3, 2, 2, 1, 1, 1, 3, N, false, x, out)],
  averagePoolBack: [(k, { x, out }) => k.averagePoolBack(2, 7, N, 3, 2, 2, 1, 1, 1, 3, N, false, x, out)],
  winogradWeights: [false, true].map(
    (turned) =>
      (k, { x, out }) =>
        k.winogradWeights(N, turned, x, out, N + 5),
  ),
  winogradInput: [(k, { x, out, more }) => k.winogradInput(2, 3, 7, N, 1, 2, 4, 24, more, x, out, 600, 192)],
  winogradOutput: [false, true].map(
    (add) =>
      (k, { x, out, more }) =>
        k.winogradOutput(2, 3, 7, N, 4, 24, more, x, 600, 192, out, add),
  ),
  winogradCotangent: [(k, { x, out, more }) => k.winogradCotangent(2, 3, 7, N, 4, 24, more, x, out, 600, 192)],
  winogradWeightsBack: [false, true].map(
    (add) =>
      (k, { x, out, more }) =>
        k.winogradWeightsBack(N, x, N + 5, more, out, add),
  ),
  channelAffine: [(k, { x, y, out }) => k.channelAffine(3, 5, N, x, y, y + 8 * N, out, true)],
  scaledDifference: [(k, { x, y, out }) => k.scaledDifference(N, x, y, 0.3, out)],
  softmax: [(k, { x, out }) => k.softmax(3, N, x, out)],
  softmaxJacobian: [(k, { x, y, out }) => k.softmaxJacobian(2, 3, N, x, y, out, true)],
  maskedSoftmax: [(k, { x, positive, out }) => k.maskedSoftmax(2, 5, N, 5, x, positive, out)],
  normalise: [true, false].map(
    (centred) =>
      (k, { x, out }) =>
        k.normalise(3, N, x, out, centred, 1e-5),
  ),
  normaliseJacobian: [true, false].map((centred) => (k, { x, y, out, more }) => {
    k.normalise(3, N, x, more, centred, 1e-5);
    k.normaliseJacobian(2, 3, N, x, more, y, out, centred, 1e-5, true);
  }),
  crossEntropy: [(k, { x, positive, more }) => k.crossEntropy(3, N, x, positive, more)],
  binaryCrossEntropy: [(k, { x, positive, more }) => k.binaryCrossEntropy(N, x, positive, more)],
  squaredError: [(k, { x, y, more }) => k.squaredError(N, x, y, more)],
  sgdStep: [(k, { y, out, more }) => k.sgdStep(N, out, y, more, 0.1, 0.9, true, 0.01)],
  adamStep: [
    (k, { y, positive, out, more }) => {
      k.copyRows(1, N, positive, 0, more + 8 * N, 0, false);
      k.adamStep(N, out, y, more, more + 8 * N, 0.1, 0.9, 0.99, 1e-8, 0.1, 0.01, 0.01, 0.02);
    },
  ],
  syrk: [(k, { x, out }) => k.syrk(N, 3 * N, x, 3 * N, 1, out, N, 1, false, true)],
  gemmt: [
    (k, { x, y, out }) => {
      k.gemmt(N, 3 * N, x, 1, N, y, N, 1, out, N, 0.5, true);
      k.mirror(N, out, N);
    },
  ],
  mirror: [(k, { out }) => k.mirror(N, out, N + 2)],
  cholesky: [
    (k, { definite, y, out, more }) => {
      // Above the diagonal anything may be left: a solve reads the rest.
      k.copyRows(1, N * N, definite, 0, more, 0, false);
      k.cholesky(N, more, N);
      solve(k, more, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, N, 1));
      k.fill(N * N, 0, more);
    },
  ],
  spreadColumns: [true, false].map((shared) => (k, { x, positive, out }, allocate) => {
    k.spreadColumns(3, N, 7, positive, x, shared, 4, 11, allocate(64), out, 21, 7);
  }),
  rowGrams: [1, 0].map((rest) => (k, { x, out }, allocate) => {
    const work = allocate(8 * N * 2 * N);
    for (let i = 0; i < 5 * N; i++) k.affine(N / 2, rest, x + 8 * i * N, 0, x + 8 * i * N, false);
    k.rowGrams(3, 5, N, x, 3 * N, N, out, work, allocate(4 * N));
    // Above the diagonal anything may be left.
    k.mirror(N, out, N);
  }),
  weightedGramRow: [N - 1, 3].map((i) => (k, { x, y, out }, allocate) => {
    for (let r = 0; r < 5; r++) k.affine(1, 0, x + 8 * r * 3 * N, 0, x + 8 * r * 3 * N, false);
    k.weightedGramRow(i, 9, N, x, 6, 7, y, out, allocate(8 * (9 * (N + 6) + 4)));
  }),
  solveForward: [
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, N, 1)),
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveForward(N, N, l, N, 1, b, 1, N)),
  ],
  solveBackward: [
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveBackward(N, N, l, 1, N, b, N, 1)),
    (k, { definite, y, out }) => solve(k, definite, y, out, (l, b) => k.solveBackward(N, N, l, 1, N, b, 1, N)),
  ],
  widen: [(k, { x, out }) => k.widen(N, x, out)],
  eighWorkspace: [(k, { out }) => k.fill(1, k.eighWorkspace(N), out)],
  eigh: [
    (k, { definite, out, more }, allocate) => {
      // Eigenvectors have no sign of their own; the values do.
      k.copyRows(1, N * N, definite, 0, more, 0, false);
      k.eigh(N, more, out, allocate(k.eighWorkspace(N)), true);
      k.fill(N * N, 0, more);
    },
  ],
  turnRow: [
    (k, { x, out, more }) => {
      k.copyRows(1, N * N, x, 0, out, 0, false);
      for (let p = 0; p < N; p++) k.turnRow(N, p, N, out, more, 1e-15);
    },
  ],
  eighBegin: [eighInPieces],
  eighNext: [eighInPieces, eighLater],
};

function eighInPieces(k: AllKernels, { definite, out, more }: Places, allocate: Memory["allocate"]): void {
  k.copyRows(1, N * N, definite, 0, more, 0, false);
  const work = allocate(k.eighWorkspace(N));
  k.eighBegin(N, more, out, work);
  while (k.eighNext(N, more, out, work, true) === 0);
  k.fill(N * N, 0, more);
}

function eighLater(k: AllKernels, { definite, out, more }: Places, allocate: Memory["allocate"]): void {
  k.copyRows(1, N * N, definite, 0, more, 0, false);
  const work = allocate(k.eighWorkspace(N));
  k.eigh(N, more, out, work, false);
  while (k.eighNext(N, more, out, work, true) === 0);
  k.fill(N * N, 0, more);
}

/** A solve in place, with the right sides in `out`. */
function solve(k: Kernels, l: Pointer, y: Pointer, out: Pointer, run: (l: Pointer, b: Pointer) => void): void {
  k.copyRows(1, N * N, y, 0, out, 0, false);
  run(l, out);
}

/** What a call writes into `out` and `more`. */
function written(memory: Memory, kernels: Kernels, dtype: DType, call: Call): Float64Array {
  const { allocate, bytesPerElement, copyOut, inMemory, scope, writeIntegers } = memory;
  return scope(() => {
    const bytes = LENGTH * 8;
    const [x, y, positive, definite, out, more] = Array.from({ length: 6 }, () => allocate(bytes));
    const table = allocate(64);
    const size = bytesPerElement(dtype);
    inMemory(dtype, (memory) => {
      let state = 1;
      for (let i = 0; i < LENGTH; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const number = state / 2 ** 31 - 1;
        memory[x / size + i] = number;
        memory[y / size + i] = -number / 2 + 0.1;
        memory[positive / size + i] = Math.abs(number);
        memory[out / size + i] = number / 3;
      }
      for (let i = 0; i < N; i++) {
        for (let j = 0; j < N; j++) memory[definite / size + i * N + j] = i === j ? N : 1 / (1 + i + j);
      }
    });
    inMemory("float64", (memory) => {
      memory.fill(0, more / 8, more / 8 + LENGTH);
    });
    writeIntegers(table, [N, 7, 1, N, 0, 0]);
    call(kernels as AllKernels, { x, y, positive, definite, out, more, table }, allocate);
    const length = Math.min(LENGTH, (8 * LENGTH) / size);
    return Float64Array.from([...copyOut(dtype, out, LENGTH), ...copyOut(dtype, more, length)]);
  });
}

/** The name of the first kernel in which two builds disagree by more than rounding, with the difference; or undefined. */
export function firstDifference(
  a: Record<DType, Kernels>,
  b: Record<DType, Kernels>,
  memory: Memory,
): { readonly kernel: string; readonly difference: number } | undefined {
  for (const dtype of ["float32", "float64"] as const) {
    const tolerance = dtype === "float32" ? 1e-3 : 1e-11;
    for (const [kernel, samples] of Object.entries(calls)) {
      if (!(kernel in a[dtype])) continue;
      for (const call of samples) {
        const [ours, theirs] = [a, b].map((kernels) => written(memory, kernels[dtype], dtype, call));
        for (let i = 0; i < ours.length; i++) {
          const difference = Math.abs(ours[i] - theirs[i]);
          if (difference <= tolerance * Math.max(1, Math.abs(theirs[i])) || Object.is(ours[i], theirs[i])) continue;
          return { kernel: `${kernel} (${dtype})`, difference };
        }
      }
    }
  }
  return undefined;
}
