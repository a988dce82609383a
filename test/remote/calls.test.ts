// What a worker gives is what the page gives, to the bit, call by call; and again, so that nothing of the worker's was given away.

import { afterAll, describe, expect, test } from "vitest";
import {
  adamW,
  batchNorm,
  bernoulli,
  binaryCrossEntropy,
  type Curvature,
  categorical,
  chain,
  cosineDecay,
  crossEntropy,
  curvatureOf,
  curvatureOperator,
  curvatureProduct,
  DataLoader,
  dataset,
  defineLikelihood,
  dense,
  epistemicScore,
  estimateMemory,
  evaluate,
  gaussian,
  gradient,
  ivon,
  ivonPosterior,
  jacobian,
  jvp,
  kernels,
  type LaplaceOptions,
  type Likelihood,
  type Loss,
  laplace,
  linearDecay,
  loadPosterior,
  loadTableModel,
  mostInformative,
  mse,
  type NDArray,
  outOfDistributionAuroc,
  perSampleGradientNorms,
  perSampleGradients,
  poisson,
  type RemoteCurvature,
  type RemotePosterior,
  randomNormal,
  savePosterior,
  saveTableModel,
  sgd,
  tableEncoding,
  tableModel,
  take,
  tanh,
  train,
  uncertainty,
  vjp,
} from "../../src/index.ts";
import { functions, kinds } from "../../src/remote/calls.ts";
import { storedStructures } from "../stored-structures.ts";
import { pair, scaledNormal } from "./pair.ts";

const remote = await pair();
afterAll(() => remote.close());

const x = randomNormal([12, 2], { seed: 1 });
const more = randomNormal([5, 2], { seed: 2 });
const targets: Record<string, { outputs: number; y: NDArray | number[] }> = {
  numbers: { outputs: 2, y: randomNormal([12, 2], { seed: 3 }) },
  classes: { outputs: 3, y: Array.from({ length: 12 }, (_, i) => i % 3) },
  labels: { outputs: 1, y: Array.from({ length: 12 }, (_, i) => i % 2) },
  counts: { outputs: 1, y: Array.from({ length: 12 }, (_, i) => i % 4) },
};
const netOf = (outputs: number) => chain({ inputs: 2, seed: 4, dtype: "float64" }, dense(3, tanh), dense(outputs));
const options = (likelihood: LaplaceOptions["likelihood"]): LaplaceOptions => ({ likelihood, checks: false });

async function both(
  kind: keyof typeof targets,
  likelihood: LaplaceOptions["likelihood"],
  how: Partial<LaplaceOptions> = {},
) {
  const { outputs, y } = targets[kind];
  const net = netOf(outputs);
  const data = { x, y };
  const all = { ...options(likelihood), ...how };
  const here = await laplace(net, all).fit(data);
  const there = await remote.laplace(await remote.send(net), all).fit(data);
  return { net, data, here, there };
}

test("every function and every method of a kind is there, and no other", async () => {
  const { there } = await both("numbers", "regression");
  const methods = Object.getOwnPropertyNames(there).filter((name) => typeof (there as never)[name] === "function");
  expect(methods.filter((name) => name !== "cloning" && name !== "toJSON").sort()).toEqual(
    [...kinds.posterior.calls].sort(),
  );
  for (const name of functions) expect(remote[name]).toBeTypeOf("function");
});

/** What is asked of posteriors, by the method's name. */
const asked: Record<(typeof kinds.posterior.calls)[number], readonly unknown[]> = {
  with: [{ temperature: 0.5 }],
  merge: [],
  sandwich: [],
  optimizePrior: [{ steps: 20 }],
  evidence: [],
  logMarginalLikelihood: [],
  evidenceGradient: [],
  predict: [more],
  logProbabilities: [more],
  functionCovariance: [more, { joint: true }],
  functionSamples: [more, 4, { seed: 2 }],
  diagnose: [],
  sample: [3, { seed: 5 }],
  logProb: [],
  variance: [],
  covariance: [],
  precision: [],
};

describe.each([
  ["numbers", "regression", "full"],
  ["classes", "classification", "kronecker"],
] as const)("a posterior of %s", async (kind, likelihood, structure) => {
  const { data, here, there } = await both(kind, likelihood, { structure });
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value, (_, one) => (one === undefined ? null : one)));

  test.each(Object.entries(asked))("%s", async (name, args) => {
    const method = (of: object) => (of as Record<string, (...all: unknown[]) => unknown>)[name].bind(of);
    if (name === "logProbabilities" && kind === "numbers") {
      await expect(method(there)(...args)).rejects.toThrow(expect.objectContaining({ name: "OptionError" }));
      return;
    }
    const weights = name === "logProb" ? [here.mean] : [];
    if (name === "sandwich") {
      if (structure === "full") {
        const robust = await there.sandwich(data);
        expect(await robust.covariance()).toEqual(here.sandwich(data).covariance());
      } else await expect(there.sandwich(data)).rejects.toThrow(expect.objectContaining({ name: "OptionError" }));
      return;
    }
    const own = name === "merge" ? [here] : [...weights, ...args];
    const due = method(here)(...own);
    for (let again = 0; again < 2; again++) {
      const found = await method(there)(...(name === "merge" ? [there] : own));
      if (["with", "merge", "optimizePrior"].includes(name)) {
        const [a, b] = [due as typeof here, found as RemotePosterior];
        expect(await remote.savePosterior(b)).toEqual(savePosterior(a));
        b.dispose();
      } else expect(found).toEqual(due);
    }
  });

  test("what is known without asking", () => {
    for (const name of kinds.posterior.facts) expect(there[name]).toEqual(here[name]);
  });

  test("scores and uncertainty", async () => {
    expect(await remote.evaluate(there, data, { level: 0.8 })).toEqual(evaluate(here, data, { level: 0.8 }));
    expect(await remote.uncertainty(there, more, { seed: 1 })).toEqual(uncertainty(here, more, { seed: 1 }));
    expect(plain(await there.diagnose(data))).toEqual(plain(here.diagnose(data)));
    expect(await remote.epistemicScore(there, more)).toEqual(epistemicScore(here, more));
    expect(await remote.mostInformative(there, more, 2)).toEqual(mostInformative(here, more, 2));
    expect(await remote.outOfDistributionAuroc(there, x, more)).toEqual(outOfDistributionAuroc(here, x, more));
  });
});

const own = defineLikelihood("remoteNormal", scaledNormal);
const likelihoods: Record<string, [keyof typeof targets, Likelihood]> = {
  "gaussian, its noises to be tuned": ["numbers", gaussian()],
  "gaussian of one noise": ["numbers", gaussian({ noise: 0.3 })],
  "gaussian of noises": ["numbers", gaussian({ noise: [0.3, 0.6] })],
  "classes, one ignored": ["classes", categorical({ ignoredLabel: 2 })],
  labels: ["labels", bernoulli({ ignoredLabel: -1 })],
  counts: ["counts", poisson()],
  "one's own": ["counts", own({ scale: 2 })],
};
test.each(Object.entries(likelihoods))("a likelihood goes over: %s", async (_, [kind, likelihood]) => {
  const { here, there } = await both(kind, likelihood, { structure: "diagonal" });
  const tuned = await there.optimizePrior({ steps: 10 });
  expect(await remote.savePosterior(tuned)).toEqual(savePosterior(here.optimizePrior({ steps: 10 })));
});

const trainings: Record<string, [keyof typeof targets, Loss | Likelihood]> = {
  mse: ["numbers", mse],
  crossEntropy: ["classes", crossEntropy],
  "crossEntropy, a label ignored": ["classes", crossEntropy.with({ ignoredLabel: 1 })],
  binaryCrossEntropy: ["labels", binaryCrossEntropy.with({ ignoredLabel: -100 })],
  "a likelihood": ["counts", poisson()],
};
test.each(Object.entries(trainings))("a training with %s learns the same", async (name, [kind, loss]) => {
  const { outputs, y } = targets[kind];
  const net = netOf(outputs).freeze("0.bias");
  const there = await remote.send(net);
  const learned = await remote.receive(there);
  const optimizer = name === "mse" ? sgd({ momentum: 0.5, learningRate: 0.02 }) : adamW({ weightDecay: 0.1 });
  const schedule = name === "mse" ? cosineDecay({ warmup: 0.2 }) : linearDecay({ end: 0.1 });
  const how = { loss, optimizer, schedule, clipNorm: 1, epochs: 4, batchSize: 5, weightDecay: 0.01, seed: 3 };
  const seen: unknown[] = [];
  const found = await remote.train(there, { x, y }, { ...how, onProgress: (report) => seen.push(report) });
  const due = await train(net, { x, y }, how);
  expect(found).toEqual(due);
  expect(seen).toEqual(due.history.map((one) => ({ ...one, epochs: 4 })));
  expect((await remote.receive(there)).parameters).toEqual(net.parameters);
  // A network that was received before is another.
  expect(learned.parameters).not.toEqual(net.parameters);
});

test("ivon() learns the same there, and what it found makes a posterior here", async () => {
  const { outputs, y } = targets.numbers;
  const net = netOf(outputs);
  const there = await remote.send(net);
  const how = { loss: gaussian({ noise: 0.3 }), optimizer: ivon({ priorPrecision: 2 }), epochs: 4, seed: 3 };
  const found = await remote.train(there, { x, y }, how);
  const due = await train(net, { x, y }, how);
  expect(found).toEqual(due);
  const posterior = ivonPosterior(await remote.receive(there), found.variational, { likelihood: how.loss });
  expect(posterior.variance()).toEqual(ivonPosterior(net, due.variational, { likelihood: how.loss }).variance());
});

test("a network goes there and back: parameters, statistics, what is frozen; its methods are its own", async () => {
  const net = chain({ inputs: 2, seed: 1 }, dense(4), batchNorm(), dense(1)).freeze("2");
  await train(net, { x, y: randomNormal([12, 1], { seed: 2 }) }, { loss: mse, epochs: 2 });
  const there = await remote.send(net);
  expect(there.parameterCount).toBe(net.parameterCount);
  expect(there.inputShape).toEqual([2]);
  const before = net.forward(more);
  for (let again = 0; again < 2; again++) {
    expect(await there.named()).toEqual(net.named());
    expect(await there.forward(more)).toEqual(before);
  }
  expect(await there.summary()).toBe(net.summary());
  expect(await there.freeze("0.bias")).toBe(there);
  const clone = await there.clone();
  await there.setParameters(net.parameters.data.map(() => 0));
  await there.unfreeze("2");
  const [back, copy] = [await remote.receive(there), await remote.receive(clone)];
  expect([...back.frozen].sort()).toEqual(["0.bias"]);
  expect([...copy.frozen].sort()).toEqual([...net.clone().freeze("0.bias").frozen].sort());
  expect(copy.forward(more)).toEqual(before);
  expect(copy.buffers).toEqual(net.buffers);
  expect(back.parameters.data.every((one: number) => one === 0)).toBe(true);
});

test("derivatives are those of the page", async () => {
  const { outputs, y } = targets.classes;
  const [net, data] = [netOf(outputs), { x, y }];
  const there = await remote.send(net);
  const [theta, f] = [net.parameters, net.forward(x)];
  expect(await remote.gradient(there, crossEntropy, data)).toEqual(gradient(net, crossEntropy, data));
  expect(await remote.perSampleGradients(there, crossEntropy, data)).toEqual(
    perSampleGradients(net, crossEntropy, data),
  );
  expect(await remote.perSampleGradientNorms(there, crossEntropy, data)).toEqual(
    perSampleGradientNorms(net, crossEntropy, data),
  );
  expect(await remote.jacobian(there, x)).toEqual(jacobian(net, x));
  expect(await remote.jvp(there, x, theta)).toEqual(jvp(net, x, theta));
  expect(await remote.vjp(there, x, f, { withRespectTo: "inputs" })).toEqual(
    vjp(net, x, f, { withRespectTo: "inputs" }),
  );
  expect(await remote.curvatureProduct(there, "classification", data, theta)).toEqual(
    curvatureProduct(net, "classification", data, theta),
  );
});

test("an operator that is kept there, with a preconditioner, reports and stops", async () => {
  const { outputs, y } = targets.classes;
  const [net, data] = [netOf(outputs), { x, y }];
  const sent = await remote.send(net);
  const [here, there] = [
    curvatureOperator(net, "classification", data),
    await remote.curvatureOperator(sent, "classification", data),
  ];
  expect(there.size).toBe(here.size);
  const v = randomNormal([2, here.size], { seed: 7 });
  expect(await there.times(v)).toEqual(here.times(v));
  const told: number[] = [];
  const some = { products: 6, seed: 2 };
  const trace = await there.trace({ ...some, onProgress: ({ products }) => told.push(products) });
  expect(trace).toEqual(here.trace(some));
  expect(told).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await there.diagonal(some)).toEqual(here.diagonal(some));
  expect(await there.eigenvalues(2, some)).toEqual(here.eigenvalues(2, some));
  expect(await there.spectrum(some)).toEqual(here.spectrum(some));
  const structure = { structure: "diagonal" } as const;
  const [near, nearThere] = [
    curvatureOf(net, "classification", data, structure),
    await remote.curvatureOf(sent, "classification", data, structure),
  ];
  expect(await there.solve(v, { shift: 1, preconditioner: nearThere })).toEqual(
    here.solve(v, { shift: 1, preconditioner: near }),
  );
  await expect(there.trace({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
});

describe.each(storedStructures)("a curvature that is kept there: %s", async (structure) => {
  const { outputs, y } = targets.classes;
  const [net, data] = [netOf(outputs), { x, y }];
  const here = curvatureOf(net, "classification", data, { structure, points: data.x });
  const there = await remote.curvatureOf(await remote.send(net), "classification", data, { structure, points: data.x });
  const v = randomNormal([2, here.size], { seed: 7 });

  test("what is known without asking", () => {
    expect(there.structure).toBe(structure);
    for (const name of kinds.curvature.facts) expect(there[name]).toEqual(here[name]);
  });

  test.each(kinds.curvature.calls)("%s", async (name) => {
    const args = { times: [v], scale: [0.5] }[name as string] ?? [];
    const method = (of: object) => (of as Record<string, (...all: unknown[]) => unknown>)[name].bind(of);
    const made = name === "merge" || name === "scale";
    for (let again = 0; again < 2; again++) {
      let due: unknown;
      try {
        due = method(here)(...(name === "merge" ? [here] : args));
      } catch (error) {
        await expect(method(there)(...args)).rejects.toThrow((error as Error).message);
        continue;
      }
      const found = await method(there)(...(name === "merge" ? [there] : args));
      if (!made) expect(found).toEqual(due);
      else expect(await (found as RemoteCurvature).dense()).toEqual((due as Curvature).dense());
    }
  });
});

test("fits of shards add there, and files go there and back", async () => {
  const { outputs, y } = targets.numbers;
  const net = netOf(outputs);
  const [first, last] = [0, 6].map((from) =>
    take(
      dataset(x, y),
      [0, 1, 2, 3, 4, 5].map((i) => from + i),
    ),
  );
  const here = laplace(net, options("regression"));
  const there = remote.laplace(await remote.send(net), options("regression"));
  const due = here.posterior((await here.sum(first)).merge(await here.sum(last)));
  const [a, b] = await Promise.all([there.sum(first), there.sum(last)]);
  expect(a.examples).toBe(6);
  const posterior = await there.posterior(await a.merge(b));
  const bytes = await remote.savePosterior(posterior);
  expect(bytes).toEqual(savePosterior(due));
  expect(await (await remote.loadPosterior(bytes)).predict(more)).toEqual(due.predict(more));
  expect(loadPosterior(bytes).predict(more)).toEqual(due.predict(more));
  const again = await remote.loadFit(await remote.saveFit(await a.scale(2)));
  expect(again.examples).toBe(12);
});

test("a table's model predicts the same rows", async () => {
  const rows = Array.from({ length: 20 }, (_, i) => [String(i / 7), i % 3 ? "u" : "v", String((i % 5) / 2)]);
  const encoding = tableEncoding({ names: ["stands-for", "b", "y"], rows }, { target: "y" });
  const net = chain({ inputs: encoding.inputs.length, seed: 1, dtype: "float64" }, dense(3, tanh), dense(1));
  const given = { x: randomNormal([20, encoding.inputs.length], { seed: 1 }), y: randomNormal([20, 1], { seed: 2 }) };
  const posterior = await laplace(net, options("regression")).fit(given);
  const model = tableModel({ posterior, encoding, farVariance: 1.5, notes: { about: [1, "two", null] } });
  const asked = rows.slice(0, 4).map(([a, b]) => ({ "stands-for": a, b }));
  const there = await remote.loadTableModel(saveTableModel(model));
  expect(there.notes).toEqual(model.notes);
  for (let again = 0; again < 2; again++) expect(await there.predict(asked)).toEqual(model.predict(asked));
  expect(loadTableModel(await remote.saveTableModel(there)).predict(asked)).toEqual(model.predict(asked));
});

test("data may be batches, a loader, or a function of them", async () => {
  const { here, data, net } = await both("numbers", "regression");
  const batch = (from: number) =>
    take(
      dataset(data.x, data.y),
      [0, 1, 2, 3].map((i) => from + i),
    );
  const all = [batch(0), batch(4), batch(8)];
  const there = remote.laplace(await remote.send(net), options("regression"));
  const due = savePosterior(await laplace(net, options("regression")).fit(all));
  for (const given of [all, () => all, new DataLoader(data, { batchSize: 4 }), new Set(all), all.values()]) {
    expect(await remote.savePosterior(await there.fit(given))).toEqual(due);
  }
  expect(here.examples).toBe(12);
});

test("what is computed with, and what would be needed", async () => {
  const net = netOf(1);
  const [{ bytesInUse: _, memoryBytes: __, ...there }, { bytesInUse: ___, memoryBytes: ____, ...here }] = [
    await remote.kernelInfo(),
    kernels.info(),
  ];
  expect(there).toEqual(here);
  const asked = { ...options("regression"), examples: 100 };
  expect(await remote.estimateMemory(await remote.send(net), asked)).toEqual(estimateMemory(net, asked));
});

test("a fit of batches that come in time has them gathered, and is that of a list", async () => {
  const { net, data, here } = await both("numbers", "regression");
  async function* inTime() {
    await Promise.resolve();
    yield data as { x: NDArray; y: NDArray };
  }
  for (const batches of [inTime(), inTime]) {
    const there = await remote.laplace(await remote.send(net), options("regression")).fit(batches as never);
    expect((await there.variance()).data).toEqual(here.variance().data);
  }
});
