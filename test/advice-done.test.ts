// What errors advise is done: the call that is refused, with the advice in its message, and beside it the same call as advised,
// which works. At the end: no message of the library advises what is not done here, in advice.test.ts or by the findings' tests.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { studentT } from "../examples/likelihoods.ts";
import { farData } from "../src/executor.ts";
import { applyPrimitive, definePrimitive, elementwiseRules } from "../src/graph.ts";
import {
  adam,
  batchNorm,
  brierScore,
  categorical,
  chain,
  conv2d,
  crossEntropy,
  curvatureOf,
  curvatureOperator,
  type Data,
  DataLoader,
  dataset,
  defineLikelihood,
  dense,
  evaluate,
  flatten,
  gather,
  gaussian,
  jacobian,
  kernelArray,
  type LaplaceOptions,
  laplace,
  loadPosterior,
  mse,
  multiply,
  NDArray,
  network,
  OptionError,
  perSampleGradients,
  Random,
  randomNormal,
  readSafetensors,
  savePosterior,
  softmax,
  solver,
  splitDataset,
  take,
  tanh,
  train,
  workers,
  writeSafetensors,
} from "../src/index.ts";
import { pair } from "./remote/pair.ts";

interface Advice {
  /** What the message says, as the sources have it. */
  readonly says: string | RegExp;
  refused(): unknown;
  followed(): unknown;
}

const x = randomNormal([12, 2], { seed: 1 });
const y = randomNormal([12, 2], { seed: 2 });
const labels = Array.from({ length: 12 }, (_, i) => i % 2);
const data = { x, y };
const net = (dtype: "float32" | "float64" = "float64") => chain({ inputs: 2, seed: 1, dtype }, dense(2));
const options = { likelihood: "regression", checks: false } as const;
const fitted = (more: Partial<LaplaceOptions> = {}, of = data) => laplace(net(), { ...options, ...more }).fit(of);
const byProducts = { structure: "operator", solver: solver({}) } as const;
async function* inTime() {
  yield data;
}
function* batches() {
  yield data;
}
const anyOf = (value: unknown) => value as never;
type Which = "expected" | "observed";
/** Likelihoods with either information; that of heavy tails is negative at targets far off. */
const ownSquares = (curvature: Which) =>
  defineLikelihood("ownSquares", () => ({
    curvature,
    loss: (f, t) => 0.5 * (f - t) ** 2,
    gradient: (f, t) => f - t,
    information: () => 1,
    hessian: () => 1,
    draw: (f, random) => f + random.normal(),
    mean: (f) => f,
    variance: () => 1,
    constant: () => 0.5 * Math.log(2 * Math.PI),
  }));
const tails = (curvature: Which) =>
  defineLikelihood("tails", () => ({
    ...studentT({ df: 4, scale: 0.1 }),
    curvature,
    hessian: (f, t) => (5 * (0.04 - (t - f) ** 2)) / (0.04 + (t - f) ** 2) ** 2,
  }));

const wide = () => chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(8, tanh), dense(2));
const noise = new Random(1);
function* noisy() {
  yield { x: data.x, y: Array.from({ length: 12 }, () => [noise.normal(), 0]) };
}

const advices: Record<string, Advice> = {
  "a promise in the place of an array": {
    says: "It is a promise: write await before it.",
    refused: () => net().forward(anyOf(Promise.resolve(x))),
    followed: async () => net().forward(await Promise.resolve(x)),
  },
  "batches that come in time": {
    says: "the data are an async iterable: give await gather(it).",
    refused: async () => evaluate(await fitted(), anyOf(inTime())),
    followed: async () => evaluate(await fitted(), await gather(inTime())),
  },
  "batches that come in time, of a fit that goes through them later": {
    says: "give await gather(batches)",
    refused: () => fitted(byProducts, anyOf(inTime)),
    followed: async () => fitted(byProducts, anyOf(await gather(inTime))),
  },
  "a promise of data": {
    says: "the data are a promise: write await before it.",
    refused: () => fitted({}, anyOf(Promise.resolve(data))),
    followed: async () => fitted({}, await Promise.resolve(data)),
  },
  "a promise of a network": {
    says: "a promise: write await before it",
    refused: () => jacobian(anyOf(Promise.resolve(net())), x),
    followed: async () => jacobian(await Promise.resolve(net()), x),
  },
  "a promise of a fit": {
    says: "It is a promise: write await before it.",
    refused: () => laplace(net(), options).posterior(anyOf(laplace(net(), options).sum(data))),
    followed: async () => laplace(net(), options).posterior(await laplace(net(), options).sum(data)),
  },
  "a promise of a posterior": {
    says: "It is a promise: write await before it.",
    refused: () => savePosterior(anyOf(fitted())),
    followed: async () => savePosterior(await fitted()),
  },
  "a class of data": {
    says: "make one of it with new.",
    refused: () => fitted({}, anyOf(DataLoader)),
    followed: () => fitted({}, anyOf(new DataLoader(data, { batchSize: 4 }))),
  },
  "draws beside an observed information": {
    says: 'Leave "monteCarlo" out, or define the likelihood with curvature: "expected".',
    refused: () => fitted({ likelihood: ownSquares("observed")(), curvature: "monteCarlo" }),
    async followed() {
      await fitted({ likelihood: ownSquares("observed")() });
      await fitted({ likelihood: ownSquares("expected")(), curvature: "monteCarlo" });
    },
  },
  "a matrix that is not positive along a direction": {
    says: "Raise the shift.",
    refused: () => curvatureOperator(wide(), "regression", data, { curvature: "hessian" }).solve(wide().parameters),
    followed: () =>
      curvatureOperator(wide(), "regression", data, { curvature: "hessian" }).solve(wide().parameters, { shift: 1000 }),
  },
  "data that are different each time": {
    says: "Give the same data each time.",
    refused: () => curvatureOperator(net(), "regression", noisy, { curvature: "empiricalFisher" }),
    followed: () => curvatureOperator(net(), "regression", [...noisy()], { curvature: "empiricalFisher" }),
  },
  "an observed information below 0": {
    says: 'Take curvature: "expected" in what defines the likelihood, which is never negative.',
    refused: () => fitted({ likelihood: tails("observed")() }),
    followed: () => fitted({ likelihood: tails("expected")() }),
  },
  "an array after free": {
    says: "Call free() later, or clone() what is still needed before it.",
    refused() {
      const array = kernelArray([2, 2]);
      array.free();
      return net().forward(array);
    },
    followed() {
      const array = kernelArray([2, 2]);
      const kept = array.clone();
      array.free();
      return net().forward(kept);
    },
  },
  "memory that was transferred": {
    says: "Transfer a copy (slice()) instead.",
    refused() {
      const numbers = new Float64Array([1, 2, 3, 4]);
      structuredClone(numbers, { transfer: [numbers.buffer] });
      return net().forward(new NDArray(numbers, [2, 2]));
    },
    followed() {
      const numbers = new Float64Array([1, 2, 3, 4]);
      const copy = numbers.slice();
      structuredClone(copy, { transfer: [copy.buffer] });
      return net().forward(new NDArray(numbers, [2, 2]));
    },
  },
  "an iterator for two passes": {
    says: "give { x, y }, a list of batches, a DataLoader, or the generator function itself; or, where it takes one, a basis",
    refused: () => fitted({ structure: "ekfac" }, anyOf(batches())),
    async followed() {
      const of = [data, [data], new DataLoader(data, { batchSize: 4 }), batches];
      for (const each of of) await fitted({ structure: "ekfac" }, anyOf(each));
      const first = await fitted({ structure: "ekfac" });
      return fitted({ structure: "ekfac", basis: anyOf(first.curvature) }, anyOf(batches()));
    },
  },
  "an iterator that was used up": {
    says: "give { x, y }, a list of batches, a DataLoader, or the generator function itself.",
    async refused() {
      const once = batches();
      await fitted({ structure: "diagonal" }, anyOf(once));
      return fitted({ structure: "diagonal" }, anyOf(once));
    },
    async followed() {
      for (let i = 0; i < 2; i++) await fitted({ structure: "diagonal" }, anyOf(batches));
    },
  },
  "squares that overflow": {
    says: "scale inputs and targets, or use float64.",
    refused: () => steep("float32", 1e25),
    async followed() {
      await steep("float64", 1e25);
      await steep("float32", 1);
    },
  },
  "classes at every position": {
    says: "Where every position has classes, name their axis with the option classAxis.",
    refused: () =>
      brierScore(new NDArray(new Float64Array(12).fill(0.5), [2, 3, 2]), [
        [0, 1, 0],
        [1, 1, 0],
      ]),
    followed: () =>
      brierScore(
        new NDArray(new Float64Array(12).fill(0.5), [2, 3, 2]),
        [
          [0, 1, 0],
          [1, 1, 0],
        ],
        { classAxis: "last" },
      ),
  },
  "a likelihood that was not called": {
    says: "It is a function: call it, as in gaussian().",
    refused: () => laplace(net(), { likelihood: anyOf(gaussian) }),
    followed: () => laplace(net(), { likelihood: gaussian() }),
  },
  "a loss that is a function": {
    says: "It is a function: call it, as in gaussian().",
    refused: () => train(net(), data, { loss: anyOf(gaussian), epochs: 1 }),
    followed: () => train(net(), data, { loss: gaussian(), epochs: 1 }),
  },
  "a likelihood's clone": {
    says: "make it again from its options",
    refused: () => JSON.stringify(gaussian({ noise: 0.3 })),
    followed: () => laplace(net(), { likelihood: gaussian({ noise: 0.3 }) }),
  },
  "an optimiser's clone": {
    says: "make it again from its options",
    refused: () => JSON.stringify(adam({ learningRate: 0.1 })),
    followed: () => train(net(), data, { loss: mse, optimizer: adam({ learningRate: 0.1 }), epochs: 1 }),
  },
  "a posterior's clone": {
    says: "savePosterior(posterior) makes bytes of it, which loadPosterior reads",
    refused: async () => JSON.stringify(await fitted()),
    followed: async () => loadPosterior(structuredClone(savePosterior(await fitted()))),
  },
  "noises of other ratios": {
    says: "Fit again with gaussian({ noise: [1, 3] }).",
    refused: async () => (await fitted({ likelihood: gaussian({ noise: [1, 2] }) })).with({ noise: [1, 3] }),
    followed: () => fitted({ likelihood: gaussian({ noise: [1, 3] }) }),
  },
  "a primitive's name": {
    says: 'there is a primitive "elementwise" already; take another name.',
    refused: () => definePrimitive({ name: "elementwise", ...elementwiseRules({ value: Math.sin, slope: Math.cos }) }),
    followed: () =>
      definePrimitive({ name: "test.adviceSine", ...elementwiseRules({ value: Math.sin, slope: Math.cos }) }),
  },
  "a primitive's inputs": {
    says: "expected its inputs as a list, such as [x].",
    refused: () => network({ inputs: 2 }, (v) => applyPrimitive(sine, anyOf(v), undefined)),
    followed: () => network({ inputs: 2 }, (v) => applyPrimitive(sine, [v], undefined)),
  },
  "JavaScript's operators": {
    says: "Use this library's functions: add, multiply, relu,",
    refused: () => network({ inputs: 2 }, (v) => dense(2)(anyOf((v as unknown as number) * 2))),
    followed: () => network({ inputs: 2 }, (v) => dense(2)(multiply(v, 2))),
  },
  "a softmax at the end": {
    says: "Leave the softmax out.",
    refused: () => laplace(chain({ inputs: 2 }, dense(2), softmax), { likelihood: "classification" }),
    followed: () => laplace(chain({ inputs: 2 }, dense(2)), { likelihood: "classification" }),
  },
  "shards drawn at the same places": {
    says: "Of shards, give each the place of its first example, sum(data, { first }); of others, give each fit a seed of its own.",
    async refused() {
      const of = laplace(net(), { ...options, curvature: "monteCarlo" });
      return (await of.sum(data)).merge(await of.sum(data));
    },
    async followed() {
      const of = laplace(net(), { ...options, curvature: "monteCarlo" });
      (await of.sum(data)).merge(await of.sum(data, { first: 12 }));
      const other = laplace(net(), { ...options, curvature: "monteCarlo", seed: 1 });
      return (await of.sum(data)).merge(await other.sum(data));
    },
  },
  "options of a loader": {
    says: "leave them out, or give its data (loader.data) instead of the loader.",
    refused: () => train(net(), new DataLoader(data, { batchSize: 4 }), { loss: mse, batchSize: 2, epochs: 1 }),
    async followed() {
      const loader = new DataLoader(data, { batchSize: 4 });
      await train(net(), loader, { loss: mse, epochs: 1 });
      return train(net(), loader.data, { loss: mse, batchSize: 2, epochs: 1 });
    },
  },
  "one example for batchNorm": {
    says: "Give it more examples",
    refused: () => train(normed(), { x: [[1, 2]], y: [[1, 2]] }, { loss: mse, epochs: 1, batchSize: 1 }),
    followed: () => train(normed(), data, { loss: mse, epochs: 1, batchSize: 12 }),
  },
  "a last batch of one for batchNorm": {
    says: "Choose another batchSize (such as 12)",
    refused: () => train(normed(), data, { loss: mse, epochs: 1, batchSize: 11 }),
    followed: () => train(normed(), data, { loss: mse, epochs: 1, batchSize: 12 }),
  },
  "gradients row by row, and all of them": {
    says: "so there is nothing for out; give one of them.",
    refused: () =>
      perSampleGradients(net(), mse, data, anyOf({ each: () => {}, out: kernelArray([12, net().parameterCount]) })),
    followed() {
      perSampleGradients(net(), mse, data, { each: () => {} });
      return perSampleGradients(net(), mse, data, { out: kernelArray([12, net().parameterCount]) });
    },
  },
  "padding with strides": {
    says: "give the padding as a number.",
    refused: () => chain({ inputs: [1, 8, 8] }, conv2d(2, 3, undefined, { stride: 2, padding: "same" }), flatten),
    followed: () => chain({ inputs: [1, 8, 8] }, conv2d(2, 3, undefined, { stride: 2, padding: 1 }), flatten),
  },
  "bases of ekfac": {
    says: "Fit the second with the first as its `basis`.",
    async refused() {
      const first = await curvatureOf(net(), gaussian(), data, { structure: "ekfac" });
      const other = { x: take(data, [0, 1, 2]).x, y: take(data, [0, 1, 2]).y };
      return first.merge(await curvatureOf(net(), gaussian(), other, { structure: "ekfac" }));
    },
    async followed() {
      const first = await curvatureOf(net(), gaussian(), data, { structure: "ekfac" });
      const other = take(data, [0, 1, 2]);
      return first.merge(await curvatureOf(net(), gaussian(), other, { structure: "ekfac", basis: anyOf(first) }));
    },
  },
  "a loader of data for a worker": {
    says: "Give its data (loader.data), with batchSize, shuffle and seed as options.",
    refused: async () => (await pair()).train(anyOf(undefined), new DataLoader(data), { loss: mse }),
    async followed() {
      const remote = await pair();
      const { data: own, batchSize } = new DataLoader(data, { batchSize: 4 });
      await remote.train(await remote.send(net()), own, { loss: mse, batchSize, shuffle: false, epochs: 1 });
      remote.close();
    },
  },
};

/** More weights than are summed in float64 whatever the type. */
const steep = (dtype: "float32" | "float64", size: number) =>
  laplace(chain({ inputs: 2, seed: 1, dtype }, dense(600), dense(2)), {
    likelihood: "classification",
    structure: "diagonal",
    checks: false,
  }).fit({ x: [[size, -size]], y: [1] });
const sine = definePrimitive({ name: "test.adviceSines", ...elementwiseRules({ value: Math.sin, slope: Math.cos }) });
const normed = () => chain({ inputs: 2, seed: 1 }, dense(3), batchNorm(), dense(2));

describe("errors", () => {
  test.each(Object.keys(advices))("%s", async (name) => {
    const { says, refused, followed } = advices[name];
    await expect((async () => refused())()).rejects.toThrow(says);
    await followed();
  });

  // Options by the names of others, and what to write instead.
  test.each<[Record<string, unknown>, string, () => unknown]>([
    [{ noise: 0.1 }, "Write likelihood: gaussian({ noise })", () => fitted({ likelihood: gaussian({ noise: 0.1 }) })],
    [{ sigma_noise: 1 }, "Write likelihood: gaussian({ noise })", () => fitted({ likelihood: gaussian({ noise: 1 }) })],
    [
      { classAxis: "last" },
      "Write likelihood: categorical({ classAxis })",
      () => laplace(net(), { likelihood: categorical({ classAxis: "last" }), checks: false }).fit({ x, y: labels }),
    ],
    [
      { ignoredLabel: -1 },
      "Write likelihood: categorical({ ignoredLabel })",
      () => laplace(net(), { likelihood: categorical({ ignoredLabel: -1 }), checks: false }).fit({ x, y: labels }),
    ],
    [
      { approximation: "plugin" },
      "predict(x, { approximation })",
      async () => (await fitted()).predict(x, { approximation: "exact" }),
    ],
    [{ epochs: 3 }, "Write it as an option of train", () => train(net(), data, { loss: mse, epochs: 3 })],
    [
      { priorStructure: "scalar" },
      "Write it as an option of optimizePrior",
      async () => (await fitted()).optimizePrior({ priorStructure: "scalar" }),
    ],
    [{ hessian_structure: "full" }, "Write structure", () => fitted({ structure: "full" })],
    [{ subset_of_weights: "lastLayer" }, "Write weights", () => fitted({ weights: "lastLayer" })],
  ])("%j of laplace", async (wrong, says, followed) => {
    expect(() => laplace(net(), { ...options, ...wrong } as LaplaceOptions)).toThrow(says);
    await followed();
  });

  test.each([
    ["gaussian", "regression"],
    ["normal", "regression"],
    ["mse", "regression"],
    ["categorical", "classification"],
    ["multiclass", "classification"],
    ["bernoulli", "binary"],
    ["logistic", "binary"],
    ["poisson", "count"],
    ["counts", "count"],
  ] as const)("the likelihood %s is the task %s", (name, task) => {
    expect(() => laplace(net(), { likelihood: anyOf(name) })).toThrow(`That is "${task}", or `);
    laplace(net(), { likelihood: task });
  });

  test("a file's types and a split's samples", () => {
    expect(readSafetensors(writeSafetensors({ w: x })).tensors.w.shape).toEqual([12, 2]);
    expect(() => splitDataset(dataset(x, y), [0.5, 0.5], { shuffle: false, stratify: true })).toThrow("shuffle");
    expect(splitDataset(dataset(x, y), [0.5, 0.5], { shuffle: true, stratify: false }).length).toBe(2);
    expect(() => crossEntropy.with({ classAxis: "last" })).not.toThrow();
  });
});

test("a posterior by products that has no solver, too few products, or is to be tuned by an estimate", async () => {
  const by = (of?: ReturnType<typeof solver>) =>
    laplace(wide(), { ...options, structure: "operator", ...(of && { solver: of }) });
  expect(() => by()).toThrow("write solver({}), or solver({ draws: 10 })");
  const few = await by(solver({ products: 1, tolerance: 1e-9 })).fit(data);
  expect(() => few.predict(x)).toThrow("Raise products or tolerance of the solver, or priorPrecision");
  const enough = await by(solver({ tolerance: 1e-3 })).fit(data);
  enough.predict(x);
  const says = "or give optimizePrior data (on) to be predicted; or as many probes (solver) as there are weights";
  expect(() => enough.optimizePrior()).toThrow(says);
  const small = solver({ probes: 100 });
  (await laplace(net(), { ...options, structure: "operator", solver: small }).fit(data)).optimizePrior();
});

test("batches, of which some have weights", async () => {
  const weights = labels.map((label) => 1 + label);
  const ours = laplace(net(), options);
  const mixed = ours.fit([data, { ...data, weights }]);
  await expect(mixed).rejects.toThrow("give all of them weights");
  await ours.fit([data, data].map((batch) => ({ ...batch, weights })));
});

test("a pool of workers in a page, which has to be told how they are made", () => {
  const worker = { postMessage: () => {} };
  const says = 'make must be a function that makes a worker, here () => new Worker(new URL("laplace-ts/worker", import';
  expect(() => workers({ make: anyOf(worker) })).toThrow(says);
  workers({ make: () => worker }).close();
});

test("a number that tuning drove to an edge", async () => {
  const posterior = await fitted();
  const onWarning = (text: string) => {
    throw new OptionError(text);
  };
  const narrow = { on: data, noise: false, range: { priorPrecision: [1e6, 1e7] as const }, onWarning };
  expect(() => posterior.optimizePrior(narrow)).toThrow("Give another range, that goes");
  posterior.optimizePrior({ ...narrow, range: undefined, method: "grid", grid: { priorPrecision: [1] } });
  const still = net();
  still.parameters.data.fill(0);
  const zero = await laplace(still, { ...options, likelihood: gaussian({ noise: 1 }) }).fit(data);
  expect(() => zero.optimizePrior({ noise: false, onWarning })).toThrow(/or give the number yourself, by with/);
  expect(zero.with({ priorPrecision: 3 }).priorPrecision.at(0)).toBe(3);
});

test("data that lie elsewhere are for curvatures that are summed in shards", async () => {
  const inputs = 2900;
  const wide = chain({ inputs, seed: 1, dtype: "float64" }, dense(1));
  const near = { x: randomNormal([2, inputs], { seed: 1 }), y: randomNormal([2, 1], { seed: 2 }) };
  const rowsAt = (first: number) => ({ at: first, read: async () => near });
  const far = farData({ examples: 2, rowsAt });
  const fit = (more: Partial<LaplaceOptions>, of: Data = near) => laplace(wide, { ...options, ...more }).fit(of);
  await expect(fit({ structure: "full" }, far)).rejects.toThrow(
    'Choose fewer weights ("lastLayer") or "diagonal", or give { x, y }.',
  );
  const [elsewhere, here] = [await fit({ structure: "diagonal" }, far), await fit({ structure: "diagonal" })];
  expect(elsewhere.curvature.diagonal()).toEqual(here.curvature.diagonal());
});

test("every advice in the library's messages is done in a test", () => {
  const verbs = "Use|Write|Give|Set|Pass|Call|Choose|Raise|Lower|Leave|Transfer|Fit|Add";
  const advice = new RegExp(`(?:^|[.:;,] |\\bor )(?:${verbs}|write|give|set|call|make|take another|use) [^.…]*`, "g");
  // Findings are not errors, and are followed in test/diagnosis; the names of tables' options are the command line's, tested there;
  // a page's policy and the files' own words in tools/test-runtimes.mjs and test/io.
  const elsewhere = /^src\/(?:diagnosis\/|data\/(?:naming|target)\.|kernels\/|io\/)/;
  const done = [readFileSync("test/advice-done.test.ts", "utf8"), readFileSync("test/advice.test.ts", "utf8")].join();
  const said = readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((file) => !/assembly|generated|threads/.test(file) && !elsewhere.test(file))
    .flatMap((file) => {
      const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
      return [...code.matchAll(/`([^`]*)`|"([^"\n]*)"/g)]
        .map((match) => (match[1] ?? match[2]).replace(/\$\{[^}]*\}/g, "…"))
        .filter((text) => text.includes(" "))
        .flatMap((text) => [...text.matchAll(advice)].map((match) => match[0].replace(/^[.:;,] /, "").trim()));
    });
  expect(said.length).toBeGreaterThan(20);
  const missing = said.filter((text) => !done.includes(text.slice(0, 24)));
  expect(missing).toEqual([]);
});
