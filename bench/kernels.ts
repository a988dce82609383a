// The dense kernels against other libraries, on identical inputs.

import { Random } from "../src/array/random.ts";
import { withEigh } from "../src/kernels/eigh.ts";
import { kernelsFor } from "../src/kernels/kernels.ts";
import { bytesPerElement, copyOut, copyTo, type DType, type Pointer, takeBlock } from "../src/kernels/memory.ts";
import type { Case, Numbers } from "./case.ts";
import { inProcess } from "./compare.ts";

const random = new Random(1);
const ours = (work: () => void) => inProcess("laplace-ts", work);

function numbers(dtype: DType, length: number): Numbers {
  const values = dtype === "float32" ? new Float32Array(length) : new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = random.uniform() - 0.5;
  return values;
}

function put(dtype: DType, values: Numbers): Pointer {
  const pointer = takeBlock(values.byteLength);
  copyTo(dtype, pointer, values);
  return pointer;
}

function take(dtype: DType, pointer: Pointer, length: number): Float64Array {
  return Float64Array.from(copyOut(dtype, pointer, length));
}

/** A copy within the kernels' memory, as the peer copies its input before it works in place. */
function copy(dtype: DType, from: Pointer, to: Pointer, length: number): void {
  kernelsFor(dtype).copyRows(1, length, from, 0, to, 0, false);
}

function gemm(dtype: DType, m: number, n: number, k: number): Case {
  const inputs = [numbers(dtype, m * k), numbers(dtype, k * n)];
  const [a, b] = inputs.map((values) => put(dtype, values));
  const c = takeBlock(m * n * bytesPerElement(dtype));
  return {
    name: `gemm ${dtype} ${m}×${k}·${k}×${n}`,
    job: { setup: "gemm", dtype, sizes: [m, n, k] },
    flops: 2 * m * n * k,
    inputs,
    ours: ours(() => kernelsFor(dtype).gemm(1, m, n, k, a, 0, k, 1, b, 0, n, 1, c, 0, n, 1, false)),
    result: () => take(dtype, c, m * n),
    compared: "all",
  };
}

function syrk(dtype: DType, n: number, k: number): Case {
  const inputs = [numbers(dtype, n * k)];
  const a = put(dtype, inputs[0]);
  const c = takeBlock(n * n * bytesPerElement(dtype));
  return {
    name: `syrk ${dtype} ${n}×${k}`,
    job: { setup: "syrk", dtype, sizes: [n, k] },
    flops: n * n * k,
    inputs,
    ours: ours(() => kernelsFor(dtype).syrk(n, k, a, k, 1, c, n, 1, false, false)),
    result: () => take(dtype, c, n * n),
    compared: "lower",
  };
}

/** A symmetric matrix whose diagonal outweighs the rest. */
function dominant(n: number): Float64Array {
  const a = numbers("float64", n * n) as Float64Array;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) a[j * n + i] = a[i * n + j];
    a[i * n + i] = n;
  }
  return a;
}

function trsm(n: number): Case {
  const dtype = "float64";
  const inputs = [dominant(n), numbers(dtype, n * n)];
  const [a, b] = inputs.map((values) => put(dtype, values));
  const x = takeBlock(8 * n * n);
  return {
    name: `triangular solve ${dtype} ${n}, ${n} right sides`,
    job: { setup: "trsm", dtype, sizes: [n, n] },
    flops: n ** 3,
    inputs,
    ours: ours(() => {
      copy(dtype, b, x, n * n);
      kernelsFor(dtype).solveForward(n, n, a, n, 1, x, n, 1);
    }),
    result: () => take(dtype, x, n * n),
    compared: "all",
  };
}

function cholesky(n: number): Case {
  const dtype = "float64";
  const inputs = [dominant(n)];
  const a = put(dtype, inputs[0]);
  const x = takeBlock(8 * n * n);
  return {
    name: `Cholesky ${dtype} ${n}`,
    job: { setup: "cholesky", dtype, sizes: [n] },
    flops: n ** 3 / 3,
    inputs,
    ours: ours(() => {
      copy(dtype, a, x, n * n);
      kernelsFor(dtype).cholesky(n, x, n);
    }),
    result: () => take(dtype, x, n * n),
    compared: "lower",
  };
}

function eigh(n: number): Case {
  const dtype = "float64";
  const inputs = [dominant(n)];
  for (let i = 0; i < n; i++) inputs[0][i * n + i] = random.uniform();
  const a = put(dtype, inputs[0]);
  const [x, w] = [takeBlock(8 * n * n), takeBlock(8 * n)];
  const work = takeBlock(withEigh(kernelsFor(dtype)).eighWorkspace(n));
  return {
    name: `eigh ${dtype} ${n}`,
    job: { setup: "eigh", dtype, sizes: [n] },
    flops: 9 * n ** 3,
    inputs,
    ours: ours(() => {
      copy(dtype, a, x, n * n);
      withEigh(kernelsFor(dtype)).eigh(n, x, w, work, true);
    }),
    result: () => take(dtype, w, n),
    compared: "first",
  };
}

/** Every case, made when its turn comes: some need 100 MB. */
export const cases: readonly (() => Case)[] = [
  ...(["float32", "float64"] as const).flatMap((dtype) => [
    ...[64, 256, 512, 1024].map((n) => () => gemm(dtype, n, n, n)),
    () => gemm(dtype, 128, 256, 784),
    () => gemm(dtype, 97, 97, 2),
    () => gemm(dtype, 97, 97, 128),
    () => syrk(dtype, 97, 128),
    () => syrk(dtype, 512, 512),
    () => syrk(dtype, 1024, 4096),
  ]),
  ...[256, 512, 1024].map((n) => () => trsm(n)),
  ...[97, 256, 512, 1024, 2048].map((n) => () => cholesky(n)),
  ...[97, 256, 512, 1024].map((n) => () => eigh(n)),
];
