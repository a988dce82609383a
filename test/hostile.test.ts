// Whatever a function is given in the place of an argument or an option, it gives a result or an error of the library's own,
// never one from inside; options that are misspelt are refused, and what numbers cannot be does not become NaN.

import { expect, test } from "vitest";
import * as L from "../src/index.ts";

const { array, chain, dense, laplace, tanh } = L;
const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(2, tanh), dense(1));
const x = [
  [1, 2],
  [3, 4],
  [0.5, 1],
  [2, 2],
];
const y = [[1], [2], [3], [1]];
const labels = [0, 1, 1, 0];
const data = { x, y };
const la = laplace(net, { likelihood: "regression", checks: false });
const fit = await la.sum(data);
const reg = la.posterior(fit);
const two = chain({ inputs: 2, seed: 1 }, dense(2));
const cls = await laplace(two, { likelihood: "classification", checks: false }).fit({ x, y: labels });
const pair = { x: [x.slice(0, 2)], y: [1] };
const pref = await laplace(L.preference(net), { likelihood: "classification", checks: false }).fit(pair);
const mixed = L.mixture([reg, reg], [1, 2]);
const direction = net.parameters.data.map((_, i) => i / 10);
const state = { mean: array(direction), precision: array(direction.map(() => 2)), effectiveSamples: 4, examples: 4 };
const operator = L.curvatureOperator(net, "regression", data);
const spd = [
  [2, 1],
  [1, 3],
];
const probabilities = labels.map((l) => [0.3 + 0.4 * l, 0.7 - 0.4 * l]);
const [mean, variance] = [y, y];
const written = { kind: "number", decimal: ".", thousands: "", unit: "" };
const rule = { texts: ["x"], marks: "usual" };
const rows = Array.from({ length: 12 }, (_, i) => [String(i / 3), i % 2 ? "u" : "v", String(i * 2)]);
const numbersPredicted = {
  rows: 2,
  parts: [{ weight: 1, mean: Float64Array.of(1, 2), sd: Float64Array.of(1, 1) }],
  epistemic: [0, 0],
  functionVariance: [0, 0],
  far: [false, false],
  unusual: [[], []],
};
const on = (object: object, name: string) => [object, name] as const;

/** Functions, by name or as methods, and arguments that they take. */
const calls: readonly (readonly [string | readonly [object, string], ...unknown[]])[] = [
  ["array", [1, 2, 3], { dtype: "float32" }],
  ["full", [2, 3], 7, { dtype: "float32" }],
  ["kernelArray", [2, 3], { dtype: "float32" }],
  ["zeros", [2, 3], { dtype: "float64" }],
  ["einsum", "ij,jk->ik", spd, spd],
  ["batchedMatmul", [spd], [spd]],
  ["batchedOuter", spd, spd],
  ["logGamma", 2.5],
  ["randomNormal", [2, 3], { seed: 1 }],
  ["dataset", x, y],
  ["dataset", x, y, [1, 2, 0, 1]],
  ["classWeights", labels, [1, 2]],
  ["expectedImprovement", mean, variance, { best: 1, goal: "min" }],
  ["upperConfidenceBound", mean, variance, { deviations: 1, goal: "min" }],
  ["inputGradients", reg, x, {}],
  ["acquisitionGradients", reg, x, { rule: "expectedImprovement", best: 1, goal: "min" }],
  ["mostInformative", cls, x, 2, {}],
  ["thompsonChoice", reg, x, 2, { goal: "min", seed: 1 }],
  ["mixture", [reg, reg], [1, 2]],
  [on(mixed, "predict"), x, { approximation: "exact", seed: 1 }],
  [on(mixed, "intervals"), x, { level: 0.8 }],
  [on(mixed, "evaluate"), data, { level: 0.8 }],
  ["saveMixture", mixed],
  ["loadMixture", L.saveMixture(mixed)],
  ["preference", net],
  ["rewards", pref, x, { reference: [1, 2] }],
  ["logProbabilitiesOf", [cls, cls], x, { memoryBudget: 1e9 }],
  ["accuracy", probabilities, labels, { weights: [1, 2, 0, 1] }],
  ["crps", mean, variance, y, { weights: [1, 2, 0, 1] }],
  ["splitDataset", data, [0.5, 0.5], { seed: 1, shuffle: true }],
  ["take", data, [0, 1]],
  ["toyRegression", { samples: 10 }],
  ["curvatureOf", net, "regression", data, { structure: "diagonal" }],
  ["curvatureProduct", net, "regression", data, direction, { curvature: "ggn" }],
  ["curvatureProduct", net, "regression", data, direction, { curvature: "hessian" }],
  ["curvatureOperator", net, "regression", data, { curvature: "ggn" }],
  [on(operator, "times"), direction],
  [on(operator, "trace"), { products: 6, seed: 1 }],
  [on(operator, "diagonal"), { products: 4 }],
  [on(operator, "eigenvalues"), 2, { which: "largest" }],
  [on(operator, "spectrum"), { products: 4, vectors: 2 }],
  [on(operator, "solve"), direction, { shift: 1 }],
  ["gradient", net, L.mse, data, { reduction: "sum" }],
  ["perSampleGradients", net, L.mse, data, {}],
  ["jacobian", net, x, {}],
  ["jvp", net, x, direction],
  ["vjp", net, x, y],
  ["accuracy", probabilities, labels],
  ["auroc", [0.1, 0.9, 0.8, 0.2], labels],
  ["reliabilityCurve", probabilities, labels, { bins: 5 }],
  ["calibrationCurve", mean, variance, y, { bins: 5 }],
  ["intervalCoverage", mean, variance, y, { level: 0.9 }],
  ["sigmaScaling", mean, variance, mean],
  ["conformalIntervals", { mean, variance, targets: y }, { mean, variance }, { level: 0.7 }],
  ["conformalSets", { probabilities, labels }, probabilities, { level: 0.7, score: "aps" }],
  ["foldIntervals", { mean, variance, targets: y, fold: [0, 1, 0, 1] }, [1, 2].map(() => ({ mean, variance })), {}],
  ["coverageByGroup", { lower: mean, upper: mean }, y, ["a", "b", "a", "b"]],
  ["coverageBySlab", { lower: mean, upper: mean }, y, { slabs: 2 }],
  ["poissonNegativeLogLikelihood", [0, 1], [1, 1], [1, 2]],
  ["normalCdf", 1],
  ["normalQuantile", 0.3],
  ["evaluate", reg, data, {}],
  ["epistemicScore", cls, x, {}],
  ["uncertainty", cls, x, {}],
  ["outOfDistributionAuroc", cls, x, x, {}],
  ["loadPosterior", L.savePosterior(reg)],
  ["saveFit", fit],
  ["readSafetensors", L.writeSafetensors({ a: array([1]) })],
  ["writeSafetensors", { a: array([1]) }, { text: "x" }],
  ["loadWeights", two.clone(), { "0.weight": array(spd), "0.bias": array([1, 2]) }, { strict: true }],
  ["laplace", net, { likelihood: "regression", priorPrecision: 1, temperature: 1, weights: "all", memoryBudget: 1e9 }],
  ["estimateMemory", net, { likelihood: "regression", inputs: 10 }],
  ["gaussian", { noise: 1 }],
  ["categorical", { ignoredLabel: -1 }],
  ["heteroscedastic", { density: "mixture" }],
  ["poisson", {}],
  ["cholesky", spd],
  ["eigh", spd],
  ["solveTriangular", spd, [1, 2], { triangle: "lower" }],
  ["syrk", spd, {}],
  ["chain", { inputs: 2, seed: 1 }, dense(1)],
  ["cosineDecay", { warmup: 0.1, end: 0 }],
  [
    "marginalLikelihood",
    { structure: "full", groups: "all", every: 2, burnIn: 3, steps: 4, learningRate: 0.1, determinant: true },
  ],
  ["lastLayerEvidence", { tolerance: 0.01 }],
  ["adam", { learningRate: 0.1, beta1: 0.9 }],
  ["ivon", { learningRate: 0.1, beta1: 0.9, beta2: 0.9, initialCurvature: 1, priorPrecision: 1, effectiveSamples: 9 }],
  ["ivonPosterior", net, state, { likelihood: "regression" }],
  ["conv2d", 3, 2, tanh, { stride: 1 }],
  ["dropout", 0.5],
  ["fourierFeatures", { features: 3, relevance: true, lengthScale: 1, seed: 1 }],
  ["cellReader", written],
  ["cellText", written, 1],
  ["numbersBut", ["1", "a"], rule],
  ["identityOf", "1"],
  ["occurrences", ["1"]],
  ["placesOf", ["1"]],
  ["looksMissing", "NA"],
  ["missingTest", rule, "numbers"],
  ["numberFormat", ["1,5"], {}],
  ["numberOf", "1"],
  ["readerOf", { ...written, texts: [] }, rule],
  ["guessTask", ["1", "2"]],
  ["dayText", 10],
  ["tableEncoding", { names: ["a", "b", "y"], rows }, { target: "y" }],
  ["tableQuantiles", numbersPredicted, 0.3],
  ["tableScores", numbersPredicted, [1, 2]],
  ["tableLogDensities", numbersPredicted, [1, 2]],
  ["tableConformity", numbersPredicted, [1, 2]],
  ["tableRegions", { models: [{}], scores: [Float64Array.of(1, 2)] }, [numbersPredicted], { level: 0.5 }],
  [on(reg, "predict"), x, { samples: 10, seed: 1 }],
  [on(cls, "logProbabilities"), x, {}],
  [on(reg, "sample"), 3, { seed: 1 }],
  [on(reg, "optimizePrior"), { on: data, steps: 12, noise: true, onWarning: () => {} }],
  [on(reg, "functionSamples"), x, 3, { seed: 1 }],
  [on(reg, "functionSamples"), x, 3, { seed: 1, shared: true }],
  [on(reg, "functionCovariance"), x, { joint: true }],
  [on(reg, "with"), { priorPrecision: 1, noise: 1, temperature: 1 }],
  [on(reg, "diagnose"), data, {}],
  [on(reg, "covariance"), {}],
  [on(reg, "merge"), reg],
  [on(la, "posterior"), fit],
  [on(reg, "sandwich"), data],
  ["gaussianPrior", reg, { scale: 0.5 }],
  ["gaussianPrior", spd, { scale: 0.5, mean: 1 }],
  ["gaussianPrior", [{ parameter: "0.weight", b: [[2]], a: spd }], { scale: 0.5 }],
  [on(fit, "scale"), 2],
  [on(net, "forward"), x],
  [on(net.clone(), "setParameters"), direction],
  [on(net.clone(), "freeze"), "0"],
  [on(reg.curvature, "times"), direction],
  [on(reg.curvature, "dense"), {}],
  [on(reg.curvature, "scale"), 2],
  [on(reg.curvature, "merge"), reg.curvature],
  [on(array(spd), "at"), 0, 1],
  [on(array(spd), "as"), "float32"],
  [on(array(spd), "reshape"), 4],
];

const circle: unknown[] = [];
circle.push(circle);
const freed = () => {
  const result = L.kernelArray([4, 2]);
  result.free();
  return result;
};
const transferred = () => {
  const result = new Float64Array([1, 2, 3, 4]);
  structuredClone(result.buffer, { transfer: [result.buffer] });
  return result;
};
const withTransferred = () => {
  const result = array(x);
  structuredClone(result.data.buffer, { transfer: [result.data.buffer as ArrayBuffer] });
  return result;
};
/** What makes no number and no array of numbers; what comes of it is not either. */
const never: Readonly<Record<string, () => unknown>> = {
  bigint: () => 5n,
  symbol: () => Symbol("s"),
  promise: () => Promise.resolve(x),
  "a list of texts": () => ["a", "b"],
  "a list of bigints": () => [[1n, 2n]],
  "a list with holes": () => Object.assign(new Array(3), { 0: 1, 2: 3 }),
  "a list of itself": () => circle,
  "rows that differ": () => [[1], [2, 3]],
  freed,
  transferred,
  "an array whose memory was transferred": withTransferred,
};
const others: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  "−1": () => -1,
  "0": () => 0,
  "½": () => 0.5,
  "1e300": () => 1e300,
  text: () => "abc",
  "text of a number": () => "3",
  "[]": () => [],
  "[[]]": () => [[]],
  "{}": () => ({}),
  "no prototype": () => Object.create(null),
  generator: () => (function* () {})(),
  function: () => () => 1,
  class: () => L.DataLoader,
  date: () => new Date(0),
  map: () => new Map([[1, 2]]),
  "NaN in rows": () => x.map(() => [Number.NaN, 1]),
  "null in rows": () => [[1, null]],
  DataView: () => new DataView(new ArrayBuffer(32)),
  ArrayBuffer: () => new ArrayBuffer(32),
  BigInt64Array: () => new BigInt64Array(4),
  "no examples": () => ({ x: [], y: [] }),
  "a promise of x": () => ({ x: Promise.resolve(x), y }),
  "a huge shape": () => [2 ** 20, 2 ** 20, 2 ** 20],
  "a shape below 0": () => [-1, 2],
};

const nameOf = (of: string | readonly [object, string]) => (typeof of === "string" ? of : of[1]);
const called = (of: string | readonly [object, string], args: readonly unknown[]): unknown => {
  const [owner, name] = typeof of === "string" ? [L as object, of] : of;
  return (owner as Record<string, (...all: unknown[]) => unknown>)[name](...args);
};
const isPlain = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;

test.each(calls.map((call) => [nameOf(call[0]), call] as const))("%s", (_, [of, ...args]) => {
  expect(() => called(of, args)).not.toThrow();
  const tried = (what: string, given: readonly unknown[], refused: boolean) => {
    try {
      const result = called(of, given);
      if (refused && result !== undefined) expect.fail(`${nameOf(of)} takes ${what}`);
    } catch (error) {
      if (error instanceof L.LaplaceError) return;
      throw new Error(`${nameOf(of)} of ${what} throws an error from inside: ${error}`, { cause: error });
    }
  };
  // Functions that take any object, any text or a function of their own there.
  const any = [L.chain, L.jvp].map(({ name }) => name).includes(nameOf(of));
  tried("nothing", [], false);
  for (const [i, arg] of args.entries()) {
    const numbers = Array.isArray(arg) || typeof arg === "number";
    for (const [what, make] of Object.entries({ ...never, ...others })) {
      const given = args.map((own, j) => (i === j ? make() : own));
      tried(
        `${what} as argument ${i}`,
        given,
        numbers && !any && what in never && typeof (arg as unknown[])[0] !== "string",
      );
    }
    if (!isPlain(arg)) continue;
    for (const name of Object.keys(arg)) {
      for (const [what, make] of Object.entries({ ...never, ...others })) {
        const given = args.map((own, j) => (i === j ? { ...arg, [name]: make() } : own));
        tried(`${what} as ${name} of argument ${i}`, given, false);
      }
    }
    const last =
      i === args.length - 1 &&
      i > 0 &&
      !("x" in arg) &&
      typeof of === "string" &&
      !/cell|reader|missing|numberFormat/i.test(of);
    if (last) tried("an option that does not exist", args.with(i, { ...arg, sampels: 1 }), of !== "loadWeights");
  }
});
