// Images: a small convolutional network learns to read digits. A posterior over its weights makes its probabilities honest,
// and unsure where the images turn into something it has never seen.
//
//   node build/examples/digits.js

import { readFileSync } from "node:fs";
import {
  adam,
  chain,
  conv2d,
  crossEntropy,
  dense,
  evaluate,
  flatten,
  laplace,
  layerNorm,
  maxPool2d,
  NDArray,
  Random,
  relu,
  train,
  uncertainty,
} from "laplace-ts";

// ── The data: 1797 images of 8×8 pixels, from 0 to 16 (data/README.md says where they are from) ──────────────────────

const SIDE = 8;
const lines = readFileSync(new URL("./data/digits.csv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1);
const images = lines.map((line) => {
  const cells = line.split(",").map(Number);
  return { pixels: cells.slice(0, -1).map((grey) => grey / 16), digit: cells[SIDE * SIDE] };
});
type Image = (typeof images)[number];

/** Images as a network takes them: [n, channels, height, width] and labels [n]. */
function dataset(some: readonly Image[]) {
  return {
    x: new NDArray(new Float32Array(some.flatMap(({ pixels }) => pixels)), [some.length, 1, SIDE, SIDE]),
    y: new NDArray(new Float32Array(some.map(({ digit }) => digit)), [some.length]),
  };
}

// 997 to learn from, 200 to choose the prior by, 600 to judge by.
const random = new Random(1);
const shuffled = images
  .map((image) => ({ image, key: random.uniform() }))
  .sort((a, b) => a.key - b.key)
  .map(({ image }) => image);
const heldOut = shuffled.slice(0, 600);
const [unknown, validation, known] = [heldOut, shuffled.slice(600, 800), shuffled.slice(800)].map(dataset);

// ── Train, and fit the posterior ─────────────────────────────────────────────────────────────────────────────────────

const net = chain(
  { inputs: [1, SIDE, SIDE], seed: 1 },
  conv2d(8, 3, relu, { padding: 1 }),
  maxPool2d(2),
  conv2d(16, 3, relu, { padding: 1 }),
  flatten,
  dense(32, relu),
  layerNorm(),
  dense(10),
);
console.log(String(net.summary()));
for (const [learningRate, epochs] of [
  [3e-3, 40],
  [3e-4, 20],
]) {
  await train(net, known, {
    loss: crossEntropy,
    optimizer: adam({ learningRate }),
    epochs,
    batchSize: 64,
    weightDecay: 3e-5,
  });
}

// A network that fits all its data tempts the evidence to leave too much uncertainty, so other data choose the prior. A posterior
// with another prior shares the curvature: a try costs one factorisation.
const fitted = await laplace(net, { likelihood: "classification", structure: "kronecker" }).fit(known);
let posterior = fitted;
let best = Number.POSITIVE_INFINITY;
for (let power = 0; power <= 16; power++) {
  const candidate = fitted.with({ priorPrecision: 2 ** power });
  const { negativeLogLikelihood: loss } = evaluate(candidate, validation, { approximation: "meanField2" });
  if (loss < best) [best, posterior] = [loss, candidate];
}
console.log(`${posterior}\n`);

// ── Calibration: does a confidence of 90 % mean 90 % right? ──────────────────────────────────────────────────────────

const column = (text: string) => text.padStart(14);
const ways = [
  ["network alone", "plugin"],
  ["with Laplace", "meanField2"],
] as const;
console.log(`${"600 held-out digits".padEnd(22)}${["accuracy", "−log p", "ECE", "Brier"].map(column).join("")}`);
for (const [name, approximation] of ways) {
  const metrics = evaluate(posterior, unknown, { approximation });
  const { accuracy, negativeLogLikelihood, expectedCalibrationError, brierScore } = metrics;
  const values = [accuracy, negativeLogLikelihood, expectedCalibrationError, brierScore];
  console.log(`${name.padEnd(22)}${values.map((value) => column(value.toFixed(4))).join("")}`);
}
console.log();

// ── Rotated digits: the further from what it learned, the less it should claim to know ───────────────────────────────

/** The image turned about its middle, between pixels by bilinear interpolation. */
function rotate({ pixels, digit }: Image, degrees: number): Image {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const middle = (SIDE - 1) / 2;
  const grey = (row: number, column: number) =>
    row < 0 || row >= SIDE || column < 0 || column >= SIDE ? 0 : pixels[row * SIDE + column];
  const turned = pixels.map((_, i) => {
    const [v, u] = [Math.floor(i / SIDE) - middle, (i % SIDE) - middle];
    const [row, column] = [middle + cos * v - sin * u, middle + sin * v + cos * u];
    const [r, c] = [Math.floor(row), Math.floor(column)];
    const [dr, dc] = [row - r, column - c];
    const above = (1 - dc) * grey(r, c) + dc * grey(r, c + 1);
    const below = (1 - dc) * grey(r + 1, c) + dc * grey(r + 1, c + 1);
    return (1 - dr) * above + dr * below;
  });
  return { pixels: turned, digit };
}

/** Means over a batch of probabilities: how often the best is right, and its probability. */
function summary(p: NDArray) {
  let [correct, confidence] = [0, 0];
  heldOut.forEach(({ digit }, i) => {
    const row = Array.from({ length: 10 }, (_, k) => p.at(i, k));
    const best = row.indexOf(Math.max(...row));
    correct += (best === digit ? 1 : 0) / heldOut.length;
    confidence += row[best] / heldOut.length;
  });
  return { correct, confidence };
}

// The epistemic uncertainty is the mutual information of label and weights: what more training data would tell of the label.
console.log(
  `${"turned by".padEnd(12)}${["accuracy", "confidence:", ...ways.map(([name]) => name), "epistemic"].map(column).join("")}`,
);
for (const degrees of [0, 10, 20, 30, 45, 60, 90, 135, 180]) {
  const { x } = dataset(heldOut.map((image) => rotate(image, degrees)));
  const [alone, withLaplace] = ways.map(([, approximation]) => summary(posterior.predict(x, { approximation }).mean));
  const { epistemic } = uncertainty(posterior, x, { samples: 100 });
  let mutual = 0;
  for (const nats of epistemic.data) mutual += nats / heldOut.length;
  const cells = [alone.correct, "", alone.confidence, withLaplace.confidence, mutual];
  const texts = cells.map((cell) => column(typeof cell === "number" ? cell.toFixed(3) : cell));
  console.log(`${`${degrees}°`.padEnd(12)}${texts.join("")}`);
}
