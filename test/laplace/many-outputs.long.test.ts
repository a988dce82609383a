// Predictions of many classes: what they hold is bounded by parts, and what is not asked for is not computed.

import { describe, expect, test, vi } from "vitest";
import {
  type Approximation,
  categorical,
  chain,
  type DType,
  dense,
  evaluate,
  gaussian,
  type Likelihood,
  laplace,
  MemoryBudgetError,
  type Network,
  outOfDistributionAuroc,
  type Posterior,
  randomNormal,
  type Structure,
  tanh,
  uncertainty,
} from "../../src/index.ts";
import { peakOf } from "./peak.ts";

const structures: Structure[] = ["full", "diagonal", "kronecker", "ekfac"];

async function fitOf(net: Network, structure: Structure, likelihood: Likelihood, labels: number): Promise<Posterior> {
  const [n, outputs] = [12, net.outputShape];
  const x = randomNormal([n, ...net.inputShape], { seed: 2, dtype: net.dtype });
  const y =
    likelihood.name === "gaussian"
      ? randomNormal([n, ...outputs], { seed: 3, dtype: net.dtype })
      : Array.from({ length: n }, (_, i) =>
          outputs.length === 1
            ? i % labels
            : Array.from({ length: net.graph.output.size / labels }, (_, t) => (i + t) % labels),
        );
  const weights = structure === "full" ? { parameters: ["1.bias"] } : "lastLayer";
  return laplace(net, { likelihood, structure, weights, checks: false }).fit({ x, y: y as never });
}

const models: Record<string, [(dtype: DType) => Network, Likelihood, number]> = {
  "130 outputs": [(dtype) => chain({ inputs: 3, seed: 1, dtype }, dense(4, tanh), dense(130)), gaussian(), 1],
  "130 classes": [(dtype) => chain({ inputs: 3, seed: 1, dtype }, dense(4, tanh), dense(130)), categorical(), 130],
  "70 classes at each of 3 positions": [
    (dtype) => chain({ inputs: [3, 2], seed: 1, dtype }, dense(4, tanh), dense(70)),
    categorical({ classAxis: "last" }),
    70,
  ],
};

describe.each(Object.keys(models))("%s", (name) => {
  const [make, likelihood, labels] = models[name];

  test.each(structures)("%s: one input or many, with covariances or without: the same variances", async (structure) => {
    const posterior = await fitOf(make("float64"), structure, likelihood, labels);
    const x = randomNormal([5, ...posterior.net.inputShape], { seed: 4 });
    const all = posterior.functionCovariance(x);
    const outputs = posterior.net.graph.output.size;
    for (const approximation of posterior.likelihood.links as Approximation[]) {
      const draws = { approximation, samples: 3 };
      const together = posterior.predict(x, draws);
      for (let b = 0; b < 5; b++) {
        const one = posterior.predict(x.sub(b).reshape(1, ...posterior.net.inputShape), draws);
        for (const key of ["mean", "variance", "functionMean", "functionVariance"] as const) {
          expect(together[key].sub(b).data).toBeAllClose(one[key].data, { relative: 1e-12 });
        }
        const due = Float64Array.from({ length: outputs }, (_, c) => all.data[(b * outputs + c) * outputs + c]);
        expect(together.functionVariance.sub(b).data).toBeAllClose(due, { relative: 1e-11 });
      }
    }
  });
});

describe("of 1000 classes", async () => {
  const classes = 1000;
  const net = chain({ inputs: 16, seed: 1 }, dense(classes));
  const posterior = await fitOf(net, "diagonal", categorical(), classes);
  const x = randomNormal([60, 16], { seed: 5 });
  const y = Array.from({ length: 60 }, (_, i) => i);
  const block = 8 * classes ** 2;

  test.each<[string, number, () => unknown]>([
    ["plugin", 10e6, () => posterior.predict(x, { approximation: "plugin" })],
    ["probit", 100e6, () => posterior.predict(x, { approximation: "probit" })],
    ["evaluate", 100e6, () => evaluate(posterior, { x, y }, { approximation: "probit" })],
    ["diagnose", 130e6, () => posterior.diagnose({ x, y }, { approximation: "probit" })],
    ["network", 60e6, () => posterior.predict(x, { approximation: "network", samples: 5 })],
  ])("%s of 60 inputs holds less than their covariances, 480 MB", async (_, most, call) => {
    call();
    const peak = await peakOf(1e6, () => void call());
    expect(peak).toBeLessThan(most);
    expect(most).toBeLessThan(60 * block);
  });

  test("what needs covariances holds those of an input", async () => {
    const few = x.sub(0).reshape(1, 16);
    const peak = await peakOf(1e6, () => {
      posterior.predict(few, { approximation: "bridge" });
      uncertainty(posterior, few, { samples: 2 });
    });
    expect(peak).toBeLessThan(10 * block);
  });

  test("the plugin is a pass forward, whose variances are computed where they are read", () => {
    const covariance = vi.spyOn(posterior.factorised, "functionCovariance");
    // A last layer's variances come of its inputs.
    const variance = vi.spyOn(posterior.factorised as Required<typeof posterior.factorised>, "head");
    const prediction = posterior.predict(x, { approximation: "plugin" });
    evaluate(posterior, { x, y }, { approximation: "plugin" });
    expect(variance).not.toHaveBeenCalled();
    const changed = x.data.slice();
    x.data.fill(0);
    const { functionVariance } = prediction;
    x.data.set(changed);
    expect(variance).toHaveBeenCalled();
    expect(prediction.functionVariance).toBe(functionVariance);
    expect(functionVariance).toEqual(posterior.predict(x, { approximation: "probit" }).functionVariance);
    expect(covariance).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test("beyond the budget they are refused, with the bytes and what needs less, which then works", () => {
    const refusal = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryBudgetError);
        return error as MemoryBudgetError;
      }
      throw new Error("was not refused");
    };
    const result = refusal(() => posterior.predict(x, { approximation: "plugin", memoryBudget: 1e5 }));
    expect(result.bytes).toBe(8 * 60 * classes);
    expect(result.message).toContain("Or raise the option memoryBudget.");
    expect(posterior.predict(x, { approximation: "plugin", memoryBudget: result.bytes }).mean.shape).toEqual([
      60, 1000,
    ]);
    const few = x.sub(0).reshape(1, 16);
    const memoryBudget = 1e6;
    const between = refusal(() => posterior.predict(few, { approximation: "bridge", memoryBudget }));
    expect(between.message).toContain('"probit", "plugin"');
    expect(posterior.predict(few, { approximation: "probit", memoryBudget }).mean.shape).toEqual([1, 1000]);
    for (const call of [
      (budget: number) => posterior.predict(few, { approximation: "bridge", memoryBudget: budget }),
      (budget: number) => uncertainty(posterior, few, { samples: 2, memoryBudget: budget }),
      (budget: number) => outOfDistributionAuroc(posterior, few, few, { samples: 2, memoryBudget: budget }),
      (budget: number) => posterior.functionCovariance(few, { memoryBudget: budget }),
      (budget: number) => evaluate(posterior, { x: few, y: [0] }, { approximation: "bridge", memoryBudget: budget }),
      (budget: number) => posterior.diagnose({ x: few, y: [0] }, { approximation: "bridge", memoryBudget: budget }),
    ]) {
      const { bytes } = refusal(() => call(memoryBudget));
      expect(() => call(bytes)).not.toThrow();
    }
  });
});
