// Derivatives of mean and variance in the inputs against finite differences, for every structure and for layers of every order.

import { describe, expect, test } from "vitest";
import { applyPrimitive, definePrimitive, elementwiseRules } from "../../src/graph.ts";
import {
  acquisitionGradients,
  acquisitionGradientsAsync,
  add,
  chain,
  conv2d,
  dense,
  embedding,
  expectedImprovement,
  flatten,
  gaussian,
  gelu,
  inputGradients,
  inputGradientsAsync,
  jacobian,
  type Layer,
  laplace,
  layerNorm,
  lstm,
  multiHeadAttention,
  multiply,
  type NDArray,
  type Network,
  network,
  type Posterior,
  randomNormal,
  sigmoid,
  softmax,
  solver,
  tanh,
  upperConfidenceBound,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import type { Structure } from "../../src/structures/curvature.ts";
import { table } from "../../src/structures/table.ts";

bringAll();

/** Central differences of the function's variance in one number of the inputs. */
function differences(posterior: Posterior, x: NDArray, i: number): ArrayLike<number> {
  const h = 1e-5;
  const at = (sign: number) => {
    const moved = x.clone();
    moved.data[i] += sign * h;
    return (posterior.predict(moved).functionVariance as NDArray).data;
  };
  const [plus, minus] = [at(1), at(-1)];
  return Array.from(plus, (value, k) => (value - minus[k]) / (2 * h));
}

async function check(net: Network, structure: Structure = "full", weights: "all" | "lastLayer" = "all") {
  const n = 6;
  const x = randomNormal([n, ...net.inputShape], { seed: 3 });
  const y = randomNormal([n, ...net.outputShape], { seed: 4 });
  const likelihood = gaussian({ noise: 0.4 });
  const options = {
    likelihood,
    structure,
    points: x,
    solver: solver({ tolerance: 1e-13 }),
    weights,
    priorPrecision: 0.7,
    checks: false,
  };
  const posterior = (await laplace(net, options).fit({ x, y })) as Posterior;
  const at = randomNormal([3, ...net.inputShape], { seed: 5 });
  const found = inputGradients(posterior, at);
  const { functionMean, functionVariance } = posterior.predict(at);
  expect(found.functionMean.data).toBeAllClose(functionMean.data, { relative: 1e-12, absolute: 1e-14 });
  expect(found.functionVariance).toBeAllClose(functionVariance as NDArray, { relative: 1e-9 });
  expect(found.varianceGradient.shape).toEqual([3, ...net.outputShape, ...net.inputShape]);
  const width = at.size / 3;
  const outputs = functionMean.size / 3;
  const scale = Math.max(...found.varianceGradient.data.map(Math.abs), ...found.functionVariance.data);
  for (let i = 0; i < at.size; i++) {
    const b = Math.floor(i / width);
    const slopes = differences(posterior, at, i);
    for (let c = 0; c < outputs; c++) {
      const value = found.varianceGradient.data[(b * outputs + c) * width + (i % width)];
      expect(Math.abs(value - slopes[b * outputs + c])).toBeLessThan(1e-6 * scale);
    }
  }
  return { posterior, at, found };
}

describe.each(table().map(({ name }) => name))("%s", (structure) => {
  test("all weights of a network with two outputs", async () => {
    const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(4, tanh), dense(2));
    const { posterior, at, found } = await check(net, structure);
    expect(await inputGradientsAsync(posterior, at)).toEqual(found);
  });

  test("the last layer alone", async () => {
    await check(chain({ inputs: 2, seed: 2, dtype: "float64" }, dense(4, sigmoid), dense(1)), structure, "lastLayer");
  });
});

test("the mean's are those of the network", async () => {
  const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4, tanh), dense(2));
  const { at, found } = await check(net);
  const h = 1e-6;
  for (let i = 0; i < 3; i++) {
    const [plus, minus] = [h, -h].map((step) => {
      const moved = at.clone();
      for (let b = 0; b < 3; b++) moved.data[3 * b + i] += step;
      return net.forward(moved);
    });
    for (let b = 0; b < 3; b++) {
      for (let c = 0; c < 2; c++) {
        expect(found.meanGradient.at(b, c, i)).toBeCloseTo((plus.at(b, c) - minus.at(b, c)) / (2 * h), 7);
      }
    }
  }
});

const layers: Record<string, () => Network> = {
  "convolution, gelu, layerNorm": () =>
    chain({ inputs: [1, 3, 3], seed: 1, dtype: "float64" }, conv2d(2, 2, gelu), flatten, layerNorm(), dense(1)),
  "attention and softmax": () =>
    chain(
      { inputs: [2, 4], seed: 1, dtype: "float64" },
      multiHeadAttention(2) as Layer,
      flatten,
      dense(2),
      softmax,
      dense(1),
    ),
  "products of values, and a way around": () =>
    network({ inputs: 3, seed: 1, dtype: "float64" }, (x) => {
      const [a, b] = [dense(3, tanh)(x), dense(3)(x)];
      return dense(1)(add(multiply(a, b), multiply(a, x)));
    }),
  lstm: () => chain({ inputs: [2, 2], seed: 1, dtype: "float64" }, lstm(2), flatten, dense(1)),
};
test.each(Object.entries(layers))("%s", async (_, make) => {
  await check(make());
});

test("of float32 to its digits", async () => {
  const [wide, narrow] = (["float64", "float32"] as const).map((dtype) =>
    chain({ inputs: 2, seed: 1, dtype }, dense(4, tanh), dense(1)),
  );
  wide.setParameters(narrow.parameters);
  const x = randomNormal([5, 2], { seed: 6, dtype: "float32" });
  const [a, b] = await Promise.all(
    [wide, narrow].map(async (net) => {
      const options = { likelihood: gaussian({ noise: 0.4 }), checks: false } as const;
      return inputGradients(await laplace(net, options).fit({ x, y: [[1], [0], [2], [1], [0]] }), x);
    }),
  );
  expect(b.varianceGradient.data).toBeAllClose(a.varianceGradient.data, { relative: 1e-4, absolute: 1e-5 });
});

test("acquisition functions go on with them", async () => {
  const net = chain({ inputs: 2, seed: 7, dtype: "float64" }, dense(5, tanh), dense(1));
  const { posterior, at } = await check(net);
  for (const goal of ["max", "min"] as const) {
    const rules = [
      [
        { rule: "expectedImprovement", best: 0.1, goal },
        (m: NDArray, v: NDArray) => expectedImprovement(m, v, { best: 0.1, goal }),
      ],
      [{ rule: "upperConfidenceBound", goal }, (m: NDArray, v: NDArray) => upperConfidenceBound(m, v, { goal })],
    ] as const;
    for (const [options, score] of rules) {
      const { values, gradients } = acquisitionGradients(posterior, at, options);
      const scored = (x: NDArray) => {
        const { functionMean, functionVariance } = posterior.predict(x);
        return score(functionMean, functionVariance as NDArray).data;
      };
      expect(values.data).toBeAllClose(scored(at), { relative: 1e-9 });
      for (let i = 0; i < 6; i++) {
        const [plus, minus] = [1e-5, -1e-5].map((h) => {
          const moved = at.clone();
          moved.data[i] += h;
          return scored(moved)[Math.floor(i / 2)];
        });
        expect(gradients.data[i]).toBeCloseTo((plus - minus) / 2e-5, 6);
      }
      expect(await acquisitionGradientsAsync(posterior, at, options)).toEqual({ values, gradients });
    }
  }
  expect(() => acquisitionGradients(posterior, at, { rule: "best" } as never)).toThrow(/rule must be one of/);
});

test("what has no derivative is refused with its layer", async () => {
  const tokens = chain({ inputs: 3, seed: 1 }, embedding(5, 2), flatten, dense(1));
  const x = [[0, 1, 2]];
  const posterior = await laplace(tokens, { likelihood: "regression", checks: false }).fit({ x, y: [[1]] });
  expect(() => inputGradients(posterior, x)).toThrow(/its inputs are tokens/);
  const bare = definePrimitive({
    name: "inputGradientsBare",
    ...elementwiseRules({ value: (x) => x ** 3, slope: (x) => 3 * x * x }),
  });
  const own = chain({ inputs: 2, seed: 1 }, dense(2), ((x) => applyPrimitive(bare, [x], undefined)) as Layer, dense(1));
  const other = await laplace(own, { likelihood: "regression", checks: false }).fit({ x: [[1, 2]], y: [[1]] });
  expect(() => inputGradients(other, [[1, 2]])).toThrow(
    /has no second derivatives, which the derivative of a variance needs/,
  );
  expect(() => inputGradients(other, [[1, 2]], { memoryBudget: 4 })).toThrow();
  expect(jacobian(own, [[1, 2]]).shape).toEqual([1, 1, own.parameterCount]);
});
