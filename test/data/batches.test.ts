// Every function takes the same kinds of data, and names what cannot be data.

import { describe, expect, test } from "vitest";
import {
  adam,
  chain,
  curvatureOf,
  type Data,
  DataLoader,
  type DatasetLike,
  dataset,
  dense,
  evaluate,
  type Fit,
  gather,
  gaussian,
  gradient,
  LaplaceError,
  laplace,
  mse,
  OptionError,
  outOfDistributionAuroc,
  perSampleGradientNorms,
  perSampleGradients,
  savePosterior,
  sgd,
  splitDataset,
  take,
  train,
  uncertainty,
  ValueError,
} from "../../src/index.ts";

const x = [[1], [2], [4], [7]];
const y = [1, 2, 3, 3.5];
const data = dataset(x, y);
const batches = (): DatasetLike[] => [
  { x: x.slice(0, 2), y: y.slice(0, 2) },
  { x: x.slice(2), y: y.slice(2) },
];
const make = () => chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
const net = make();
const fit = (given: Data) => laplace(net, { likelihood: "regression", checks: false }).fit(given);
const posterior = await fit(data);

const kinds: [string, () => Data][] = [
  ["lists", () => ({ x, y })],
  ["a dataset", () => data],
  ["a clone of one", () => structuredClone(data)],
  ["a DataLoader", () => new DataLoader(data, { batchSize: 3 })],
  ["a list of batches", batches],
  ["a set of them", () => new Set(batches())],
  ["an iterator", () => batches()[Symbol.iterator]()],
  [
    "a generator function",
    () =>
      function* () {
        yield* batches();
      },
  ],
  ["a function that gives a list", () => batches],
  ["a function that gives a dataset", () => (() => data) as never],
];

describe.each(kinds)("of %s", (name, give) => {
  const uses: [string, (given: Data) => unknown][] = [
    ["fit", async (given) => (await fit(given)).covariance()],
    ["evaluate", (given) => evaluate(posterior, given)],
    ["diagnose", (given) => posterior.diagnose(given)],
    ["curvatureOf", (given) => curvatureOf(net, "regression", given).dense()],
    ["gradient", (given) => gradient(net, mse, given)],
    ["perSampleGradients", (given) => perSampleGradients(net, mse, given)],
    ["perSampleGradientNorms", (given) => perSampleGradientNorms(net, mse, given)],
    ["take", (given) => take(given, [2, 0])],
    ["splitDataset", (given) => splitDataset(given, [0.5, 0.5])],
    [
      "train",
      async (given) => {
        const trained = make();
        const own = given instanceof DataLoader ? {} : { batchSize: 3, shuffle: false };
        await train(trained, given, { loss: mse, epochs: 2, ...own });
        return trained.parameters;
      },
    ],
  ];
  test.each(uses)("%s takes it", async (_, use) => {
    const [found, due] = [
      await use(give()),
      await use(name === "a DataLoader" ? new DataLoader(data, { batchSize: 3 }) : data),
    ];
    const numbers = (value: unknown): number[] =>
      JSON.stringify(value)
        .match(/-?\d[\d.e+-]*/g)
        ?.map(Number) ?? [];
    expect(numbers(found)).toBeAllClose(numbers(due), { relative: 1e-9, absolute: 1e-12 });
  });

  test('"ekfac", which goes through the data twice, takes it or says why not', async () => {
    const fitted = laplace(net, { likelihood: "regression", structure: "ekfac", checks: false }).fit(give());
    if (name === "an iterator")
      await expect(fitted).rejects.toThrow(/iterator can be gone through only once.*generator function/);
    else expect((await fitted).examples).toBe(4);
  });
});

describe("what cannot be data is named", () => {
  const all: [string, (given: Data) => unknown][] = [
    ["fit", fit],
    ["evaluate", async (given) => evaluate(posterior, given)],
    ["diagnose", async (given) => posterior.diagnose(given)],
    ["train", (given) => train(make(), given, { loss: mse })],
    ["gradient", async (given) => gradient(net, mse, given)],
    ["curvatureOf", async (given) => curvatureOf(net, "regression", given)],
    ["take", async (given) => take(given, [0])],
  ];
  test.each(all)("%s", async (where, use) => {
    const refused = (given: unknown) => expect((async () => use(given as Data))()).rejects;
    await refused(Promise.resolve(data)).toThrow(`${where}: the data are a promise: write await before it.`);
    const none = /there are no data/;
    const inTime = where === "fit" || where === "train";
    await refused((async function* () {})()).toThrow(inTime ? none : /async iterable: give await gather/);
    const given = /what the function gives: the data are an async iterable/;
    await refused(async function* () {}).toThrow(inTime ? none : given);
    await refused("text").toThrow(/must be an object \{ x, y \}.*or batches/);
    await refused(null).toThrow(ValueError);
    await refused([]).toThrow(/there are no data. There is no batch/);
    await refused(() => []).toThrow(/there are no data/);
    await refused(() => 3).toThrow(/what the function gives: data must be/);
    const once = batches()[Symbol.iterator]();
    await use(once);
    await refused(once).toThrow(
      /there are no data. The iterator gave no batches.*only once.*the generator function itself/,
    );
    await refused({ x: Promise.resolve(x), y }).toThrow(/promise: write await/);
    await refused({ x, y: ["a", "b", "c", "d"] }).toThrow(/entry of y at \[0\], "a" \(string\)/);
  });
});

describe("batches of an async iterable are gathered", () => {
  /** Batches in the same arrays, which are filled anew for each. */
  async function* streamed() {
    const row = take(data, [0]);
    for (let i = 0; i < 4; i++) {
      await Promise.resolve();
      const next = take(data, [i]);
      row.x.data.set(next.x.data);
      row.y.data.set(next.y.data);
      yield row;
    }
  }

  test.each(["kronecker", "ekfac"] as const)("to be fitted: %s", async (structure) => {
    const approximation = laplace(net, { likelihood: "regression", structure, checks: false });
    const due = await approximation.sum(Array.from({ length: 4 }, (_, i) => take(data, [i])));
    const found = await approximation.sum(await gather(streamed));
    expect(found.curvature.dense().data).toEqual(due.curvature.dense().data);
    const posterior = await approximation.fit(await gather(streamed()));
    expect(posterior.covariance().data).toEqual(approximation.posterior(due).covariance().data);
  });

  test.each(["full", "diagonal", "kronecker"] as const)(
    "or not kept, of one pass: their sums add, %s",
    async (structure) => {
      const approximation = laplace(net, { likelihood: "regression", structure, checks: false });
      const due = await approximation.fit(data);
      let sums: Fit | undefined;
      for await (const batch of streamed()) {
        const next = await approximation.sum(batch);
        sums = sums?.merge(next) ?? next;
      }
      const found = approximation.posterior(sums as Fit);
      expect(found.examples).toBe(4);
      expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, {
        relative: 1e-12,
        absolute: 1e-12,
      });
      expect(found.logMarginalLikelihood()).toBeCloseTo(due.logMarginalLikelihood(), 10);
    },
  );

  test("to be trained on, by train itself, too", async () => {
    const options = { loss: mse, epochs: 3, batchSize: 3, seed: 4 } as const;
    const due = make();
    await train(due, data, options);
    for (const given of [await gather(streamed()), streamed(), streamed]) {
      const net = make();
      await train(net, given, options);
      expect(net.parameters.data).toEqual(due.parameters.data);
    }
  });

  test("of a wrong call of train none is asked for; what is thrown or stopped meanwhile changes nothing", async () => {
    let asked = 0;
    async function* counted() {
      asked++;
      yield data;
    }
    await expect(train(make(), counted(), { loss: mse, epochs: -1 })).rejects.toThrow(/^train: epochs/);
    await expect(train({} as never, counted(), { loss: mse })).rejects.toThrow(/^train: /);
    expect(asked).toBe(0);
    const net = make();
    const before = Float64Array.from(net.parameters.data);
    async function* broken() {
      yield data;
      throw new Error("the line is cut");
    }
    await expect(train(net, broken, { loss: mse })).rejects.toThrow("the line is cut");
    const bad = async function* () {
      yield { x, y: [[1]] };
    };
    await expect(train(net, bad(), { loss: mse })).rejects.toThrow(/^train: the first axes of x and y/);
    const stop = new AbortController();
    async function* stopped() {
      yield data;
      stop.abort(new Error("enough"));
      yield data;
    }
    await expect(train(net, stopped(), { loss: mse, signal: stop.signal })).rejects.toThrow("enough");
    expect(Float64Array.from(net.parameters.data)).toEqual(before);
  });

  test("until the signal says stop", async () => {
    const stop = new AbortController();
    let seen = 0;
    const endless = async function* () {
      for (;;) {
        if (++seen === 3) stop.abort(new Error("enough"));
        yield data;
      }
    };
    const { signal } = stop;
    await expect(gather(endless(), { signal })).rejects.toThrow("enough");
    expect(seen).toBe(3);
  });

  test("or other data are refused", async () => {
    for (const given of [data, [data], undefined, () => [data]]) {
      await expect(gather(given as never)).rejects.toThrow(/expected an async iterable/);
    }
    await expect(gather(async function* () {})).rejects.toThrow(/there are no data/);
    const bad = (async function* () {
      yield { x: [[1]], y: [1, 2] };
    })();
    await expect(gather(bad)).rejects.toThrow(/^gather: the first axes of x and y/);
  });
});

describe("a promise that was not awaited is named", () => {
  const promise = Promise.resolve(posterior) as never;
  test.each<[string, () => unknown]>([
    ["evaluate", () => evaluate(promise, data)],
    ["uncertainty", () => uncertainty(promise, x)],
    ["outOfDistributionAuroc", () => outOfDistributionAuroc(promise, x, x)],
    ["merge", () => posterior.merge(promise)],
    ["savePosterior", () => savePosterior(promise)],
    ["laplace", () => laplace(Promise.resolve(net) as never, { likelihood: "regression" })],
    ["gradient", () => gradient(Promise.resolve(net) as never, mse, data)],
  ])("%s", (where, use) => {
    expect(use).toThrow(new RegExp(`^${where}: .*promise: write await before it`));
  });

  test("as is what is still to be fitted, and training that still goes on", async () => {
    const unfitted = laplace(net, { likelihood: "regression" });
    expect(() => evaluate(unfitted as never, data)).toThrow(/still to be fitted: await laplace\(…\)\.fit/);
    const own = make();
    const reports: unknown[] = [];
    const fitting = () => laplace(own, { likelihood: "regression", checks: false }).fit(data);
    const training = train(own, data, {
      loss: mse,
      epochs: 3,
      onProgress: () => {
        reports.push(fitting());
        reports.push(curvatureOf(own, "regression", data));
      },
    });
    await expect(fitting()).rejects.toThrow(/^fit: the network is still being trained.*await train/);
    await expect(fitting()).rejects.toThrow(LaplaceError);
    expect(() => curvatureOf(own, "regression", data)).toThrow(/still being trained/);
    await expect(train(own, data, { loss: mse })).rejects.toThrow(/being trained by another call/);
    expect(own.forward(x).size).toBe(4);
    await training;
    expect((await Promise.all(reports)).length).toBe(6);
    expect((await fitting()).examples).toBe(4);
  });
});

describe("train with a DataLoader", () => {
  test("takes its batches in its order", async () => {
    const [one, other] = [make(), make()];
    await train(one, new DataLoader(data, { batchSize: 2, shuffle: true, seed: 7 }), { loss: mse, epochs: 5 });
    await train(other, data, { loss: mse, epochs: 5, batchSize: 2, seed: 7 });
    expect(one.parameters).toEqual(other.parameters);
  });

  test("leaves the last batch out where it does", async () => {
    const [one, other] = [make(), make()];
    const result = await train(one, new DataLoader(data, { batchSize: 3, dropLast: true }), { loss: mse, epochs: 2 });
    expect(result.steps).toBe(2);
    await train(other, take(data, [0, 1, 2]), { loss: mse, epochs: 2, batchSize: 3, shuffle: false });
    expect(one.parameters).toEqual(other.parameters);
    const none = new DataLoader(data, { batchSize: 5, dropLast: true });
    await expect(train(one, none, { loss: mse })).rejects.toThrow(/gives no batch/);
  });

  test("refuses options that are the loader's", async () => {
    const loader = new DataLoader(data, { batchSize: 2 });
    for (const options of [{ batchSize: 3 }, { shuffle: true }]) {
      await expect(train(make(), loader, { loss: mse, ...options })).rejects.toThrow(/are the DataLoader's/);
    }
    await train(make(), loader, { loss: mse, epochs: 1, batchSize: 2 });
  });
});

describe("options by other names say what is meant", () => {
  const options = (more: object) => () => laplace(net, { likelihood: "regression", ...more } as never);
  test.each<[object, RegExp]>([
    [{ noise: 0.1 }, /unknown option "noise"\. Write likelihood: gaussian\(\{ noise \}\)/],
    [{ sigma_noise: 0.1 }, /gaussian\(\{ noise \}\)/],
    [{ prior_precision: 1 }, /Did you mean "priorPrecision"/],
    [{ priorPrecison: 1 }, /Did you mean "priorPrecision"/],
    [{ memorybudget: 1 }, /Did you mean "memoryBudget"/],
    [{ temprature: 1 }, /Did you mean "temperature"/],
    [{ classAxis: "last" }, /categorical\(\{ classAxis \}\)/],
    [{ structure: "kron" }, /Did you mean "kronecker"/],
    [{ structure: "diag" }, /Did you mean "diagonal"/],
    [{ structure: "kfac" }, /Did you mean "ekfac"|must be one of/],
    [{ likelihood: "gaussian" }, /not "gaussian"\. That is "regression", or gaussian\(\)/],
    [{ likelihood: "bernoulli" }, /That is "binary", or bernoulli\(\)/],
    [{ likelihood: "categorical" }, /That is "classification", or categorical\(\)/],
    [{ likelihood: "poisson" }, /That is "count", or poisson\(\)/],
    [{ likelihood: "constructor" }, /not "constructor"\.$/],
    [{ likelihood: gaussian }, /call it, as in gaussian\(\)/],
  ])("%o", (more, message) => {
    expect(options(more)).toThrow(message);
    expect(options(more)).toThrow(OptionError);
  });

  test("train", async () => {
    const wrong = (more: object) => expect(train(make(), data, { loss: mse, ...more } as never)).rejects;
    await wrong({ learningRate: 0.1 }).toThrow(/Write optimizer: adam\(\{ learningRate \}\)/);
    await wrong({ batch_size: 3 }).toThrow(/Did you mean "batchSize"/);
    await wrong({ optimizer: adam }).toThrow(/called, not the function itself/);
    await wrong({ optimizer: sgd({ learningRate: 0.1 }), epoch: 3 }).toThrow(/Did you mean "epochs"/);
  });
});
