// Examples with weights: a fit of weighted data is that of the data repeated so many times.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  categorical,
  chain,
  conv2d,
  crossEntropy,
  curvatureOf,
  curvatureProduct,
  DataLoader,
  type Dataset,
  dataset,
  dense,
  flatten,
  gaussian,
  gradient,
  heteroscedastic,
  type LaplaceOptions,
  laplace,
  loadFit,
  type Network,
  perSampleGradientNorms,
  perSampleGradients,
  poisson,
  randomNormal,
  ShapeError,
  saveFit,
  sgd,
  solver,
  take,
  tanh,
  train,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

type Options = Partial<LaplaceOptions>;
type Subject = { readonly net: Network; readonly data: Dataset; readonly likelihood: LaplaceOptions["likelihood"] };

const labels = (n: number, classes: number) => array(Array.from({ length: n }, (_, i) => (i * 7) % classes));
const x = randomNormal([7, 3], { seed: 1 });
const mlp = (outputs: number) => chain({ inputs: 3, seed: 2, dtype: "float64" }, dense(4, tanh), dense(outputs));

const subjects: Record<string, () => Subject> = {
  "numbers of two units": () => ({
    net: mlp(2),
    data: dataset(x, randomNormal([7, 2], { seed: 3 })),
    likelihood: "regression",
  }),
  "one noise": () => ({
    net: mlp(2),
    data: dataset(x, randomNormal([7, 2], { seed: 3 })),
    likelihood: gaussian({ noise: 0.7 }),
  }),
  classes: () => ({ net: mlp(3), data: dataset(x, labels(7, 3)), likelihood: "classification" }),
  "one logit": () => ({ net: mlp(1), data: dataset(x, labels(7, 2)), likelihood: "binary" }),
  counts: () => ({ net: mlp(1), data: dataset(x, labels(7, 4)), likelihood: poisson() }),
  "numbers, and noises that depend on the input": () => ({
    net: mlp(2),
    data: dataset(x, randomNormal([7, 1], { seed: 3 })),
    likelihood: heteroscedastic(),
  }),
  images: () => ({
    net: chain(
      { inputs: [1, 4, 4], seed: 2, dtype: "float64" },
      conv2d(2, 3, tanh, { padding: 1 }),
      conv2d(2, 2, tanh),
      flatten,
      dense(3),
    ),
    data: dataset(randomNormal([5, 1, 4, 4], { seed: 4 }), labels(5, 3)),
    likelihood: "classification",
  }),
  "classes at positions, some left out": () => ({
    net: chain({ inputs: [3, 2], seed: 2, dtype: "float64" }, dense(3, tanh), dense(3)),
    data: dataset(
      randomNormal([5, 3, 2], { seed: 4 }),
      array(
        Array.from({ length: 15 }, (_, i) => (i % 4 === 3 ? -100 : i % 3)),
        { shape: [5, 3] },
      ),
    ),
    likelihood: categorical({ classAxis: "last", ignoredLabel: -100 }),
  }),
};

/** Data repeated, and the same with weights. */
function both({ x, y }: Dataset, counts: readonly number[]): { repeated: Dataset; weighted: Dataset } {
  const weights = counts.slice(0, x.shape[0]);
  const rows = weights.flatMap((count, i) => new Array<number>(count).fill(i));
  return { repeated: take({ x, y }, rows), weighted: dataset(x, y, weights) };
}

const someWeights = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 7, maxLength: 7 })
  .filter((counts) => counts[0] + counts[1] > 0);

const options: readonly Options[] = [
  { structure: "full" },
  { structure: "full", weights: "lastLayer" },
  { structure: "diagonal" },
  { structure: "kronecker" },
  { structure: "kronecker", sharing: "reduce" },
  { structure: "ekfac" },
  { structure: "full", curvature: "empiricalFisher" },
  { structure: "kronecker", curvature: "empiricalFisher" },
];

const close = { relative: 1e-10, absolute: 1e-11 };

describe.each(Object.entries(subjects))("%s", (_, make) => {
  test.each(options)("%o: a fit of weighted data is that of repeated data", async (more) => {
    const { net, data, likelihood } = make();
    const la = laplace(net, { likelihood, checks: false, ...more });
    const check = async (counts: readonly number[]) => {
      const { repeated, weighted } = both(data, counts);
      const [due, found] = [await la.fit(repeated), await la.fit(weighted)];
      expect(found.examples).toBe(due.examples);
      expect([found.loss, found.fit.gradientNorms]).toBeAllClose([due.loss, due.fit.gradientNorms], close);
      expect(found.fit.gradient).toBeAllClose(due.fit.gradient, close);
      expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, close);
      expect(Object.values(found.evidence())).toBeAllClose(Object.values(due.evidence()), close);
      const [gradients, dueGradients] = [found.evidenceGradient(), due.evidenceGradient()];
      expect(gradients.logPriorPrecision.data).toBeAllClose(dueGradients.logPriorPrecision.data, close);
      const [prediction, duePrediction] = [found.predict(data.x), due.predict(data.x)];
      expect(prediction.mean.data).toBeAllClose(duePrediction.mean.data, close);
      expect(prediction.functionVariance.data).toBeAllClose(duePrediction.functionVariance.data, close);
      // Shards, and files, keep them.
      const halves = [
        dataset(
          data.x,
          data.y,
          counts.slice(0, data.x.shape[0]).map((count) => count / 2),
        ),
      ];
      const half = await la.sum(halves);
      if (more.structure !== "ekfac") {
        const merged = la.posterior(loadFit(saveFit(half)).merge(half));
        expect([merged.logMarginalLikelihood()]).toBeAllClose([due.logMarginalLikelihood()], close);
      }
    };
    await fc.assert(fc.asyncProperty(someWeights, check), { numRuns: 2 });
    expect(memoryUse().inUse).toBe(0);
  });

  test("its derivatives and its training, too", async () => {
    const { net, data, likelihood } = make();
    const { repeated, weighted } = both(data, [2, 0, 3, 1, 1, 4, 2]);
    const loss = (await laplace(net, { likelihood, checks: false }).sum(weighted)).of.likelihood;
    for (const reduction of ["mean", "sum"] as const) {
      const due = gradient(net, loss, repeated, { reduction });
      expect(gradient(net, loss, weighted, { reduction })).toBeAllClose(due, close);
    }
    const rows = perSampleGradients(net, loss, weighted, { reduction: "sum" });
    const norms = perSampleGradientNorms(net, loss, weighted, { reduction: "sum" });
    const sums = net.parameters.data.map((_, p) => {
      let sum = 0;
      for (let b = 0; b < data.x.shape[0]; b++) sum += rows.at(b, p);
      return sum;
    });
    expect(sums).toBeAllClose(gradient(net, loss, weighted, { reduction: "sum" }).data, close);
    for (let b = 0; b < data.x.shape[0]; b++) {
      const squares = [...rows.sub(b).data].reduce((sum, entry) => sum + entry ** 2, 0);
      expect(norms.at(b)).toBeCloseTo(Math.sqrt(squares), 9);
    }
    const v = randomNormal([net.parameterCount], { seed: 5 });
    for (const curvature of ["ggn", "empiricalFisher"] as const) {
      const due = curvatureProduct(net, likelihood, repeated, v, { curvature });
      expect(curvatureProduct(net, likelihood, weighted, v, { curvature })).toBeAllClose(due, close);
    }
    const dense = curvatureOf(net, likelihood, weighted, { structure: "full" }).dense();
    expect(dense.data).toBeAllClose(curvatureOf(net, likelihood, repeated, { structure: "full" }).dense().data, close);
    const [own, other] = [net.clone(), net.clone()];
    const course = { loss, optimizer: sgd({ learningRate: 0.01 }), epochs: 3, shuffle: false, batchSize: 100 };
    const due = await train(own, repeated, course);
    const found = await train(other, weighted, course);
    expect(other.parameters).toBeAllClose(own.parameters, close);
    expect(found.history.map((one) => one.loss)).toBeAllClose(
      due.history.map((one) => one.loss),
      close,
    );
  });
});

const others: readonly Options[] = [
  { structure: "kfoc" },
  { structure: "lowRank" },
  { structure: "functional", points: x },
  { structure: "operator", solver: solver({ tolerance: 1e-14 }) },
  { structure: "full", curvature: "hessian", priorPrecision: 30 },
  { structure: "diagonal", curvature: "hessian", priorPrecision: 30 },
];

test.each(others.map((more) => [`${more.structure}, ${more.curvature ?? "ggn"}`, more] as const))(
  "of %s, too",
  async (_, more) => {
    for (const name of ["numbers of two units", "classes"]) {
      const { net, data, likelihood } = subjects[name]();
      const { repeated, weighted } = both(data, [2, 0, 3, 1, 1, 4, 2]);
      const la = laplace(net, { likelihood, checks: false, ...more });
      const [due, found] = [await la.fit(repeated), await la.fit(weighted)];
      expect(found.fit.gradient).toBeAllClose(due.fit.gradient, close);
      expect(found.curvature.diagonal().data).toBeAllClose(due.curvature.diagonal().data, close);
      if (more.structure !== "operator") {
        expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, close);
      }
      expect([found.logMarginalLikelihood()]).toBeAllClose([due.logMarginalLikelihood()], close);
      const [prediction, duePrediction] = [found.predict(data.x), due.predict(data.x)];
      expect(prediction.mean.data).toBeAllClose(duePrediction.mean.data, close);
      expect(prediction.functionVariance.data).toBeAllClose(duePrediction.functionVariance.data, close);
    }
  },
);

test("batches keep their weights: loaders, parts of a dataset, and losses", async () => {
  const y = labels(7, 3);
  const weights = [2, 1, 3, 1, 1, 4, 0.5];
  const all = dataset(x, y, weights);
  expect(take(all, [5, 2]).weights?.data).toEqual(Float64Array.of(4, 3));
  const la = laplace(mlp(3), { likelihood: "classification", checks: false });
  const due = await la.fit(all);
  const batches = [...new DataLoader(all, { batchSize: 3, shuffle: true })];
  for (const data of [new DataLoader(all, { batchSize: 2 }), batches]) {
    expect([(await la.fit(data)).logMarginalLikelihood()]).toBeAllClose([due.logMarginalLikelihood()], close);
  }
  expect(due.examples).toBe(12.5);
  const f = mlp(3).forward(x);
  const each = crossEntropy(f, y, { reduction: "none" });
  const weighted = Array.from(each.data, (loss, i) => weights[i] * loss);
  expect(crossEntropy(f, y, { reduction: "none", weights })).toBeAllClose(array(weighted));
  const sum = weighted.reduce((a, b) => a + b, 0);
  expect(crossEntropy(f, y, { reduction: "sum", weights })).toBeCloseTo(sum, 12);
  expect(crossEntropy(f, y, { weights })).toBeCloseTo(sum / 12.5, 12);
});

test.each([
  ["of another length", [1, 2], ShapeError, /expected weights of shape \[7\], one for each sample, got \[2\]/],
  ["below 0", [1, 1, 1, -2, 1, 1, 1], ValueError, /weight -2 of sample 3 is below 0/],
  ["that are not finite", [1, 1, 1, Number.NaN, 1, 1, 1], ValueError, /weights/],
  ["that are all 0", [0, 0, 0, 0, 0, 0, 0], ValueError, /all weights are 0/],
] as const)("weights %s are refused", async (_, weights, Class, message) => {
  const data = { x, y: labels(7, 3), weights };
  const fit = laplace(mlp(3), { likelihood: "classification", checks: false }).fit(data);
  await expect(fit).rejects.toThrow(Class);
  await expect(fit).rejects.toThrow(message);
});

test("batches with weights and without do not go together", async () => {
  const data = { x, y: labels(7, 3) };
  const la = laplace(mlp(3), { likelihood: "classification", checks: false });
  const mixed = [data, { ...data, weights: [1, 1, 1, 1, 1, 1, 1] }];
  await expect(la.fit(mixed)).rejects.toThrow(/some batches have weights and others have none/);
  const all = mixed.map(({ x, y }) => dataset(x, y, [1, 1, 1, 1, 1, 1, 1]));
  expect((await la.fit(all)).examples).toBe(14);
});

test.each(["full", "diagonal", "kronecker", "ekfac"] as const)(
  "%s: weights count in networks of float32, whose few weights are summed in float64",
  async (structure) => {
    const net = chain({ inputs: 3, seed: 2 }, dense(4, tanh), dense(3));
    const { repeated, weighted } = both(dataset(x, labels(7, 3)), [3, 0, 1, 2, 0, 4, 1]);
    const la = laplace(net, { likelihood: "classification", structure, checks: false });
    const [due, found] = [await la.fit(repeated), await la.fit(weighted)];
    expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, { relative: 1e-4, absolute: 1e-5 });
  },
);
