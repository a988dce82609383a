// Each optimiser against its plain-number definition, over several epochs of `train`.

import { describe, expect, test } from "vitest";
import {
  adam,
  adamW,
  chain,
  dense,
  gradient,
  mse,
  type Optimizer,
  OptionError,
  randomNormal,
  sgd,
  tanh,
  train,
} from "../../src/index.ts";
import { near } from "../reference/draw.ts";
import { adamRule, type Rule, sgdRule } from "../reference/optimisers.ts";

const EPOCHS = 6;
const x = randomNormal([5, 2], { seed: 1 });
const y = randomNormal([5, 2], { seed: 2 });

describe.each<[string, Optimizer | undefined, () => Rule]>([
  ["sgd", sgd({ learningRate: 0.1 }), () => sgdRule(0.1)],
  ["sgd by default", sgd(), () => sgdRule(0.01)],
  ["sgd with momentum", sgd({ learningRate: 0.1, momentum: 0.8 }), () => sgdRule(0.1, 0.8)],
  ["sgd with Nesterov's momentum", sgd({ momentum: 0.8, nesterov: true }), () => sgdRule(0.01, 0.8, true)],
  ["adam by default", adam(), () => adamRule(1e-3)],
  ["no optimizer named", undefined, () => adamRule(1e-3)],
  [
    "adam with all its options",
    adam({ learningRate: 0.05, beta1: 0.5, beta2: 0.7, epsilon: 1e-2 }),
    () => adamRule(0.05, 0.5, 0.7, 1e-2),
  ],
  ["adam without memory", adam({ learningRate: 0.05, beta1: 0, beta2: 0 }), () => adamRule(0.05, 0, 0)],
  ["adamW by default", adamW(), () => adamRule(1e-3, 0.9, 0.999, 1e-8, 0.01)],
  ["adamW with decay", adamW({ learningRate: 0.05, weightDecay: 0.3 }), () => adamRule(0.05, 0.9, 0.999, 1e-8, 0.3)],
])("%s", (_, optimizer, makeRule) => {
  test.each([
    { batchSize: 5, weightDecay: 0, dtype: "float64" },
    { batchSize: 2, weightDecay: 0, dtype: "float64" },
    { batchSize: 2, weightDecay: 0.2, dtype: "float64" },
    { batchSize: 2, weightDecay: 0.2, dtype: "float32" },
  ] as const)(
    "takes the steps of its definition (batchSize $batchSize, weightDecay $weightDecay, $dtype)",
    async (options) => {
      const { batchSize, weightDecay, dtype } = options;
      const net = chain({ inputs: 2, seed: 3, dtype }, dense(3, tanh), dense(2));
      const reference = chain({ inputs: 2, seed: 3, dtype: "float64" }, dense(3, tanh), dense(2));
      reference.setParameters(net.parameters);
      const rules = Array.from(reference.parameters.data, makeRule);
      const history: number[] = [];
      for (let epoch = 0; epoch < EPOCHS; epoch++) {
        let loss = 0;
        for (let start = 0; start < 5; start += batchSize) {
          const rows = Array.from({ length: Math.min(batchSize, 5 - start) }, (_, i) => start + i);
          const batch = { x: rows.map((i) => [...x.sub(i).data]), y: rows.map((i) => [...y.sub(i).data]) };
          const theta = [...reference.parameters.data];
          const penalty = 0.5 * weightDecay * theta.reduce((sum, value) => sum + value ** 2, 0);
          loss += rows.length * (mse(reference.forward(batch.x), batch.y) + penalty);
          const g = gradient(reference, mse, batch).data;
          reference.setParameters(theta.map((value, i) => rules[i](g[i] + weightDecay * value, value)));
        }
        history.push(loss / 5);
      }
      const steps = EPOCHS * Math.ceil(5 / batchSize);
      const result = await train(
        net,
        { x, y },
        { loss: mse, ...(optimizer && { optimizer }), epochs: EPOCHS, batchSize, weightDecay, shuffle: false },
      );
      expect(net.parameters.data).toBeAllClose(reference.parameters.data, near(reference.parameters.data, dtype));
      expect(result.history.map(({ loss }) => loss)).toBeAllClose(history, near(history, dtype));
      expect(result.history.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(result.steps).toBe(steps);
    },
  );
});

test("options of optimisers are checked", () => {
  const cases: [make: () => unknown, message: RegExp][] = [
    [() => sgd({ learningRate: -0.1 }), /sgd: learningRate must be a finite number above 0, not -0\.1/],
    [() => sgd({ learningRate: 0 }), /sgd: learningRate must be a finite number above 0, not 0/],
    [() => sgd({ momentum: 1 }), /sgd: momentum must be below 1, not 1/],
    [() => sgd({ momentum: -0.5 }), /sgd: momentum must be a finite number of at least 0/],
    [() => sgd({ moment: 0.5 } as never), /sgd: unknown option "moment"\. Did you mean "momentum"\?/],
    [() => adam({ learningRate: Number.NaN }), /adam: learningRate must be a finite number above 0, not NaN/],
    [() => adam({ beta1: 1 }), /adam: beta1 must be below 1, not 1/],
    [() => adam({ beta2: -1 }), /adam: beta2 must be a finite number of at least 0, not -1/],
    [() => adam({ epsilon: 0 }), /adam: epsilon must be a finite number above 0/],
    [() => adam({ weightDecay: 0.1 } as never), /adam: unknown option "weightDecay"/],
    [() => adamW({ learningRate: -1 }), /adamW: learningRate must be a finite number above 0, not -1/],
    [() => adamW({ weightDecay: -1 }), /adamW: weightDecay must be a finite number of at least 0, not -1/],
    [() => adamW({ rate: 1 } as never), /adamW: unknown option "rate"/],
  ];
  for (const [make, message] of cases) {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  }
});
