// A fit's sums as a value: those of shards add to those of one pass, and files keep them.

import { describe, expect, test } from "vitest";
import {
  array,
  type Dataset,
  FileError,
  type Fit,
  gaussian,
  type LaplaceOptions,
  laplace,
  loadFit,
  loadPosterior,
  type Posterior,
  Random,
  readSafetensors,
  saveFit,
  savePosterior,
  ValueError,
} from "../../src/index.ts";
import { sealed } from "../io/files.ts";
import { answers, plain } from "../io/fits.ts";
import { needsBasis, storedStructures } from "../stored-structures.ts";

const random = new Random(5);
const count = 11;
const x = array(
  Array.from({ length: 3 * count }, () => random.normal()),
  { shape: [count, 3] },
);
const y = array(
  Array.from({ length: 2 * count }, () => random.normal()),
  { shape: [count, 2] },
);
const rows = (from: number, to: number): Dataset => ({
  x: array(x.data.slice(3 * from, 3 * to), { shape: [to - from, 3] }),
  y: array(y.data.slice(2 * from, 2 * to), { shape: [to - from, 2] }),
});
const net = plain("float64", 2);
const options = { likelihood: "regression", points: x, checks: false } satisfies LaplaceOptions;

function expectNear(found: Posterior, due: Posterior): void {
  const tolerance = { relative: 1e-9, absolute: 1e-12 };
  expect(found.examples).toBe(due.examples);
  expect(found.curvature.dense().data).toBeAllClose(due.curvature.dense().data, tolerance);
  expect([found.logMarginalLikelihood(), found.loss]).toBeAllClose([due.logMarginalLikelihood(), due.loss], tolerance);
  const [a, b] = [found, due].map((one) => one.optimizePrior());
  expect(a.priorPrecision.data).toBeAllClose(b.priorPrecision.data, { relative: 1e-6 });
  expect(a.noise?.data).toBeAllClose(b.noise?.data ?? [], { relative: 1e-6 });
  expect(a.predict(x).variance.data).toBeAllClose(b.predict(x).variance.data, { relative: 1e-6 });
}

describe.each(storedStructures)("%s", (structure) => {
  // Found from all examples, so that parts add only in a common one.
  const inCommon = needsBasis(structure);
  const whole = laplace(net, { ...options, structure });
  const basis = async () => {
    const { curvature } = await whole.sum({ x, y });
    return inCommon ? { basis: curvature } : {};
  };

  test("a fit is its sum and the posterior of it", async () => {
    const fit = await whole.sum({ x, y });
    expect(fit.examples).toBe(count);
    const [a, b] = [whole.posterior(fit), await whole.fit({ x, y })];
    expect(answers(a)).toEqual(answers(b));
    expect(savePosterior(a)).toEqual(savePosterior(b));
    expect(a.fit).toBe(fit);
  });

  test("shards give what one pass gives, also from files", async () => {
    const one = laplace(net, { ...options, structure, ...(await basis()) });
    const cuts = [0, 1, 4, count];
    const fits: Fit[] = [];
    for (let i = 1; i < cuts.length; i++) {
      fits.push(loadFit(saveFit(await one.sum(rows(cuts[i - 1], cuts[i])))));
    }
    const merged = fits.reduce((a, b) => a.merge(b));
    expectNear(one.posterior(merged), await whole.fit({ x, y }));
  });

  test("a multiple is as though each example were there so often", async () => {
    const one = laplace(net, { ...options, structure, ...(await basis()) });
    const fit = await one.sum({ x, y });
    expectNear(one.posterior(fit.scale(2)), one.posterior(fit.merge(fit)));
    for (const factor of [0, -1, Number.NaN]) expect(() => fit.scale(factor)).toThrow(/scale/);
    const part = fit.scale(0.3);
    const loaded = loadFit(saveFit(part));
    expect(loaded.examples).toBe(0.3 * count);
    expect(answers(one.posterior(loaded))).toEqual(answers(one.posterior(part)));
    expect(loadPosterior(savePosterior(one.posterior(part))).examples).toBe(0.3 * count);
  });

  test("shards of drawn targets give what one pass gives, in any order, with gaps between", async () => {
    const drawing = { ...options, structure, curvature: "monteCarlo", monteCarloSamples: 2, seed: 3 } as const;
    const whole = await laplace(net, drawing).sum({ x, y });
    const one = laplace(net, { ...drawing, ...(inCommon && { basis: whole.curvature }) });
    const shard = async (from: number, to: number) => loadFit(saveFit(await one.sum(rows(from, to), { first: from })));
    const [a, b, c] = [await shard(0, 3), await shard(3, 4), await shard(4, count)];
    for (const merged of [a.merge(b).merge(c), c.merge(a).merge(b), c.merge(b.merge(a))]) {
      expect(merged.drawn).toEqual([{ seed: 3, first: 0, end: count }]);
      expectNear(one.posterior(merged), one.posterior(whole));
    }
    const apart = loadFit(saveFit(a.merge(c)));
    expect(apart.drawn).toEqual([
      { seed: 3, first: 0, end: 3 },
      { seed: 3, first: 4, end: count },
    ]);
    for (const twice of [a, c, whole]) expect(() => apart.merge(twice)).toThrow(/both drew targets at the places/);
    const { tensors, metadata } = readSafetensors(saveFit(apart));
    const document = metadata["laplace-ts.document"].replace('"end":3', '"end":0');
    const forged = sealed(tensors, { ...metadata, "laplace-ts.document": document });
    expect(() => loadFit(forged)).toThrow(/end: expected an integer of at least 1/);
    await expect(one.sum({ x, y }, { first: -1 })).rejects.toThrow(/first/);
  });

  test("a file keeps it to the bit", async () => {
    const fit = await whole.sum({ x, y });
    const bytes = saveFit(fit, { metadata: { about: "shard 3" } });
    const loaded = loadFit(bytes);
    expect(saveFit(loaded, { metadata: { about: "shard 3" } })).toEqual(bytes);
    expect(answers(whole.posterior(loaded))).toEqual(answers(whole.posterior(fit)));
    expect(() => loadPosterior(bytes)).toThrow(FileError);
    expect(() => loadFit(savePosterior(whole.posterior(fit)))).toThrow(FileError);
  });
});

test("ratios of noises are those of the fit, where its outputs are not kept apart", async () => {
  const likelihood = gaussian({ noise: [0.5, 2] });
  const one = laplace(net, { ...options, likelihood });
  const fit = await one.sum({ x, y });
  expect(answers(one.posterior(loadFit(saveFit(fit))))).toEqual(answers(await one.fit({ x, y })));
  const other = laplace(net, { ...options, likelihood: gaussian({ noise: [0.5, 3] }) });
  expect(() => other.posterior(fit)).toThrow(ValueError);
});

describe("what does not fit is refused", () => {
  const one = laplace(net, { ...options, structure: "diagonal" });
  const other = (changes: Partial<LaplaceOptions>, of = net) =>
    laplace(of, { ...options, structure: "diagonal", ...changes });

  test("by merge and by posterior", async () => {
    const fit = await one.sum({ x, y });
    const moved = net.clone();
    moved.parameters.data[3] += 1;
    for (const [laplaceOf, message] of [
      [other({ structure: "kronecker" }), /structure|does not add/],
      [other({ weights: "lastLayer" }), /weights/],
      [other({ curvature: "empiricalFisher" }), /empiricalFisher/],
      [other({ likelihood: "count" }), /likelihoods differ/],
      [other({}, moved), /different parameters/],
    ] as const) {
      const counts = { x, y: array(y.data.map(Math.abs).map(Math.round), { shape: [count, 2] }) };
      const theirs = await laplaceOf.sum(counts);
      expect(() => fit.merge(theirs)).toThrow(message);
      expect(() => laplaceOf.posterior(fit)).toThrow(message);
    }
  });

  test("what is not a fit", async () => {
    const promise = one.sum({ x, y });
    for (const wrong of [promise, await one.fit({ x, y }), undefined, {}]) {
      expect(() => one.posterior(wrong as unknown as Fit)).toThrow(/expected a fit/);
      expect(() => saveFit(wrong as unknown as Fit)).toThrow(/expected a fit/);
    }
    const fit = await promise;
    expect(() => JSON.stringify(fit)).toThrow(/saveFit/);
    expect(() => structuredClone(fit)).toThrow();
  });
});
