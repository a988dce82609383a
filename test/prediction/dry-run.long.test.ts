// Dry runs say to the byte what the evidence, tuning and predictions hold in the kernels' memory at their peak.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NDArray } from "../../src/index.ts";
import {
  type Approximation,
  categorical,
  chain,
  type DType,
  dense,
  gaussian,
  type LaplaceOptions,
  type Likelihood,
  laplace,
  MemoryBudgetError,
  type Network,
  type Posterior,
  poisson,
  randomNormal,
  type Structure,
  tanh,
  zeros,
} from "../../src/index.ts";
import { dryRun } from "../../src/kernels/dry-run.ts";
import { allocateFloats } from "../../src/kernels/memory.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { PART_BYTES } from "../../src/network/run.ts";
import { type Asked, cutFor, functionBytes, routeOf, wholeRoute } from "../../src/prediction/cuts.ts";
import { sumVariances } from "../../src/prediction/functions.ts";
import { bringAll } from "../../src/structures/all.ts";
import { dryPrecision } from "../../src/structures/table.ts";
import { kernelPeakOf } from "../laplace/peak.ts";
import { drawCase } from "../reference/draw.ts";
import { imageNetwork, wordNetwork } from "../reference/layered.ts";

bringAll();

const structures: readonly Structure[] = ["full", "diagonal", "kronecker", "ekfac"];

async function fitted(net: Network, x: NDArray, likelihood: Likelihood, options: Partial<LaplaceOptions>) {
  const n = x.shape[0];
  const labels = likelihood.targets === "classes";
  const y = zeros([n, ...(labels ? net.outputShape.slice(0, -1) : net.outputShape)]);
  for (let i = 0; labels && i < y.size; i++) y.data[i] = i % (net.outputShape.at(-1) as number);
  return laplace(net, { likelihood, checks: false, ...options }).fit({ x, y });
}

/** Asks everything of a posterior for the first time, and again; compares each. */
function check(posterior: Posterior, x: NDArray, exact = true): void {
  const { structure, selection, net, likelihood } = posterior;
  const { precision, bytes } = dryPrecision(structure, selection);
  const evidence = kernelPeakOf(() => posterior.logMarginalLikelihood());
  // Factors of numbers of very different sizes are decomposed outside of that memory.
  if (exact) expect(evidence).toBe(bytes.peak);
  else expect(evidence).toBeLessThanOrEqual(bytes.peak);
  const route = routeOf(net, selection, likelihood);
  const whole = wholeRoute(net.graph.output.size);
  const n = x.shape[0];
  const compare = (asked: Asked, by: typeof route, body: () => void) => {
    const { peak } = functionBytes(posterior, by, asked, n, precision);
    expect(kernelPeakOf(body)).toBe(peak);
    expect(kernelPeakOf(body)).toBe(peak);
  };
  for (const approximation of likelihood.links) {
    compare(likelihood.needs(approximation), route, () =>
      posterior.predict(x, { approximation: approximation as Approximation }),
    );
  }
  compare("covariance", whole, () => posterior.functionCovariance(x));
  compare("sums", route, () =>
    atOnce(sumVariances("test", posterior, x, zeros([n, ...net.outputShape], { dtype: net.dtype }))),
  );
  // Draws are coloured before they move networks.
  const draws = 3;
  const coloured = dryRun(() => precision.colour(allocateFloats("float64", draws * selection.size), draws)).peak;
  for (const [asked, body] of [
    ["network", () => posterior.predict(x, { approximation: "network", samples: draws })],
    ["tangent", () => posterior.functionSamples(x, draws)],
  ] as const) {
    const { peak } = functionBytes(posterior, whole, asked, n, precision);
    expect(kernelPeakOf(body)).toBe(Math.max(peak, coloured));
  }
}

describe.each(structures)("%s", (structure) => {
  test("of random networks and likelihoods", async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (draw) => {
        const one = <T>(...of: readonly T[]) => of[draw(fc.nat, of.length - 1)];
        const { net, x } = drawCase(draw, { dtype: one<DType>("float32", "float64") });
        fc.pre(net.parameterCount > 0 && x.shape[0] > 0);
        const likelihood = one<Likelihood>(gaussian({ noise: 2 }), poisson());
        let posterior: Posterior;
        try {
          // Networks that are drawn far from this one may overflow, with exponentials in a row.
          posterior = await fitted(net, x, likelihood, { structure, priorPrecision: 1e8 });
        } catch {
          return; // Poisson takes no network that ends in an exponential, nor outputs that overflow it.
        }
        check(posterior, x, false);
      }),
      { numRuns: 25 },
    );
  });

  test.each<DType>(["float32", "float64"])("of convolutions, attention and labels at positions, %s", async (dtype) => {
    const images = imageNetwork(dtype, 7);
    const x = (net: Network, n: number) => randomNormal([n, ...net.inputShape], { dtype, seed: 1 });
    check(await fitted(images, x(images, 40), categorical(), { structure }), x(images, 40));
    const words = wordNetwork(dtype);
    const tokens = zeros([30, 6], { dtype });
    for (let i = 0; i < tokens.size; i++) tokens.data[i] = i % 9;
    const labels = categorical({ classAxis: "last" });
    check(await fitted(words, tokens, labels, { structure }), tokens, false);
    const rows = chain({ inputs: [5, 3], dtype, seed: 1 }, dense(4, tanh), dense(3));
    check(await fitted(rows, x(rows, 20), labels, { structure }), x(rows, 20));
  });

  test("of inputs that pass in several parts", async () => {
    const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(4000, tanh), dense(9, tanh), dense(2));
    const few = randomNormal([8, 2], { dtype: "float64", seed: 2 });
    const posterior = await fitted(net, few, gaussian({ noise: 1 }), { structure, weights: "lastLayer" });
    const { length } = cutFor(posterior, routeOf(net, posterior.selection, posterior.likelihood), "variance");
    expect(length).toBeLessThan(1000);
    const x = randomNormal([1000, 2], { dtype: "float64", seed: 2 });
    check(posterior, x);
  });
});

test("a part of a prediction holds about 4 MiB, whatever the posterior's prior, and its cut is found once", async () => {
  const net = chain({ inputs: 20, seed: 1 }, dense(50, tanh), dense(10));
  const x = randomNormal([30, 20], { seed: 1 });
  const posterior = await fitted(net, x, categorical(), { structure: "kronecker" });
  const route = routeOf(net, posterior.selection, posterior.likelihood);
  const cut = cutFor(posterior, route, "covariance");
  expect(cutFor(posterior.with({ priorPrecision: 7 }), route, "covariance")).toBe(cut);
  const { precision } = dryPrecision("kronecker", posterior.selection);
  const needs = (n: number) => functionBytes(posterior, route, "covariance", n, precision).peak;
  const all = needs(cut.length) - needs(0);
  expect(all).toBeLessThan(0.25 * PART_BYTES);
  expect(all).toBeGreaterThan(0.1 * PART_BYTES);
});

test("covariances beyond the budget are refused before anything is allocated", async () => {
  const net = chain({ inputs: 2, seed: 1 }, dense(300));
  const x = randomNormal([5, 2], { seed: 1 });
  const posterior = await fitted(net, x, categorical(), { structure: "diagonal" });
  const { one } = cutFor(posterior, routeOf(net, posterior.selection, posterior.likelihood), "covariance");
  const predict = (memoryBudget: number) => () => posterior.predict(x, { approximation: "meanField2", memoryBudget });
  let refused: unknown;
  const peak = kernelPeakOf(() => {
    try {
      predict(one - 1)();
    } catch (error) {
      refused = error;
    }
  });
  expect(peak).toBe(0);
  expect(refused).toBeInstanceOf(MemoryBudgetError);
  expect((refused as MemoryBudgetError).bytes).toBe(one);
  expect(predict(one)).not.toThrow();
});

test.each<DType>(["float32", "float64"])("of a last layer with its whole matrix, %s", async (dtype) => {
  const net = chain({ inputs: 3, dtype, seed: 1 }, dense(70, tanh), dense(6));
  const x = randomNormal([40, 3], { dtype, seed: 1 });
  const posterior = await fitted(net, x, categorical(), { structure: "full", weights: "lastLayer" });
  const { structure, selection, likelihood } = posterior;
  const { precision, bytes } = dryPrecision(structure, selection);
  const n = selection.size;
  const evidence = kernelPeakOf(() => posterior.logMarginalLikelihood());
  expect(evidence).toBe(bytes.peak);
  const found = functionBytes(posterior, routeOf(net, selection, likelihood), "covariance", x.shape[0], precision);
  // The factor, and the inverse's root in panels: made before all parts, and kept.
  const made = dryRun(() => atOnce(dryPrecision(structure, selection).precision.prepare("covariance")));
  expect(kernelPeakOf(() => posterior.predict(x))).toBe(Math.max(made.peak, found.peak));
  expect(found.all).toBe(Math.max(made.all, found.kept + found.peak));
  expect(found.kept).toBeGreaterThan(1.5 * 8 * n * n);
  expect(found.kept).toBeLessThan(1.9 * 8 * n * n);
  expect(kernelPeakOf(() => posterior.predict(x))).toBe(found.peak);
});
