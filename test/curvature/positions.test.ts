// Positions that do not mix are examples of their own: a network of T positions says what the same layers say of single ones.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPlan } from "../../src/curvature/plan.ts";
import { viewOf } from "../../src/curvature/positions.ts";
import {
  array,
  bernoulli,
  type CurvatureOptions,
  categorical,
  chain,
  concatenate,
  conv2d,
  curvatureOf,
  dense,
  dropout,
  flatten,
  gaussian,
  groupNorm,
  jacobian,
  type Layer,
  type Likelihood,
  laplace,
  layerNorm,
  matmul,
  multiHeadAttention,
  multiply,
  type NDArray,
  type Network,
  network,
  permute,
  positionalEmbedding,
  Random,
  randomNormal,
  relu,
  reshape,
  residual,
  rmsNorm,
  type Structure,
  scaleShift,
  sigmoid,
  slice,
  softmax,
  split,
  sum,
  tanh,
  transpose,
} from "../../src/index.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const IGNORED = -100;
const structures: readonly Structure[] = ["full", "diagonal", "kronecker", "ekfac"];

const normal = (shape: readonly number[], seed: number): NDArray => {
  const random = new Random(seed);
  const size = shape.reduce((product, length) => product * length, 1);
  return array(
    Array.from({ length: size }, () => random.normal()),
    { shape },
  );
};

/** One half of a value times the other's sigmoid. */
const gated: Layer = (x) => {
  const [value, gate] = split(x, 2);
  return multiply(value, sigmoid(gate));
};

/** The same layers over inputs of any shape, with the same parameters. */
function networkOf(inputs: readonly number[], classes: number): Network {
  const body: Layer[] = [
    dense(4, tanh),
    scaleShift(),
    residual(layerNorm(), dense(4, relu), dropout(0.1)),
    (x) => multiply(x, 1.5),
    dense(8),
    gated,
    rmsNorm(),
    dense(classes),
  ];
  return chain({ inputs, dtype: "float64", seed: 7 }, ...body);
}

interface Task {
  readonly name: string;
  /** At positions, and of single ones. */
  readonly likelihoods: readonly [Likelihood, Likelihood];
  readonly outputs: number;
  /** Labels for so many positions. */
  target(positions: number): number[];
}

const random = new Random(2);
const maybe = (label: number) => (random.uniform() < 0.3 ? IGNORED : label);
const tasks: readonly Task[] = [
  {
    name: "categorical, some ignored",
    likelihoods: [categorical({ classAxis: "last", ignoredLabel: IGNORED }), categorical()],
    outputs: 3,
    target: (n) => Array.from({ length: n }, () => maybe(random.integer(3))),
  },
  {
    name: "bernoulli of one logit, some ignored",
    likelihoods: [bernoulli({ ignoredLabel: IGNORED }), bernoulli()],
    outputs: 1,
    target: (n) => Array.from({ length: n }, () => maybe(random.integer(2))),
  },
  {
    name: "gaussian",
    likelihoods: [gaussian({ noise: 0.4 }), gaussian({ noise: 0.4 })],
    outputs: 2,
    target: (n) => Array.from({ length: 2 * n }, () => random.normal()),
  },
];

describe.each(tasks)("$name", ({ likelihoods: [together, single], outputs, target }) => {
  const x = normal([5, 2, 3, 2], 1);
  const y = target(30);
  const each = y.length / 30;
  const counted = Array.from({ length: 30 }, (_, i) => i).filter((i) => y[i * each] !== IGNORED);
  const shape = each > 1 || outputs === 1 ? [5, 2, 3, outputs] : [5, 2, 3];
  const data = { x, y: array(y, { shape }) };
  const alone = {
    x: array(counted.map((i) => [x.data[2 * i], x.data[2 * i + 1]])),
    y: array(
      counted.flatMap((i) => y.slice(i * each, (i + 1) * each)),
      { shape: outputs === 3 ? [counted.length] : [counted.length, outputs] },
    ),
  };
  const wide = networkOf([2, 3, 2], outputs);
  const narrow = networkOf([2], outputs);

  test.each(structures)(
    "%s: fits, evidence and predictions are those of the positions that count",
    async (structure) => {
      for (const weights of [
        "all",
        "lastLayer",
        { parameters: ["0.weight", "1.scale", "2.scale", "4.bias"] },
      ] as const) {
        const fit = (net: Network, likelihood: Likelihood, on: typeof data) =>
          laplace(net, { likelihood, structure, weights, checks: false, priorPrecision: 0.7 }).fit(on);
        const [ours, theirs] = [await fit(wide, together, data), await fit(narrow, single, alone)];
        const close = { relative: 1e-9, absolute: 1e-9 };
        expect(ours.curvature.dense().data).toBeAllClose(theirs.curvature.dense().data, close);
        expect(Object.values(ours.evidence())).toBeAllClose(Object.values(theirs.evidence()), close);
        expect([ours.examples, ours.curvature.examples]).toEqual([5, 5]);
        const inputs = normal([2, 2, 3, 2], 5);
        const found = ours.predict(inputs);
        const due = theirs.predict(inputs.reshape(12, 2));
        expect(found.mean.shape).toEqual([2, 2, 3, outputs]);
        for (const name of ["mean", "variance", "functionMean", "functionVariance"] as const) {
          expect(found[name].data).toBeAllClose(due[name].data, close);
        }
        if (together.name !== "categorical") continue;
        const covariance = ours.functionCovariance(inputs, { perPosition: true });
        expect(covariance.shape).toEqual([2, 2, 3, 3, 3]);
        expect(covariance.data).toBeAllClose(theirs.functionCovariance(inputs.reshape(12, 2)).data, close);
      }
    },
  );
});

describe("a shard in which everything is ignored", () => {
  const net = networkOf([3, 2], 3);
  const likelihood = categorical({ classAxis: "last", ignoredLabel: IGNORED });
  const data = {
    x: normal([4, 3, 2], 1),
    y: [
      [0, 1, 2],
      [1, IGNORED, 0],
      [2, 2, 1],
      [0, 0, 1],
    ],
  };
  const none = {
    x: normal([2, 3, 2], 2),
    y: [
      [IGNORED, IGNORED, IGNORED],
      [IGNORED, IGNORED, IGNORED],
    ],
  };

  test.each(structures)("%s: has no loss and no curvature, and adds nothing", async (structure) => {
    for (const curvature of ["ggn", "monteCarlo", "empiricalFisher"] as const) {
      const options = { likelihood, structure, curvature, checks: false, seed: 1 };
      const some = await laplace(net, options).fit(data);
      const basis = structure === "ekfac" ? { basis: some.curvature } : {};
      const empty = await laplace(net, { ...options, ...basis, seed: 2 }).fit(none);
      expect(empty.loss).toBe(0);
      expect([...empty.curvature.dense().data].every((entry) => entry === 0)).toBe(true);
      expect(empty.evidence().logDetRatio).toBeCloseTo(0, 10);
      const merged = some.merge(empty);
      expect(merged.examples).toBe(6);
      // Where positions are not examples of their own, Kronecker factors average inputs over all of them.
      if (structure === "kronecker" && curvature !== "ggn") continue;
      expect(merged.curvature.dense().data).toBeAllClose(some.curvature.dense().data, {
        relative: 1e-12,
        absolute: 1e-13,
      });
    }
  });
});

test("many positions pass in several parts", () => {
  const [wide, narrow] = [networkOf([2000, 2], 3), networkOf([2], 3)];
  const x = normal([40, 2000, 2], 3);
  const y = Float64Array.from({ length: 80_000 }, (_, i) => (i % 11 === 0 ? IGNORED : i % 3));
  const kept = Array.from(y.keys()).filter((i) => y[i] !== IGNORED);
  const alone = { x: kept.map((i) => [x.data[2 * i], x.data[2 * i + 1]]), y: kept.map((i) => y[i]) };
  const likelihood = categorical({ classAxis: "last", ignoredLabel: IGNORED });
  const data = { x, y: array(y, { shape: [40, 2000] }) };
  const found = curvatureOf(wide, likelihood, data, { structure: "full" }).dense().data;
  const due = curvatureOf(narrow, categorical(), alone, { structure: "full" }).dense().data;
  expect(found).toBeAllClose(due, { relative: 1e-9, absolute: 1e-6 });
});

describe("positions are examples", () => {
  const last = categorical({ classAxis: "last" });
  const viewed = (net: Network, likelihood: Likelihood, options: CurvatureOptions = {}) =>
    viewOf(readPlan("test", net, () => readLikelihood("test", likelihood, net), options)) !== undefined;
  const mixing = () =>
    chain(
      { inputs: [3, 2], dtype: "float64" },
      flatten,
      dense(6, tanh),
      (x) => reshape(x, [3, 2]),
      dense(4, tanh),
      softmax,
      dense(3),
    );

  test("where nothing between the selected weights and the outputs mixes them", () => {
    expect(viewed(networkOf([3, 2], 4), last)).toBe(true);
    expect(viewed(networkOf([3, 2], 4), gaussian())).toBe(true);
    expect(viewed(mixing(), last, { weights: "lastLayer" })).toBe(true);
    expect(viewed(mixing(), last, { weights: { parameters: ["1.weight", "2.bias"] } })).toBe(true);
    expect(viewed(mixing(), last, { weights: { parameters: ["0.bias", "2.bias"] } })).toBe(false);
    expect(viewed(mixing(), last)).toBe(false);
    expect(viewed(networkOf([2], 4), categorical())).toBe(false);
  });

  test("for the whole GGN, with the classes last, and outputs that are alike", () => {
    const net = networkOf([3, 2], 4);
    expect(viewed(net, categorical({ classAxis: "first" }))).toBe(false);
    expect(viewed(net, last, { curvature: "monteCarlo" })).toBe(false);
    expect(viewed(net, last, { curvature: "empiricalFisher" })).toBe(false);
    expect(viewed(net, last, { structure: "kronecker", sharing: "reduce" })).toBe(false);
    expect(viewed(net, last, { structure: "full", sharing: "reduce" })).toBe(true);
    expect(viewed(net, gaussian({ noise: Array.from({ length: 12 }, (_, i) => 1 + i) }))).toBe(false);
  });
});

/** Layers of a value [3, 4], and whether they work on each of its rows alone. */
const between: readonly { readonly name: string; readonly alone: boolean; readonly layer: Layer }[] = [
  { name: "layerNorm", alone: true, layer: layerNorm() },
  { name: "rmsNorm", alone: true, layer: rmsNorm({ scale: false }) },
  { name: "groupNorm of rows", alone: true, layer: groupNorm(3, { scale: false, shift: false }) },
  { name: "dropout", alone: true, layer: dropout(0.2) },
  { name: "gates", alone: true, layer: gated },
  { name: "a table of positions", alone: true, layer: positionalEmbedding() },
  { name: "sinusoids", alone: true, layer: positionalEmbedding({ kind: "sinusoidal" }) },
  { name: "joined with itself", alone: true, layer: (x) => concatenate(x, tanh(x)) },
  { name: "sums of halves of rows", alone: true, layer: (x) => sum(reshape(x, [3, 2, 2]), 1) },
  { name: "turned within rows", alone: true, layer: (x) => permute(reshape(x, [3, 2, 2]), [0, 2, 1]) },
  {
    name: "products of matrices",
    alone: true,
    layer: (x) => matmul(reshape(x, [3, 2, 2]), tanh(reshape(x, [3, 2, 2]))),
  },
  { name: "dense on halves of rows", alone: true, layer: (x) => dense(3, tanh)(reshape(x, [6, 2])) },
  { name: "softmax", alone: true, layer: (x) => softmax(x) },
  { name: "softmax of what is one row", alone: false, layer: (x) => softmax(flatten(x)) },
  { name: "normalised together", alone: false, layer: (x) => groupNorm(1)(x) },
  { name: "transposed", alone: false, layer: transpose },
  { name: "stacked in front", alone: false, layer: (x) => slice(concatenate(x, tanh(x), { axis: 0 }), 1, 4, 0) },
  { name: "dense on two rows", alone: false, layer: (x) => dense(6)(reshape(concatenate(x, x), [2, 12])) },
  { name: "channels", alone: false, layer: scaleShift({ axis: "channels" }) },
  { name: "attention", alone: false, layer: multiHeadAttention(2) },
];

describe("layers between weights and outputs", () => {
  const last = categorical({ classAxis: "last" });
  const rows: Layer = (x) => reshape(x, [3, x.node.size / 3]);
  const netOf = (...layers: Layer[]) => chain({ inputs: [3, 2], dtype: "float64", seed: 3 }, ...layers);
  const x = normal([2, 3, 2], 4);

  /** Numbers in all columns that a fit pulls back. */
  function columnsOf(net: Network): number {
    let numbers = 0;
    const counting: Likelihood = {
      ...last,
      root(f, columns, to, targets) {
        numbers += columns.count * f.batch * f.outputs;
        last.root(f, columns, to, targets);
      },
    };
    curvatureOf(net, counting, { x, y: array([0, 1, 2, 2, 1, 0], { shape: [2, 3] }) }, { structure: "kronecker" });
    return numbers;
  }

  test.each(between)("$name: as many columns as one position has: $alone", ({ layer, alone }) => {
    const found = columnsOf(netOf(dense(4, tanh), layer, rows, dense(3)));
    expect(found).toBe(columnsOf(netOf(dense(4, tanh), dense(3))) * (alone ? 1 : 3));
  });

  test("whatever they are in whatever order, the curvature is JᵀJ", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...between), { minLength: 1, maxLength: 4 }),
        fc.constantFrom("all", "lastLayer", { parameters: ["0.bias"] }) as fc.Arbitrary<CurvatureOptions["weights"]>,
        (layers, weights) => {
          const again: Layer = (value) => dense(4)(rows(value));
          const net = netOf(dense(4, tanh), ...layers.flatMap(({ layer }) => [layer, again]), dense(2));
          const found = curvatureOf(net, gaussian(), { x, y: normal([2, 3, 2], 5) }, { structure: "full", weights });
          const all = jacobian(net, x).reshape(12, net.parameterCount);
          const taken = Array.from(found.selection.indices());
          const due = taken.map((p) =>
            taken.map((q) => Array.from({ length: 12 }, (_, i) => all.at(i, p) * all.at(i, q)).reduce((a, b) => a + b)),
          );
          expect(found.dense().data).toBeAllClose(due.flat(), { relative: 1e-9, absolute: 1e-10 });
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe.each(["full", "diagonal", "kronecker", "ekfac"] as const)("a segmentation, %s", (structure) => {
  // Ignored labels are among them.
  const x = randomNormal([3, 2, 3, 2], { dtype: "float64", seed: 2 });
  const y = array(
    Array.from({ length: 18 }, (_, i) => (i % 4 === 3 ? -1 : i % 3)),
    { shape: [3, 3, 2], dtype: "float64" },
  );
  const scores: Layer = (image) => conv2d(3, 1)(conv2d(2, 3, tanh, { padding: 1 })(image));
  const inputs = [2, 3, 2];
  const first = network({ inputs, dtype: "float64", seed: 1 }, scores);
  const last = network({ inputs, dtype: "float64", seed: 1 }, (image) => permute(scores(image), [1, 2, 0]));

  test.each(["all", "lastLayer"] as const)("has one curvature with classes first and last: %s", (weights) => {
    const of = (net: Network, classAxis: "first" | "last") => {
      const likelihood = categorical({ classAxis, ignoredLabel: -1 });
      return curvatureOf(net, likelihood, { x, y }, { structure, weights }).diagonal();
    };
    expect(of(first, "first")).toBeAllClose(of(last, "last"), { relative: 1e-10, absolute: 1e-12 });
  });
});
