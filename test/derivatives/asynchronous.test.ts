// The asynchronous forms of derivatives: the same bits, in as many bursts as there can be.

import { expect, test } from "vitest";
import {
  array,
  chain,
  crossEntropy,
  curvatureOf,
  curvatureOfAsync,
  curvatureProduct,
  curvatureProductAsync,
  type DType,
  dense,
  gradient,
  gradientAsync,
  jacobian,
  jacobianAsync,
  jvp,
  jvpAsync,
  kernels,
  layerNorm,
  perSampleGradientNorms,
  perSampleGradientNormsAsync,
  perSampleGradients,
  perSampleGradientsAsync,
  randomNormal,
  tanh,
  vjp,
  vjpAsync,
} from "../../src/index.ts";
import { burstsOverAtOnce } from "../clock.ts";

const clock = burstsOverAtOnce();

/** Every asynchronous form beside its synchronous one; of the numbers of examples, the most are several parts. */
function forms(dtype: DType, count: number) {
  const width = count > 100 ? 600 : 5;
  const net = chain({ inputs: 3, seed: 2, dtype }, dense(width, tanh), layerNorm(), dense(3));
  const x = randomNormal([count, 3], { seed: 1, dtype });
  const y = array(Array.from({ length: count }, (_, i) => i % 3));
  const data = { x, y };
  const v = net.parameters;
  const f = randomNormal([count, 3], { seed: 3, dtype });
  type Form = [() => unknown, (options: object) => Promise<unknown>];
  const all: Record<string, Form> = {
    forward: [() => net.forward(x), (options) => net.forwardAsync(x, options)],
    gradient: [() => gradient(net, crossEntropy, data), (options) => gradientAsync(net, crossEntropy, data, options)],
    "gradient in the inputs": [
      () => gradient(net, crossEntropy, data, { withRespectTo: "inputs" }),
      (options) => gradientAsync(net, crossEntropy, data, { withRespectTo: "inputs", ...options }),
    ],
    perSampleGradients: [
      () => perSampleGradients(net, crossEntropy, data),
      (options) => perSampleGradientsAsync(net, crossEntropy, data, options),
    ],
    perSampleGradientNorms: [
      () => perSampleGradientNorms(net, crossEntropy, data),
      (options) => perSampleGradientNormsAsync(net, crossEntropy, data, options),
    ],
    jacobian: [() => jacobian(net, x), (options) => jacobianAsync(net, x, options)],
    jvp: [
      () => jvp(net, x, { parameters: v, inputs: x }),
      (options) => jvpAsync(net, x, { parameters: v, inputs: x }, options),
    ],
    vjp: [() => vjp(net, x, f), (options) => vjpAsync(net, x, f, options)],
    curvatureProduct: [
      () => curvatureProduct(net, "classification", data, v),
      (options) => curvatureProductAsync(net, "classification", data, v, options),
    ],
    curvatureOf: [
      () => curvatureOf(net, "classification", data, { structure: "diagonal" }).diagonal(),
      async (options) =>
        (await curvatureOfAsync(net, "classification", data, { structure: "diagonal", ...options })).diagonal(),
    ],
  };
  return Object.entries(all);
}

test.each<[DType, number]>([
  ["float32", 7],
  ["float64", 7],
  ["float32", 700],
])("%s, %i examples: the same bits, progress up to all examples, and nothing held", async (dtype, count) => {
  for (const [name, [synchronous, form]] of forms(dtype, count)) {
    const before = kernels.info().bytesInUse;
    const seen: number[] = [];
    const found = await form({ onProgress: ({ examples }: { examples: number }) => seen.push(examples) });
    expect(found, name).toEqual(synchronous());
    expect(seen.at(-1), name).toBe(count);
    expect(kernels.info().bytesInUse, name).toBe(before);
  }
});

test("a signal stops them in any burst; their errors are those of the synchronous forms", async () => {
  for (const [name, [, form]] of forms("float64", 7)) {
    clock.looks = 0;
    await form({});
    const bursts = clock.looks;
    for (const share of [0, 0.5, 0.95]) {
      const reason = new Error("enough");
      const at = Math.floor(share * bursts);
      clock.looks = 0;
      const signal = {
        throwIfAborted() {
          if (clock.looks >= at) throw reason;
        },
      };
      const before = kernels.info().bytesInUse;
      await expect(form({ signal }), name).rejects.toBe(reason);
      expect(kernels.info().bytesInUse, name).toBe(before);
    }
    await expect(form({ signals: 3 }), name).rejects.toThrow(/: unknown option "signals"/);
    await expect(form({ signal: 3 }), name).rejects.toThrow(/: signal must be an AbortSignal/);
  }
  const net = chain({ inputs: 3 }, dense(2));
  await expect(jacobianAsync(net, [[1, 2]])).rejects.toThrow(/^jacobian: /);
  await expect(gradientAsync(net, crossEntropy, { x: [[1, 2, 3]], y: [5] })).rejects.toThrow(/^gradient: /);
});
