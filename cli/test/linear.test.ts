// A linear model of many inputs goes by the exact evidence of its layer, which is as great as that of steps of second order.

import { dense, gaussian, gaussNewton, laplace, NDArray, network, Random, train } from "laplace-ts";
import { expect, test } from "vitest";
import { fitByEvidence, skipNetwork } from "../src/fitting/by-evidence.ts";
import { learningOfClasses } from "../src/fitting/network.ts";

const [rows, inputs] = [120, 64];
const random = new Random(3);
const x = new NDArray(
  Float64Array.from({ length: rows * inputs }, () => random.normal()),
  [rows, inputs],
);
const y = new NDArray(
  Float64Array.from({ length: rows }, (_, i) => x.data[i * inputs] - 0.5 * x.data[i * inputs + 1] + random.normal()),
  [rows, 1],
);
const none = Array.from({ length: rows }, () => []);
const recipe = {
  by: "evidence",
  learning: learningOfClasses(0),
  width: 0,
  groups: "layers",
  memoryBudget: 2 ** 28,
  seed: 1,
} as const;

test("the evidence is the greatest, and the posterior is around its weights", async () => {
  const { posterior, course } = await fitByEvidence(recipe, { rows, x, y, unusual: none, gaps: none }, () => {});
  expect(posterior.net.graph).toEqual(skipNetwork(inputs, 1, 0, 1).graph);
  expect(course.train.length).toBe(course.epochs.length);
  const net = network({ inputs, seed: 1, dtype: "float64" }, (input) => dense(1)(input));
  const { evidence } = await train(
    net,
    { x, y },
    { loss: gaussian({ noise: 1 }), optimizer: gaussNewton(), epochs: 200, evidence: { groups: "layers" } },
  );
  const other = await laplace(net, {
    likelihood: gaussian({ noise: evidence?.noise ?? 1 }),
    structure: "full",
    priorPrecision: evidence?.priorPrecision ?? 1,
    checks: false,
  }).fit({ x, y });
  expect(posterior.logMarginalLikelihood()).toBeGreaterThan(other.logMarginalLikelihood() - 0.05);
  // Where the evidence is the same, so are the weights, within what the last nats leave open.
  posterior.mean.data.forEach((weight: number, k: number) => {
    expect(Math.abs(weight - other.mean.data[k])).toBeLessThan(0.05);
  });
});
