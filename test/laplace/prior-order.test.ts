// Numbers that go with the option `weights` go to the weights in the order in which it names them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chain,
  curvatureOf,
  dense,
  type LaplaceOptions,
  laplace,
  loadPosterior,
  OptionError,
  type Posterior,
  Random,
  savePosterior,
  tanh,
} from "../../src/index.ts";

const random = new Random(1);
const x = Array.from({ length: 20 }, () => [random.normal(), random.normal()]);
const y = x.map(([a, b]) => [a - b, a * b]);
const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(3, tanh), dense(2));
const { parameterTable, parameterCount } = net;
const fit = (options: Partial<LaplaceOptions>) =>
  laplace(net, { likelihood: "regression", checks: false, structure: "diagonal", ...options }).fit({ x, y });

/** The variance of each weight by its position, of a diagonal H: 1 / (h + δ). */
function expectPrior(posterior: Posterior, h: Float64Array, deltaOf: (index: number) => number): void {
  const variance = posterior.variance();
  posterior.indices.forEach((index, i) => {
    expect([variance.at(i)]).toBeAllClose([1 / (h[index] + deltaOf(index))], { relative: 1e-10 });
  });
}

describe("a prior goes with the order of the option", () => {
  const h = curvatureOf(net, "regression", { x, y }, { structure: "diagonal" }).dense().data;
  const diagonal = Float64Array.from({ length: parameterCount }, (_, i) => h[i * parameterCount + i]);

  test("of single weights, in any order: at the fit, in with, in a file, beside a merge", async () => {
    const orders = fc.shuffledSubarray(
      Array.from({ length: parameterCount }, (_, i) => i),
      { minLength: 1 },
    );
    await fc.assert(
      fc.asyncProperty(orders, async (indices) => {
        const priorPrecision = indices.map((index) => index + 1);
        const priorMean = indices.map((index) => -index);
        const options = { weights: { indices } };
        const fitted = await fit({ ...options, priorPrecision, priorMean });
        const later = (await fit(options)).with({ priorPrecision, priorMean });
        const [again, merged] = [
          loadPosterior(savePosterior(fitted)),
          fitted.merge(await fit({ weights: { indices: indices.toSorted((a, b) => a - b) } })),
        ];
        for (const one of [
          fitted,
          later,
          again,
          fitted.with({ temperature: 1 }),
          fitted.with({ priorPrecision: fitted.priorPrecision, priorMean: fitted.priorMean }),
        ]) {
          expectPrior(one, diagonal, (index) => index + 1);
          expect(Array.from(one.priorPrecision)).toEqual(priorPrecision);
          expect(Array.from(one.priorMean, Math.abs)).toEqual(priorMean.map(Math.abs));
          expect(one.logMarginalLikelihood()).toBe(fitted.logMarginalLikelihood());
        }
        expectPrior(
          merged,
          diagonal.map((value) => 2 * value),
          (index) => index + 1,
        );
        // The evidence has the prior's mean where it belongs.
        const { scatter } = fitted.evidence();
        const due = indices.reduce((sum, index) => sum + (index + 1) * (net.parameters.at(index) + index) ** 2, 0);
        expect([scatter]).toBeAllClose([due], { relative: 1e-10 });
      }),
      { numRuns: 15 },
    );
  });

  test("of parameters by name, one number for each and one for each weight", async () => {
    const names = fc.shuffledSubarray(
      parameterTable.map(({ name }) => name),
      { minLength: 1 },
    );
    const partOf = (index: number) =>
      parameterTable.findIndex(({ offset, size }) => index >= offset && index < offset + size);
    await fc.assert(
      fc.asyncProperty(names, fc.boolean(), async (parameters, each) => {
        const ranges = parameters.map((name) => parameterTable.find((one) => one.name === name) ?? parameterTable[0]);
        const priorPrecision = each
          ? ranges.flatMap(({ offset, size }) => Array.from({ length: size }, (_, i) => offset + i + 1))
          : ranges.map((part) => 1 + parameterTable.indexOf(part));
        const fitted = await fit({ weights: { parameters }, priorPrecision });
        for (const one of [fitted, loadPosterior(savePosterior(fitted))]) {
          expectPrior(
            one,
            diagonal,
            (index) => (each && priorPrecision.length > ranges.length ? index : partOf(index)) + 1,
          );
        }
      }),
      { numRuns: 15 },
    );
  });

  test("of Kronecker factors too, and tuned ones come back in that order", async () => {
    const parameters = ["1.bias", "0.weight"];
    const [one, other] = await Promise.all(
      [parameters, parameters.toReversed()].map((named) =>
        fit({
          structure: "kronecker",
          weights: { parameters: named },
          priorPrecision: named.map((name) => (name === "1.bias" ? 5000 : 7)),
        }),
      ),
    );
    expect(one.variance()).toEqual(other.variance());
    expect(one.indices).toEqual(other.indices);
    expect(Array.from(one.evidenceGradient().logPriorPrecision)).toEqual(
      Array.from(other.evidenceGradient().logPriorPrecision).reverse(),
    );
    const [tuned, turned] = [one, other].map((posterior) => posterior.optimizePrior());
    expect(Array.from(tuned.priorPrecision)).toBeAllClose(Array.from(turned.priorPrecision).reverse(), {
      relative: 1e-6,
    });
    expect(tuned.variance()).toBeAllClose(turned.variance(), { relative: 1e-6 });
  });

  test("of what the fault had: [5000, 7] over bias 3 and weight 0", async () => {
    const line = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(2));
    const inputs = x.map(([a]) => [a]);
    const targets = inputs.map(([a]) => [a, 100 * a]);
    line.setParameters([1, 100, 0, 0]);
    const options = { likelihood: "regression", priorPrecision: [5000, 7], checks: false } as const;
    const single = await laplace(line, { ...options, weights: { indices: [3, 0] } }).fit({ x: inputs, y: targets });
    const squares = inputs.reduce((sum, [a]) => sum + a * a, 0);
    expect(Array.from(single.indices)).toEqual([0, 3]);
    expect(single.variance()).toBeAllClose([1 / (squares + 7), 1 / (20 + 5000)], { relative: 1e-9 });
    const named = await laplace(line, { ...options, weights: { parameters: ["0.bias", "0.weight"] } }).fit({
      x: inputs,
      y: targets,
    });
    expect([...named.variance()].slice(2).every((v) => v <= 1 / 5000)).toBe(true);
    expect([...named.variance()].slice(0, 2).every((v) => v > 1 / 5000)).toBe(true);
  });
});

test("nothing can be named twice", () => {
  const weights = (value: LaplaceOptions["weights"]) => () =>
    laplace(net, { likelihood: "regression", weights: value });
  expect(weights({ indices: [3, 0, 3] })).toThrow(/index 3 is given twice/);
  expect(weights({ parameters: ["0.bias", "1.bias", "0.bias"] })).toThrow(/parameter "0.bias" is named twice/);
  expect(weights({ parameters: ["0.bias", "0.bias"] })).toThrow(OptionError);
});
