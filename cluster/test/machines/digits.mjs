// The images, network and posterior of examples/digits.ts, by machines or on this thread: a fit, the prior by held-out images, a
// judgement, predictions. It prints digests of what came of each. Arguments: structures, then the queue's address and the store's, or
// neither.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  adam,
  chain,
  conv2d,
  crossEntropy,
  dense,
  evaluateAsync,
  flatten,
  laplace,
  layerNorm,
  maxPool2d,
  NDArray,
  relu,
  savePosterior,
  train,
  workers,
} from "laplace-ts";
import { cluster } from "laplace-ts-cluster";

const [structures, queue, store] = process.argv.slice(2);
const file = new URL("../../../examples/data/digits.csv", import.meta.url);
const images = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(",").map(Number));
/** An image turned by a quarter: there are more to learn from then, and more to do. */
const turned = (cells) => [...Array.from({ length: 64 }, (_, i) => cells[8 * (i % 8) + 7 - (i >> 3)]), cells[64]];
const all = images.flatMap((image) => [image, turned(image), turned(turned(image)), turned(turned(turned(image)))]);
const dataset = (some) => ({
  x: new NDArray(new Float32Array(some.flatMap((cells) => cells.slice(0, 64).map((grey) => grey / 16))), [
    some.length,
    1,
    8,
    8,
  ]),
  y: new NDArray(new Float32Array(some.map((cells) => cells[64])), [some.length]),
});
const [validation, unknown, known] = [all.slice(0, 800), all.slice(800, 2400), all.slice(2400)].map(dataset);
const net = chain(
  { inputs: [1, 8, 8], seed: 1 },
  conv2d(8, 3, relu, { padding: 1 }),
  maxPool2d(2),
  conv2d(16, 3, relu, { padding: 1 }),
  flatten,
  dense(32, relu),
  layerNorm(),
  dense(10),
);
await train(net, known, {
  loss: crossEntropy,
  optimizer: adam({ learningRate: 3e-3 }),
  epochs: 1,
  batchSize: 64,
  seed: 1,
});

const on = queue === undefined ? workers({ count: 1 }) : cluster({ queue, store, onWarning: () => {} });
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const say = (what, value) => console.log(JSON.stringify({ [what]: value }));
say("network", digest(net.parameters.data));
for (const structure of structures.split(",")) {
  const fitted = await laplace(net, { likelihood: "classification", structure, checks: false }).fit(known, { on });
  say(structure, digest(savePosterior(fitted)));
  const posterior = await fitted.optimizePriorAsync({ on: validation, workers: on, onWarning: () => {} });
  say(`${structure}, prior`, digest(savePosterior(posterior)));
  say(`${structure}, judged`, JSON.stringify(await evaluateAsync(posterior, unknown, { on })));
  say(`${structure}, predicted`, digest((await posterior.predictAsync(unknown.x, { on })).mean.data));
}
await on.close?.();
process.exit(0);
