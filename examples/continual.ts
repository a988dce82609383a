// Tasks that come one after the other: a classifier of two moons, which are turned a little further in each task. Trained on each task
// alone it forgets those before. With the posterior of the tasks so far as the prior of the next it keeps them, and no data are kept.
//
//   node build/examples/continual.js

import {
  adam,
  categorical,
  chain,
  cosineDecay,
  dense,
  gaussianPrior,
  laplace,
  type Network,
  type Posterior,
  tanh,
  train,
  twoMoons,
} from "laplace-ts";

const TASKS = 5;
const DEGREES = 20;

/** Two moons, turned around their middle. */
function task(t: number, seed: number) {
  const { x, y } = twoMoons({ samples: 200, noise: 0.1, seed });
  const angle = (t * DEGREES * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const turned = Array.from({ length: x.shape[0] }, (_, i) => {
    const [a, b] = [x.data[2 * i] - 0.5, x.data[2 * i + 1] - 0.25];
    return [cos * a - sin * b, sin * a + cos * b];
  });
  return { x: turned, y: Array.from(y.data) };
}

const tasks = Array.from({ length: TASKS }, (_, t) => ({ train: task(t, t), test: task(t, 100 + t) }));
const network = () => chain({ inputs: 2, seed: 1 }, dense(20, tanh), dense(2));
const likelihood = categorical();
const training = { loss: likelihood, optimizer: adam({ learningRate: 0.02 }), epochs: 1000, batchSize: 200 };
const mean = (row: readonly number[]) => row.reduce((sum, x) => sum + x, 0) / row.length;
/** The shares of the held-out points of each task so far whose class is right. */
const scores = (net: Network, upTo: number) =>
  tasks.slice(0, upTo).map(({ test }) => {
    const logits = net.forward(test.x).data;
    return mean(test.y.map((label, i) => Number(Number(logits[2 * i + 1] > logits[2 * i]) === label)));
  });

/** Learns the tasks in order, and gives the accuracy on those so far after each. */
async function learn(structure: "full" | "kronecker" | "diagonal" | undefined): Promise<number[][]> {
  const net = network();
  let before: Posterior | undefined;
  const history: number[][] = [];
  for (const [t, { train: data }] of tasks.entries()) {
    // The penalty is that of the posterior before. The first task has the usual prior, of precision 1: in the mean over its points 1 / 200.
    const prior = before === undefined ? { weightDecay: 1 / 200 } : { prior: gaussianPrior(before) };
    await train(net, data, { ...training, ...prior, schedule: cosineDecay() });
    if (structure !== undefined) {
      before = await laplace(net, { likelihood, structure, prior: before }).fit(data);
    }
    history.push(scores(net, t + 1));
  }
  return history;
}

const percent = (x: number) => `${Math.round(100 * x)} %`.padStart(7);

const header = ["after task", ...tasks.map((_, t) => `${t * DEGREES}°`.padStart(7)), "   mean"].join(" ");
for (const [name, structure] of [
  ["each task alone", undefined],
  ["the last posterior as the prior, diagonal", "diagonal"],
  ["the last posterior as the prior, kronecker", "kronecker"],
  ["the last posterior as the prior, full", "full"],
] as const) {
  console.log(`Accuracy on held-out points: ${name}`);
  console.log(header);
  for (const [t, row] of (await learn(structure)).entries()) {
    const cells = [...row.map(percent), ...Array<string>(TASKS - row.length).fill("       ")];
    console.log(`${String(t + 1).padStart(10)} ${cells.join(" ")} ${percent(mean(row))}`);
  }
  console.log();
}

// What can be had: all points at once.
const net = network();
const all = { x: tasks.flatMap((one) => one.train.x), y: tasks.flatMap((one) => one.train.y) };
await train(net, all, { ...training, weightDecay: 1 / 1000, schedule: cosineDecay() });
const joint = scores(net, TASKS);
console.log("Accuracy on held-out points: all tasks at once");
console.log(header);
console.log(`${"".padStart(10)} ${joint.map(percent).join(" ")} ${percent(mean(joint))}`);
console.log();
