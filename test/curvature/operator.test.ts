// Operators against the dense matrix, by its eigenvalues and its inverse.

import { describe, expect, test } from "vitest";
import {
  type CurvatureKind,
  chain,
  curvatureOf,
  curvatureOperator,
  curvatureOperatorAsync,
  DataLoader,
  dense,
  eigh,
  gaussian,
  OptionError,
  Random,
  randomNormal,
  ShapeError,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { setClock } from "../../src/kernels/steps.ts";
import { structures } from "../../src/structures/curvature.ts";

const net = chain({ inputs: 2, dtype: "float64", seed: 3 }, dense(5, tanh), dense(2));
const data = { x: randomNormal([20, 2], { seed: 1 }), y: randomNormal([20, 2], { seed: 2 }) };
const [likelihood, n] = [gaussian(), net.parameterCount];
const near = { relative: 1e-8, absolute: 1e-8 };

describe.each(["ggn", "empiricalFisher", "monteCarlo", "hessian"] as CurvatureKind[])("%s", (curvature) => {
  const operator = curvatureOperator(net, likelihood, data, { curvature });
  const matrix = curvatureOf(net, likelihood, data, { curvature, structure: "full" });
  const { values } = eigh(matrix.dense());
  const ends = Math.max(Math.abs(values.data[0]), values.data[n - 1]);

  test("products of rows", () => {
    const v = randomNormal([3, n], { seed: 4, dtype: "float64" });
    expect(operator.times(v).data).toBeAllClose(matrix.times(v).data, near);
    expect(operator.times(v.sub(1)).data).toBeAllClose(matrix.times(v).data.subarray(n, 2 * n), near);
  });

  test("eigenvalues of both ends, with vectors", () => {
    for (const which of ["largest", "smallest"] as const) {
      const found = operator.eigenvalues(4, { which, tolerance: 1e-10 });
      expect(found.converged).toBe(true);
      const due = Array.from({ length: 4 }, (_, i) => values.data[which === "largest" ? n - 1 - i : i]);
      expect(found.values.data).toBeAllClose(due, { relative: 0, absolute: 1e-8 * ends });
      const products = matrix.times(found.vectors).data;
      const moved = found.vectors.data.map((x: number, at: number) => x * found.values.data[Math.floor(at / n)]);
      expect(products).toBeAllClose(moved, { relative: 0, absolute: 1e-8 * ends });
    }
  });

  test("trace and diagonal are within four standard errors over seeds, and reproduce", () => {
    const diagonal = matrix.diagonal().data;
    const trace = [...diagonal].reduce((sum, x) => sum + x, 0);
    for (const method of ["hutch++", "hutchinson"] as const) {
      const seeds = Array.from({ length: 16 }, (_, seed) => operator.trace({ method, products: 12, seed }).value);
      const mean = seeds.reduce((sum, x) => sum + x, 0) / 16;
      const error = Math.sqrt(seeds.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 15 / 16);
      expect(Math.abs(mean - trace)).toBeLessThan(4 * error);
      expect(operator.trace({ method, products: 12, seed: 3 }).value).toBe(seeds[3]);
    }
    // As many products as there are weights, for the range, for that part, and for nothing.
    expect(operator.trace({ products: 3 * n }).value).toBeCloseTo(trace, 8);
    const { value, standardError } = operator.diagonal({ products: 80, seed: 1 });
    value.data.forEach((x: number, i: number) => {
      expect(Math.abs(x - diagonal[i])).toBeLessThan(5 * standardError.data[i] + 1e-9 * ends);
    });
  });

  test("the spectrum's moments are the matrix's in the mean, and its weights sum to S", () => {
    const { values: nodes, weights } = operator.spectrum({ products: 400, vectors: 40, seed: 2 });
    const sum = (of: (x: number) => number) => [...nodes.data].reduce((all, x, i) => all + weights.data[i] * of(x), 0);
    expect(sum(() => 1)).toBeCloseTo(n, 9);
    const square = [...values.data].reduce((all, x) => all + x * x, 0);
    expect(sum((x) => x * x) / square).toBeGreaterThan(0.8);
    expect(sum((x) => x * x) / square).toBeLessThan(1.2);
  });

  test("solutions, with each structure as a preconditioner", () => {
    const b = randomNormal([2, n], { seed: 6, dtype: "float64" });
    const shift = 0.5 + Math.max(0, -values.data[0]);
    const residualOf = (x: typeof b) =>
      matrix.times(x).data.map((entry: number, i: number) => entry + shift * x.data[i] - b.data[i]);
    const plain = operator.solve(b, { shift, tolerance: 1e-10 });
    expect(plain.converged).toBe(true);
    expect(residualOf(plain.x)).toBeAllClose(new Float64Array(2 * n), { relative: 0, absolute: 1e-8 });
    for (const structure of structures.filter((one) => one !== "operator")) {
      const preconditioner = curvatureOf(net, likelihood, data, { structure, points: data.x });
      const found = operator.solve(b, { shift, tolerance: 1e-10, preconditioner });
      expect(residualOf(found.x)).toBeAllClose(new Float64Array(2 * n), { relative: 0, absolute: 1e-8 });
      // The whole matrix's inverse is the answer itself.
      if (structure === "full" && curvature === "ggn") expect(found.products).toBeLessThanOrEqual(4);
    }
    expect(memoryUse().inUse).toBe(0);
  });
});

test("of some weights, in the order of the option, over batches", () => {
  const options = { weights: { parameters: ["1.bias", "0.weight"] } } as const;
  const operator = curvatureOperator(net, likelihood, new DataLoader(data, { batchSize: 6 }), options);
  expect(operator.size).toBe(12);
  const b = randomNormal([12], { seed: 3, dtype: "float64" });
  const preconditioner = curvatureOf(net, likelihood, data, { ...options, structure: "full" });
  const { x, products } = operator.solve(b, { shift: 0.3, preconditioner });
  expect(products).toBeLessThanOrEqual(3);
  const back = operator.times(x).data.map((entry, i) => entry + 0.3 * x.data[i]);
  expect(back).toBeAllClose(b.data, { relative: 1e-7, absolute: 1e-7 });
});

test("a network that is trained further does not change it; data that change are refused", () => {
  const own = net.clone();
  const operator = curvatureOperator(own, likelihood, data);
  const v = randomNormal([n], { seed: 3, dtype: "float64" });
  const before = operator.times(v).data;
  own.setParameters(new Float64Array(n).fill(0.1));
  expect(operator.times(v).data).toEqual(before);
  const random = new Random(1);
  const augmented = function* () {
    yield { x: data.x, y: Array.from({ length: 20 }, () => [random.normal(), 0]) };
  };
  const options = { curvature: "empiricalFisher" } as const;
  expect(() => curvatureOperator(net, likelihood, augmented, options)).toThrow(
    "two products with the same vector differ",
  );
  expect(() => curvatureOperator(net, likelihood, augmented())).toThrow("an iterator can be gone through only once");
  // The order alone changes nothing, but where draws go by it.
  const shuffled = () => new DataLoader(data, { batchSize: 7, shuffle: true });
  expect(curvatureOperator(net, likelihood, shuffled()).times(v).data).toBeAllClose(before, { relative: 1e-10 });
  expect(() => curvatureOperator(net, likelihood, shuffled(), { curvature: "monteCarlo" })).toThrow("shuffled under");
  expect(() => operator.times([1, 2])).toThrow(ShapeError);
  expect(() => operator.trace({ method: "exact" as "hutch++" })).toThrow(OptionError);
  const hessian = curvatureOperator(net, likelihood, data, { curvature: "hessian" });
  expect(hessian.eigenvalues(1, { which: "smallest" }).values.data[0]).toBeLessThan(0);
  expect(() => hessian.solve(hessian.eigenvalues(1, { which: "smallest" }).vectors)).toThrow(ValueError);
});

describe("in bursts", () => {
  const operator = curvatureOperator(net, likelihood, data);
  const b = randomNormal([2, n], { seed: 6, dtype: "float64" });
  const preconditioner = curvatureOf(net, likelihood, data, { structure: "diagonal" });
  type Options = { onProgress?: (report: { products: number }) => void; signal?: { throwIfAborted(): void } };
  const forms: Record<string, [products: number, () => unknown, (options: Options) => Promise<unknown>]> = {
    times: [2, () => operator.times(b), (options) => operator.timesAsync(b, options)],
    trace: [6, () => operator.trace({ products: 6 }), (options) => operator.traceAsync({ products: 6, ...options })],
    diagonal: [
      4,
      () => operator.diagonal({ products: 4 }),
      (options) => operator.diagonalAsync({ products: 4, ...options }),
    ],
    eigenvalues: [
      9,
      () => operator.eigenvalues(2, { products: 9 }),
      (options) => operator.eigenvaluesAsync(2, { products: 9, ...options }),
    ],
    spectrum: [
      8,
      () => operator.spectrum({ products: 8, vectors: 2 }),
      (options) => operator.spectrumAsync({ products: 8, vectors: 2, ...options }),
    ],
    solve: [
      10,
      () => operator.solve(b, { shift: 1, products: 5, preconditioner }),
      (options) => operator.solveAsync(b, { shift: 1, products: 5, preconditioner, ...options }),
    ],
    curvatureOperator: [
      2,
      () => operator.size,
      async (options) => (await curvatureOperatorAsync(net, likelihood, data, options)).size,
    ],
  };

  test.each(Object.entries(forms))(
    "%s is the same, says its products, and stops",
    async (_, [products, at, bursts]) => {
      const told: number[] = [];
      let now = 0;
      // Every step is a burst.
      setClock(() => 10 * now++);
      try {
        const found = await bursts({ onProgress: (report) => told.push(report.products) });
        expect(told).toEqual(Array.from({ length: products }, (_, i) => i + 1));
        // Behind the second product nothing more is asked.
        const reports: number[] = [];
        const stop = { throwIfAborted: () => expect(reports.length).toBeLessThan(2) };
        await expect(bursts({ onProgress: (report) => reports.push(report.products), signal: stop })).rejects.toThrow();
        expect(reports).toEqual([1, 2]);
        setClock(() => 0);
        expect(found).toEqual(at());
      } finally {
        setClock(undefined);
      }
      expect(memoryUse().inUse).toBe(0);
    },
  );

  test("what is wrong is refused as at once", async () => {
    await expect(operator.timesAsync([1, 2])).rejects.toThrow(ShapeError);
    await expect(operator.traceAsync({ method: "exact" as "hutch++" })).rejects.toThrow(OptionError);
    await expect(operator.timesAsync(b, { products: 3 } as object)).rejects.toThrow(/unknown option "products"/);
    await expect(operator.solveAsync(b, { signal: 3 as never })).rejects.toThrow(/signal must be an AbortSignal/);
  });
});
