// Preferences: pairs of inputs by one network, and what its posterior knows of rewards.

import { expect, test } from "vitest";
import {
  adam,
  array,
  batchNorm,
  chain,
  crossEntropy,
  dense,
  evaluate,
  jacobian,
  LaplaceError,
  laplace,
  loadPosterior,
  preference,
  randomNormal,
  rewards,
  rewardsAsync,
  ShapeError,
  savePosterior,
  take,
  tanh,
  train,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const net = () => chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(5, tanh), dense(1));
const N = 80;
const x = randomNormal([N, 2, 3], { seed: 2 });
/** The truth: the reward is the first input, and the second a little. */
const truth = (row: ArrayLike<number>) => 2 * row[0] - row[1];
const noise = randomNormal([N], { seed: 3 });
const y = Array.from({ length: N }, (_, n) => {
  const [a, b] = [0, 1].map((k) => truth(x.sub(n).sub(k).data));
  return b - a + noise.at(n) > 0 ? 1 : 0;
});

test("a pair's outputs are the rewards of both, and its derivatives theirs", () => {
  const single = net();
  const pairs = preference(single);
  expect([pairs.inputShape, pairs.outputShape, pairs.parameterCount]).toEqual([[2, 3], [2], single.parameterCount]);
  const both = pairs.forward(x);
  for (const k of [0, 1]) {
    const own = array(Array.from({ length: N }, (_, n) => [...x.sub(n).sub(k).data]));
    const [f, j] = [single.forward(own), jacobian(single, own)];
    const found = jacobian(pairs, x);
    for (let n = 0; n < N; n++) {
      expect(both.at(n, k)).toBeCloseTo(f.at(n, 0), 12);
      expect(found.sub(n).sub(k).data).toBeAllClose(j.sub(n).sub(0).data, { relative: 1e-10, absolute: 1e-12 });
    }
  }
  // One array of parameters.
  pairs.parameters.data[0] = 7;
  expect(single.parameters.data[0]).toBe(7);
});

test("rewards are learned from pairs, with an uncertainty that grows where there are none", async () => {
  const single = net();
  const pairs = preference(single);
  await train(
    pairs,
    { x, y },
    { loss: crossEntropy, optimizer: adam({ learningRate: 0.02 }), epochs: 100, batchSize: N, weightDecay: 0.01 },
  );
  const posterior = await laplace(pairs, { likelihood: "classification", checks: false }).fit({ x, y });
  expect(evaluate(posterior, { x, y }).accuracy).toBeGreaterThan(0.8);
  const at = [
    [-1, 0, 0],
    [0, 0, 0],
    [1, 0, 0],
    [0, 6, 0],
  ];
  const { mean, variance } = rewards(posterior, at);
  expect([...mean.data].slice(0, 3)).toEqual([...mean.data].slice(0, 3).sort((a, b) => a - b));
  expect(mean.data).toBeAllClose(single.forward(at).data, { relative: 1e-12 });
  // The same by the Jacobian of the single network.
  const j = jacobian(single, at);
  const covariance = posterior.covariance().data;
  const s = posterior.size;
  const form = (a: ArrayLike<number>) => {
    let sum = 0;
    for (let p = 0; p < s; p++) for (let q = 0; q < s; q++) sum += a[p] * covariance[p * s + q] * a[q];
    return sum;
  };
  const rows = at.map((_, b) => j.sub(b).sub(0).data);
  expect(variance.data).toBeAllClose(rows.map(form), { relative: 1e-8 });
  const relative = rewards(posterior, at, { reference: at[1] });
  expect(relative.mean.data).toBeAllClose(
    at.map((_, b) => mean.at(b) - mean.at(1)),
    { absolute: 1e-12 },
  );
  const differences = rows.map((row) => form(Array.from(row, (entry, p) => entry - rows[1][p])));
  expect(relative.variance.data).toBeAllClose(differences, { relative: 1e-6, absolute: 1e-9 });
  // Of the level pairs say nothing: it is the prior's.
  expect(relative.variance.at(0)).toBeLessThan(variance.at(0));
  expect(relative.variance.at(3)).toBeGreaterThan(relative.variance.at(0));
  const loaded = loadPosterior(savePosterior(posterior));
  expect(rewards(loaded, at, { reference: at[1] })).toEqual(relative);
  expect(await rewardsAsync(posterior, at, { reference: at[1] })).toEqual(relative);
  expect(memoryUse().inUse).toBe(0);
});

test("running statistics are shared, too", async () => {
  const single = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4), batchNorm(), dense(1));
  const pairs = preference(single);
  await train(pairs, take({ x, y }, [0, 1, 2, 3, 4, 5]), { loss: crossEntropy, epochs: 1, batchSize: 6 });
  expect(single.buffers.data.some((value: number) => value !== 0 && value !== 1)).toBe(true);
  const posterior = await laplace(pairs, { likelihood: "classification", checks: false }).fit({ x, y });
  expect(rewards(posterior, [[1, 2, 3]]).mean.at(0)).toBeCloseTo(single.forward([[1, 2, 3]]).at(0, 0), 10);
});

test("refusals", async () => {
  expect(() => preference(chain({ inputs: 2 }, dense(2)))).toThrow(ShapeError);
  const other = await laplace(net(), { likelihood: "regression", checks: false }).fit({ x: [[1, 2, 3]], y: [1] });
  expect(() => rewards(other, [[1, 2, 3]])).toThrow(LaplaceError);
  const posterior = await laplace(preference(net()), { likelihood: "classification", checks: false }).fit({ x, y });
  expect(() => rewards(posterior, x)).toThrow(/expected single inputs of shape \[B, 3\]/);
  expect(() => rewards(posterior, [[1, 2, 3]], { reference: [1] })).toThrow(/expected a reference of shape \[3\]/);
});
