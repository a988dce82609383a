// A posterior over some of the weights, the others taken as known: it needs less memory, and leaves less uncertainty.
//
//   node build/examples/subnetwork.js

import { adam, chain, dense, estimateMemory, laplace, mse, tanh, toyRegression, train, type Weights } from "laplace-ts";

// A regression network with 1153 weights, trained on 150 points between -4 and 4.
const data = toyRegression({ samples: 150, noise: 0.3, centerOrigin: true, seed: 1 });
const net = chain({ inputs: 1, seed: 1 }, dense(32, tanh), dense(32, tanh), dense(1));
await train(net, data, { loss: mse, optimizer: adam({ learningRate: 0.003 }), epochs: 1000, batchSize: 150 });
console.log(net.summary());
console.log();

// Single weights are chosen by their positions in net.parameters: here the k of largest magnitude.
const { data: theta } = net.parameters;
const largest = (k: number) => [...theta.keys()].sort((a, b) => Math.abs(theta[b]) - Math.abs(theta[a])).slice(0, k);

const choices: [name: string, weights: Weights, structure: "full" | "kronecker"][] = [
  ["all", "all", "full"],
  ["all", "all", "kronecker"],
  ["the 200 largest", { indices: largest(200) }, "full"],
  ["the 50 largest", { indices: largest(50) }, "full"],
  ["first layer, by name", { parameters: ["0.weight", "0.bias"] }, "full"],
  ["last layer", "lastLayer", "full"],
];

// The standard deviation of the curve, without noise, on the data (x = 0) and beyond them (x = 5 and 7). An evidence is
// that of the chosen weights, given the others: it does not say how many to choose.
const row = (name: string, structure: string, cells: string[]) =>
  console.log(name.padEnd(22) + structure.padEnd(11) + cells.map((cell) => cell.padStart(10)).join(""));
row("over", "structure", ["weights", "memory", "evidence", "sd at 0", "sd at 5", "sd at 7"]);
for (const [name, weights, structure] of choices) {
  const options = { likelihood: "regression", structure, weights } as const;
  const { bytes } = estimateMemory(net, { ...options, examples: 150 });
  const posterior = (await laplace(net, options).fit(data)).optimizePrior();
  const { functionVariance } = posterior.predict([[0], [5], [7]]);
  const deviations = [...functionVariance.data].map((variance) => Math.sqrt(variance).toFixed(3));
  const memory = `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  row(name, structure, [`${posterior.size}`, memory, posterior.logMarginalLikelihood().toFixed(1), ...deviations]);
}
