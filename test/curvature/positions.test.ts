// Positions that do not mix are examples of their own: a network of T positions says what the same layers say of single ones.

import { describe, expect, test } from "vitest";
import { readPlan } from "../../src/curvature/accumulate.ts";
import { viewOf } from "../../src/curvature/positions.ts";
import {
  array,
  bernoulli,
  type CurvatureOptions,
  categorical,
  chain,
  conv2d,
  curvatureOf,
  dense,
  flatten,
  gaussian,
  type Layer,
  type Likelihood,
  laplace,
  multiply,
  type NDArray,
  type Network,
  network,
  permute,
  Random,
  randomNormal,
  relu,
  reshape,
  residual,
  type Structure,
  scaleShift,
  softmax,
  tanh,
} from "../../src/index.ts";

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

/** The same layers over inputs of any shape, with the same parameters. */
function networkOf(inputs: readonly number[], classes: number): Network {
  const body: Layer[] = [
    dense(4, tanh),
    scaleShift(),
    residual(dense(4, relu)),
    (x) => multiply(x, 1.5),
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
      for (const weights of ["all", "lastLayer", { parameters: ["0.weight", "1.scale", "3.bias"] }] as const) {
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
      // Where positions are no examples of their own, Kronecker factors average inputs over all of them.
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
    viewOf(readPlan("test", net, likelihood, options)) !== undefined;
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
