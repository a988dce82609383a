// The training loop: it learns, it is reproducible, it can be watched and stopped, and it leaves a usable network.

import { describe, expect, test } from "vitest";
import {
  adam,
  adamW,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  dense,
  type EpochReport,
  exp,
  mse,
  NonFiniteLossError,
  type Optimizer,
  OptionError,
  randomNormal,
  relu,
  ShapeError,
  sgd,
  type TrainingOptions,
  tanh,
  toyMulti,
  toyNonLinear,
  toyRegression,
  train,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const data = toyRegression({ samples: 10, seed: 1 });
const small = (seed = 1) => chain({ inputs: 1, seed, dtype: "float64" }, dense(4, tanh), dense(1));

describe("training learns", () => {
  const optimizer = adam({ learningRate: 0.02 });

  test("a curve with noise", async () => {
    const samples = toyRegression({ samples: 60, seed: 2, noise: 0.1, centerOrigin: true });
    const net = chain({ inputs: 1, seed: 1 }, dense(16, tanh), dense(1));
    const { history } = await train(net, samples, { loss: mse, optimizer, epochs: 300 });
    expect(history[0].loss).toBeGreaterThan(0.3);
    expect(mse(net.forward(samples.x), samples.y)).toBeLessThan(0.1);
    expect(history.at(-1)?.loss).toBeLessThan(0.1);
  });

  test("two classes that no line separates", async () => {
    const samples = toyNonLinear({ samples: 60, seed: 2 });
    const net = chain({ inputs: 2, seed: 1 }, dense(16, relu), dense(1));
    await train(net, samples, { loss: binaryCrossEntropy, optimizer, epochs: 60 });
    expect(binaryCrossEntropy(net.forward(samples.x), samples.y)).toBeLessThan(0.05);
  });

  test("four classes", async () => {
    const samples = toyMulti({ samples: 60, seed: 2 });
    const net = chain({ inputs: 2, seed: 1 }, dense(16, relu), dense(4));
    await train(net, samples, { loss: crossEntropy, optimizer, epochs: 60 });
    expect(crossEntropy(net.forward(samples.x), samples.y)).toBeLessThan(0.05);
  });
});

test("the same seed gives the same bits, another seed another order", async () => {
  const run = async (seed: number) => {
    const net = small();
    const result = await train(net, data, { loss: mse, epochs: 3, batchSize: 3, seed });
    return { parameters: net.parameters, ...result };
  };
  expect(await run(5)).toEqual(await run(5));
  expect((await run(5)).parameters.data).not.toEqual((await run(6)).parameters.data);
});

test("without shuffling, samples come in order: an epoch is the same as its batches one by one", async () => {
  const [whole, parts] = [small(), small()];
  const options = { loss: mse, optimizer: sgd({ learningRate: 0.05 }), epochs: 1, shuffle: false };
  await train(whole, data, { ...options, batchSize: 4 });
  for (const [start, end] of [
    [0, 4],
    [4, 8],
    [8, 10],
  ]) {
    const rows = Array.from({ length: end - start }, (_, i) => start + i);
    const part = { x: rows.map((i) => [data.x.at(i, 0)]), y: rows.map((i) => [data.y.at(i, 0)]) };
    await train(parts, part, { ...options, batchSize: 4 });
  }
  expect(whole.parameters).toEqual(parts.parameters);
});

test("a short last batch counts by its samples in the history", async () => {
  const net = small();
  const still = { loss: mse, optimizer: sgd({ learningRate: 1e-300 }), epochs: 2 };
  const before = mse(net.forward(data.x), data.y);
  for (const batchSize of [1, 3, 4, 10, 11]) {
    const { history, steps } = await train(net, data, { ...still, batchSize });
    expect(history.map(({ loss }) => loss)).toBeAllClose([before, before]);
    expect(steps).toBe(2 * Math.ceil(10 / batchSize));
  }
});

test("no epochs change nothing", async () => {
  const net = small();
  const before = net.parameters.clone();
  expect(await train(net, data, { loss: mse, epochs: 0 })).toEqual({ history: [], steps: 0 });
  expect(net.parameters).toEqual(before);
});

test("onProgress is called after each epoch, with the parameters up to date", async () => {
  const net = small();
  const reports: EpochReport[] = [];
  const losses: number[] = [];
  const { history } = await train(net, data, {
    loss: mse,
    epochs: 4,
    batchSize: 10,
    onProgress: (report) => {
      reports.push(report);
      losses.push(mse(net.forward(data.x), data.y));
    },
  });
  expect(reports).toEqual(history.map((entry) => ({ ...entry, epochs: 4 })));
  expect(history.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  // The loss after an epoch of one step is the one before the next step; samples are added in another order.
  expect(losses.slice(0, 3)).toBeAllClose(history.slice(1).map(({ loss }) => loss));
});

describe("a signal stops training", () => {
  test("before the first step", async () => {
    const net = small();
    const before = net.parameters.clone();
    const signal = AbortSignal.abort(new Error("not today"));
    await expect(train(net, data, { loss: mse, signal })).rejects.toThrow("not today");
    expect(net.parameters).toEqual(before);
  });

  test("from onProgress, and the network keeps what it has learned", async () => {
    const [net, other] = [small(), small()];
    const controller = new AbortController();
    const seen: number[] = [];
    const training = train(net, data, {
      loss: mse,
      signal: controller.signal,
      onProgress: ({ epoch }) => {
        seen.push(epoch);
        if (epoch === 3) controller.abort();
      },
    });
    await expect(training).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    expect(seen).toEqual([1, 2, 3]);
    await train(other, data, { loss: mse, epochs: 3 });
    expect(net.parameters).toEqual(other.parameters);
    expect(memoryUse().inUse).toBe(0);
  });

  test("from a timer, between two bursts of one long epoch", async () => {
    const net = small();
    const before = net.parameters.clone();
    const controller = new AbortController();
    const samples = { x: randomNormal([200_000, 1]), y: randomNormal([200_000, 1], { seed: 1 }) };
    const options = { loss: mse, signal: controller.signal, epochs: 1e6, batchSize: 1 };
    setTimeout(() => controller.abort(), 1);
    await expect(train(net, samples, options)).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    expect(net.parameters.data).not.toEqual(before.data);
  });
});

describe("a loss that is not finite stops training, and the network keeps finite parameters with a finite loss", () => {
  const linear = (dtype: "float32" | "float64") => chain({ inputs: 1, seed: 1, dtype }, dense(4, tanh), dense(1));
  const steep = (dtype: "float32" | "float64") => chain({ inputs: 1, seed: 1, dtype }, dense(4, exp), dense(1));
  test.each([
    { name: "learning rate 1e30, float32", net: linear("float32"), learningRate: 1e30 },
    { name: "learning rate 1e30, float64", net: linear("float64"), learningRate: 1e30 },
    { name: "learning rate 1e200, float64", net: linear("float64"), learningRate: 1e200 },
    { name: "exp overflows in float32", net: steep("float32"), learningRate: 1 },
    { name: "exp overflows in float64", net: steep("float64"), learningRate: 30 },
  ])("$name", async ({ net, learningRate }) => {
    // With one, with some and with all samples in a step: the failure falls within a burst, or between two of them.
    for (const batchSize of [1, 4, 10]) {
      const copy = net.clone();
      const finiteEpochs: number[] = [];
      const failure: unknown = await train(copy, data, {
        loss: mse,
        optimizer: sgd({ learningRate }),
        epochs: 100,
        batchSize,
        shuffle: false,
        onProgress: ({ epoch }) => finiteEpochs.push(epoch),
      }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(NonFiniteLossError);
      const { epoch, batch, message } = failure as NonFiniteLossError;
      expect(epoch).toBe(finiteEpochs.length + 1);
      expect(batch).toBeGreaterThanOrEqual(1);
      expect(batch).toBeLessThanOrEqual(Math.ceil(10 / batchSize));
      expect(message).toContain(`in epoch ${epoch}, batch ${batch}.`);
      expect(message).toContain(`a learning rate that is too large (it is ${learningRate})`);
      expect([...copy.parameters.data].every(Number.isFinite)).toBe(true);
      if (batchSize === 10) expect(Number.isFinite(mse(copy.forward(data.x), data.y))).toBe(true);
      expect(memoryUse().inUse).toBe(0);
    }
  });

  test("a first loss that is infinite leaves the network as it was", async () => {
    const net = steep("float64");
    net.setParameters([...net.parameters.data].map(() => 1000));
    const before = net.parameters.clone();
    await expect(train(net, data, { loss: mse })).rejects.toThrow(/the loss is (NaN|Infinity) in epoch 1, batch 1\./);
    expect(net.parameters).toEqual(before);
  });
});

describe("frozen parameters stay exactly as they are, and the others learn", () => {
  const optimizers: Record<string, Optimizer> = {
    sgd: sgd({ learningRate: 0.05 }),
    "sgd with momentum": sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
    adam: adam({ learningRate: 0.05 }),
    adamW: adamW({ learningRate: 0.05, weightDecay: 0.5 }),
  };
  const names = Object.keys(optimizers).flatMap((name) => [0, 0.1].map((weightDecay) => ({ name, weightDecay })));

  test.each(names)("$name, weight decay $weightDecay", async ({ name, weightDecay }) => {
    for (const dtype of ["float32", "float64"] as const) {
      for (const frozen of [["0"], ["0.weight", "1.bias"], ["1"]]) {
        const net = chain({ inputs: 1, seed: 1, dtype }, dense(4, tanh), dense(1)).freeze(...frozen);
        net.named()["1.bias"].data[0] = 0.25;
        const before = net.clone();
        const optimizer = optimizers[name];
        const { steps } = await train(net, data, { loss: mse, optimizer, epochs: 3, batchSize: 3, weightDecay });
        expect(steps).toBe(12);
        for (const [parameter, { data: values }] of Object.entries(net.named())) {
          const old = before.named()[parameter].data;
          if (net.frozen.has(parameter)) expect(values).toEqual(old);
          else expect([...values].every((value, i) => value !== old[i])).toBe(true);
        }
      }
    }
  });

  test("so that a step takes the others where it would without freezing", async () => {
    const [free, frozen] = [small(), small().freeze("0")];
    const before = free.clone();
    const once = { loss: mse, epochs: 1, batchSize: 10, shuffle: false };
    await train(free, data, once);
    await train(frozen, data, once);
    const { "0.weight": weight, "0.bias": bias, ...rest } = free.named();
    expect(frozen.named()).toEqual({
      ...rest,
      "0.weight": before.named()["0.weight"],
      "0.bias": before.named()["0.bias"],
    });
    expect([weight, bias]).not.toEqual([before.named()["0.weight"], before.named()["0.bias"]]);
  });

  test("until they are unfrozen, also in the middle of training", async () => {
    const net = small().freeze("0");
    const before = net.clone();
    const moved: boolean[] = [];
    const onProgress = ({ epoch }: EpochReport) => {
      moved.push(net.named()["0.weight"].data.some((value, i) => value !== before.named()["0.weight"].data[i]));
      if (epoch === 2) net.unfreeze();
    };
    await train(net, data, { loss: mse, epochs: 4, onProgress });
    expect(moved).toEqual([false, false, true, true]);
  });

  test("and all of them frozen leave nothing to train", async () => {
    const net = small().freeze("0", "1");
    await expect(train(net, data, { loss: mse })).rejects.toThrow(OptionError);
    await expect(train(net, data, { loss: mse })).rejects.toThrow(/all parameters are frozen/);
    expect(net.parameters).toEqual(small().parameters);
  });
});

test("bad input is refused before anything changes", async () => {
  const net = small();
  const before = net.parameters.clone();
  const { x, y } = data;
  const good = { loss: mse };
  const cases: [data: object, options: object, error: typeof ValueError, message: RegExp][] = [
    [data, { ...good, batchSise: 3 }, OptionError, /train: unknown option "batchSise"\. Did you mean "batchSize"\?/],
    [data, { ...good, batchSize: 0 }, OptionError, /train: batchSize must be an integer of at least 1, not 0/],
    [data, { ...good, epochs: -1 }, OptionError, /train: epochs must be an integer of at least 0, not -1/],
    [data, { ...good, epochs: 1.5 }, OptionError, /train: epochs must be an integer/],
    [
      data,
      { ...good, weightDecay: -1 },
      OptionError,
      /train: weightDecay must be a finite number of at least 0, not -1/,
    ],
    [data, { ...good, seed: 0.5 }, OptionError, /seed must be an integer of at least 0, not 0\.5/],
    [data, { ...good, optimizer: "adam" }, ValueError, /the optimizer must be adam\(\) or another of the library's/],
    [
      data,
      {},
      ValueError,
      /the loss must be mse, crossEntropy, binaryCrossEntropy or a likelihood such as poisson\(\), not undefined/,
    ],
    [{ x }, good, ValueError, /train: data must be an object \{ x, y \}/],
    [{ x: [], y: [] }, good, ShapeError, /train: there are no samples/],
    [{ x: [[1], [2]], y: [[1]] }, good, ShapeError, /first axes of x and y .* \[2, 1\] and \[1, 1\]/],
    [{ x: [[1, 2]], y: [[1]] }, good, ShapeError, /train: expected inputs of shape \[B, 1\]/],
    [{ x, y: randomNormal([10, 2]) }, good, ShapeError, /targets have shape \[10, 2\], but the outputs \[10, 1\]/],
    [{ x: [[Number.NaN]], y: [[1]] }, good, ValueError, /train: x has the value NaN at \[0, 0\]/],
    [{ x: [[1]], y: [[-Number.NaN]] }, good, ValueError, /train: y has the value NaN at \[0, 0\]/],
    [{ x: [[1]], y: [[2]] }, { loss: binaryCrossEntropy }, ValueError, /target 2 \(element 0\) is neither/],
    [{ x, y }, { loss: crossEntropy }, ShapeError, /expected outputs of at least two classes/],
  ];
  for (const [samples, options, error, message] of cases) {
    const attempt = () => train(net, samples as typeof data, options as TrainingOptions);
    await expect(attempt()).rejects.toThrow(error);
    await expect(attempt()).rejects.toThrow(message);
    expect(memoryUse().inUse).toBe(0);
  }
  expect(net.parameters).toEqual(before);
});
