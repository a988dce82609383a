// What to label next: images of digits without labels are many, labels are dear. The posterior of a network that has seen a few
// says which images would tell it most: active learning, against labels of images drawn at random.
//
//   node build/examples/what-to-label.js

import { readFileSync } from "node:fs";
import {
  adam,
  chain,
  crossEntropy,
  dense,
  laplace,
  mostInformative,
  type Network,
  Random,
  relu,
  train,
} from "laplace-ts";

const [START, EACH, LABELS, POOL, SEEDS] = [20, 10, 100, 200, 10];

// 1797 images of 8×8 pixels, from 0 to 16 (data/README.md says where they are from).
const lines = readFileSync(new URL("./data/digits.csv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1);
const images = lines.map((line) => {
  const cells = line.split(",").map(Number);
  return { x: cells.slice(0, 64).map((grey) => grey / 16), y: cells[64] };
});
type Image = (typeof images)[number];

const dataset = (some: readonly Image[]) => ({ x: some.map(({ x }) => x), y: some.map(({ y }) => y) });

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** The share of images that the network reads right. */
function accuracyOf(net: Network, some: readonly Image[]): number {
  const { data } = net.forward(some.map(({ x }) => x));
  const right = some.filter(({ y }, i) => {
    const logits = data.subarray(10 * i, 10 * i + 10);
    return logits.indexOf(Math.max(...logits)) === y;
  });
  return right.length / some.length;
}

/** The accuracy on 600 held-out images after each round of labels. */
async function learn(seed: number, informative: boolean): Promise<number[]> {
  const random = new Random(seed);
  const [heldOut, rest] = [shuffled(images, random), [] as Image[]];
  rest.push(...heldOut.splice(600));
  const known = rest.splice(0, START);
  const accuracies: number[] = [];
  for (;;) {
    const net = chain({ inputs: 64, seed }, dense(32, relu), dense(10));
    await train(net, dataset(known), {
      loss: crossEntropy,
      optimizer: adam({ learningRate: 0.01 }),
      epochs: 60,
      batchSize: 32,
      weightDecay: 1e-3,
    });
    accuracies.push(accuracyOf(net, heldOut));
    if (known.length >= LABELS) return accuracies;
    const pool = shuffled(rest, random).slice(0, POOL);
    let chosen = pool.slice(0, EACH);
    if (informative) {
      // Not `epistemicScore`, which sees each image alone: ten of the highest are much alike.
      const la = laplace(net, { likelihood: "classification", weights: "lastLayer", checks: false });
      const posterior = await la.fit(dataset(known));
      const { indices } = mostInformative(posterior, dataset(pool).x, EACH);
      chosen = Array.from(indices, (index) => pool[index]);
    }
    known.push(...chosen);
    for (const image of chosen) rest.splice(rest.indexOf(image), 1);
  }
}

const runs: { ours: number[]; theirs: number[] }[] = [];
for (let seed = 1; seed <= SEEDS; seed++) {
  runs.push({ ours: await learn(seed, true), theirs: await learn(seed, false) });
}

const meanOf = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
/** Of the mean, over seeds. */
const errorOf = (values: number[]) =>
  Math.sqrt(meanOf(values.map((v) => (v - meanOf(values)) ** 2)) / (values.length - 1));
const cell = (value: number | string) => (typeof value === "number" ? value.toFixed(3) : value).padStart(12);

console.log(`accuracy on 600 held-out digits, mean over ${SEEDS} seeds`);
console.log(`${"labels".padEnd(8)}${["posterior", "random", "difference", "two errors"].map(cell).join("")}`);
for (let round = 0; round < runs[0].ours.length; round++) {
  const [ours, theirs] = [runs.map((run) => run.ours[round]), runs.map((run) => run.theirs[round])];
  const differences = ours.map((value, i) => value - theirs[i]);
  const cells = [meanOf(ours), meanOf(theirs), meanOf(differences), 2 * errorOf(differences)];
  console.log(`${String(START + EACH * round).padEnd(8)}${cells.map(cell).join("")}`);
}
