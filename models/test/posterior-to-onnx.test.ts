// The graph of a posterior is evaluated by reading it back: output by output it is a network.

import {
  type ArrayLike,
  chain,
  dense,
  gelu,
  laplace,
  type NDArray,
  type Network,
  type Posterior,
  Random,
  randomNormal,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from "laplace-ts";
import { fromOnnx, ModelError, toOnnx } from "laplace-ts-models";
import { describe, expect, test } from "vitest";

const run = (bytes: Uint8Array, output: string, x: ArrayLike) =>
  fromOnnx(bytes, { output, cut: false }).network.forward(x);

function close(actual: NDArray, expected: NDArray): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data).toBeAllClose(expected.data, { relative: 1e-9, absolute: 1e-12 });
}

const x = randomNormal([20, 3], { seed: 1 });
const far = randomNormal([5, 3], { seed: 2 });
const random = new Random(4);
const targets: Record<string, { outputs: number; y: number[] | number[][] }> = {
  regression: { outputs: 2, y: Array.from({ length: 20 }, () => [random.normal(), random.normal()]) },
  classification: { outputs: 3, y: Array.from({ length: 20 }, () => random.integer(3)) },
  binary: { outputs: 1, y: Array.from({ length: 20 }, () => [random.integer(2)]) },
};
const netOf = (outputs: number, bias = true) =>
  chain({ inputs: 3, seed: 5, dtype: "float64" }, dense(4, tanh), dense(4, relu), dense(outputs, undefined, { bias }));

const fit = (net: Network, task: string, structure: string, weights = "lastLayer") =>
  laplace(net, { likelihood: task, structure, weights } as never).fit({
    x,
    y: targets[task].y as never,
  }) as Promise<Posterior>;

describe.each(Object.keys(targets))("a posterior for %s", (task) => {
  test.each(["full", "kronecker", "diagonal", "ekfac"])("of a last layer, %s", async (structure) => {
    for (const bias of [true, false]) {
      const posterior = await fit(netOf(targets[task].outputs, bias), task, structure);
      const bytes = toOnnx(posterior);
      const approximation = task === "regression" ? {} : ({ approximation: "probit" } as const);
      const prediction = posterior.predict(far, approximation as never);
      close(run(bytes, "mean", far), prediction.functionMean);
      close(run(bytes, "variance", far), task === "regression" ? prediction.variance : prediction.functionVariance);
      // The network ends in the scaled logits, of which the probabilities are softmax or sigmoid.
      if (task === "binary") close(run(bytes, "probabilities", far), prediction.mean);
    }
  });
});

test("a posterior around a network that was read from a file", async () => {
  const { network } = fromOnnx(toOnnx(netOf(2)));
  const posterior = await fit(network, "regression", "full");
  close(run(toOnnx(posterior), "variance", far), posterior.predict(far).variance);
});

describe("a posterior over all weights of a perceptron", () => {
  const functions = { relu, tanh, sigmoid, softplus, silu, gelu };
  test.each(Object.entries(functions))("with %s, diagonal and kronecker", async (_, activation) => {
    for (const task of ["regression", "classification", "binary"]) {
      const outputs = task === "classification" ? 3 : 1;
      const net = chain(
        { inputs: 3, seed: 6, dtype: "float64" },
        dense(4, activation),
        dense(5, activation),
        dense(outputs),
      );
      const y = task === "regression" ? targets.regression.y.map((row) => [(row as number[])[0]]) : targets[task].y;
      for (const structure of ["diagonal", "kronecker"] as const) {
        const options = { likelihood: task, structure, priorPrecision: 3, checks: false } as never;
        const posterior = (await laplace(net, options).fit({ x, y: y as never })) as Posterior;
        const prediction = posterior.predict(far, (task === "regression" ? {} : { approximation: "probit" }) as never);
        const expected = task === "regression" ? prediction.variance : prediction.functionVariance;
        close(run(toOnnx(posterior), "variance", far), expected);
      }
    }
  });

  test("a tuned one, around a network that was read from a file", async () => {
    const { network } = fromOnnx(toOnnx(netOf(1)));
    const y = targets.regression.y.map((row) => [(row as number[])[0]]);
    const options = { likelihood: "regression", structure: "kronecker", checks: false } as const;
    const posterior = (await laplace(network, options).fit({ x, y })).optimizePrior({
      priorStructure: "perParameter",
    });
    close(run(toOnnx(posterior), "variance", far), posterior.predict(far).variance);
  });
});

test("others are refused, with what can be written", async () => {
  await expect(fit(netOf(2), "regression", "full", "all").then(toOnnx)).rejects.toThrow(ModelError);
  await expect(fit(netOf(2), "regression", "full", "all").then(toOnnx)).rejects.toThrow(/weights: "lastLayer"/);
  const damped = { likelihood: "binary", structure: "kronecker", damping: true, checks: false } as const;
  const posterior = await laplace(netOf(1), damped).fit({ x, y: targets.binary.y as never });
  expect(() => toOnnx(posterior)).toThrow(/damping are not written/);
});
