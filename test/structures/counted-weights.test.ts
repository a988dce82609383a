// Weights chosen by number: against sorting by hand, and as the same posterior as by their positions.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chain,
  dense,
  laplace,
  OptionError,
  Random,
  randomNormal,
  solver,
  tanh,
  type Weights,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import type { Structure } from "../../src/structures/curvature.ts";
import { table } from "../../src/structures/table.ts";

bringAll();

const make = () => chain({ inputs: 2, seed: 3, dtype: "float64" }, dense(4, tanh), dense(3, tanh), dense(1));
const data = { x: randomNormal([15, 2], { seed: 1 }), y: randomNormal([15, 1], { seed: 2 }) };

function fitter(net = make()) {
  return async (weights: Weights, structure: "full" | "diagonal" | "kronecker" = "full") =>
    laplace(net, { likelihood: "regression", weights, structure, checks: false }).fit(data);
}

/** The positions of the k highest scores, the first of equal ones, by a plain loop. */
function best(scores: readonly number[], k: number): number[] {
  const left = new Set(scores.keys());
  const found: number[] = [];
  for (let i = 0; i < k; i++) {
    let at = -1;
    for (const j of left) if (at < 0 || scores[j] > scores[at]) at = j;
    left.delete(at);
    found.push(at);
  }
  return found.sort((a, b) => a - b);
}

describe("so many weights", () => {
  test("the largest by size; of equal ones the first", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 31, maxLength: 31 }),
        fc.integer({ min: 1, max: 31 }),
        async (values, k) => {
          const net = make();
          expect(net.parameterCount).toBe(31);
          net.setParameters(values);
          const { indices } = await fitter(net)({ largest: k });
          expect(Array.from(indices)).toEqual(best(values.map(Math.abs), k));
        },
      ),
      { numRuns: 15 },
    );
  });

  test.each(["full", "diagonal"] as const)("those that a posterior is least sure of, %s", async (structure) => {
    const fit = fitter();
    const all = await fit("all", structure);
    const chosen = await fit({ mostVariable: 9, of: all });
    expect(Array.from(chosen.indices)).toEqual(best([...all.variance().data], 9));
    const same = await fit({ indices: chosen.indices });
    expect(chosen.predict(data.x).variance).toBeAllClose(same.predict(data.x).variance);
    // Of a posterior over a part, from that part.
    const part = await fit({ layers: ["1"] }, structure);
    const inner = await fit({ mostVariable: 5, of: part });
    expect(Array.from(inner.indices).every((index) => part.indices.includes(index))).toBe(true);
  });

  test.each(table().map(({ name }) => name))(
    "are those of their positions, or refused as these are: %s",
    async (structure: Structure) => {
      const net = make();
      const options = { likelihood: "regression", structure, points: data.x, checks: false } as const;
      const fitted = async (weights: Weights) =>
        laplace(net, { ...options, solver: solver({ tolerance: 1e-13 }), weights }).fit(data);
      const all = await laplace(net, { ...options, structure: "diagonal" }).fit(data);
      for (const weights of [{ largest: 9 }, { mostVariable: 9, of: all }, { random: 9, seed: 4 }]) {
        const { indices } = await fitter(net)(weights, "diagonal");
        const due = await fitted({ indices }).catch((error: unknown) => error as Error);
        const found = await fitted(weights).catch((error: unknown) => error as Error);
        if (due instanceof Error || found instanceof Error) {
          expect([found, due]).toEqual([expect.any(OptionError), expect.any(OptionError)]);
          continue;
        }
        expect(Array.from(found.indices)).toEqual(Array.from(indices));
        expect(found.predict(data.x).variance).toBeAllClose(due.predict(data.x).variance);
        expect(found.logMarginalLikelihood()).toBeCloseTo(due.logMarginalLikelihood(), 10);
      }
    },
  );

  test("at random: by the seed, without repetition, all equally often", async () => {
    const fit = fitter();
    const [a, b, c] = [await fit({ random: 7 }), await fit({ random: 7, seed: 0 }), await fit({ random: 7, seed: 1 })];
    expect(Array.from(a.indices)).toEqual(Array.from(b.indices));
    expect(Array.from(a.indices)).not.toEqual(Array.from(c.indices));
    const counts = new Array<number>(31).fill(0);
    for (let seed = 0; seed < 300; seed++) {
      const { indices } = await fit({ random: 10, seed });
      expect(new Set(indices).size).toBe(10);
      for (const index of indices) counts[index]++;
    }
    // 300 draws of 10 of 31: a mean of 96.8 with a deviation of 8.1.
    for (const count of counts) expect(Math.abs(count - 96.8)).toBeLessThan(4.5 * 8.1);
  });

  test("frozen weights are not chosen", async () => {
    const net = make();
    net.freeze("0");
    const fit = fitter(net);
    for (const weights of [{ largest: 19 }, { random: 19 }, { mostVariable: 19, of: await fit("all") }] as const) {
      expect(Array.from((await fit(weights)).indices)).toEqual(Array.from({ length: 19 }, (_, i) => 12 + i));
    }
    await expect(fit({ largest: 20 })).rejects.toThrow("largest is 20, but there are 19 weights to choose from");
    await expect(fit({ layers: ["0"] })).rejects.toThrow('the layer "0" is frozen');
  });

  test("one prior precision for each, in the order of the network", async () => {
    const net = make();
    const random = new Random(4);
    net.setParameters(Array.from({ length: 31 }, () => random.normal()));
    const posterior = await laplace(net, {
      likelihood: "regression",
      weights: { largest: 3 },
      priorPrecision: [1, 2, 3],
      structure: "full",
      checks: false,
    }).fit(data);
    expect(Array.from(posterior.priorPrecision.data)).toEqual([1, 2, 3]);
    const same = await laplace(net, {
      likelihood: "regression",
      weights: { indices: posterior.indices },
      priorPrecision: [1, 2, 3],
      structure: "full",
      checks: false,
    }).fit(data);
    expect(posterior.covariance()).toBeAllClose(same.covariance());
  });
});

describe("layers by name", () => {
  test.each(["full", "diagonal", "kronecker"] as const)("are their parameters: %s", async (structure) => {
    const fit = fitter();
    const [layers, parameters] = [
      await fit({ layers: ["2", "0"] }, structure),
      await fit({ parameters: ["2.weight", "2.bias", "0.weight", "0.bias"] }, structure),
    ];
    expect(Array.from(layers.indices)).toEqual(Array.from(parameters.indices));
    expect(layers.predict(data.x).variance).toBeAllClose(parameters.predict(data.x).variance);
  });
});

test.each<[object, RegExp]>([
  [{ largest: 0 }, /largest must be an integer of at least 1/],
  [{ largest: 32 }, /largest is 32, but there are 31 weights/],
  [{ largest: 2, random: 3 }, /unknown option "random"/],
  [{ random: 2, seed: -1 }, /seed/],
  [{ mostVariable: 2 }, /mostVariable needs of, a posterior/],
  [{ mostVariable: 2, of: { indices: new Uint32Array(3), variance: () => 3 } }, /a variance for each of its 3 indices/],
  [{ layers: ["0", "0"] }, /the layer "0" is named twice/],
  [{ layers: ["0.weight"] }, /no layer "0.weight" with parameters. It has 0, 1, 2/],
  [{ layers: "0" }, /weights must have one list/],
])("refuses %j", async (weights, message) => {
  const error = await fitter()(weights as Weights).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OptionError);
  expect((error as Error).message).toMatch(message);
});
