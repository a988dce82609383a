// Bad options and data are named where they enter, before anything is computed, and nothing is half changed behind them.

import { afterEach, describe, expect, test } from "vitest";
import {
  chain,
  curvatureOf,
  dense,
  estimateMemory,
  gaussian,
  type LaplaceError,
  type LaplaceOptions,
  laplace,
  loadPosterior,
  type NDArray,
  OptionError,
  randomNormal,
  relu,
  ShapeError,
  savePosterior,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, tanh), dense(2));
const x = randomNormal([6, 2], { seed: 1 });
const y = randomNormal([6, 2], { seed: 2 });
const data = { x, y };
const likelihood = "regression";
const before = net.parameters.clone();
const quiet = { likelihood, checks: false } as const;
const fitted = await laplace(net, quiet).fit(data);
const kronecker = await laplace(net, { ...quiet, structure: "kronecker" }).fit(data);
const evidence = fitted.logMarginalLikelihood();

afterEach(() => {
  expect(net.parameters).toEqual(before);
  expect(fitted.logMarginalLikelihood()).toBe(evidence);
  expect(memoryUse().inUse).toBe(0);
});

type Kind = new (...values: never[]) => LaplaceError;

function refuses(call: () => unknown, error: Kind, message: RegExp): void {
  expect(call).toThrow(error);
  expect(call).toThrow(message);
}

// Options that laplace, curvatureOf and estimateMemory share.
const shared: [string, object, Kind, RegExp][] = [
  ["an unknown option", { structur: "full" }, OptionError, /unknown option "structur"\. Did you mean "structure"\?/],
  [
    "a structure",
    { structure: "lowrank" },
    OptionError,
    /one of "full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional", "operator", not "lowrank"/,
  ],
  ["a kind of curvature", { curvature: "fisher" }, OptionError, /curvature must be one of "ggn", .* not "fisher"/],
  ["sharing", { sharing: "all" }, OptionError, /sharing must be one of "expand", "reduce"/],
  ["no draws", { monteCarloSamples: 0 }, OptionError, /monteCarloSamples must be an integer of at least 1, not 0/],
  ["a seed", { seed: -1 }, OptionError, /seed must be an integer of at least 0, not -1/],
  ["weights", { weights: "first" }, OptionError, /weights must be "all", "lastLayer", .* not first/],
  [
    "no list of weights",
    { weights: {} },
    OptionError,
    /one list: of layers or parameters \(names\), or of indices \(positions\)/,
  ],
  [
    "two lists of weights",
    { weights: { parameters: ["0.bias"], indices: [1] } },
    OptionError,
    /one list: of layers or parameters/,
  ],
  ["what is not a list", { weights: { indices: 3 } }, OptionError, /one list: of layers or parameters/],
  ["a misspelt list", { weights: { index: [1] } }, OptionError, /unknown option "index"\. Did you mean "indices"\?/],
  [
    "an unknown parameter",
    { weights: { parameters: ["2.weight"] } },
    OptionError,
    /no parameter "2\.weight"\. It has 0\.weight/,
  ],
  ["an index twice", { weights: { indices: [3, 1, 3] } }, OptionError, /index 3 is given twice/],
  [
    "an index beyond the last",
    { weights: { indices: [17] } },
    OptionError,
    /index 17 is not a position among .* 17 parameters/,
  ],
  ["a negative index", { weights: { indices: [-1] } }, OptionError, /index -1 is not a position/],
  ["half an index", { weights: { indices: [0.5] } }, OptionError, /index 0\.5 is not a position/],
  ["no weights at all", { weights: { indices: [] } }, ShapeError, /no weights are selected/],
  [
    "single weights of Kronecker factors",
    { structure: "kronecker", weights: { indices: [1] } },
    OptionError,
    /takes whole parameters, .* Structures that fit: "full", "diagonal"/,
  ],
  [
    "single weights of ekfac",
    { structure: "ekfac", weights: { indices: [1] } },
    OptionError,
    /"ekfac" takes whole parameters/,
  ],
  ["a basis elsewhere", { structure: "full", basis: kronecker.curvature }, OptionError, /a basis is for "ekfac"/],
  [
    "what is not a basis",
    { structure: "ekfac", basis: fitted.curvature },
    OptionError,
    /comes from a "kronecker" curvature/,
  ],
  [
    "a basis of other weights",
    { structure: "ekfac", weights: "lastLayer", basis: kronecker.curvature },
    OptionError,
    /basis is over other weights/,
  ],
];

describe.each<[string, (options: object) => unknown]>([
  ["laplace", (options) => laplace(net, { likelihood, ...options } as LaplaceOptions)],
  ["curvatureOf", (options) => curvatureOf(net, likelihood, data, options)],
  ["estimateMemory", (options) => estimateMemory(net, { likelihood, ...options } as LaplaceOptions)],
])("%s refuses", (name, call) => {
  test.each(shared)("%s", (_, options, error, message) => {
    refuses(() => call(options), error, message);
    expect(() => call(options)).toThrow(name);
  });

  test("frozen parameters, by name and by position; without them there is nothing left", () => {
    net.freeze("0.weight");
    refuses(() => call({ weights: { parameters: ["0.weight"] } }), OptionError, /parameter "0\.weight" is frozen/);
    refuses(() => call({ weights: { indices: [0] } }), OptionError, /indices of the parameter "0\.weight" .* frozen/);
    net.freeze("0", "1");
    refuses(() => call({}), ShapeError, /no weights are selected/);
    net.unfreeze();
  });
});

describe("laplace refuses", () => {
  test.each<[string, object, Kind, RegExp]>([
    ["no likelihood", { likelihood: undefined }, OptionError, /must be gaussian\(\), .* or a task's name/],
    ["an unknown task", { likelihood: "regresion" }, OptionError, /"regression", .* not "regresion"/],
    ["classes of one output at most", { likelihood: gaussian({ noise: [1] }) }, ShapeError, /1 noises, but/],
    ["a prior of 0", { priorPrecision: 0 }, ValueError, /prior precision must be positive, but number 0 is 0/],
    ["a negative prior", { priorPrecision: [1, 1, -2, 1] }, ValueError, /number 2 is -2/],
    ["an infinite prior", { priorPrecision: Number.POSITIVE_INFINITY }, ValueError, /must be positive/],
    ["a prior of NaN", { priorPrecision: Number.NaN }, ValueError, /number 0 is NaN/],
    [
      "two priors",
      { priorPrecision: [1, 2] },
      ShapeError,
      /one for each of the 4 parameters or one for each of the 17/,
    ],
    ["a prior with rows", { priorPrecision: [[1, 2, 3, 4]] }, ShapeError, /not of shape \[1, 4\]/],
    ["a prior mean of another length", { priorMean: [0, 0] }, ShapeError, /one for each of the 17 weights, .* \[2\]/],
    ["a prior mean of NaN", { priorMean: Number.NaN }, ValueError, /the prior mean has the value NaN at \[0\]/],
    [
      "a prior for each weight in Kronecker factors",
      { structure: "kronecker", priorPrecision: Array(17).fill(1) },
      OptionError,
      /Structures that take one for each weight: "full", "diagonal"/,
    ],
    [
      "a prior for each weight in ekfac",
      { structure: "ekfac", priorPrecision: Array(17).fill(1) },
      OptionError,
      /structure "ekfac" the prior precision is one number/,
    ],
    ["a temperature of 0", { temperature: 0 }, OptionError, /temperature must be a finite number above 0/],
    ["damping that is a number", { damping: 1 }, OptionError, /damping must be true or false/],
    [
      "damping of a full matrix",
      { damping: true },
      OptionError,
      /damping is for the structure "kronecker", not "full"/,
    ],
    ["damping of ekfac", { damping: true, structure: "ekfac" }, OptionError, /not "ekfac"/],
    ["checks that are not a choice", { checks: "no" }, OptionError, /checks must be true or false, not no/],
    ["a budget below 0", { memoryBudget: -1 }, OptionError, /memoryBudget must be a finite number of at least 0/],
    ["a budget of NaN", { memoryBudget: Number.NaN }, OptionError, /memoryBudget must be/],
    ["a warning that is text", { onWarning: "console" }, OptionError, /onWarning must be a function, not string/],
  ])("%s", (_, options, error, message) => {
    refuses(() => laplace(net, { likelihood, ...options } as LaplaceOptions), error, message);
  });

  test("no options", () => {
    refuses(() => laplace(net, undefined as never), OptionError, /options must be an object, not undefined/);
  });
});

describe("a posterior refuses", () => {
  test.each<[string, () => unknown, Kind, RegExp]>([
    [
      "with: unknown",
      () => fitted.with({ prior: 1 } as never),
      OptionError,
      /with: unknown option "prior"\. Did you mean "priorPrecision"/,
    ],
    [
      "with: a prior of 0",
      () => fitted.with({ priorPrecision: 0 }),
      ValueError,
      /with: the prior precision must be positive/,
    ],
    [
      "with: a prior of another length",
      () => fitted.with({ priorPrecision: [1, 2, 3] }),
      ShapeError,
      /with: .* not of shape \[3\]/,
    ],
    ["with: a mean of another length", () => fitted.with({ priorMean: [1, 2, 3] }), ShapeError, /with: the prior mean/],
    ["with: no noise", () => fitted.with({ noise: 0 }), OptionError, /with: noise must be a finite number above 0/],
    ["with: no temperature", () => fitted.with({ temperature: -1 }), OptionError, /with: temperature must be/],
    [
      "optimizePrior: unknown",
      () => fitted.optimizePrior({ step: 3 } as never),
      OptionError,
      /optimizePrior: unknown option "step"\. Did you mean "steps"/,
    ],
    [
      "optimizePrior: a method",
      () => fitted.optimizePrior({ method: "sgd" as never }),
      OptionError,
      /one of "bfgs", "adam", not "sgd"/,
    ],
    [
      "optimizePrior: a structure",
      () => fitted.optimizePrior({ priorStructure: "layer" as never }),
      OptionError,
      /one of "scalar", "perParameter", "perWeight"/,
    ],
    [
      "optimizePrior: noise",
      () => fitted.optimizePrior({ noise: 1 as never }),
      OptionError,
      /noise must be true or false/,
    ],
    [
      "optimizePrior: steps",
      () => fitted.optimizePrior({ steps: -1 }),
      OptionError,
      /steps must be an integer of at least 0/,
    ],
    [
      "optimizePrior: a rate",
      () => fitted.optimizePrior({ learningRate: 0 }),
      OptionError,
      /learningRate must be a finite number above 0/,
    ],
    [
      "optimizePrior: each weight",
      () => kronecker.optimizePrior({ priorStructure: "perWeight" }),
      OptionError,
      /optimizePrior: with the structure "kronecker"/,
    ],
    [
      "predict: unknown",
      () => fitted.predict(x, { approx: "exact" } as never),
      OptionError,
      /predict: unknown option "approx"\. Did you mean "approximation"/,
    ],
    [
      "predict: another likelihood's link",
      () => fitted.predict(x, { approximation: "probit" }),
      OptionError,
      /one of "exact", "network", not "probit"/,
    ],
    [
      "predict: no samples",
      () => fitted.predict(x, { samples: 0 }),
      OptionError,
      /samples must be an integer of at least 1/,
    ],
    ["predict: a seed", () => fitted.predict(x, { seed: 0.5 }), OptionError, /seed must be an integer/],
    [
      "predict: another width",
      () => fitted.predict([[1, 2, 3]]),
      ShapeError,
      /predict: expected inputs of shape \[B, 2\]/,
    ],
    ["predict: NaN", () => fitted.predict([[1, Number.NaN]]), ValueError, /predict: x has the value NaN at \[0, 1\]/],
    ["predict: nothing", () => fitted.predict(new Float64Array(0)), ShapeError, /predict: /],
    [
      "functionCovariance: joint",
      () => fitted.functionCovariance(x, { joint: 1 as never }),
      OptionError,
      /joint must be true or false/,
    ],
    [
      "functionCovariance: another width",
      () => fitted.functionCovariance([[1]], { joint: true }),
      ShapeError,
      /functionCovariance: /,
    ],
    ["functionSamples: n", () => fitted.functionSamples(x, 1.5), OptionError, /n must be an integer of at least 0/],
    [
      "functionSamples: unknown",
      () => fitted.functionSamples(x, 1, { seeds: 1 } as never),
      OptionError,
      /Did you mean "seed"/,
    ],
    ["sample: n", () => fitted.sample(-1), OptionError, /sample: n must be an integer of at least 0, not -1/],
    ["sample: a seed", () => fitted.sample(1, { seed: -1 }), OptionError, /seed must be an integer/],
    [
      "logProb: another length",
      () => fitted.logProb([1, 2]),
      ShapeError,
      /logProb: expected a vector \[17\] or rows \[n, 17\], got shape \[2\]/,
    ],
    [
      "curvature.times: another length",
      () => fitted.curvature.times([[1, 2]]),
      ShapeError,
      /times: expected a vector \[17\]/,
    ],
  ])("%s", (_, call, error, message) => refuses(call, error, message));

  test("noise where a likelihood has none", async () => {
    const labels = { x, y: [0, 1, 0, 1, 1, 0] };
    const classes = await laplace(net, { likelihood: "classification", checks: false }).fit(labels);
    refuses(() => classes.with({ noise: 1 }), OptionError, /with: a categorical likelihood has no noise/);
    refuses(() => classes.optimizePrior({ noise: true }), OptionError, /a categorical likelihood has no noise to tune/);
    const links = /one of "meanField2", "probit", "plugin", .* "network", not "exact"/;
    refuses(() => classes.predict(x, { approximation: "exact" }), OptionError, links);
  });

  test("noise of several outputs: as it was fitted, with other ratios not", async () => {
    const noises = await laplace(net, { ...quiet, likelihood: gaussian({ noise: [0.2, 0.8] }) }).fit(data);
    const twice = noises.with({ noise: [0.4, 1.6] });
    expect(twice.noise?.data).toBeAllClose([0.4, 1.6]);
    expect(twice.evidence()).toEqual(noises.with({ noise: twice.likelihood.hyper.value }).evidence());
    expect(noises.with({ noise: noises.noise as NDArray }).noise).toBeAllClose(noises.noise as NDArray);
    expect(fitted.with({ noise: [0.5, 0.5] }).noise?.data).toBeAllClose([0.5, 0.5]);
    const ratios = /other ratios than those of the fit \(0\.5000, 2\.000\), .* gaussian\(\{ noise: \[1, 1\] \}\)/;
    refuses(() => noises.with({ noise: [1, 1] }), ValueError, ratios);
    refuses(() => noises.with({ noise: [1, 2, 3] }), ShapeError, /one for each of the 2 outputs, not of shape \[3\]/);
    refuses(() => noises.with({ noise: [1, -1] }), OptionError, /noise must be a finite number above 0, not -1/);
  });

  test("options that would not be looked at", () => {
    for (const curvature of ["ggn", "empiricalFisher"] as const) {
      const refused = new RegExp(`monteCarloSamples is for the curvature "monteCarlo", not "${curvature}"`);
      refuses(() => laplace(net, { ...quiet, curvature, monteCarloSamples: 5 }), OptionError, refused);
    }
  });

  test("to merge with what does not add", async () => {
    const fit = (options: Partial<LaplaceOptions>, model = net) => laplace(model, { ...quiet, ...options }).fit(data);
    const merge = (other: unknown) => () => fitted.merge(other as typeof fitted);
    refuses(merge(kronecker), ValueError, /a full curvature does not add to a kronecker one|kronecker/);
    refuses(merge(await fit({ weights: "lastLayer" })), ValueError, /over different weights/);
    refuses(
      merge(await fit({ curvature: "empiricalFisher" })),
      ValueError,
      /a "empiricalFisher" does not add to a "ggn"/,
    );
    refuses(merge(await fit({ likelihood: "count" }, net).catch(() => null)), ValueError, /merge: /);
    const twoNoises = await fit({ likelihood: gaussian({ noise: [1, 2] }) });
    refuses(merge(twoNoises), ValueError, /ratios of the outputs' noises differ/);
    const moved = net.clone(net.parameters.data.map((w) => w + 1));
    refuses(merge(await fit({}, moved)), ValueError, /fitted at different parameters/);
    refuses(merge(undefined), ValueError, /must be a posterior/);
    const activation = chain({ inputs: 2, dtype: "float64" }, dense(3, relu), dense(2));
    activation.setParameters(net.parameters);
    const different = /different networks, which have "tanh" and "relu" at node 2/;
    refuses(merge(await fit({}, activation)), ValueError, different);
    const named = chain({ inputs: 2, dtype: "float64" }, dense(3, tanh, { name: "first" }), dense(2));
    named.setParameters(net.parameters);
    expect(fitted.merge(await fit({}, named)).examples).toBe(12);
    expect(fitted.merge(loadPosterior(savePosterior(fitted))).examples).toBe(12);
    const others = { x: randomNormal([6, 2], { seed: 3 }), y };
    const a = await fit({ structure: "ekfac" });
    const b = await laplace(net, { ...quiet, structure: "ekfac" }).fit(others);
    refuses(() => a.merge(b), ValueError, /different eigenbases, .* as its `basis`/);
    const reduce = await fit({ structure: "kronecker", sharing: "reduce" });
    refuses(() => kronecker.merge(reduce), ValueError, /factors of "reduce" do not add to those of "expand"/);
    // Another noise adds: the curvature is at unit noise.
    expect(fitted.merge(await fit({ likelihood: gaussian({ noise: 3 }) })).examples).toBe(12);
  });
});
