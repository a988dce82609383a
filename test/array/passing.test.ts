// Arrays where JavaScript copies, lists or converts objects: the numbers go along, or there is an error.

import { inspect } from "node:util";
import { deserialize, serialize } from "node:v8";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
  accuracy,
  adam,
  array,
  bernoulli,
  calibrationCurve,
  categorical,
  chain,
  curvatureOf,
  DataLoader,
  type DType,
  dataset,
  dense,
  eigh,
  estimateMemory,
  evaluate,
  gaussian,
  jvp,
  kernelArray,
  kernels,
  LaplaceError,
  laplace,
  NDArray,
  poisson,
  Random,
  readSafetensors,
  ShapeError,
  sgd,
  uncertainty,
  ValueError,
  writeSafetensors,
  zeros,
} from "../../src/index.ts";

const arrays = fc
  .record({
    shape: fc.array(fc.nat(3), { maxLength: 4 }),
    dtype: fc.constantFrom<DType>("float32", "float64"),
    start: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  })
  .map(({ shape, dtype, start }) => {
    const result = zeros(shape, { dtype });
    for (let i = 0; i < result.size; i++) result.data[i] = start + i / 3;
    return result;
  });

const worker = new Worker(
  'const { parentPort } = require("node:worker_threads"); parentPort.on("message", (m) => parentPort.postMessage(m));',
  { eval: true },
);
afterAll(() => worker.terminate());
const sentThere = <T>(value: T): Promise<T> =>
  new Promise((resolve) => {
    worker.once("message", resolve);
    worker.postMessage(value);
  });

describe("a copy of an array", () => {
  test("by structuredClone has shape, type and numbers, and is taken for an array", () => {
    fc.assert(
      fc.property(arrays, (a) => {
        for (const copy of [structuredClone(a), deserialize(serialize(a)) as NDArray]) {
          expect(copy).not.toBeInstanceOf(NDArray);
          expect([copy.shape, copy.dtype, copy.size]).toEqual([a.shape, a.dtype, a.size]);
          expect(copy.data).toEqual(a.data);
          expect(copy.data).not.toBe(a.data);
          expect(array(copy)).toEqual(a);
        }
      }),
    );
  });

  test("by postMessage too, there and back, predictions and data", async () => {
    const data = dataset([[1], [2], [4]], [1, 2, 3]);
    const net = chain({ inputs: 1, seed: 1 }, dense(1));
    const posterior = await laplace(net, { likelihood: "regression", checks: false }).fit(data);
    const prediction = posterior.predict(data.x);
    const copy = await sentThere({ data, prediction });
    for (const name of ["mean", "variance", "functionMean", "functionVariance"] as const) {
      expect(array(copy.prediction[name])).toEqual(prediction[name]);
    }
    const again = await laplace(net, { likelihood: "regression", checks: false }).fit(copy.data);
    expect(again.predict(copy.data.x)).toEqual(prediction);
  });

  test("stands where arrays stand: in lists, as a direction, as what metrics take", () => {
    const row = structuredClone(array([1, 2]));
    expect(array([row, [3, 4]]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const net = chain({ inputs: 1, seed: 1 }, dense(1));
    expect(jvp(net, structuredClone(array([[1]])), structuredClone(array([1, 2]))).toArray()).toEqual([[3]]);
    expect(accuracy(structuredClone(array([0.1, 0.9])), structuredClone(array([0, 1])))).toBe(1);
    expect(() => array({ shape: [3], data: new Float64Array(2) })).toThrow(ShapeError);
  });

  test("of an array in the kernels' memory is refused, and JSON has its numbers", () => {
    const a = kernelArray([2, 2]);
    a.data.set([1, 2, 3, 4]);
    for (const part of [a, a.sub(1), a.reshape(4)]) {
      expect(() => structuredClone(part)).toThrow(/clone\(\) it first.*could not be cloned/);
    }
    expect(structuredClone(a.clone()).data).toEqual(Float64Array.of(1, 2, 3, 4));
    expect(JSON.stringify(a)).toBe("[[1,2],[3,4]]");
    expect([...a]).toEqual([1, 2, 3, 4]);
    a.free();
  });
});

describe("JSON of an array", () => {
  test("is nested lists, of which array makes the same numbers", () => {
    fc.assert(
      fc.property(arrays, (a) => {
        fc.pre(a.size > 0 && !a.data.some((x) => Object.is(x, -0)));
        expect(array(JSON.parse(JSON.stringify({ a })).a, { dtype: a.dtype })).toEqual(a);
      }),
    );
  });

  test("refuses numbers that JSON does not have", () => {
    expect(() => JSON.stringify({ a: array([[1, Number.NaN]]) })).toThrow(ValueError);
    expect(() => JSON.stringify(array([[1, Number.NaN]]))).toThrow(/NaN at \[0, 1\], which JSON has no number for/);
  });
});

describe("an array as a list", () => {
  test("gives its numbers, row-major", () => {
    fc.assert(
      fc.property(arrays, (a) => {
        const expected = Array.from(a.data);
        expect([...a]).toEqual(expected);
        expect(Array.from(Float64Array.from(a))).toEqual(expected);
        expect(Array.from(new Float64Array(a))).toEqual(expected);
        expect(Math.max(...a)).toBe(Math.max(...expected));
      }),
    );
  });

  test("is refused where its numbers would not be found", () => {
    const a = array([[1, 2]]);
    expect(() => new Float64Array(2).set(a as never)).toThrow(/no length: `shape\[0\]` counts its rows/);
    expect(() => Math.max(a as never)).toThrow(/An array of shape \[1, 2\] is not a number/);
    expect(() => Array.prototype.map.call(a, (x) => x)).toThrow(ShapeError);
    expect(() => Float64Array.of(a as never)).toThrow(ShapeError);
  });

  test("is a number where it holds one, and a text where one is expected", () => {
    expect(Number(array([[7]]))).toBe(7);
    expect(`${array([1, 2])}`).toBe(array([1, 2]).toString());
    expect(inspect(array([1, 2]))).toBe(array([1, 2]).toString());
    expect(inspect({ a: array([1]) })).toContain("1");
  });
});

describe("an entry that is not a number is named, with its place and what to do", () => {
  test.each([
    [
      "labels as texts",
      ["cat", "dog"],
      /dataset: the entry of y at \[0\], "cat" \(string\), is not a number\. Labels of classes are integers from 0.*indexOf/,
    ],
    ["a number as a text", [0, "1"], /entry of y at \[1\], "1" \(string\).*Number\(text\)/],
    ["a hole", [0, undefined], /entry of y at \[1\], undefined, is not a number.*missing value/],
    ["null in a row", [[0], [null]], /entry of y at \[1, 0\], null \(object\), is/],
    ["a row that is missing", [[0], null], /entry of y at \[1\], null \(object\), is/],
    ["a truth value", [true, false], /entry of y at \[0\], true \(boolean\)/],
  ])("%s", (_, y, message) => {
    expect(() => dataset([[1], [2]], y as never)).toThrow(message);
  });
});

describe("what cannot be copied refuses it, and says what to do instead", () => {
  const net = chain({ inputs: 1, seed: 1 }, dense(1));
  const data = { x: [[1], [2]], y: [1, 2] };
  const fitted = () => laplace(net, { likelihood: "regression", checks: false }).fit(data);
  const cases: [string, () => object | Promise<object>, RegExp][] = [
    ["a posterior", fitted, /savePosterior\(posterior\).*loadPosterior/],
    ["a tuned posterior", async () => (await fitted()).optimizePrior(), /savePosterior/],
    ["what laplace gives", () => laplace(net, { likelihood: "regression" }), /savePosterior/],
    ["a network", () => net, /net\.named\(\).*loadWeights/],
    ["a curvature", () => curvatureOf(net, "regression", data), /dense\(\).*savePosterior/],
    ["a diagonal one", () => curvatureOf(net, "regression", data, { structure: "diagonal" }), /dense\(\)/],
    ["Kronecker factors", () => curvatureOf(net, "regression", data, { structure: "kronecker" }), /dense\(\)/],
    ["their eigenvalues", () => curvatureOf(net, "regression", data, { structure: "ekfac" }), /dense\(\)/],
    ["a DataLoader", () => new DataLoader(data), /its data.*new DataLoader/],
    ["random numbers", () => new Random(3), /seed/],
    ["gaussian", () => gaussian({ noise: [1, 2] }), /make it again/],
    ["categorical", () => categorical(), /make it again/],
    ["bernoulli", () => bernoulli(), /make it again/],
    ["poisson", () => poisson(), /make it again/],
    ["sgd", () => sgd(), /make it again/],
    ["adam", () => adam(), /make it again/],
  ];

  test.each(cases)("%s", async (_, make, advice) => {
    const object = await make();
    expect(() => structuredClone(object)).toThrow(/could not be cloned/);
    expect(() => structuredClone({ within: [object] })).toThrow(/could not be cloned/);
    expect(() => worker.postMessage(object)).toThrow(/could not be cloned/);
    expect(() => JSON.stringify(object)).toThrow(LaplaceError);
    expect(() => JSON.stringify({ within: [object] })).toThrow(advice);
    expect(inspect(object)).not.toContain("cloning");
  });

  test("the error of a clone says so too", async () => {
    const posterior = await fitted();
    expect(() => structuredClone(posterior)).toThrow(/savePosterior\(posterior\)/);
    expect(() => structuredClone(new DataLoader(data))).toThrow(/make a new DataLoader/);
  });
});

test("results of plain numbers and arrays are copied whole", async () => {
  const data = dataset([[1], [2], [4], [7]], [1, 2, 3, 3.5]);
  const posterior = (
    await laplace(chain({ inputs: 1, seed: 1 }, dense(1)), { likelihood: "regression", checks: false }).fit(data)
  ).optimizePrior();
  const { mean, variance } = posterior.predict(data.x);
  const results: object[] = [
    evaluate(posterior, data),
    posterior.evidence(),
    posterior.tuning as object,
    posterior.diagnose(data),
    uncertainty(posterior, data.x),
    eigh([
      [2, 1],
      [1, 2],
    ]),
    calibrationCurve(mean, variance, data.y),
    kernels.info(),
    estimateMemory(posterior.net, { likelihood: "regression" }),
    readSafetensors(writeSafetensors({ a: array([1, 2]) }, { by: "us" })),
  ];
  const plain = (value: unknown): unknown => {
    if (value instanceof NDArray) return { numbers: [...value], shape: value.shape };
    if (value === null || typeof value !== "object") return value;
    if ("data" in value && "shape" in value) {
      const { data: numbers, shape } = value as unknown as NDArray;
      return { numbers: [...numbers], shape };
    }
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
  };
  for (const result of results) {
    expect(plain(structuredClone(result))).toEqual(plain(result));
    expect(JSON.stringify(result).length).toBeGreaterThan(2);
  }
});
