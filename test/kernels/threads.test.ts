import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import {
  batchedMatmul,
  chain,
  cholesky,
  type DType,
  dense,
  type FloatArray,
  gradient,
  kernels,
  mse,
  NDArray,
  OptionError,
  randomNormal,
  relu,
  syrk,
} from "../../src/index.ts";
import { withClasses } from "../../src/kernels/classes.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";

const threads = kernels.info().threads;
afterAll(() => kernels.setThreads(threads));

/** Whether two arrays hold the same bits: `toEqual` takes a second for what this does at once. */
function sameBits({ data: a }: NDArray, { data: b }: NDArray): boolean {
  const bytes = (x: FloatArray) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  return bytes(a).equals(bytes(b));
}

/** Lets workers that were started get ready. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

test("products have the same bits with any number of threads", async () => {
  const shapes = fc.constantFrom<[batch: number, m: number, k: number, n: number]>(
    [1, 300, 130, 257], // cut over rows
    [1, 64, 300, 500], // over columns
    [1, 1, 2100, 1100],
    [5, 97, 97, 101], // over the batch
    [33, 64, 40, 64],
    [1, 129, 129, 129],
  );
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.constantFrom<DType>("float32", "float64"),
      fc.nat(),
      async ([batch, m, k, n], dtype, seed) => {
        const a = randomNormal([batch, m, k], { seed, dtype });
        const b = randomNormal([batch, k, n], { seed: seed + 1, dtype });
        kernels.setThreads(1);
        const alone = batchedMatmul(a, b);
        for (const count of [2, 3]) {
          kernels.setThreads(count);
          for (let i = 0; i < 3; i++) expect(sameBits(batchedMatmul(a, b), alone)).toBe(true);
        }
      },
    ),
    { numRuns: 20 },
  );
  await pause();
  const [a, b] = [randomNormal([256, 256], { seed: 1 }), randomNormal([256, 256], { seed: 2 })];
  kernels.setThreads(1);
  const alone = batchedMatmul(a, b);
  kernels.setThreads(3);
  for (let i = 0; i < 300; i++) expect(sameBits(batchedMatmul(a, b), alone)).toBe(true);
});

test.each([1, 2, 3])("factorisations, solves and symmetric products have the same bits (seed %i)", (seed) => {
  const a = randomNormal([403, 450], { seed });
  const all = () => {
    const definite = syrk(a);
    const factored = cholesky(definite);
    const solved = factored.solve(randomNormal([403, 150], { seed: seed + 1 }));
    return [definite, factored.factor, solved, factored.inverse(), syrk(a.as("float32"))];
  };
  kernels.setThreads(1);
  const alone = all();
  for (const count of [2, 3]) {
    kernels.setThreads(count);
    for (let i = 0; i < 3; i++) all().forEach((one, at) => void expect(sameBits(one, alone[at])).toBe(true));
  }
});

test("triangles of products of two matrices have the same bits with any number of threads", () => {
  const triangle = (n: number, k: number, dtype: DType, seed: number, transposed: boolean) =>
    scope(() => {
      const random = (size: number, seed: number) => copyIn(dtype, randomNormal([size], { seed, dtype }).data);
      const [a, b, c] = [random(n * k, seed), random(n * k, seed + 1), random(n * n, seed + 2)];
      const [ra, ca, rb, cb] = transposed ? [1, n, n, 1] : [k, 1, 1, k];
      kernelsFor(dtype).gemmt(n, k, a, ra, ca, b, rb, cb, c, n, 0.5, true);
      const found = copyOut(dtype, c, n * n);
      // Above the diagonal there may be anything.
      for (let i = 0; i < n; i++) found.fill(0, i * n + i + 1, (i + 1) * n);
      return new NDArray(found, [n, n]);
    });
  for (const [n, k] of [
    [257, 128],
    [300, 130],
    [512, 64],
    [1000, 5],
    [129, 999],
  ]) {
    for (const dtype of ["float32", "float64"] as const) {
      for (const transposed of [false, true]) {
        kernels.setThreads(1);
        const alone = triangle(n, k, dtype, n, transposed);
        for (const count of [2, 3]) {
          kernels.setThreads(count);
          expect(sameBits(triangle(n, k, dtype, n, transposed), alone)).toBe(true);
        }
      }
    }
  }
});

test("sums of weighted products have the same bits with any number of threads", () => {
  const [rows, n, count] = [300, 131, 45];
  for (const dtype of ["float32", "float64"] as const) {
    const blocks = () =>
      scope(() => {
        const random = (size: number, seed: number) => randomNormal([size], { seed, dtype }).data;
        const x = copyIn(
          dtype,
          random(rows * n, 1).map((one) => Math.max(0, one)),
        );
        const [w, c] = [copyIn(dtype, random(rows * count, 2)), copyIn(dtype, random(count * n * n, 3))];
        const work = allocateFloats(dtype, 8 * (rows * (n + count) + 4));
        const { weightedGramRows } = withClasses(kernelsFor(dtype));
        for (let i = 0; i < n; i += 8) weightedGramRows(i, Math.min(n, i + 8), rows, n, x, count, count, w, c, work);
        return new NDArray(copyOut(dtype, c, count * n * n), [count, n, n]);
      });
    kernels.setThreads(1);
    const alone = blocks();
    for (const threads of [2, 3]) {
      kernels.setThreads(threads);
      expect(sameBits(blocks(), alone)).toBe(true);
    }
  }
});

test("a pivot that is not positive has the same place with any number of threads", () => {
  const a = syrk(randomNormal([500, 510], { seed: 1 }));
  a.data[500 * 470 + 470] = -1;
  const refusals = [1, 3].map((count) => {
    kernels.setThreads(count);
    try {
      cholesky(a);
    } catch (error) {
      return String(error);
    }
    return "none";
  });
  expect(refusals[0]).toContain("pivot 470");
  expect(refusals[1]).toBe(refusals[0]);
});

test("derivatives of a network have the same bits with any number of threads", () => {
  const net = chain({ inputs: 200 }, dense(256, relu), dense(10));
  const batch = { x: randomNormal([256, 200], { seed: 1 }), y: randomNormal([256, 10], { seed: 2 }) };
  kernels.setThreads(1);
  const alone = gradient(net, mse, batch);
  kernels.setThreads(2);
  expect(sameBits(gradient(net, mse, batch), alone)).toBe(true);
});

test("workers do not keep a process alive", () => {
  const code = `
    import { batchedMatmul, kernels, randomNormal } from "./dist/index.js";
    kernels.setThreads(3);
    const a = randomNormal([256, 256]);
    for (let i = 0; i < 5; i++) batchedMatmul(a, a);
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(batchedMatmul(a, a).shape.join("×"), kernels.info().threads);`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(output).toBe("256×256 3\n");
});

test("what is not a number of threads is refused", () => {
  for (const count of [0, -1, 1.5, Number.NaN]) expect(() => kernels.setThreads(count)).toThrow(OptionError);
  expect(kernels.info().threads).toBeGreaterThan(0);
});
