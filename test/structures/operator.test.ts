// The structure "operator": by products alone what "full" is by its matrix, to the tolerance; estimates within their errors.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  DataLoader,
  dense,
  laplace,
  type Posterior,
  Random,
  saveFit,
  savePosterior,
  solver,
  tanh,
  toyRegression,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { type StopSignal, setClock } from "../../src/kernels/steps.ts";
import { cutFor, wholeRoute } from "../../src/prediction/cuts.ts";

const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4, tanh), dense(2));
const random = new Random(3);
const rows = (count: number) =>
  array(Array.from({ length: count }, () => [random.normal(), random.normal(), random.normal()]));
const data = { x: rows(12), y: Array.from({ length: 12 }, () => random.integer(2)) };
const x = rows(3);
const common = { likelihood: "classification", checks: false, priorPrecision: 0.7 } as const;
const full = await laplace(net, { ...common, structure: "full" }).fit(data);
const exact = { tolerance: 1e-11, probes: 100 };
const fitted = (by: object, more: object = {}): Promise<Posterior> =>
  laplace(net, { ...common, ...more, structure: "operator", solver: solver(by) }).fit(data);

const close = (a: { data: ArrayLike<number> }, b: { data: ArrayLike<number> }, tolerance = 1e-9) =>
  Array.from(a.data).forEach((one, i) => {
    expect(Math.abs(one - b.data[i])).toBeLessThan(tolerance * (1 + Math.abs(one)));
  });

describe("with as many probes as weights, and a small tolerance, it is full", () => {
  test.each(["ggn", "monteCarlo", "empiricalFisher"] as const)("of the curvature %s", async (curvature) => {
    const of = { ...(curvature === "monteCarlo" && { seed: 4 }), curvature };
    const whole = await laplace(net, { ...common, ...of, structure: "full" }).fit(data);
    const products = await fitted(exact, of);
    close(products.curvature.dense(), whole.curvature.dense());
    close(products.curvature.diagonal(), whole.curvature.diagonal());
    expect(products.evidence().logMarginalLikelihood).toBeCloseTo(whole.evidence().logMarginalLikelihood, 8);
    expect(products.evidence().standardError).toBe(0);
    close(products.predict(x).functionVariance, whole.predict(x).functionVariance);
    close(products.functionCovariance(x), whole.functionCovariance(x));
    close(products.functionCovariance(x, { joint: true }), whole.functionCovariance(x, { joint: true }));
    close(products.covariance(), whole.covariance());
    close(products.precision(), whole.precision());
    close(products.variance(), whole.variance());
    close(products.logProb(products.mean), whole.logProb(whole.mean), 1e-8);
  });

  test("in bursts, and of weights by index with a prior for each", async () => {
    const of = { weights: { indices: [20, 3, 7, 1] }, priorPrecision: [1, 2, 3, 4] };
    const whole = await laplace(net, { ...common, ...of, structure: "full" }).fit(data);
    const products = await fitted(exact, of);
    close((await products.predictAsync(x)).functionVariance, whole.predict(x).functionVariance);
    const { logMarginalLikelihood } = await products.evidenceAsync();
    expect(logMarginalLikelihood).toBeCloseTo(whole.evidence().logMarginalLikelihood, 8);
    close(products.optimizePrior().priorPrecision, whole.optimizePrior().priorPrecision, 1e-4);
  });

  test("fits of parts add, and multiples count", async () => {
    const part = (rows: number[]) => ({
      x: array(rows.map((n) => data.x.sub(n).toArray() as number[])),
      y: rows.map((n) => data.y[n]),
    });
    const make = laplace(net, { ...common, structure: "operator", solver: solver(exact) });
    const [one, two] = [await make.sum(part([0, 1, 2, 3, 4])), await make.sum(part([5, 6, 7, 8, 9, 10, 11]))];
    close(make.posterior(one.merge(two)).predict(x).functionVariance, full.predict(x).functionVariance);
    close(one.curvature.scale(2).times(new Float64Array(26).fill(1)), {
      data: one.curvature.times(new Float64Array(26).fill(2)).data,
    });
  });

  test("the data are copied, and so is the network", async () => {
    const own = { x: array(data.x.toArray() as number[][]), y: [...data.y] };
    const mine = net.clone();
    const curvature = curvatureOf(mine, "classification", own, { structure: "operator", solver: solver() });
    const before = curvature.times(new Float64Array(26).fill(1));
    own.x.data.fill(0);
    mine.setParameters(new Float64Array(26));
    expect(curvature.times(new Float64Array(26).fill(1)).data).toEqual(before.data);
  });
});

test("the evidence is within four standard errors of that of full, over seeds, and the errors are as large as they say", async () => {
  const truth = full.evidence().logMarginalLikelihood;
  const scores: number[] = [];
  for (let seed = 0; seed < 12; seed++) {
    const { logMarginalLikelihood, standardError = 0 } = (await fitted({ probes: 8, seed })).evidence();
    expect(Math.abs(logMarginalLikelihood - truth)).toBeLessThan(6 * standardError);
    scores.push((logMarginalLikelihood - truth) / standardError);
  }
  const mean = scores.reduce((sum, z) => sum + z, 0) / scores.length;
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(scores.length));
  const again = [await fitted({ probes: 8 }), await fitted({ probes: 8 })].map((one) => one.logMarginalLikelihood());
  expect(again[0]).toBe(again[1]);
});

test("draws have the covariance of full within four standard errors, and come again under a seed", async () => {
  const products = await fitted({ tolerance: 1e-3 });
  const n = 400;
  const draws = products.functionSamples(x, n, { seed: 5 });
  const { functionMean } = products.predict(x);
  const covariance = full.functionCovariance(x, { joint: true });
  const size = 6;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let s = 0; s < n; s++) {
        sum += (draws.data[s * size + i] - functionMean.data[i]) * (draws.data[s * size + j] - functionMean.data[j]);
      }
      const [v, w, c] = [i * 7, j * 7, i * 6 + j].map((at) => covariance.data[at]);
      expect(Math.abs(sum / n - c)).toBeLessThan(4 * Math.sqrt((v * w + c * c) / n));
    }
  }
  expect(products.functionSamples(x, 2, { seed: 5 }).data).toEqual(products.functionSamples(x, 2, { seed: 5 }).data);
});

test("variances by draws are full's within their error", async () => {
  const n = 200;
  const products = await fitted({ draws: n, tolerance: 1e-4 });
  const covariance = products.functionCovariance(x);
  const whole = full.functionCovariance(x);
  Array.from(products.predict(x).functionVariance.data).forEach((v, i) => {
    const truth = whole.data[Math.floor(i / 2) * 4 + (i % 2) * 3];
    expect(Math.abs(v / truth - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(covariance.data[Math.floor(i / 2) * 4 + (i % 2) * 3]).toBeCloseTo(v, 9);
  });
});

describe("in bursts", () => {
  /** A signal that stops at a call, and counts them. */
  const stopping = (at = Number.POSITIVE_INFINITY) => {
    const signal = { calls: 0, throwIfAborted };
    function throwIfAborted() {
      signal.calls++;
      if (signal.calls >= at) throw new Error("enough");
    }
    return signal;
  };
  const asks = {
    draws: (one: Posterior, signal: StopSignal) => one.sampleAsync(2, { seed: 1, signal }),
    solutions: (one: Posterior, signal: StopSignal) => one.predictAsync(x, { signal }).then((p) => p.functionVariance),
    evidence: (one: Posterior, signal: StopSignal) =>
      one.evidenceAsync({ signal }).then((found) => array([found.logDetPosterior])),
  };

  test.each(Object.entries(asks))("%s pause between products, are the same, and stop there", async (_, ask) => {
    let now = 0;
    setClock(() => now++ * 10);
    try {
      const whole = stopping();
      const products = await fitted({ tolerance: 1e-6, probes: 4 });
      const inBursts = await ask(products, whole);
      // Two vectors take more products than that, and a product a step or more.
      expect(whole.calls).toBeGreaterThan(12);
      for (const at of [1, 2, Math.floor(whole.calls / 2), whole.calls - 1]) {
        await expect(ask(await fitted({ tolerance: 1e-6, probes: 4 }), stopping(at))).rejects.toThrow("enough");
      }
      setClock(() => 0);
      expect(inBursts).toEqual(await ask(await fitted({ tolerance: 1e-6, probes: 4 }), stopping()));
      expect(memoryUse().inUse).toBe(0);
    } finally {
      setClock(undefined);
    }
  });
});

test("draws let as many examples pass at once as the diagonal does", async () => {
  const [few, all, near] = [
    await fitted({}),
    await fitted({ draws: 4 }),
    await laplace(net, { ...common, structure: "diagonal" }).fit(data),
  ].map((posterior) => cutFor(posterior, wholeRoute(2), "variance").length);
  expect(all).toBeGreaterThan(few);
  expect(all).toBeGreaterThan(near / 4);
});

describe("what has no meaning is refused", () => {
  test("tuning by an estimate, files, iterators, data that change", async () => {
    const products = await fitted({});
    expect(() => products.optimizePrior()).toThrow(/"kronecker"/);
    expect(() => savePosterior(products)).toThrow(/files have no data/);
    expect(() => saveFit(products.fit)).toThrow(/files have no data/);
    const make = laplace(net, { ...common, structure: "operator", solver: solver() });
    await expect(make.fit(new DataLoader(data, { batchSize: 4 })[Symbol.iterator]())).rejects.toThrow(/only once/);
    const changing = function* () {
      yield { x: rows(4), y: [0, 1, 0, 1] };
    };
    await expect(make.fit(changing)).rejects.toThrow(/two products with the same vector differ/);
    await expect(fitted({ products: 1, tolerance: 1e-9 }).then((one) => one.predict(x))).rejects.toThrow(
      /did not reach the tolerance/,
    );
    expect(() => fitted({ draw: 3 })).toThrow(/unknown option "draw"/);
    expect(() => laplace(net, { ...common, structure: "operator", curvature: "hessian" })).toThrow(/hessian/);
  });
});

test("a loader is read again, and a regression has its noise", async () => {
  const toy = toyRegression({ samples: 20, seed: 1 });
  const small = chain({ inputs: 1, seed: 2, dtype: "float64" }, dense(3, tanh), dense(1));
  const options = { likelihood: "regression", checks: false } as const;
  const whole = await laplace(small, { ...options, structure: "full" }).fit(toy);
  const loader = new DataLoader(toy, { batchSize: 7, shuffle: true });
  const products = await laplace(small, { ...options, structure: "operator", solver: solver(exact) }).fit(loader);
  close(products.predict([[0.5]]).variance, whole.predict([[0.5]]).variance, 1e-8);
});
