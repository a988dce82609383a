// Classification: a network is as sure far from its data as near them. With a posterior over its weights it is not.
//
//   node build/examples/two-moons.js

import { adam, chain, crossEntropy, dense, laplace, type NDArray, tanh, train, twoMoons } from "laplace-ts";

// Two half moons that overlap, and a classifier with one logit for each class, trained until it fits its 100 points.
const data = twoMoons({ samples: 100, noise: 0.25, seed: 1 });
const net = chain({ inputs: 2, seed: 1 }, dense(16, tanh), dense(16, tanh), dense(2));
await train(net, data, {
  loss: crossEntropy,
  optimizer: adam({ learningRate: 0.01 }),
  epochs: 1000,
  batchSize: 100,
});

// A posterior with the default prior, whose precision is 1, and one whose prior the training data chose.
const posterior = await laplace(net, { likelihood: "classification", structure: "kronecker" }).fit(data);
const tuned = posterior.optimizePrior();
console.log(String(posterior));
console.log(String(tuned));
console.log();

// "plugin" is the network's own softmax. The default takes the posterior's uncertainty of the logits' difference in.
const ways: [string, (x: NDArray | number[][]) => NDArray][] = [
  ["network alone", (x) => posterior.predict(x, { approximation: "plugin" }).mean],
  ["Laplace", (x) => posterior.predict(x).mean],
  ["Laplace, tuned", (x) => tuned.predict(x).mean],
];

const points: [string, number[]][] = [
  ["in the middle of class 0", [0, 1]],
  ["in the middle of class 1", [1, -0.5]],
  ["between the moons", [0.5, 0.25]],
  ["far left", [-6, 0]],
  ["far right", [7, 0]],
  ["far above", [0.5, 7]],
  ["far below", [0.5, -7]],
];
const column = (text: string) => text.padStart(16);
console.log(`${"probability of class 1 at".padEnd(36)}${ways.map(([name]) => column(name)).join("")}`);
const answers = ways.map(([, predict]) => predict(points.map(([, x]) => x)));
points.forEach(([name, x], i) => {
  const cells = answers.map((p) => column(p.at(i, 1).toFixed(4)));
  console.log(`${name.padEnd(26)}${`(${x.join(", ")})`.padEnd(10)}${cells.join("")}`);
});
console.log();

// On points it has not seen: how sure it is of its answers, how often they are right, and the mean of −log p of the
// right class. A confidence above the accuracy is too much. Tuning errs on the other side here: the training data alone
// choose the prior, so keep some data to judge by.
const heldOut = twoMoons({ samples: 1001, noise: 0.25, seed: 2 });
console.log(`${"1001 held-out points".padEnd(20)}${["confidence", "accuracy", "−log p"].map(column).join("")}`);
for (const [name, predict] of ways) {
  const p = predict(heldOut.x);
  let [confidence, correct, loss] = [0, 0, 0];
  heldOut.y.data.forEach((label, i) => {
    const best = p.at(i, 1) > p.at(i, 0) ? 1 : 0;
    confidence += p.at(i, best) / 1001;
    correct += (best === label ? 1 : 0) / 1001;
    loss -= Math.log(p.at(i, label)) / 1001;
  });
  console.log(`${name.padEnd(20)}${[confidence, correct, loss].map((value) => column(value.toFixed(4))).join("")}`);
}
