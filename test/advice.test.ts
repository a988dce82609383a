// What errors about memory tell to do is done: the option that they name exists, and what they say fits, fits.

import { expect, test } from "vitest";
import {
  array,
  categorical,
  chain,
  curvatureOf,
  defaultMemoryBudget,
  dense,
  epistemicScore,
  evaluate,
  jacobian,
  LaplaceError,
  laplace,
  MemoryBudgetError,
  mse,
  outOfDistributionAuroc,
  perSampleGradients,
  randomNormal,
  tanh,
  twoMoons,
  uncertainty,
  zeros,
} from "../src/index.ts";

interface Budget {
  memoryBudget?: number;
}

const net = chain({ inputs: 4, seed: 1, dtype: "float64" }, dense(5, tanh), dense(3));
const data = { x: randomNormal([8, 4], { seed: 1 }), y: randomNormal([8, 3], { seed: 2 }) };
const labels = { x: data.x, y: Array.from({ length: 8 }, (_, i) => i % 3) };
const fits = await Promise.all(
  (["full", "diagonal", "kronecker", "ekfac"] as const).map((structure) =>
    laplace(net, { likelihood: "regression", structure, checks: false }).fit(data),
  ),
);
const classes = await laplace(net, { likelihood: categorical(), structure: "diagonal", checks: false }).fit(labels);
const [full] = fits;

const calls: Record<string, (budget: Budget) => unknown> = {
  sample: (budget) => full.sample(20, budget),
  functionSamples: (budget) => full.functionSamples(data.x, 20, budget),
  functionCovariance: (budget) => full.functionCovariance(data.x, budget),
  "functionCovariance, joint": (budget) => full.functionCovariance(data.x, { joint: true, ...budget }),
  predict: (budget) => full.predict(data.x, budget),
  "predict, network": (budget) => full.predict(data.x, { approximation: "network", ...budget }),
  "predict, covariances": (budget) => classes.predict(data.x, { approximation: "meanField2", ...budget }),
  evaluate: (budget) => evaluate(classes, labels, budget),
  diagnose: (budget) => classes.diagnose(labels, budget),
  uncertainty: (budget) => uncertainty(classes, data.x, budget),
  epistemicScore: (budget) => epistemicScore(classes, data.x, budget),
  outOfDistributionAuroc: (budget) => outOfDistributionAuroc(classes, data.x, data.x, budget),
  curvatureOf: (budget) => curvatureOf(net, "regression", data, budget),
  jacobian: (budget) => jacobian(net, data.x, budget),
  perSampleGradients: (budget) => perSampleGradients(net, mse, data, budget),
};
for (const fit of fits) {
  calls[`covariance, ${fit.structure}`] = (budget) => fit.covariance(budget);
  calls[`precision, ${fit.structure}`] = (budget) => fit.precision(budget);
  calls[`dense, ${fit.structure}`] = (budget) => fit.curvature.dense(budget);
}

function refusalOf(call: () => unknown): MemoryBudgetError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(MemoryBudgetError);
    return error as MemoryBudgetError;
  }
  throw new Error("It was not refused.");
}

test.each(Object.keys(calls))("%s: the option that is named raises the budget", (name) => {
  const call = calls[name];
  const refusal = refusalOf(() => call({ memoryBudget: 100 }));
  expect(refusal.budget).toBe(100);
  expect(refusal.message).toContain("the option memoryBudget");
  expect(refusal.message).toContain(`${refusal.bytes} bytes`);
  // A result may be refused first, and then what it is made of.
  let { bytes } = refusal;
  for (let i = 0; i < 3; i++) {
    try {
      call({ memoryBudget: bytes });
      break;
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryBudgetError);
      expect((error as MemoryBudgetError).bytes).toBeGreaterThan(bytes);
      bytes = (error as MemoryBudgetError).bytes;
    }
  }
  expect(() => call({ memoryBudget: bytes })).not.toThrow();
  expect(() => call({ memoryBudget: Number.POSITIVE_INFINITY })).not.toThrow();
  expect(() => call({})).not.toThrow();
  expect(() => call({ memoryBudget: -1 })).toThrow(/memoryBudget must be a finite number of at least 0/);
});

test("a fit names the option of laplace, and structures that fit", async () => {
  const plan = (options: object) =>
    laplace(net, { likelihood: "regression", checks: false, ...options })
      .fit(data)
      .catch((error: unknown) => error);
  const refusal = (await plan({ structure: "full", memoryBudget: 12_000 })) as MemoryBudgetError;
  expect(refusal).toBeInstanceOf(MemoryBudgetError);
  expect(refusal.message).toContain("raise the option memoryBudget of laplace");
  expect(await plan({ structure: "full", memoryBudget: refusal.bytes })).not.toBeInstanceOf(Error);
  const named = [...refusal.message.matchAll(/"(\w+)" \(/g)].map((match) => match[1]);
  expect(named).toContain("diagonal");
  for (const structure of named) expect(await plan({ structure, memoryBudget: 12_000 })).not.toBeInstanceOf(Error);
});

test("what no runtime can hold is refused by name, before anything is allocated", () => {
  const many = 1e12;
  const unbounded = { memoryBudget: Number.POSITIVE_INFINITY };
  for (const call of [
    () => full.sample(many),
    () => full.functionSamples(data.x, many),
    () => full.predict(data.x, { approximation: "network", samples: many }),
    () => classes.predict(data.x, { approximation: "monteCarlo", samples: many }),
    () => uncertainty(classes, data.x, { samples: many }),
  ]) {
    expect(refusalOf(call).budget).toBe(defaultMemoryBudget);
  }
  for (const call of [
    () => full.sample(many, unbounded),
    () => full.functionSamples(data.x, many, unbounded),
    () => full.predict(data.x, { approximation: "network", samples: many, ...unbounded }),
    () => zeros([many, 10]),
    () => randomNormal([many, 10]),
    () => twoMoons({ samples: many }),
    () => uncertainty(classes, data.x, { samples: many, ...unbounded }),
    () => classes.predict(data.x, { approximation: "monteCarlo", samples: many, ...unbounded }),
    () => array([1, 2]).reshape(many),
  ]) {
    expect(call).toThrow(LaplaceError);
  }
});
