// Probabilities of labels by several posteriors are those of each, to the bit.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bernoulli,
  categorical,
  chain,
  conv1d,
  dense,
  flatten,
  gaussian,
  laplace,
  logProbabilitiesOf,
  NDArray,
  type Network,
  randomNormal,
  tanh,
} from "../../src/index.ts";

const structures = ["full", "kronecker", "ekfac", "diagonal"] as const;
const networks = {
  linear: (seed: number, classes: number) => chain({ inputs: 6, seed, dtype: "float64" }, dense(classes)),
  deep: (seed: number, classes: number) => chain({ inputs: 6, seed }, dense(4, tanh), dense(classes)),
  windows: (seed: number, classes: number) =>
    chain({ inputs: [1, 6], seed, dtype: "float64" }, conv1d(2, 3, tanh), flatten, dense(classes)),
} satisfies Record<string, (seed: number, classes: number) => Network>;

const kinds = fc.record({
  structure: fc.constantFrom(...structures),
  kind: fc.constantFrom("linear" as const, "deep" as const, "windows" as const),
  classes: fc.integer({ min: 2, max: 5 }),
  rows: fc.integer({ min: 1, max: 9 }),
  scales: fc.array(fc.double({ min: 1e-3, max: 3, noNaN: true }), { minLength: 1, maxLength: 4 }),
  approximation: fc.constantFrom("meanField2" as const, "meanField1" as const, "bridge" as const, "plugin" as const),
  seed: fc.nat(1000),
});

/** Examples of so many classes. */
function examples(net: Network, rows: number, classes: number, seed: number) {
  const x = randomNormal([rows, ...net.inputShape], { seed });
  return {
    x,
    y: new NDArray(
      Float64Array.from({ length: rows }, (_, i) => (i * 7 + seed) % classes),
      [rows],
    ),
  };
}

describe("log probabilities of several posteriors", () => {
  test("are those of each, whatever the structure, the layers and the approximation", async () => {
    await fc.assert(
      fc.asyncProperty(kinds, async ({ structure, kind, classes, rows, scales, approximation, seed }) => {
        const net = networks[kind](seed, classes);
        const options = { likelihood: categorical(), structure, priorPrecision: 0.7, checks: false } as const;
        const first = await laplace(net, options).fit(examples(net, 12, classes, seed));
        const all = scales.map((scale, k) =>
          first.with(k % 2 === 0 ? { temperature: scale } : { temperature: scale, priorPrecision: 2 * scale }),
        );
        const { x } = examples(net, rows, classes, seed + 1);
        const found = logProbabilitiesOf(all, x, { approximation });
        expect(found).toHaveLength(all.length);
        for (const [k, one] of all.entries()) {
          const expected = one.logProbabilities(x, { approximation });
          expect(found[k].shape).toEqual(expected.shape);
          expect(Array.from(found[k].data)).toEqual(Array.from(expected.data));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("are those of each, of binary labels, of drawn networks, and of posteriors that share nothing", async () => {
    const binary = chain({ inputs: 6, seed: 1 }, dense(1));
    const x = randomNormal([5, 6], { seed: 3 });
    const y = new NDArray(Float64Array.of(0, 1, 1, 0, 1), [5, 1]);
    const one = await laplace(binary, { likelihood: bernoulli(), structure: "full", checks: false }).fit({ x, y });
    const pair = logProbabilitiesOf([one, one.with({ temperature: 0.1 })], x);
    expect(pair[0].shape).toEqual([5, 1, 2]);
    expect(pair[1]).toEqual(one.with({ temperature: 0.1 }).logProbabilities(x));
    const apart = await Promise.all(
      [1, 2].map((seed) => {
        const net = networks.deep(seed, 3);
        const options = { likelihood: categorical(), structure: "kronecker", checks: false } as const;
        return laplace(net, options).fit(examples(net, 9, 3, seed));
      }),
    );
    for (const options of [{}, { approximation: "network", samples: 7, seed: 2 } as const]) {
      const found = logProbabilitiesOf(apart, x, options);
      for (const [k, own] of apart.entries()) expect(found[k]).toEqual(own.logProbabilities(x, options));
    }
  });

  test("are refused without posteriors, without labels, and beyond the memory that is given", async () => {
    const net = networks.linear(1, 3);
    const data = examples(net, 9, 3, 1);
    const one = await laplace(net, { likelihood: categorical(), structure: "full", checks: false }).fit(data);
    expect(() => logProbabilitiesOf([], data.x)).toThrow(/one at least/);
    expect(() => logProbabilitiesOf([one, {} as typeof one], data.x)).toThrow(/posterior 1/);
    expect(() => logProbabilitiesOf([one, one], data.x, { memoryBudget: 100 })).toThrow(/memory/i);
    // What several covariances of one input take is theirs together.
    const many = new Array<typeof one>(64).fill(one);
    const budget = { memoryBudget: 64 * 9 * 3 * 8 };
    expect(() => logProbabilitiesOf(many, data.x, budget)).toThrow(/of one input by each of 64 posteriors/);
    expect(logProbabilitiesOf([one], data.x, budget)[0]).toEqual(one.logProbabilities(data.x));
    const numbers = chain({ inputs: 6, seed: 1 }, dense(1));
    const normal = await laplace(numbers, { likelihood: gaussian(), structure: "full", checks: false }).fit({
      x: data.x,
      y: data.y.reshape(9, 1),
    });
    expect(() => logProbabilitiesOf([normal], data.x)).toThrow(/no probabilities of labels/);
  });
});
