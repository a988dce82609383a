// Schedules and clipping against a plain loop of steps.

import { describe, expect, test } from "vitest";
import {
  adamW,
  chain,
  cosineDecay,
  dense,
  gradient,
  linearDecay,
  mse,
  type Optimizer,
  OptionError,
  randomNormal,
  type Schedule,
  sgd,
  tanh,
  train,
} from "../../src/index.ts";
import { near } from "../reference/draw.ts";

const x = randomNormal([6, 2], { seed: 1 });
const y = randomNormal([6, 1], { seed: 2 });
const make = () => chain({ inputs: 2, seed: 3, dtype: "float64" }, dense(3, tanh), dense(1));

/** The same training a step at a time, each with an optimiser of its own rate. */
async function byHand(optimizerOf: (rate: number) => Optimizer, schedule: Schedule, epochs: number) {
  const net = make();
  for (let step = 1; step <= epochs; step++) {
    const rate = schedule(step, epochs);
    if (rate === 0) continue;
    await train(net, { x, y }, { loss: mse, optimizer: optimizerOf(rate), epochs: 1, batchSize: 6, shuffle: false });
  }
  return net.parameters.data;
}

describe("schedules", () => {
  test("the cosine is Math.cos to the last digits, and both end where they say", () => {
    const cosine = cosineDecay({ end: 0.1 });
    for (let step = 1; step <= 101; step++) {
      const t = (step - 1) / 100;
      expect(cosine(step, 101)).toBeCloseTo(0.1 + (0.9 * (1 + Math.cos(Math.PI * t))) / 2, 14);
      expect(linearDecay({ end: 0.1 })(step, 101)).toBeCloseTo(1 - 0.9 * t, 14);
    }
    expect([1, 51, 101].map((step) => cosineDecay()(step, 101))).toEqual([1, 0.5, 0]);
  });

  test("the warm-up rises from the first step to 1", () => {
    const schedule = linearDecay({ warmup: 0.4 });
    expect(Array.from({ length: 10 }, (_, i) => schedule(i + 1, 10))).toBeAllClose(
      [0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0],
      { relative: 1e-12 },
    );
    expect(linearDecay()(1, 1)).toBe(1);
    expect(cosineDecay({ warmup: 1 })(3, 3)).toBe(1);
    expect(cosineDecay({ warmup: 1 })(1, 3)).toBe(1 / 3);
  });

  test.each([
    ["cosineDecay", cosineDecay({ warmup: 0.3, end: 0.05 })],
    ["a function", (step: number, steps: number) => (step <= steps / 2 ? 1 : 0.1)],
  ])("%s scales the steps of sgd", async (_, schedule) => {
    const net = make();
    const options = { loss: mse, epochs: 12, batchSize: 6, shuffle: false } as const;
    const { steps } = await train(net, { x, y }, { ...options, optimizer: sgd({ learningRate: 0.3 }), schedule });
    expect(steps).toBe(12);
    const expected = await byHand((rate) => sgd({ learningRate: 0.3 * rate }), schedule, 12);
    expect(net.parameters.data).toBeAllClose(expected, near(expected, "float64"));
  });

  test("it scales adamW's decay too, and counts the steps of all epochs", async () => {
    const seen: [number, number][] = [];
    const net = make();
    const before = Float64Array.from(net.parameters.data);
    await train(
      net,
      { x, y },
      {
        loss: mse,
        optimizer: adamW({ learningRate: 0.1, weightDecay: 0.5 }),
        epochs: 3,
        batchSize: 4,
        schedule: (step, steps) => {
          seen.push([step, steps]);
          return 0;
        },
      },
    );
    expect(seen).toEqual([1, 2, 3, 4, 5, 6].map((step) => [step, 6]));
    expect(Array.from(net.parameters.data)).toEqual(Array.from(before));
  });

  test("refusals", async () => {
    expect(() => cosineDecay({ warmup: 1.5 })).toThrow(OptionError);
    expect(() => linearDecay({ end: -1 })).toThrow(OptionError);
    const fit = (options: object) => train(make(), { x, y }, { loss: mse, ...options });
    await expect(fit({ schedule: 0.5 })).rejects.toThrow("schedule must be a function");
    await expect(fit({ schedule: () => Number.NaN })).rejects.toThrow(
      "a number of at least 0, not NaN, at step 1 of 100",
    );
    await expect(fit({ clipNorm: 0 })).rejects.toThrow(OptionError);
  });
});

describe("clipNorm", () => {
  const one = { loss: mse, epochs: 1, batchSize: 6, shuffle: false } as const;
  const normOf = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

  test.each([0.01, 1e6])("the step is the gradient, of at most the norm %d", async (clipNorm) => {
    const net = make();
    const g = gradient(net, mse, { x, y }).data;
    const before = Float64Array.from(net.parameters.data);
    await train(net, { x, y }, { ...one, optimizer: sgd({ learningRate: 1 }), clipNorm });
    const factor = Math.min(1, clipNorm / normOf(g));
    const expected = before.map((value, i) => value - factor * g[i]);
    expect(net.parameters.data).toBeAllClose(expected, near(expected, "float64"));
  });

  test("frozen parameters do not count, and stay", async () => {
    const net = make();
    net.freeze("0.weight");
    const { offset, size } = net.parameterTable[0];
    const free = (values: ArrayLike<number>) => Array.from(values).filter((_, i) => i < offset || i >= offset + size);
    const g = free(gradient(net, mse, { x, y }).data);
    const before = Float64Array.from(net.parameters.data);
    await train(net, { x, y }, { ...one, optimizer: sgd({ learningRate: 1 }), clipNorm: 0.5 * normOf(g) });
    const moved = free(net.parameters.data).map((value, i) => free(before)[i] - value);
    expect(moved).toBeAllClose(
      g.map((value) => 0.5 * value),
      near(g, "float64"),
    );
    expect(Array.from(net.parameters.data.subarray(offset, offset + size))).toEqual(
      Array.from(before.subarray(offset, offset + size)),
    );
  });

  test("gradients whose squares overflow are shortened, not lost", async () => {
    const net = chain({ inputs: 1, seed: 1 }, dense(1));
    net.setParameters([0, 0]);
    const data = { x: [[1]], y: [[-1e25]] };
    // The mean loss 1e50 is beyond float32, but its gradient 2e25 is not; the loss is computed in float64.
    await train(net, data, { loss: mse, epochs: 1, optimizer: sgd({ learningRate: 1 }), clipNorm: 2 });
    expect(Array.from(net.parameters.data)).toBeAllClose([-Math.SQRT2, -Math.SQRT2], { relative: 1e-6 });
  });
});
