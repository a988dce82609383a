import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  array,
  chain,
  dense,
  fourierFeatures,
  gaussian,
  gaussNewton,
  gradient,
  laplace,
  lastLayerEvidence,
  mse,
  network,
  poisson,
  randomNormal,
  relu,
  tanh,
  train,
} from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { regressionEvidence, regressionSums } from "../../src/training/bayesian-regression.ts";
import { evidenceBySpectrum, spectrumOf } from "../../src/training/shared-precision.ts";
import { logDensity } from "../reference/regression.ts";

const dtype = "float64";
// Of three inputs the last says nothing.
const x = randomNormal([60, 3], { seed: 4 });
const noises = randomNormal([60], { seed: 5 });
const y = Array.from(
  { length: 60 },
  (_, n) => Math.sin(2 * x.data[3 * n]) + 0.5 * x.data[3 * n + 1] + 0.1 * noises.data[n],
);

describe("the evidence of a linear model", () => {
  const [n, s, outputs] = [7, 4, 3];
  const features = randomNormal([n, s], { seed: 1 });
  const targets = randomNormal([n, outputs], { seed: 2 });
  const shared = Float64Array.from([0.5, 2, 3, 0.1]);
  const precisions = [shared, shared, Float64Array.from([1, 1, 4, 2])];
  const sigmas = [0.7, 0.7, 0.4];
  const slow = (phi: ArrayLike<number>, deltas: readonly Float64Array[], noise = 1) =>
    deltas.reduce((sum, delta, c) => {
      const rows = Array.from({ length: n }, (_, i) => Array.from({ length: s }, (_, j) => phi[i * s + j]));
      const column = Array.from({ length: n }, (_, i) => targets.data[i * outputs + c]);
      return sum + logDensity(rows, column, delta, sigmas[c] * noise);
    }, 0);
  const found = atOnce(
    regressionEvidence({ features, targets, examples: n, precisions, noises: sigmas.map((sigma) => sigma ** -2) }),
  );
  const h = 1e-5;
  const close = (actual: number, up: number, down: number) =>
    expect([actual]).toBeAllClose([(up - down) / (2 * h)], { relative: 1e-7, absolute: 1e-7 });

  test("is the density of the targets", () => {
    expect([found.value]).toBeAllClose([slow(features.data, precisions)], { relative: 1e-12 });
  });

  test("its derivatives are those of the density", () => {
    for (let i = 0; i < n * s; i++) {
      const moved = (by: number) => features.data.map((one, j) => (i === j ? one + by : one));
      close(found.features?.data[i] ?? Number.NaN, slow(moved(h), precisions), slow(moved(-h), precisions));
    }
    for (let c = 0; c < outputs; c++) {
      for (let i = 0; i < s; i++) {
        const moved = (by: number) =>
          precisions.map((delta, k) => delta.map((one, j) => (k === c && i === j ? one * Math.exp(by) : one)));
        close(found.precisions[c][i], slow(features.data, moved(h)), slow(features.data, moved(-h)));
      }
    }
    close(found.noise, slow(features.data, precisions, Math.exp(h)), slow(features.data, precisions, Math.exp(-h)));
  });

  test("by sums that were made before it is the same to the bit, and leaves out what is not asked for", () => {
    const sums = atOnce(regressionSums(features, targets));
    const noises = sigmas.map((sigma) => sigma ** -2);
    const again = atOnce(
      regressionEvidence({ features, targets, examples: n, precisions, noises, sums, inFeatures: false }),
    );
    expect(again).toEqual({ ...found, features: undefined });
  });
});

test("where columns share a precision, the evidence in their eigenvectors is the same", () => {
  const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  fc.assert(
    fc.property(
      fc.record({
        n: fc.integer({ min: 1, max: 12 }),
        shared: fc.integer({ min: 1, max: 9 }),
        others: fc.integer({ min: 0, max: 4 }),
        outputs: fc.integer({ min: 1, max: 3 }),
        seed: fc.integer({ min: 0, max: 1000 }),
        logs: fc.array(number(-4, 4), { minLength: 6, maxLength: 6 }),
        noise: number(-2, 2),
        stride: fc.integer({ min: 1, max: 3 }),
      }),
      ({ n, shared, others, outputs, seed, logs, noise, stride }) => {
        const s = shared + others;
        const features = randomNormal([n, s], { seed });
        const targets = randomNormal([n, outputs], { seed: seed + 1 });
        // The shared columns lie anywhere among the others.
        const order = Array.from({ length: s }, (_, i) => i).sort((a, b) => ((a * stride) % 5) - ((b * stride) % 5));
        const places = order.slice(0, shared);
        const precisions = Array.from({ length: outputs }, (_, c) =>
          Float64Array.from({ length: s }, (_, i) => Math.exp(places.includes(i) ? logs[c] : logs[(i + c) % 6])),
        );
        const noises = precisions.map((_, c) => Math.exp(noise + 0.3 * c));
        const sums = atOnce(regressionSums(features, targets));
        const regression = { features, targets, examples: n, precisions, noises, sums };
        const slow = atOnce(regressionEvidence({ ...regression, inFeatures: false }));
        const fast = atOnce(evidenceBySpectrum(regression, atOnce(spectrumOf(sums, places))));
        const close = (a: ArrayLike<number>, b: ArrayLike<number>) =>
          expect(Array.from(a)).toBeAllClose(Array.from(b), { relative: 1e-8, absolute: 1e-8 });
        close([fast.value, fast.noise], [slow.value, slow.noise]);
        close(fast.means.data, slow.means.data);
        fast.precisions.forEach((own, c) => {
          const sum = (all: Float64Array) => places.reduce((total, i) => total + all[i], 0);
          close([sum(own)], [sum(slow.precisions[c])]);
          order.slice(shared).forEach((i) => {
            close([own[i]], [slow.precisions[c][i]]);
          });
        });
      },
    ),
  );
});

test.each([
  ["lastLayerEvidence", lastLayerEvidence(), 40],
  ["gaussNewton", gaussNewton(), 0],
] as const)("by %s rows that repeat each other exactly have a little noise", async (_, optimizer, features) => {
  // A line without noise, whose rows are all there three times.
  const once = Array.from(x.data.slice(0, 60) as Float32Array);
  const inputs = Array.from({ length: 60 }, (_, n) => [once[n % 20] * 3]);
  const targets = inputs.map(([z]) => 2 * z + 1);
  const net = network({ inputs: 1, seed: 1, dtype }, (z) =>
    features > 0 ? dense(1)(fourierFeatures({ features, relevance: true })(z)) : dense(1)(z),
  );
  const data = { x: inputs, y: targets };
  const { evidence } = await train(net, data, { loss: gaussian(), optimizer, epochs: 60, evidence: {} });
  const mean = targets.reduce((sum, t) => sum + t / 60, 0);
  const spread = Math.sqrt(targets.reduce((sum, t) => sum + (t - mean) ** 2 / 60, 0));
  expect(evidence?.noise).toBeGreaterThan(0.99e-4 * spread);
  expect(evidence?.noise).toBeLessThan(features > 0 ? 0.1 * spread : 1.01e-4 * spread);
  expect(Number.isFinite(evidence?.logMarginalLikelihood)).toBe(true);
});

describe("lastLayerEvidence", () => {
  const model = (seed = 1) =>
    network({ inputs: 3, seed, dtype }, (z) =>
      add(
        dense(1, undefined, { name: "out" })(fourierFeatures({ features: 40, relevance: true, name: "cosines" })(z)),
        dense(1, undefined, { name: "skip", bias: false })(z),
      ),
    );
  const options = { loss: gaussian(), optimizer: lastLayerEvidence() } as const;

  test("learns relevance, prior and noise; the evidence and the weights are those of laplace", async () => {
    const net = model();
    const before = net.clone();
    const { evidence, converged, history } = await train(net, { x, y }, options);
    expect(converged).toBe(true);
    expect(history.length).toBeGreaterThan(3);
    const [first, second, third] = evidence?.relevance?.data ?? [];
    expect(first / third).toBeGreaterThan(100);
    expect(second).toBeGreaterThan(0);
    expect(evidence?.noise).toBeGreaterThan(0.06);
    expect(evidence?.noise).toBeLessThan(0.15);
    const own = {
      weights: { layers: ["out", "skip"] },
      structure: "full",
      priorPrecision: evidence?.priorPrecision,
      likelihood: gaussian({ noise: evidence?.noise }),
    } as const;
    const posterior = await laplace(net, own).fit({ x, y });
    expect([posterior.logMarginalLikelihood()]).toBeAllClose([evidence?.logMarginalLikelihood ?? Number.NaN], {
      relative: 1e-9,
    });
    // The weights are the posterior's mean: there the gradient of loss / σ² and of the prior cancel.
    const slopes = net.named(gradient(net, gaussian(), { x, y }, { reduction: "sum" }));
    const values = net.named();
    ["out.weight", "out.bias", "skip.weight"].forEach((name, i) => {
      const delta = evidence?.priorPrecision.data[i] ?? Number.NaN;
      slopes[name].data.forEach((slope, k) => {
        expect(Math.abs(slope / (evidence?.noise ?? 0) ** 2 + delta * values[name].data[k])).toBeLessThan(1e-6);
      });
    });
    // What was frozen stays.
    for (const name of net.frozen) expect(values[name].data).toEqual(before.named()[name].data);
  });

  test("moves free parameters before the last layer so that the evidence rises; mse is a Gaussian's loss", async () => {
    const net = chain({ inputs: 3, seed: 2, dtype }, dense(4, tanh), dense(1));
    const { evidence, steps } = await train(net, { x, y }, { loss: mse, optimizer: lastLayerEvidence(), epochs: 30 });
    const [first] = evidence?.history ?? [];
    expect(steps).toBeGreaterThan(5);
    expect(evidence?.logMarginalLikelihood).toBeGreaterThan(first + 20);
    expect(evidence?.groups.map(({ name }) => name)).toEqual(["1.weight", "1.bias"]);
  });

  test("features that are frozen keep their place, and the evidence has its maximum over prior and noise", async () => {
    const net = network({ inputs: 3, seed: 5, dtype }, (z) =>
      add(dense(1)(dense(8, tanh, { name: "frozen" })(z)), dense(1, undefined, { bias: false })(z)),
    );
    for (const name of ["frozen.weight", "frozen.bias"]) net.freeze(name);
    const before = net.named()["frozen.weight"].data.slice();
    const { evidence, converged } = await train(
      net,
      { x, y },
      { loss: gaussian(), optimizer: lastLayerEvidence({ tolerance: 1e-6 }), evidence: { groups: "layers" } },
    );
    expect(converged).toBe(true);
    expect(net.named()["frozen.weight"].data).toEqual(before);
    const { priorPrecision = array([]), noise = 0, logMarginalLikelihood = 0 } = evidence ?? {};
    const at = async (factor: number, sigma: number) => {
      const prior = array(Array.from(priorPrecision.data, (one: number) => one * factor));
      const options = { likelihood: gaussian({ noise: sigma }), priorPrecision: prior, checks: false };
      return (await laplace(net, options).fit({ x, y })).logMarginalLikelihood();
    };
    expect([await at(1, noise)]).toBeAllClose([logMarginalLikelihood], { relative: 1e-8 });
    // Weights that are no longer the mode cost to second order: were a slope left, one of two small steps would gain to first order.
    for (const [factor, sigma] of [
      [1.01, noise],
      [0.99, noise],
      [1, 1.01 * noise],
      [1, 0.99 * noise],
    ])
      expect(await at(factor, sigma)).toBeLessThan(logMarginalLikelihood);
  });

  test("weights count as repeated rows do", async () => {
    const some = Array.from({ length: 20 }, (_, n) => n);
    const rows = (places: readonly number[]) => ({
      x: array(
        places.flatMap((n) => Array.from(x.data.subarray(3 * n, 3 * n + 3))),
        { shape: [places.length, 3] },
      ),
      y: places.map((n) => y[n]),
    });
    const weights = some.map((n) => 1 + (n % 2));
    const repeated = some.flatMap((n) => new Array<number>(weights[n]).fill(n));
    const [one, two] = [model(), model()];
    const epochs = 3;
    const short = { ...options, epochs, evidence: { noise: false } };
    const a = await train(one, { ...rows(some), weights }, short);
    const b = await train(two, rows(repeated), short);
    expect([a.evidence?.logMarginalLikelihood ?? 0]).toBeAllClose([b.evidence?.logMarginalLikelihood ?? 1], {
      relative: 1e-10,
    });
    expect(one.parameters).toBeAllClose(two.parameters, { relative: 1e-8, absolute: 1e-8 });
  });

  test("what it is not for is refused", async () => {
    const data = { x, y };
    await expect(train(chain({ inputs: 3 }, dense(1), relu), data, options)).rejects.toThrow(
      'lastLayerEvidence() is for networks that end in a dense layer, or in a sum of some, used nowhere else; this one has "elementwise" there.',
    );
    await expect(train(model(), { x, y: y.map(() => 1) }, { ...options, loss: poisson() })).rejects.toThrow(
      /loss must be mse or gaussian/,
    );
    await expect(train(model(), data, { ...options, weightDecay: 1 })).rejects.toThrow(/weightDecay says nothing/);
    await expect(train(model(), data, { ...options, evidence: { every: 2 } })).rejects.toThrow(
      /evidence.every says nothing/,
    );
    expect(() => lastLayerEvidence({ tolerance: 0 })).toThrow(/tolerance/);
  });
});
