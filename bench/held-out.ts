// Tuning on held-out data where the evidence errs: wide features with two classes (Sonar), many classes (Vowel). A fifth of the rows judges,
// five times; the others train. `node build/bench/bench/held-out.js`, after `node tools/prepare.mjs --bench`.

import {
  adam,
  array,
  bernoulli,
  categorical,
  chain,
  cosineDecay,
  type Dataset,
  dense,
  evaluate,
  folds,
  fourierFeatures,
  gaussNewton,
  laplace,
  type NDArray,
  type Posterior,
  splitDataset,
  tanh,
  train,
} from "laplace-ts";
import { readCells, standardised } from "./standardised.ts";

const [SPLITS, FOLDS, TEST_SHARE] = [5, 3, 0.2];

/** Standardised inputs, and classes as numbers. */
function read(name: string): { x: NDArray; y: number[] } {
  const [head, ...lines] = readCells(`../shared/data/tables/${name}.csv`);
  const target = head.indexOf("Class");
  const names = [...new Set(lines.map((row) => row[target]))].sort();
  const columns = head.flatMap((_, c) => (c === target ? [] : [standardised(lines.map((row) => Number(row[c])))]));
  const x = array(lines.map((_, i) => columns.map((column) => column[i])));
  return { x, y: lines.map((row) => names.indexOf(row[target])) };
}

type Fit = (data: Dataset, seed: number) => Promise<Posterior>;

/** 400 Fourier features, trained by second order. */
const sonar: Fit = async (data, seed) => {
  const net = chain({ inputs: 60, seed, dtype: "float64" }, fourierFeatures({ features: 400, seed }), dense(1));
  await train(net, data, { loss: bernoulli(), optimizer: gaussNewton({ tolerance: 1e-9 }), weightDecay: 1e-4 });
  return laplace(net, { likelihood: bernoulli(), structure: "full", checks: false }).fit(data);
};

/** A hidden layer of 24 units. */
const vowel: Fit = async (data, seed) => {
  const net = chain({ inputs: 10, seed, dtype: "float64" }, dense(24, tanh), dense(11));
  const [optimizer, schedule] = [adam({ learningRate: 0.01 }), cosineDecay()];
  const options = { optimizer, schedule, epochs: 300, batchSize: 64, weightDecay: 1e-4 };
  await train(net, data, { loss: categorical(), ...options });
  return laplace(net, { likelihood: categorical(), structure: "kronecker", checks: false }).fit(data);
};

for (const [name, fit, column] of [
  ["Sonar", sonar, true],
  ["Vowel", vowel, false],
] as const) {
  const { x, y } = read(name);
  const all = { x, y: column ? y.map((label) => [label]) : y };
  const scores: number[][] = [];
  for (let seed = 1; seed <= SPLITS; seed++) {
    const [test, rest] = splitDataset(all, [TEST_SHARE, 1 - TEST_SHARE], { shuffle: true, seed });
    const posterior = await fit(rest, seed);
    const models = await folds(rest, FOLDS, (part, k) => fit(part, 100 * seed + k));
    const { priorPrecision, temperature } = models[0].posterior.optimizePrior({ on: models, temperature: true });
    const score = (one: Posterior) => evaluate(one, test).negativeLogLikelihood;
    scores.push([score(posterior.optimizePrior()), score(posterior.with({ priorPrecision, temperature }))]);
    console.log(name, seed, ...(scores.at(-1) as number[]).map((one) => one.toFixed(3)), temperature.toExponential(1));
  }
  const mean = [0, 1].map((way) => scores.reduce((sum, one) => sum + one[way], 0) / scores.length);
  console.log(`${name}: evidence ${mean[0].toFixed(3)}, folds ${mean[1].toFixed(3)}`);
}
