// A dry run of a fit's pass says to the byte what the pass holds in the kernels' memory at its peak.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutOfPass, type PlannedPass, passBytes } from "../../src/curvature/accumulate.ts";
import { dryAccumulators, passesOf } from "../../src/curvature/accumulators.ts";
import { outputsApart } from "../../src/curvature/outputs-apart.ts";
import { readPlan } from "../../src/curvature/plan.ts";
import {
  type Curvature,
  type CurvatureOptions,
  categorical,
  chain,
  curvatureOf,
  type DType,
  dense,
  gaussian,
  type Likelihood,
  layerNorm,
  type Network,
  poisson,
  randomNormal,
  type Structure,
  tanh,
  zeros,
} from "../../src/index.ts";
import { dryBytes, dryRun } from "../../src/kernels/dry-run.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { ENOUGH } from "../../src/network/cut.ts";
import { PART_BYTES } from "../../src/network/run.ts";
import { bringAll } from "../../src/structures/all.ts";
import { kernelPeakOf } from "../laplace/peak.ts";
import { drawCase } from "../reference/draw.ts";
import { imageNetwork, wordNetwork } from "../reference/layered.ts";
import { needsBasis } from "../stored-structures.ts";

bringAll();

const IGNORED = -100;

/** The one pass of a fit with these options; "ekfac" and "kfoc" have one where a basis is given. */
function planned(net: Network, likelihood: Likelihood, options: CurvatureOptions): PlannedPass {
  const plan = readPlan("test", net, () => readLikelihood("test", likelihood, net), options);
  const [pass] = passesOf(plan);
  const accumulatorFor = dryAccumulators(plan, pass);
  return { plan, accumulatorFor, apart: outputsApart(plan, () => accumulatorFor(1).length) };
}

/** Runs a pass, and compares. */
function check(net: Network, likelihood: Likelihood, options: CurvatureOptions, count: number, x = inputs(net, count)) {
  const y = zeros([count, ...(likelihood.targets === "classes" ? net.outputShape.slice(0, -1) : net.outputShape)]);
  const found: Curvature[] = [];
  const fit = (basis?: Curvature) => () => {
    found.push(curvatureOf(net, likelihood, { x, y }, { ...options, ...(basis && { basis }) }));
  };
  if (needsBasis(options.structure)) fit()();
  const [basis] = found;
  const pass = planned(net, likelihood, { ...options, basis });
  const cut = cutOfPass(pass, count);
  const { peak } = passBytes(pass, cut, Math.min(count, cut.length));
  expect(kernelPeakOf(fit(basis))).toBe(peak);
  expect(memoryUse().inUse).toBe(0);
}

/** Poisson takes no network that ends in an exponential. */
function takes(likelihood: Likelihood, net: Network): boolean {
  try {
    likelihood.checkNetwork("test", net);
    return true;
  } catch {
    return false;
  }
}

const inputs = (net: Network, count: number) => randomNormal([count, ...net.inputShape], { dtype: net.dtype, seed: 1 });

const structures: readonly Structure[] = ["full", "diagonal", "kronecker", "ekfac", "kfoc"];

describe.each(structures)("%s", (structure) => {
  test("of random networks, likelihoods and columns", () => {
    fc.assert(
      fc.property(fc.gen(), (draw) => {
        const one = <T>(...of: readonly T[]) => of[draw(fc.nat, of.length - 1)];
        const { net, x } = drawCase(draw, { dtype: one<DType>("float32", "float64") });
        // A matrix of all weights of a large network is beyond the memory budget.
        fc.pre(net.parameterCount > 0 && (structure !== "full" || net.parameterCount < 3000));
        const likelihood = one<Likelihood>(gaussian(), gaussian({ noise: 2 }), poisson());
        fc.pre(takes(likelihood, net));
        const curvature = one("ggn", "monteCarlo", "empiricalFisher");
        const sharing = one("expand", "reduce");
        check(net, likelihood, { structure, curvature, sharing }, x.shape[0], x);
      }),
      { numRuns: 40 },
    );
  });

  test.each<DType>(["float32", "float64"])("of convolutions, attention and labels at positions, %s", (dtype) => {
    const images = imageNetwork(dtype, 9);
    check(images, categorical(), { structure }, 40);
    const words = wordNetwork(dtype);
    const labels = categorical({ classAxis: "last", ignoredLabel: IGNORED });
    check(words, labels, { structure, curvature: "monteCarlo" }, 30, zeros([30, 6], { dtype }));
  });

  test("of data that pass in several parts", () => {
    const wide = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(4000, tanh), dense(2));
    const pass = planned(wide, gaussian({ noise: 1 }), { structure: "diagonal", weights: "lastLayer" });
    expect(cutOfPass(pass, 1000).length).toBeLessThan(1000);
    if (structure === "diagonal" || structure === "kronecker")
      check(wide, gaussian({ noise: 1 }), { structure, weights: "lastLayer" }, 1000);
    // More outputs than have a curvature each.
    const outputs = chain({ inputs: 1, dtype: "float64", seed: 1 }, dense(1, tanh), dense(70));
    check(outputs, gaussian(), { structure }, 3);
    // More columns than fit.
    const many = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(1500));
    if (structure === "diagonal") check(many, gaussian({ noise: 1 }), { structure }, 3);
  });
});

describe("a part", () => {
  const net = chain({ inputs: 20, seed: 1 }, dense(50, tanh), dense(50, tanh), dense(10));
  const pass = planned(net, categorical(), { structure: "kronecker" });

  test("has the same length whatever the number of examples beyond it, and holds about 8 MiB", () => {
    const cut = cutOfPass(pass, Number.POSITIVE_INFINITY);
    expect(cutOfPass(pass, 10 * cut.length)).toEqual(cut);
    const needs = (count: number) => passBytes(pass, cut, count).peak - passBytes(pass, cut, 0).peak;
    expect(needs(cut.length)).toBeLessThan((1.1 * PART_BYTES) / 4);
    expect(needs(cut.length)).toBeGreaterThan((0.8 * PART_BYTES) / 4);
    // Memory is affine in the number of examples.
    expect(needs(3 * 2 ** 12) - needs(2 ** 13)).toBe(needs(2 ** 13) - needs(2 ** 12));
  });

  test("of large examples has enough of them, as long as they are 32 MiB", () => {
    const lengths = [5000, 20_000, 80_000, 300_000].map((width) => {
      const large = chain({ inputs: 1, seed: 1 }, dense(width, tanh), dense(3));
      const wide = planned(large, categorical(), { structure: "diagonal" });
      const { length, ...cut } = cutOfPass(wide, Number.POSITIVE_INFINITY);
      expect(cutOfPass(wide, 10 * length)).toEqual({ length, ...cut });
      const needs = (count: number) => passBytes(wide, cut, count).peak - passBytes(wide, cut, 0).peak;
      expect(needs(length)).toBeLessThan(1.1 * PART_BYTES);
      if (length > ENOUGH) expect(needs(length)).toBeLessThan((1.1 * PART_BYTES) / 4);
      if (length < ENOUGH) expect(needs(length + 1)).toBeGreaterThan(0.7 * PART_BYTES);
      // Fewer come at once.
      expect(cutOfPass(wide, Math.min(length, ENOUGH)).length).toBe(Math.min(length, ENOUGH));
      return length;
    });
    expect(lengths[0]).toBeGreaterThan(ENOUGH);
    expect(lengths[1]).toBe(ENOUGH);
    expect(lengths[2]).toBeLessThan(ENOUGH);
  });
});

test("a cut that is known is what a dry run gives, whatever was asked of the network before", () => {
  const net = chain({ inputs: [4, 2], dtype: "float64", seed: 1 }, dense(9, tanh), layerNorm(), dense(30));
  const likelihood = gaussian({ noise: 1 });
  const every = structures.flatMap((structure) =>
    (["ggn", "monteCarlo", "empiricalFisher"] as const).flatMap((curvature) =>
      (["expand", "reduce"] as const).flatMap((sharing) =>
        ([1, 9] as const)
          .filter((draws) => draws === 1 || curvature === "monteCarlo")
          .map((draws) => ({ structure, curvature, sharing, ...(draws > 1 && { monteCarloSamples: draws }) })),
      ),
    ),
  );
  const cuts = new Set<string>();
  for (const weights of ["lastLayer", { parameters: ["0.weight"] }] as const) {
    for (const options of every.filter(({ structure }) => structure !== "full" || weights !== "lastLayer")) {
      for (const count of [3, Number.POSITIVE_INFINITY]) {
        const pass = planned(net, likelihood, { ...options, weights });
        const cut = cutOfPass(pass, count);
        cuts.add(JSON.stringify(cut));
        expect(cutOfPass({ ...pass, number: 0 }, count)).toEqual(cut);
        expect(cutOfPass({ ...pass, number: 0 }, count)).toEqual(cut);
      }
    }
  }
  expect(cuts.size).toBeGreaterThan(10);
});

test("a dry run leaves memory as it was, also when it throws", () => {
  const before = memoryUse();
  const fail = () => {
    throw new Error("as asked");
  };
  expect(() => dryRun(fail)).toThrow("as asked");
  expect(dryBytes()).toBeUndefined();
  expect(memoryUse()).toEqual(before);
});
