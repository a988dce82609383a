// curvatureProduct against the matrix, for every likelihood and kind, on networks of every shape.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  bernoulli,
  type CurvatureKind,
  categorical,
  chain,
  curvatureOf,
  curvatureProduct,
  DataLoader,
  type DType,
  dense,
  flatten,
  gaussian,
  type Likelihood,
  multiply,
  type Network,
  network,
  poisson,
  Random,
  randomNormal,
  residual,
  scaleShift,
  sigmoid,
  tanh,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const kinds: CurvatureKind[] = ["ggn", "monteCarlo", "empiricalFisher"];

interface Case {
  readonly likelihood: () => Likelihood;
  readonly outputs: number;
  target(random: Random): number | number[];
}

const cases: Record<string, Case> = {
  "gaussian, one noise": {
    likelihood: () => gaussian({ noise: 0.4 }),
    outputs: 2,
    target: (random) => [random.normal(), random.normal()],
  },
  "gaussian, two noises": {
    likelihood: () => gaussian({ noise: [0.4, 3] }),
    outputs: 2,
    target: (random) => [random.normal(), random.normal()],
  },
  categorical: { likelihood: categorical, outputs: 3, target: (random) => random.integer(3) },
  "bernoulli, one logit": { likelihood: bernoulli, outputs: 1, target: (random) => random.integer(2) },
  "bernoulli, three logits": {
    likelihood: bernoulli,
    outputs: 3,
    target: (random) => [random.integer(2), random.uniform(), random.integer(2)],
  },
  poisson: { likelihood: poisson, outputs: 2, target: (random) => [random.integer(5), random.integer(3)] },
};

/** Networks with shared weights, elementwise parameters and products, besides plain ones. */
const models: Record<string, (outputs: number, dtype: DType, seed: number) => Network> = {
  plain: (outputs, dtype, seed) => chain({ inputs: [2, 3], dtype, seed }, flatten, dense(5, tanh), dense(outputs)),
  shared: (outputs, dtype, seed) =>
    chain(
      { inputs: [2, 3], dtype, seed },
      dense(4, tanh),
      scaleShift(),
      flatten,
      residual(dense(8, sigmoid)),
      dense(outputs),
    ),
  product: (outputs, dtype, seed) =>
    network({ inputs: [2, 3], dtype, seed }, (x) => {
      const layer = dense(outputs);
      const flat = flatten(x);
      return multiply(layer(flat), tanh(layer(flat)));
    }),
};

function setUp(name: string, { outputs, target }: Case, dtype: DType, seed: number) {
  const net = models[name](outputs, dtype, seed);
  const random = new Random(seed);
  const batch = 1 + random.integer(6);
  const x = randomNormal([batch, 2, 3], { seed, dtype });
  const y = array(Array.from({ length: batch }, () => target(random)));
  const v = randomNormal([net.parameterCount], { seed: seed + 1 });
  return { net, data: { x, y }, v };
}

describe.each(Object.entries(cases))("%s", (_, one) => {
  test.each(kinds)("%s: the product is the matrix times the vector", (curvature) => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(models)), fc.nat(1e6), (name, seed) => {
        for (const [dtype, tolerance] of [
          ["float64", 1e-11],
          ["float32", 1e-4],
        ] as const) {
          const { net, data, v } = setUp(name, one, dtype, seed);
          // The same seed and one part of the data: the same draws.
          const options = { curvature, seed, ...(curvature === "monteCarlo" && { monteCarloSamples: 3 }) };
          const matrix = curvatureOf(net, one.likelihood(), data, { ...options, structure: "full" });
          const due = matrix.times(v);
          const found = curvatureProduct(net, one.likelihood(), data, v, options);
          expect(found.shape).toEqual([net.parameterCount]);
          expect(found.dtype).toBe(dtype);
          const largest = Math.max(...due.data.map(Math.abs));
          expect(found.data).toBeAllClose(due.data, { relative: tolerance, absolute: tolerance * largest });
        }
      }),
      { numRuns: 20 },
    );
    expect(memoryUse().inUse).toBe(0);
  });
});

test("the curvature is symmetric and not negative, by products alone", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(models)),
      fc.constantFrom(...kinds),
      fc.nat(1e6),
      (name, curvature, seed) => {
        const { net, data, v } = setUp(name, cases.categorical, "float64", seed);
        const w = randomNormal([net.parameterCount], { seed: seed + 2 });
        const times = (u: typeof v) => curvatureProduct(net, categorical(), data, u, { curvature, seed }).data;
        const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
          Array.from(a).reduce((sum, entry, i) => sum + entry * b[i], 0);
        const scale = dot(times(v), v.data) + dot(times(w), w.data);
        expect([dot(times(v), w.data)]).toBeAllClose([dot(times(w), v.data)], {
          relative: 1e-10,
          absolute: 1e-10 * scale,
        });
        expect(dot(times(v), v.data)).toBeGreaterThanOrEqual(0);
      },
    ),
    { numRuns: 30 },
  );
});

test("many draws come near the exact curvature, and their error falls as it should", () => {
  const { net, data, v } = setUp("plain", cases.categorical, "float64", 3);
  const exact = curvatureProduct(net, "classification", data, v).data;
  const error = (monteCarloSamples: number) => {
    let square = 0;
    for (let seed = 0; seed < 8; seed++) {
      const options = { curvature: "monteCarlo", monteCarloSamples, seed } as const;
      const drawn = curvatureProduct(net, "classification", data, v, options).data;
      drawn.forEach((x: number, i: number) => {
        square += (x - exact[i]) ** 2 / 8;
      });
    }
    return Math.sqrt(square) / Math.hypot(...exact);
  };
  const [few, many] = [error(40), error(4000)];
  expect(many).toBeLessThan(0.05);
  // A hundred times the draws, a tenth of the error.
  expect(few / many).toBeGreaterThan(6);
  expect(few / many).toBeLessThan(16);
});

test("data that pass in several parts give the sum over all", () => {
  // 40 examples of 2 MB each: parts of about sixteen.
  const net = chain({ inputs: 1, dtype: "float64", seed: 1 }, dense(20_000, tanh), dense(2));
  const x = randomNormal([40, 1], { seed: 1 });
  const y = randomNormal([40, 2], { seed: 2 });
  const v = randomNormal([net.parameterCount], { seed: 3 });
  const whole = curvatureProduct(net, "regression", { x, y }, v).data;
  const pieces = new Float64Array(net.parameterCount);
  for (let b = 0; b < 40; b++) {
    const row = { x: array(x.sub(b), { shape: [1, 1] }), y: array(y.sub(b), { shape: [1, 2] }) };
    curvatureProduct(net, "regression", row, v).data.forEach((entry: number, i: number) => {
      pieces[i] += entry;
    });
  }
  expect(whole).toBeAllClose(pieces, { relative: 1e-9, absolute: 1e-9 });
});

describe("over batches and some weights", () => {
  const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4, tanh), dense(3));
  const x = randomNormal([9, 3], { seed: 1 });
  const y = Array.from({ length: 9 }, (_, i) => i % 3);
  const data = { x, y };
  const cut = [
    { x: Array.from({ length: 4 }, (_, i) => x.sub(i)), y: y.slice(0, 4) },
    { x: Array.from({ length: 5 }, (_, i) => x.sub(4 + i)), y: y.slice(4) },
  ];
  const options: [string, object][] = [
    ["last layer", { weights: "lastLayer" }],
    ["by name", { weights: { parameters: ["0.bias", "1.weight"] } }],
    ["single weights", { weights: { indices: [1, 5, 14, 30] } }],
    ["all", { weights: "all" }],
    ["none said", {}],
    ["drawn", { curvature: "monteCarlo", monteCarloSamples: 3, seed: 2 }],
    ["the data's own", { curvature: "empiricalFisher", weights: "lastLayer" }],
  ];
  const near = (found: ArrayLike<number>, due: ArrayLike<number>) => {
    expect(found.length).toBe(due.length);
    for (let i = 0; i < due.length; i++) expect(found[i]).toBeCloseTo(due[i], 10);
  };

  test.each(options)("%s", (_, some) => {
    const curvature = curvatureOf(net, "classification", data, { structure: "full", ...some });
    const v = randomNormal([curvature.size], { seed: 3, dtype: "float64" });
    const due = curvature.times(v);
    near(curvatureProduct(net, "classification", data, v, some).data, due.data);
    near(curvatureProduct(net, "classification", cut, v, some).data, due.data);
    const loader = new DataLoader({ x, y }, { batchSize: 2 });
    near(curvatureProduct(net, "classification", loader, v, some).data, due.data);
  });

  test.each([
    [{ indices: [30, 5, 1, 14] }, [30, 5, 1, 14]],
    [{ indices: [29, 3, 12, 28] }, [29, 3, 12, 28]],
    [{ indices: Uint32Array.of(8, 2, 5) }, [8, 2, 5]],
    [{ parameters: ["1.bias", "0.bias"] }, [28, 29, 30, 12, 13, 14, 15]],
  ] as const)("v and the product are in the order of %j", (weights, places) => {
    const v = randomNormal([places.length], { seed: 3, dtype: "float64" });
    const all = new Float64Array(31);
    places.forEach((place, i) => {
      all[place] = v.data[i];
    });
    const whole = curvatureProduct(net, "classification", data, all).data;
    near(
      curvatureProduct(net, "classification", data, v, { weights }).data,
      places.map((place) => whole[place]),
    );
  });

  test("frozen parameters stay out where weights are chosen", () => {
    const half = net.clone();
    half.freeze("0");
    const v = randomNormal([15], { seed: 3, dtype: "float64" });
    const due = curvatureOf(half, "classification", data, { structure: "full", weights: "all" }).times(v);
    near(curvatureProduct(half, "classification", data, v, { weights: "all" }).data, due.data);
    expect(curvatureProduct(half, "classification", data, half.parameters).shape).toEqual([31]);
  });

  test("refuses vectors of another length, no data, and what exceeds the budget", () => {
    const of = (v: Float64Array, given: unknown, some: object) => () =>
      curvatureProduct(net, "classification", given as typeof data, v, some);
    expect(of(new Float64Array(31), data, { weights: "lastLayer" })).toThrow(
      "expected a vector [15] over the selected weights, got shape [31]",
    );
    expect(of(new Float64Array(15).fill(Number.NaN), data, { weights: "lastLayer" })).toThrow("the value NaN at [0]");
    expect(of(new Float64Array(31), [], {})).toThrow("there are no data");
    expect(of(new Float64Array(31), 3, {})).toThrow("data must be an object { x, y }");
    expect(of(new Float64Array(31), data, { memoryBudget: 100 })).toThrow("memory budget");
    expect(memoryUse().inUse).toBe(0);
  });
});
