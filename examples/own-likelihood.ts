// Likelihoods of one's own: a few functions of numbers, and everything else works as for the library's.
//
//   node build/examples/own-likelihood.js

import {
  adam,
  chain,
  defineLikelihood,
  dense,
  evaluate,
  gaussian,
  type Likelihood,
  laplace,
  loadPosterior,
  poisson,
  Random,
  savePosterior,
  tanh,
  train,
} from "laplace-ts";
import { negativeBinomial, noisy, studentT } from "./likelihoods.js";

// By these names files know them. What is made of them is checked: derivatives, and integrals over all targets.
const heavyTails = defineLikelihood("studentT", studentT);
const counts = defineLikelihood("negativeBinomial", negativeBinomial);
const ownNoise = defineLikelihood("noisy", noisy);

/** Trains a network by a likelihood, fits a posterior with it, and holds its predictions against new data. */
async function judge(
  likelihood: Likelihood,
  data: { x: number[][]; y: number[] },
  held: { x: number[][]; y: number[] },
  outputs = 1,
) {
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(12, tanh), dense(outputs));
  const optimizer = adam({ learningRate: 0.01 });
  await train(net, data, { loss: likelihood, optimizer, epochs: 400, batchSize: 150 });
  const posterior = (await laplace(net, { likelihood, structure: "full", checks: false }).fit(data)).optimizePrior();
  return { posterior, score: evaluate(posterior, held).negativeLogLikelihood };
}

const row = (name: string, cells: string[]) => console.log(name.padEnd(28) + cells.map((c) => c.padStart(16)).join(""));

// A sine whose measurements go wrong now and then: one in eight is far off.
const random = new Random(7);
const grid = (n: number) => Array.from({ length: n }, () => [6 * random.uniform() - 3]);
const measured = (n: number, wrong: number) => {
  const x = grid(n);
  return {
    x,
    y: x.map(([t]) => Math.sin(t) + (random.uniform() < wrong ? 3 + 2 * random.normal() : 0.1 * random.normal())),
  };
};
const [data, held] = [measured(150, 1 / 8), measured(500, 1 / 8)];
const clean = Array.from({ length: 25 }, (_, i) => [(i - 12) / 4]);

row("a sine, 1 in 8 far off", ["−log p, held out", "error of curve"]);
for (const [name, likelihood] of [
  ["gaussian", gaussian()],
  ["Student-t, 2.5 degrees", heavyTails({ df: 2.5, scale: 0.1 })],
] as const) {
  const { posterior, score } = await judge(likelihood, data, held);
  const mean = posterior.predict(clean).functionMean;
  const error = Math.sqrt(clean.reduce((sum, [t], i) => sum + (mean.at(i, 0) - Math.sin(t)) ** 2, 0) / clean.length);
  row(name, [score.toFixed(3), error.toFixed(3)]);
}
console.log();

// Counts that vary more than Poisson's: their rates vary besides.
const tallied = (n: number) => {
  const x = grid(n);
  const draw = negativeBinomial({ size: 2 }).draw;
  return { x, y: x.map(([t]) => draw(1.5 + Math.sin(t), random)) };
};
const [tallies, later] = [tallied(150), tallied(500)];

row("counts", ["−log p, held out", "log evidence"]);
for (const [name, likelihood] of [
  ["poisson", poisson()],
  ["negative binomial, size 0.5", counts({ size: 0.5 })],
  ["negative binomial, size 2", counts({ size: 2 })],
  ["negative binomial, size 50", counts({ size: 50 })],
] as const) {
  const { posterior, score } = await judge(likelihood, tallies, later);
  // A file has the likelihood's name and options; who reads it must have defined it too.
  const loaded = loadPosterior(savePosterior(posterior));
  row(name, [score.toFixed(3), loaded.logMarginalLikelihood().toFixed(1)]);
}
console.log();

// Noise that grows from left to right: the network says the mean, and how noisy it is there.
const noisier = (n: number) => {
  const x = grid(n);
  return { x, y: x.map(([t]) => Math.sin(t) + Math.exp(0.5 * t - 1) * random.normal()) };
};
const [rough, unseen] = [noisier(200), noisier(500)];

row("noise e^(x/2 - 1)", ["−log p, held out", "σ at −2", "σ at 2"]);
for (const [name, likelihood, outputs] of [
  ["gaussian", gaussian(), 1],
  ["its own noise everywhere", ownNoise(), 2],
] as const) {
  const { posterior, score } = await judge(likelihood, rough, unseen, outputs);
  const { variance } = posterior.predict([[-2], [2]]);
  row(
    name,
    [score, ...Array.from(variance.data, Math.sqrt)].map((x) => x.toFixed(3)),
  );
}
console.log();
