// A noise for each output: outputs in units of their own, tuned without the data.

import { beforeAll, describe, expect, test } from "vitest";
import {
  adam,
  array,
  chain,
  convTranspose2d,
  dense,
  evaluate,
  flatten,
  gaussian,
  type LaplaceOptions,
  laplace,
  loadPosterior,
  mse,
  type Network,
  Random,
  randomNormal,
  type Structure,
  savePosterior,
  tanh,
  train,
} from "../../src/index.ts";

const structures: Structure[] = ["full", "diagonal", "kronecker", "ekfac"];
const options = { checks: false } as const;

const inputs = randomNormal([40, 3], { seed: 1 });
const y = Array.from({ length: 40 }, (_, n) => {
  const random = new Random(n + 1);
  return [0.1, 3, 40].map((sigma, c) => sigma * random.normal() + c * inputs.at(n, c));
});
const nets: Record<string, () => Network> = {
  dense: () => chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4, tanh), dense(3)),
  transposed: () =>
    chain({ inputs: [1, 1, 3], seed: 1, dtype: "float64" }, convTranspose2d(2, [1, 2]), flatten, dense(3)),
};

describe.each(Object.keys(nets))("%s", (name) => {
  const x = (from = 0, to = 40) => {
    const rows = array((inputs.toArray() as number[][]).slice(from, to));
    return name === "dense" ? rows : rows.reshape(-1, 1, 1, 3);
  };
  describe.each(structures)("%s", (structure) => {
    const of = (extra: Partial<LaplaceOptions> = {}) =>
      laplace(nets[name](), { likelihood: "regression", structure, ...options, ...extra });

    test("the noises tuned are those whose derivatives vanish", async () => {
      const tuned = (await of().fit({ x: x(), y })).optimizePrior({ priorStructure: "perParameter" });
      expect(tuned.tuning?.converged).toBe(true);
      const noise = [...(tuned.noise?.data ?? [])];
      for (const c of [0, 1, 2]) {
        const at = (factor: number) =>
          tuned.with({ noise: noise.map((sigma, k) => (k === c ? factor * sigma : sigma)) }).logMarginalLikelihood();
        const [low, middle, high] = [at(Math.exp(-1e-3)), at(1), at(Math.exp(1e-3))];
        expect(Math.abs(high - low) / 2e-3).toBeLessThan(2e-3);
        expect(middle).toBeGreaterThan(Math.max(low, high));
      }
    });

    test("a posterior at other noises is that of a fit with them", async () => {
      const fitted = await of().fit({ x: x(), y });
      const noise = [0.3, 2, 50];
      const changed = fitted.with({ noise, priorPrecision: 2 });
      const basis = structure === "ekfac" ? { basis: fitted.curvature } : {};
      const other = await of({ likelihood: gaussian({ noise }), priorPrecision: 2, ...basis }).fit({ x: x(), y });
      expect(changed.noise?.data).toBeAllClose(noise);
      expect(changed.loss).toBeCloseTo(other.loss, 9);
      expect(changed.logMarginalLikelihood()).toBeCloseTo(other.logMarginalLikelihood(), 8);
      const [ours, theirs] = [changed, other].map((posterior) => posterior.functionCovariance(x()).data);
      const size = Math.max(...theirs.map(Math.abs));
      expect(ours).toBeAllClose(theirs, { relative: 1e-8, absolute: 1e-12 * size });
    });

    test("shards add, and files keep what tuning needs", async () => {
      const half = (from: number, to: number, extra = {}) => of(extra).fit({ x: x(from, to), y: y.slice(from, to) });
      const first = await half(0, 25);
      const basis = structure === "ekfac" ? { basis: first.curvature } : {};
      const sum = first.optimizePrior().merge((await half(25, 40, basis)).optimizePrior());
      const whole = (await of(basis).fit({ x: x(), y })).optimizePrior();
      for (const posterior of [sum.optimizePrior(), loadPosterior(savePosterior(sum)).optimizePrior()]) {
        expect(posterior.noise?.data).toBeAllClose(whole.noise?.data ?? [], { relative: 1e-4 });
        expect(posterior.logMarginalLikelihood()).toBeCloseTo(whole.logMarginalLikelihood(), 6);
      }
    });
  });
});

test("a given noise keeps its ratios: one for all, or those of a list", async () => {
  for (const [noise, ratios] of [
    [1, [1, 1, 1]],
    [
      [0.1, 3, 40],
      [0.1, 3, 40],
    ],
  ] as const) {
    const tuned = (
      await laplace(nets.dense(), { likelihood: gaussian({ noise }), ...options }).fit({ x: inputs, y })
    ).optimizePrior();
    const found = tuned.noise?.data ?? [];
    for (const c of [1, 2]) expect(found[c] / found[0]).toBeCloseTo(ratios[c] / ratios[0], 9);
  }
});

test("where outputs have no curvature each, they share a noise, and diagnosis says whose is off", async () => {
  const net = nets.dense();
  for (const extra of [{ curvature: "monteCarlo" }, { curvature: "empiricalFisher" }] as const) {
    const tuned = (
      await laplace(net, { likelihood: "regression", ...options, ...extra }).fit({ x: inputs, y })
    ).optimizePrior();
    const noise = tuned.noise?.data ?? [];
    expect(noise[0]).toBe(noise[2]);
    const messages = tuned.diagnose().findings.filter(({ code }) => code === "noise-far-from-residuals");
    expect(messages.map(({ measured }) => measured.output)).toEqual([0, 1]);
    expect(messages[0].advice).toContain("gaussian({ noise: [");
  }
});

describe("two outputs in different units", () => {
  const make = (seed: number) => {
    const r = new Random(seed);
    const inputs = Array.from({ length: 300 }, () => [r.normal()]);
    return {
      x: inputs,
      y: inputs.map(([a]) => [Math.sin(2 * a) + 0.1 * r.normal(), 100 * a + 20 * r.normal()]),
    };
  };
  const [data, held] = [make(1), make(2)];
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(16, tanh), dense(2));
  beforeAll(async () => {
    const scaled = { x: data.x, y: data.y.map(([a, b]) => [a, b / 100]) };
    await train(net, scaled, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1500, batchSize: 300 });
    const weights = [...net.parameters.data];
    for (let j = 0; j < 16; j++) weights[32 + 16 + j] *= 100;
    weights[32 + 32 + 1] *= 100;
    net.setParameters(weights);
  });

  test.each(structures)("%s: intervals hold what they say, of each", async (structure) => {
    const fitted = await laplace(net, { likelihood: "regression", structure, ...options }).fit(data);
    const tuned = fitted.optimizePrior();
    expect(tuned.noise?.data).toBeAllClose([0.1, 20], { relative: 0.3 });
    const { outputs, ...pooled } = evaluate(tuned, held);
    expect(outputs?.length).toBe(2);
    for (const { intervalCoverage } of outputs ?? []) expect(intervalCoverage).toBeGreaterThan(0.84);
    for (const { intervalCoverage } of outputs ?? []) expect(intervalCoverage).toBeLessThan(0.96);
    expect(pooled.intervalCoverage).toBeCloseTo(
      ((outputs?.[0].intervalCoverage ?? 0) + (outputs?.[1].intervalCoverage ?? 0)) / 2,
    );
    expect(tuned.diagnose(held).findings).toEqual([]);
  });

  test("what rounding leaves of tuning under given ratios is a maximum, and found to be one", async () => {
    const tuned = (await laplace(net, { likelihood: gaussian({ noise: [0.1, 20] }) }).fit(data)).optimizePrior();
    expect(tuned.tuning?.converged).toBe(true);
    expect(tuned.diagnose().findings.map(({ code }) => code)).not.toContain("tuning-not-converged");
    const at = (factor: number) =>
      tuned.with({ priorPrecision: factor * (tuned.priorPrecision.data[0] as number) }).logMarginalLikelihood();
    expect(at(1)).toBeGreaterThan(Math.max(at(0.99), at(1.01)));
  });

  test("a shared noise is found to be wrong for both, by the fit and by held-out data", async () => {
    const shared = (await laplace(net, { likelihood: gaussian({ noise: 1 }), ...options }).fit(data)).optimizePrior();
    const noises = shared.diagnose().findings.filter(({ code }) => code === "noise-far-from-residuals");
    expect(noises.map(({ measured }) => measured.output)).toContain(0);
    expect(noises[0].message).toContain("output 0");
    const found = shared.diagnose(held).findings;
    expect(found.find(({ code }) => code === "under-confident")?.measured.output).toBe(0);
    expect(found.find(({ code }) => code === "over-confident")?.measured.output).toBe(1);
  });
});
