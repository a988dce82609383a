// Diagnosis: a case made for each finding, and no finding where nothing is wrong.

import { describe, expect, test } from "vitest";
import { beyondChance } from "../../src/diagnosis/calibration.ts";
import {
  array,
  chain,
  DataLoader,
  dense,
  type Finding,
  type FindingCode,
  loadPosterior,
  OptionError,
  type Posterior,
  Random,
  ShapeError,
  savePosterior,
  tanh,
  ValueError,
  zeros,
} from "../../src/index.ts";
import { draw, fitted, type Kind, kinds, trained } from "./subjects.ts";

type Data = Parameters<Posterior["diagnose"]>[0];
const codes = (posterior: Posterior, data?: Data) => posterior.diagnose(data).findings.map(({ code }) => code);

/** The finding of a code, which must be there. */
function find(posterior: Posterior, code: FindingCode, data?: Data): Finding {
  const found = posterior.diagnose(data).findings.find((finding) => finding.code === code);
  expect(found, codes(posterior, data).join()).toBeDefined();
  return found as Finding;
}

const [data, held] = [draw("regression", 300, 1), draw("regression", 300, 101)];
const net = await trained("regression", data);
const posterior = (await fitted("regression", net, data)).optimizePrior();
const [labelled, heldLabelled] = [draw("classification", 300, 1), draw("classification", 300, 101)];
const classifier = await trained("classification", labelled);
const classes = (await fitted("classification", classifier, labelled)).optimizePrior();

describe("nothing is wrong with good fits", () => {
  const cases = (Object.keys(kinds) as Kind[]).flatMap((kind) => [2, 3, 4].map((seed) => [kind, seed] as const));

  test.each(cases)("%s, seed %i, in all structures", async (kind, seed) => {
    const [ours, others] = [draw(kind, 400, seed), draw(kind, 300, 100 + seed)];
    const network = await trained(kind, ours, { seed });
    for (const structure of ["full", "kronecker", "ekfac", "diagonal"] as const) {
      for (const weights of ["all", "lastLayer"] as const) {
        const tuned = (await fitted(kind, network, ours, { structure, weights })).optimizePrior();
        const name = `${structure} ${weights}`;
        expect(tuned.diagnose(), name).toEqual({ ok: true, findings: [], data: "none" });
        expect(tuned.diagnose(ours), name).toEqual({ ok: true, findings: [], data: "training" });
        expect(tuned.diagnose(others), name).toEqual({ ok: true, findings: [], data: "held-out" });
      }
    }
  });

  test("in batches, from a file, and in float32", async () => {
    const wrong = posterior.with({ noise: 1 });
    const batches = wrong.diagnose(new DataLoader(held, { batchSize: 37 }));
    expect(batches.findings.map(({ code }) => code)).toEqual(codes(wrong, held));
    expect(loadPosterior(savePosterior(wrong)).diagnose(held)).toEqual(wrong.diagnose(held));
    const single = chain({ inputs: 2, seed: 3, dtype: "float32" }, dense(6, tanh), dense(1));
    const fit = await fitted("regression", single, data);
    expect(fit.diagnose(data).data).toBe("training");
    expect(fit.diagnose(held).data).toBe("held-out");
  });

  test("small data do not alarm", () => {
    for (let seed = 1; seed <= 60; seed++) {
      for (const n of [1, 2, 5, 12]) {
        expect(codes(posterior, draw("regression", n, 500 + seed))).toEqual([]);
        expect(codes(classes, draw("classification", n, 500 + seed))).toEqual([]);
      }
    }
  });

  test("the chance of a share is no less than the binomial tail", () => {
    for (const n of [1, 7, 40, 101]) {
      for (const p of [0.01, 0.3, 0.5, 0.9, 0.999]) {
        const weights = [1];
        for (let k = 1; k <= n; k++) weights.push((weights[k - 1] * (n - k + 1) * p) / (k * (1 - p)));
        const sum = weights.reduce((a, b) => a + b);
        for (let k = 0; k <= n; k++) {
          const tail = (k / n > p ? weights.slice(k) : weights.slice(0, k + 1)).reduce((a, b) => a + b) / sum;
          if (beyondChance(k / n, p, n)) expect(tail).toBeLessThan(1e-4);
          if (tail < 1e-7) expect(beyondChance(k / n, p, n)).toBe(true);
        }
      }
    }
  });
});

describe("what the fit shows", () => {
  test("a network that was not trained to a minimum", async () => {
    const early = await fitted("regression", await trained("regression", data, { epochs: 5 }), data);
    const { severity, measured, message } = find(early, "not-at-minimum");
    expect(severity).toBe("problem");
    expect(measured.share).toBeGreaterThan(0.1);
    expect(message).toContain(`${Math.round(100 * measured.share)} % of the gradients`);
    expect(early.diagnose().ok).toBe(false);
    // A file keeps what this rests on.
    expect(codes(loadPosterior(savePosterior(early)))).toContain("not-at-minimum");
  });

  test("tuning that stopped too early", async () => {
    const short = (await fitted("regression", net, data)).optimizePrior({ steps: 1 });
    expect(find(short, "tuning-not-converged").measured).toMatchObject({ steps: 1 });
    expect(short.optimizePrior().diagnose(held).findings).toEqual([]);
  });

  test("a prior that tuning drove to infinity, as a whole and for most weights", async () => {
    const { data: theta } = net.parameters;
    const around = (await fitted("regression", net, data, { priorMean: theta })).optimizePrior();
    expect(find(around, "prior-at-edge").measured.largest).toBeGreaterThan(1e9);
    expect(find(around, "prior-at-edge").message).toContain("infinity");
    const hidden = theta.map((value: number, i: number) => (i < 18 ? value : 0));
    const most = (await fitted("regression", net, data, { priorMean: hidden })).optimizePrior({
      priorStructure: "perParameter",
    });
    expect(find(most, "prior-at-edge").message).toContain("the prior of 72 % of the weights to infinity");
  });

  test("a prior that tuning drove to 0", async () => {
    const linear = chain({ inputs: 2, dtype: "float64" }, dense(1, undefined, { bias: false }));
    linear.setParameters([0.5, 0.3]);
    const flat = (await fitted("regression", linear, { x: zeros([300, 2]), y: data.y })).optimizePrior({
      onWarning: () => {},
    });
    const { message, measured } = find(flat, "prior-at-edge");
    expect(message).toContain("precision of the prior of 100 % of the weights to 0");
    expect(measured.smallest).toBeLessThan(1e-5);
    // Small inputs and large weights are another matter: their prior has a place, in their unit.
    const tiny = { x: array(data.x.data.map((v: number) => v * 1e-9)).reshape(-1, 2), y: data.y };
    linear.setParameters([5e8, 3e8]);
    const scaled = (await fitted("regression", linear, tiny)).optimizePrior();
    expect(codes(scaled)).not.toContain("prior-at-edge");
  });

  test("a prior far from the weights, either way", () => {
    const wide = posterior.with({ priorPrecision: 1e-5 });
    expect(find(wide, "prior-far-from-weights").message).toContain("times wider");
    expect(find(wide, "prior-far-from-weights").advice).toContain("raise priorPrecision");
    const narrow = posterior.with({ priorPrecision: 1e3 });
    expect(find(narrow, "prior-far-from-weights").message).toContain("times narrower");
    expect(codes(posterior.with({ priorPrecision: 1 }))).toEqual([]);
  });

  test("noise far from the residuals, either way", async () => {
    const untuned = await fitted("regression", net, data);
    const { measured, advice } = find(untuned, "noise-far-from-residuals");
    expect(measured.noise).toBe(1);
    expect(measured.residual).toBeCloseTo(0.3, 1);
    expect(advice).toContain("gaussian({ noise })");
    expect(find(posterior.with({ noise: 0.05 }), "noise-far-from-residuals").message).toContain("too narrow");
    expect(codes(posterior.with({ noise: 0.2 }))).not.toContain("noise-far-from-residuals");
  });

  test("a perfect fit", async () => {
    const few = draw("regression", 8, 3);
    const tight = await trained("regression", few, { epochs: 3000 });
    const fit = (await fitted("regression", tight, few)).with({ noise: 1e-3 });
    expect(find(fit, "perfect-fit").measured).toMatchObject({ targets: 8 });
    for (const kind of ["classification", "binary"] as const) {
      const separable = draw(kind, 12, 3);
      const network = await trained(kind, separable, { epochs: 3000, weightDecay: 0, hidden: 12 });
      expect(find(await fitted(kind, network, separable), "perfect-fit").measured.meanLoss).toBeLessThan(0.005);
    }
  });
});

describe("what data show", () => {
  test("weights that count as certain", () => {
    const narrow = posterior.with({ priorPrecision: 1e9 });
    expect(find(narrow, "function-variance-negligible").measured.effectiveParameters).toBeLessThan(0.1);
    expect(find(narrow, "function-variance-negligible", held).measured.effectiveParameters).toBeLessThan(0.1);
    expect(codes(classes.with({ priorPrecision: 1e9 }), heldLabelled)).toContain("function-variance-negligible");
  });

  test("weights that count as unknown", async () => {
    const few = draw("regression", 8, 3);
    const loose = (await fitted("regression", net, few)).with({ priorPrecision: 1e-2, noise: 0.1 });
    expect(find(loose, "function-variance-dominating", held).measured.share).toBeGreaterThan(0.9);
    const open = classes.with({ priorPrecision: 1e-4, temperature: 300 });
    const { measured } = find(open, "function-variance-dominating", heldLabelled);
    expect(measured.networkConfidence - measured.confidence).toBeGreaterThan(0.25);
  });

  test("uncertainty that is the same everywhere", async () => {
    for (const [kind, network, ours, others] of [
      ["regression", net, data, held],
      ["classification", classifier, labelled, heldLabelled],
    ] as const) {
      const bias = await fitted(kind, network, ours, { weights: { parameters: ["1.bias"] } });
      expect(find(bias.optimizePrior(), "uncertainty-constant", others).measured.relativeSpread).toBeLessThan(1e-6);
      // The same input again and again says nothing.
      const once = {
        x: array(Array.from({ length: 20 }, () => [1, 1])),
        y: array(Array.from({ length: 20 }, () => 1)),
      };
      expect(codes(bias, once)).not.toContain("uncertainty-constant");
    }
  });

  test("predictions that are too sure", async () => {
    const { measured, severity } = find(posterior.with({ noise: 0.15 }), "over-confident", held);
    expect(severity).toBe("problem");
    expect(measured.meanSquaredResidual).toBeGreaterThan(1.5);
    expect(measured.coverage90).toBeLessThan(0.82);
    const few = draw("classification", 40, 5);
    const overfitted = await trained("classification", few, { hidden: 20, epochs: 4000, weightDecay: 0 });
    const plugin = await fitted("classification", overfitted, few);
    const result = plugin.diagnose(heldLabelled, { approximation: "plugin" });
    expect(result.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(["perfect-fit", "over-confident", "worse-than-baseline"]),
    );
    // On its own training data it would look perfect: nothing is said of calibration there.
    expect(plugin.diagnose(few, { approximation: "plugin" })).toMatchObject({ data: "training", ok: true });
    const counts = draw("count", 300, 1);
    const fit = (await fitted("count", await trained("count", counts), counts)).optimizePrior();
    const random = new Random(1);
    const spread = { x: counts.x, y: counts.y.data.map((y: number) => Math.round(y * 4 * random.uniform() ** 2)) };
    expect(find(fit, "over-confident", spread).measured.meanSquaredResidual).toBeGreaterThan(1.5);
  });

  test("predictions that are not sure enough", () => {
    const { measured, message } = find(posterior.with({ noise: 0.6 }), "under-confident", held);
    expect(measured.meanSquaredResidual).toBeLessThan(0.5);
    expect(measured.coverage90).toBeGreaterThan(0.97);
    expect(message).toContain("intervals of 90 % hold");
    const loose = classes.with({ priorPrecision: 1e-3, temperature: 100 });
    expect(find(loose, "under-confident", heldLabelled).measured.confidence).toBeLessThan(0.6);
  });

  test("predictions worse than none", async () => {
    for (const [kind, fit, others] of [
      ["regression", posterior, held],
      ["classification", classes, heldLabelled],
      ["binary", undefined, draw("binary", 300, 101)],
      ["count", undefined, draw("count", 300, 101)],
    ] as const) {
      const ours = draw(kind, 300, 1);
      const tuned = fit ?? (await fitted(kind, await trained(kind, ours), ours)).optimizePrior();
      const rows = new Random(9).permutation(300);
      const shuffled = { x: others.x, y: array(Array.from(rows, (row) => others.y.data[row])) };
      const { measured } = find(tuned, "worse-than-baseline", shuffled);
      expect(measured.negativeLogLikelihood - measured.baseline).toBeGreaterThan(measured.excess);
    }
  });

  test("inputs far from the training data", () => {
    const far = draw("regression", 100, 7, 10);
    expect(find(posterior, "far-from-training-data", far).measured.share).toBeGreaterThan(0.5);
    expect(codes(posterior, held)).toEqual([]);
  });
});

describe("refusals", () => {
  test("options, data and shapes", () => {
    expect(() => posterior.diagnose(held, { level: 0.9 } as object)).toThrow(OptionError);
    expect(() => posterior.diagnose(held, { approximation: "probit" })).toThrow(OptionError);
    expect(() => posterior.diagnose([])).toThrow("diagnose: there are no data");
    expect(() => posterior.diagnose(3 as never)).toThrow(ValueError);
    expect(() => posterior.diagnose({ x: held.x, y: [1] })).toThrow(ShapeError);
    expect(() => posterior.diagnose({ x: [[1]], y: [1] })).toThrow(ShapeError);
    expect(() => classes.diagnose({ x: [[1, 2]], y: [7] })).toThrow(ValueError);
  });

  test("every approximation can be diagnosed", () => {
    for (const approximation of ["plugin", "bridge", "monteCarlo", "network"] as const) {
      expect(classes.diagnose(labelled, { approximation, samples: 20 }).data).toBe("training");
    }
  });
});
