// Models of tables that are mixtures: against sums written out over models of one posterior each, sampled quantiles, and files.

import fc from "fast-check";
import {
  dense,
  FileError,
  heteroscedastic,
  laplace,
  loadTableModel,
  mixture,
  NDArray,
  network,
  normalCdf,
  normalQuantile,
  type PosteriorMixture,
  readSafetensors,
  saveMixture,
  saveTableModel,
  type TableModel,
  tableEncoding,
  tableModel,
  tableQuantiles,
  tableScores,
  tanh,
  ValueError,
} from "laplace-ts";
import { describe, expect, test } from "vitest";
import { portableNormalCdf } from "../../src/array/portable.ts";
import { partsQuantile } from "../../src/io/table-mixtures.ts";

const tasks = { regression: 1, binary: 1, classification: 3 } as const;
const weights = [0.5, 0.2, 0.3];
const rows = Array.from({ length: 24 }, (_, i) => [String((i * 7) % 11), "uv"[i % 2]]);
const cells = {
  regression: rows.map(([a], i) => String(100 + 10 * Number(a) + (i % 5))),
  binary: rows.map(([a], i) => (Number(a) + (i % 7) > 8 ? "high" : "low")),
  classification: rows.map(([a], i) => ["p", "q", "r"][(Number(a) + (i % 3)) % 3]),
};
const fresh = [
  { a: "3", c: "u" },
  { a: "200", c: "v" },
  { a: "", c: "u" },
];

async function modelsOf(task: keyof typeof tasks) {
  const table = { names: ["a", "c", "y"], rows: rows.map((row, i) => [...row, cells[task][i]]) };
  const encoding = tableEncoding(table, { target: "y" });
  const { x: inputs } = encoding.encode(rows.map(([a, c]) => ({ a, c })));
  const x = new NDArray(inputs, [rows.length, encoding.inputs.length]);
  const y = Float64Array.from(cells[task], (cell) => encoding.encodeTarget(cell) ?? 0);
  const outputs = tasks[task];
  const data = { x, y: new NDArray(y, task === "classification" ? [rows.length] : [rows.length, 1]) };
  const posteriors = await Promise.all(
    weights.map((_, seed) => {
      const net = network({ inputs: encoding.inputs.length, seed, dtype: "float64" }, (input) =>
        dense(outputs)(dense(2 + seed, tanh)(input)),
      );
      return laplace(net, { likelihood: task, priorPrecision: 1 + seed, checks: false }).fit(data);
    }),
  );
  const single = posteriors.map((posterior) => tableModel({ posterior, encoding }));
  return { single, encoding, mixed: tableModel({ mixture: mixture(posteriors, weights), encoding, farVariance: 2 }) };
}

const sum = (of: (k: number) => number) => weights.reduce((total, weight, k) => total + weight * of(k), 0);
const entropy = (p: ArrayLike<number>) => -Array.from(p).reduce((total, one) => total + one * Math.log(one), 0);

test("numbers: means, variances within and between, and quantiles of the mixture", async () => {
  const { single, mixed } = await modelsOf("regression");
  const found = mixed.predict(fresh);
  const all = single.map((model) => model.predict(fresh));
  const at = (values: Float64Array | undefined, i: number) => values?.[i] ?? Number.NaN;
  fresh.forEach((_, i) => {
    const mean = sum((k) => at(all[k].mean, i));
    expect(at(found.mean, i)).toBeCloseTo(mean, 9);
    const between = sum((k) => (at(all[k].mean, i) - mean) ** 2);
    expect(at(found.sd, i) ** 2 / (sum((k) => at(all[k].sd, i) ** 2) + between)).toBeCloseTo(1, 10);
    expect(at(found.functionSd, i) ** 2 / (sum((k) => at(all[k].functionSd, i) ** 2) + between)).toBeCloseTo(1, 10);
    expect(found.epistemic[i]).toBeCloseTo((at(found.functionSd, i) / at(found.sd, i)) ** 2, 10);
    const below = (y: number) => sum((k) => normalCdf((y - at(all[k].mean, i)) / at(all[k].sd, i)));
    expect(below(at(found.lower, i))).toBeCloseTo(0.05, 10);
    expect(below(at(found.upper, i))).toBeCloseTo(0.95, 10);
    expect(below(tableQuantiles(found, 0.3)[i])).toBeCloseTo(0.3, 10);
  });
  const truth = [110, 90, 1e4];
  const { negativeLogDensity, below, crps } = tableScores(found, truth);
  truth.forEach((y, i) => {
    const density = sum((k) => {
      const sd = at(all[k].sd, i);
      return Math.exp(-0.5 * ((y - at(all[k].mean, i)) / sd) ** 2) / (sd * Math.sqrt(2 * Math.PI));
    });
    if (density > 0) expect(negativeLogDensity[i]).toBeCloseTo(-Math.log(density), 9);
    expect(below[i]).toBeCloseTo(
      sum((k) => normalCdf((y - at(all[k].mean, i)) / at(all[k].sd, i))),
      10,
    );
    expect(crps[i]).toBeGreaterThan(0);
  });
  // Far out the logarithm is still that of a number.
  expect(Number.isFinite(negativeLogDensity[2])).toBe(true);
  expect(() => tableScores(found, [1])).toThrow(ValueError);
  expect(() => tableQuantiles(found, 1)).toThrow(ValueError);
});

test.each(["binary", "classification"] as const)("classes: probabilities, logarithms and shares: %s", async (task) => {
  const { single, mixed } = await modelsOf(task);
  const found = mixed.predict(fresh);
  const all = single.map((model) => model.predict(fresh));
  fresh.forEach((_, i) => {
    const rowOf = (k: number) => all[k].probabilities?.sub(i).data ?? [];
    const p = Array.from(rowOf(0), (_, c) => sum((k) => rowOf(k)[c]));
    p.forEach((due, c) => {
      expect(found.probabilities?.at(i, c)).toBeCloseTo(due, 12);
      expect(found.logProbabilities?.at(i, c)).toBeCloseTo(Math.log(due), 11);
    });
    expect(found.predicted?.[i]).toBe(p.indexOf(Math.max(...p)));
    expect(found.functionVariance[i]).toBeCloseTo(
      sum((k) => all[k].functionVariance[i]),
      10,
    );
    // Shares come from draws, fewer of each posterior where there are several.
    const share = 1 - sum((k) => (1 - all[k].epistemic[i]) * entropy(rowOf(k))) / entropy(p);
    expect(Math.abs(found.epistemic[i] - share)).toBeLessThan(0.15);
  });
  expect(() => tableQuantiles(found, 0.5)).toThrow(ValueError);
});

test.each(["binary", "classification"] as const)(
  "bands of probabilities are quantiles over other draws: %s",
  async (task) => {
    const { single, mixed } = await modelsOf(task);
    for (const [model, share] of [...single.map((model, k) => [model, [k]] as const), [mixed, [0, 1, 2]] as const]) {
      const { x } = model.encoding.encode(fresh, { unreadable: "missing" });
      const { lower, upper } = model.probabilityBands(fresh);
      const inputs = new NDArray(x, [fresh.length, model.encoding.inputs.length]);
      const classes = lower.shape[1];
      // Probabilities of many draws, each with the weight of its posterior, put in order.
      const drawn = share.flatMap((k) => {
        const draws = single[k].posterior.functionSamples(inputs, 400, { seed: 9 });
        return Array.from({ length: 400 }, (_, s) => ({ weight: weights[k], logits: draws.sub(s) }));
      });
      const total = drawn.reduce((all, { weight }) => all + weight, 0);
      fresh.forEach((_, i) => {
        for (let c = 0; c < classes; c++) {
          const p = drawn.map(({ weight, logits }) => {
            const own = Array.from(logits.sub(i).data as Float64Array);
            const all = own.length === 1 ? [0, own[0]] : own;
            return { weight, p: 1 / all.reduce((inverse, logit) => inverse + Math.exp(logit - all[c]), 0) };
          });
          const below = (bound: number) => p.reduce((sum, one) => sum + (one.p <= bound ? one.weight : 0), 0) / total;
          // Of 64 draws the fourth from either end lies below 3 to 12 % of all, but for chance.
          expect(below(lower.at(i, c))).toBeGreaterThan(0.002);
          expect(below(lower.at(i, c))).toBeLessThan(0.18);
          expect(below(upper.at(i, c))).toBeGreaterThan(0.82);
          expect(below(upper.at(i, c))).toBeLessThan(0.998);
        }
      });
    }
  },
);

describe("files", () => {
  test.each(["regression", "binary", "classification"] as const)("%s", async (task) => {
    const { mixed } = await modelsOf(task);
    const bytes = saveTableModel(mixed);
    const again = loadTableModel(bytes);
    expect(again.predict(fresh)).toEqual(mixed.predict(fresh));
    expect(Array.from(again.weights)).toEqual(weights);
    expect(loadTableModel(saveTableModel(again)).predict(fresh)).toEqual(mixed.predict(fresh));
    expect(Object.keys(readSafetensors(bytes).metadata)).toContain("table-model");
  });

  test("weights that do not sum to 1 to the last bit stay as they are", async () => {
    const { single, encoding } = await modelsOf("regression");
    const whole = mixture(
      single.map(({ posterior }) => posterior),
      [3 / 7, 1.3 / 3, 0.37],
    );
    expect(whole.weights.reduce((sum, weight) => sum + weight, 0)).not.toBe(1);
    const model = tableModel({ mixture: whole, encoding });
    expect(loadTableModel(saveTableModel(model)).predict(fresh)).toEqual(model.predict(fresh));
  });

  test("a mixture without an encoding is foreign, and other metadata are kept", async () => {
    const { mixed } = await modelsOf("regression");
    const whole = mixed.mixture as PosteriorMixture | undefined;
    if (whole === undefined) throw new Error("a mixture is expected");
    expect(() => loadTableModel(saveMixture(whole))).toThrow(FileError);
    expect(readSafetensors(saveMixture(whole, { metadata: { own: "text" } })).metadata.own).toBe("text");
    expect(() => saveMixture(whole, { metadata: { "0.document": "x" } })).toThrow(/number and a dot/);
    expect(() => saveMixture(whole, { metadata: { "laplace-ts.kind": "x" } })).toThrow(/library's own/);
  });
});

test("posteriors with a noise of the row and of all rows predict together", async () => {
  const { single, encoding } = await modelsOf("regression");
  const { x: inputs } = encoding.encode(rows.map(([a, c]) => ({ a, c })));
  const x = new NDArray(inputs, [rows.length, encoding.inputs.length]);
  const y = Float64Array.from(cells.regression, (cell) => encoding.encodeTarget(cell) ?? 0);
  const net = network({ inputs: encoding.inputs.length, seed: 4, dtype: "float64" }, (input) =>
    dense(2)(dense(3, tanh)(input)),
  );
  const varying = await laplace(net, { likelihood: heteroscedastic(), priorPrecision: 1, checks: false }).fit({ x, y });
  const alone = tableModel({ posterior: varying, encoding });
  const mixed = tableModel({
    mixture: { posteriors: [single[0].posterior, varying], weights: Float64Array.of(0.3, 0.7) },
    encoding,
  });
  const [one, other, both] = [single[0], alone, mixed].map((model) => model.predict(fresh));
  const { mean, variance, functionVariance } = varying.predict(
    new NDArray(encoding.encode(fresh.slice(0, 2)).x, [2, encoding.inputs.length]),
  );
  if (encoding.target.kind !== "number") throw new Error("numbers are expected");
  const { mean: center, sd: unit } = encoding.target;
  for (let i = 0; i < 2; i++) {
    expect(other.mean?.[i]).toBeCloseTo(mean.data[i] * unit + center, 9);
    expect((other.sd?.[i] ?? 0) ** 2 / (variance.data[i] * unit ** 2)).toBeCloseTo(1, 10);
    expect(other.functionVariance[i]).toBeCloseTo(functionVariance.at(i, 0), 12);
  }
  fresh.forEach((_, i) => {
    expect(both.mean?.[i]).toBeCloseTo(0.3 * (one.mean?.[i] ?? 0) + 0.7 * (other.mean?.[i] ?? 0), 9);
  });
  for (const model of [alone, mixed]) {
    const again = loadTableModel(saveTableModel(model));
    expect(again.predict(fresh)).toEqual(model.predict(fresh));
    expect(Array.from(again.weights)).toEqual(Array.from(model.weights));
  }
  expect(() => tableModel({ mixture: { posteriors: [varying], weights: Float64Array.of(0.5) }, encoding })).toThrow(
    ValueError,
  );
  const wide = network({ inputs: encoding.inputs.length, seed: 4 }, (input) => dense(2)(input));
  const two = await laplace(wide, { likelihood: "regression", checks: false }).fit({
    x,
    y: new NDArray(new Float64Array(2 * rows.length), [rows.length, 2]),
  });
  expect(() =>
    tableModel({ mixture: { posteriors: [varying, two], weights: Float64Array.of(0.5, 0.5) }, encoding }),
  ).toThrow(/needs a likelihood/);
});

test("a mixture of one posterior: the same model, the same file; what does not go together is refused", async () => {
  const { single, mixed, encoding } = await modelsOf("regression");
  const [{ posterior }, other] = single;
  const alone = tableModel({ mixture: mixture([posterior]), encoding });
  expect(alone.mixture).toBeUndefined();
  expect(saveTableModel(alone)).toEqual(saveTableModel(single[0]));
  expect(mixed.posterior).toBe(posterior);
  expect(tableModel({ ...mixed } as TableModel).mixture).toBe(mixed.mixture);
  expect(() => tableModel({ ...mixed, posterior: mixture as never })).toThrow(ValueError);
  expect(() => tableModel({ mixture: mixture([posterior]), posterior: other.posterior, encoding })).toThrow(
    /not in the mixture/,
  );
  expect(() => tableModel({ encoding })).toThrow(/neither/);
});

test("quantiles of Gaussians are where so much lies below, also between modes far apart", () => {
  const part = fc.record({
    weight: fc.double({ min: 0.001, max: 1, noNaN: true }),
    mean: fc.double({ min: -100, max: 100, noNaN: true }),
    sd: fc.double({ min: 0.01, max: 10, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (parts, p) => {
        const total = parts.reduce((all, { weight }) => all + weight, 0);
        const own = parts.map(({ weight, mean, sd }) => {
          return { weight: weight / total, mean: Float64Array.of(mean), sd: Float64Array.of(sd) };
        });
        const y = partsQuantile(own, 0, p, normalQuantile(p));
        const below = (at: number) =>
          own.reduce((all, { weight, mean, sd }) => all + weight * normalCdf((at - mean[0]) / sd[0]), 0);
        const step = 1e-9 * (1 + Math.abs(y));
        expect(below(y - step)).toBeLessThanOrEqual(p + 1e-9);
        expect(below(y + step)).toBeGreaterThanOrEqual(p - 1e-9);
      },
    ),
  );
  for (let x = -9; x <= 9; x += 0.37) expect(Math.abs(portableNormalCdf(x) - normalCdf(x))).toBeLessThan(4e-16 * 4);
});
