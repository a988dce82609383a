// The sketch of the summed gradient that the check for a stationary point looks at.

import { describe, expect, test } from "vitest";
import { readPlan } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
import { sketchOf } from "../../src/curvature/sketch.ts";
import {
  chain,
  crossEntropy,
  DataLoader,
  dense,
  gradient,
  laplace,
  type Network,
  randomNormal,
  tanh,
} from "../../src/index.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const labels = Float64Array.from({ length: 60 }, (_, i) => i % 3);
const norm = (values: Float64Array) => Math.hypot(...values);

function summed(net: Network, x: ReturnType<typeof randomNormal>): Float64Array {
  return Float64Array.from(gradient(net, crossEntropy, { x, y: labels }, { reduction: "sum" }).data);
}

describe("the sketch of a gradient", () => {
  const net = chain({ inputs: 200, dtype: "float64" }, dense(7, tanh), dense(3));
  const x = randomNormal([60, 200], { seed: 1 });
  const plan = readPlan("test", net, () => readLikelihood("test", "classification", net), { structure: "diagonal" });

  test("is the same whether the gradient or each part of the data is sketched", () => {
    const steps = summarise("test", plan, new DataLoader({ x, y: labels }, { batchSize: 17 }));
    let step = steps.next();
    while (!step.done) step = steps.next();
    const due = sketchOf(plan.selection).of(summed(net, x));
    expect(step.value.gradient).toBeAllClose(due, { relative: 1e-9, absolute: 1e-10 * norm(due) });
  });

  test("keeps lengths roughly, and small layers exactly", () => {
    const whole = summed(net, x);
    const sketch = sketchOf(plan.selection).of(whole);
    expect(norm(sketch) / norm(whole)).toBeGreaterThan(0.8);
    expect(norm(sketch) / norm(whole)).toBeLessThan(1.25);
    expect(sketch.slice(200 * 7)).toEqual(whole.slice(200 * 7));
    const small = chain({ inputs: 20, dtype: "float64" }, dense(7, tanh), dense(3));
    const exact = readPlan("test", small, () => readLikelihood("test", "classification", small), {});
    const weights = Float64Array.from(small.parameters.data);
    expect(sketchOf(exact.selection).of(weights)).toEqual(weights);
  });

  test("shows that a wide network was not trained", async () => {
    const warnings: string[] = [];
    const options = { likelihood: "classification", structure: "diagonal" } as const;
    await laplace(net, { ...options, onWarning: (message) => warnings.push(message) }).fit({ x, y: labels });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("not near a stationary point");
  });
});
