// What estimateMemory says of predictions, evaluations and diagnoses beside what is measured.

import { expect, test } from "vitest";
import {
  type Approximation,
  chain,
  conv2d,
  type DType,
  dense,
  estimateMemory,
  evaluate,
  flatten,
  type LaplaceOptions,
  laplace,
  maxPool2d,
  OptionError,
  randomNormal,
  relu,
  type Structure,
  tanh,
  zeros,
} from "../../src/index.ts";
import { allocatedBytes } from "../../src/kernels/memory.ts";
import { arraysInUse, peakOf } from "./peak.ts";

type Case = [LaplaceOptions["likelihood"], number, Structure, DType, number, Approximation?];

const cases: Case[] = [
  ["regression", 1, "full", "float64", 300],
  ["classification", 3, "full", "float32", 300],
  ["classification", 100, "full", "float32", 40],
  ["classification", 10, "full", "float32", 300],
  ["classification", 12, "full", "float32", 300, "probit"],
  ["classification", 30, "diagonal", "float32", 300],
  ["classification", 30, "kronecker", "float32", 200],
  ["classification", 12, "full", "float64", 20, "plugin"],
  ["regression", 5, "diagonal", "float32", 600],
  ["classification", 3, "diagonal", "float64", 300, "probit"],
  ["classification", 100, "diagonal", "float64", 50],
  ["classification", 100, "diagonal", "float32", 300, "plugin"],
  ["regression", 5, "kronecker", "float32", 600],
  ["classification", 3, "kronecker", "float32", 500],
  ["classification", 100, "kronecker", "float64", 150, "probit"],
  ["binary", 1, "kronecker", "float32", 800],
  ["regression", 1, "ekfac", "float64", 300],
  ["classification", 3, "ekfac", "float32", 500],
  ["classification", 100, "ekfac", "float32", 50],
  ["count", 2, "ekfac", "float64", 500],
  ["regression", 3, "diagonal", "float64", 300, "network"],
];

test.each(cases)(
  "%s of %i, %s, %s, %i inputs, %s: within 10 %",
  async (likelihood, size, structure, dtype, inputs, how) => {
    const net = chain({ inputs: 20, dtype, seed: 1 }, dense(30, tanh), dense(size));
    // A whole matrix of 100 outputs' weights would be too large; that of ten or twelve is the last layer's, which has ways of its own.
    const few = size === 100 ? { parameters: ["1.bias", "0.bias"] } : size === 10 || size === 12 ? "lastLayer" : "all";
    const weights = structure === "full" ? few : "all";
    const options: LaplaceOptions = { likelihood, structure, weights, checks: false };
    const labels = likelihood === "classification" ? size : likelihood === "regression" ? 0 : 2;
    const x = randomNormal([inputs, 20], { dtype, seed: 1 });
    const y =
      labels === 0
        ? randomNormal([inputs, size], { dtype })
        : zeros(likelihood === "classification" ? [inputs] : [inputs, size]);
    if (labels > 0) for (let i = 0; i < y.size; i++) y.data[i] = i % labels;
    const approximation = how === undefined ? {} : { approximation: how };
    const { phases, bytes } = estimateMemory(net, { ...options, examples: inputs, inputs, ...approximation });
    expect(bytes).toBe(Math.max(...Object.values(phases)));
    // Arrays of the test before are given back in their own time.
    await new Promise((resolve) => setTimeout(resolve, 10));
    arraysInUse();
    const before = arraysInUse() + allocatedBytes();
    const posterior = await laplace(net, options).fit({ x, y });
    posterior.logMarginalLikelihood();
    posterior.predict(randomNormal([1, 20], { dtype }), approximation);
    const held = arraysInUse() + allocatedBytes() - before;
    const calls = {
      predict: () => void posterior.predict(x, approximation),
      evaluate: () => void evaluate(posterior, { x, y }, approximation),
      diagnose: () => void posterior.diagnose({ x, y }, approximation),
    };
    const found: Record<string, number> = {};
    for (const phase of ["predict", "evaluate", "diagnose"] as const) {
      const peak = held + (await peakOf(phases[phase] / 1.25 - held, calls[phase]));
      found[phase] = phases[phase] / peak;
    }
    for (const ratio of Object.values(found)) {
      expect(ratio).toBeGreaterThan(0.9);
      expect(ratio).toBeLessThan(1.1);
    }
  },
);

test.each<[Structure, DType, number, number]>([
  ["kronecker", "float32", 3, 96],
  ["ekfac", "float32", 3, 96],
  ["kfoc", "float32", 3, 96],
  ["kfoc", "float64", 3, 96],
  ["kfoc", "float32", 7, 32],
])("a fit of %s, %s, windows of %i and %i channels: within 25 %", async (structure, dtype, kernel, channels) => {
  const net = chain(
    { inputs: [channels, 8, 8], dtype, seed: 1 },
    conv2d(4, kernel, relu, { padding: (kernel - 1) / 2 }),
    maxPool2d(8),
    flatten,
    dense(3),
  );
  const options: LaplaceOptions = { likelihood: "classification", structure, checks: false };
  const { fit } = estimateMemory(net, { ...options, examples: 8 }).phases;
  const x = randomNormal([8, channels, 8, 8], { dtype, seed: 1 });
  const y = Array.from({ length: 8 }, (_, i) => i % 3);
  let peak = Number.POSITIVE_INFINITY;
  // What is not collected yet makes a peak larger, never smaller.
  for (let i = 0; i < 3; i++) {
    const own = await peakOf(fit / 1.25, async () => void (await laplace(net, options).fit({ x, y })));
    peak = Math.min(peak, own);
  }
  expect(fit / peak).toBeGreaterThan(0.83);
  expect(fit / peak).toBeLessThan(1.25);
});

test("options of a use are read as predict reads them", () => {
  const net = chain({ inputs: 2 }, dense(2));
  const estimated = (options: object) => () => estimateMemory(net, { likelihood: "regression", ...options });
  expect(estimated({ inputs: -1 })).toThrow(/^estimateMemory: inputs must be an integer of at least 0/);
  expect(estimated({ approximation: "probit" })).toThrow(OptionError);
  expect(estimated({ samples: 0 })).toThrow(OptionError);
  const { phases } = estimated({})();
  expect(estimated({ inputs: 1e6 })().phases.fit).toBe(phases.fit);
  // Results grow with the inputs, and nothing else does.
  const [one, two] = [1e6, 2e6].map((inputs) => estimated({ inputs })().phases.predict);
  expect(two - one).toBe(4 * 2 * 8 * 1e6);
});
