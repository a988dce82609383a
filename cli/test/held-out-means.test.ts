// Weights of means that rows choose which candidates have not seen: those of a part have no say in its own.

import { tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { Fitter } from "../src/fitting/fitter.ts";
import { HeldOutMeans } from "../src/fitting/held-out-means.ts";
import { doJob, type Recipe } from "../src/fitting/jobs.ts";
import { learningOf } from "../src/fitting/network.ts";
import type { Mix } from "../src/fitting/portfolio.ts";
import { settings } from "./settings.ts";

const bent = (i: number) => {
  const x = ((i * 37) % 101) / 25;
  return { x, y: Math.sin(2 * x) + x + ((i * 7) % 5) / 20 };
};
const table = (rows: readonly (readonly string[])[]) => ({ names: ["x", "y"], rows, lines: rows.map((_, i) => i + 2) });
const rows = Array.from({ length: 60 }, (_, i) => [bent(i).x, bent(i).y].map(String));

describe("weights of means", () => {
  test("are a model's, of numbers; of counts and classes there are none", async () => {
    const { model } = await fitTable(table(rows), { ...settings, target: "y", folds: 2, task: "regression" }, () => {});
    expect(model.posteriors.length).toBeGreaterThan(1);
    expect(model.meanWeights).toHaveLength(model.posteriors.length);
    expect(model.meanWeights?.reduce((sum, own) => sum + own, 0)).toBeCloseTo(1, 12);
    expect(model.meanWeights).not.toEqual(model.weights);
    const asked = rows.slice(0, 5).map(([x]) => ({ x }));
    const { mean, parts = [], lower, upper } = model.predict(asked);
    expect(parts[0].scale).toBeUndefined();
    expect(mean).toHaveLength(5);
    mean?.forEach((own, i) => {
      const free = parts.reduce((sum, part, k) => sum + (model.meanWeights?.[k] ?? 0) * part.mean[i], 0);
      expect(own).toBeCloseTo(Math.min(Math.max(free, lower?.[i] ?? 0), upper?.[i] ?? 0), 10);
    });
    const counts = rows.map(([x], i) => [x, String(Math.round(2 + 2 * Math.sin(Number(x)) + (i % 3)))]);
    const classes = rows.map(([x, y]) => [x, Number(y) > 2 ? "high" : "low"]);
    for (const [task, other] of [
      ["count", counts],
      ["classification", classes],
    ] as const) {
      const fit = await fitTable(table(other), { ...settings, target: "y", folds: 2, task }, () => {});
      expect(fit.model.meanWeights).toBeUndefined();
    }
  }, 60_000);

  test("of a part are the other parts' choice", async () => {
    const given = table(rows);
    const encoding = tableEncoding(given, { target: "y", task: "regression" });
    const fitter = new Fitter(given, encoding);
    const [first, second] = [
      rows.map((_, i) => i).filter((i) => i % 2 === 0),
      rows.map((_, i) => i).filter((i) => i % 2 === 1),
    ];
    const shared = { learning: learningOf(encoding), memoryBudget: 2 ** 30, seed: 0 };
    const recipes: Recipe[] = [
      { ...shared, by: "evidence", width: 0, groups: "layers" },
      { ...shared, by: "features", features: 50, length: 0.5, precision: undefined },
    ];
    const partOf = async (learned: readonly number[], held: readonly number[]) => {
      const prepared = await fitter.prepare(learned);
      const job = (recipe: Recipe) => ({ recipe, numbers: prepared.numbers, division: { part: [], rest: [] } });
      const fits = [];
      for (const recipe of recipes) fits.push(await doJob(job(recipe), () => {}));
      return { fits, prepared, rows: await fitter.numbers(held, prepared.encoding) };
    };
    const parts = [await partOf(first, second), await partOf(second, first)];
    const mix: Mix = { weights: [0.6, 0.4], scales: [1, 1], losses: [1, 1] };
    const weigh = (own: typeof parts, without?: number) => new HeldOutMeans(own, "exact").weigh(mix, without);
    const [all, butFirst, alone] = [await weigh(parts), await weigh(parts, 0), await weigh([parts[1]])];
    // A line misses the wave: the features have more of the mean than of the density.
    expect(all.meanWeights?.[1]).toBeGreaterThan(0.5);
    expect(butFirst.meanWeights).toEqual(alone.meanWeights);
    expect(butFirst.meanWeights).not.toEqual(all.meanWeights);
    expect({ ...all, meanWeights: undefined }).toEqual({ ...mix, meanWeights: undefined });
    // One candidate alone, and what has no weight, need none.
    const single = { ...mix, weights: [0, 1] };
    expect(await new HeldOutMeans(parts, "exact").weigh(single)).toBe(single);
  });
});
