// Counts: which targets are taken for them, and what a table's model says of them.

import {
  chain,
  dense,
  guessTask,
  laplace,
  loadTableModel,
  NDArray,
  poisson,
  Random,
  saveTableModel,
  tableEncoding,
  tableLogDensities,
  tableModel,
  tableQuantiles,
  tableScores,
} from "laplace-ts";
import { expect, test } from "vitest";
import { countPredictions, countQuantiles, countScores } from "../../src/io/table-counts.ts";
import { logCountDensity } from "../../src/likelihood/poisson.ts";

interface Part {
  readonly weight: number;
  readonly m: number;
  readonly s: number;
  readonly dispersion: number;
}

const partsOf = (parts: readonly Part[]) =>
  parts.map(({ weight, m, s, dispersion }) => {
    return { weight, mean: Float64Array.of(m), sd: Float64Array.of(s), dispersion };
  });

/** P(Y ≤ k) for every k up to a last one, by the library's density of each count. */
function slowBelow(parts: readonly Part[], last: number): number[] {
  let sum = 0;
  return Array.from({ length: last + 1 }, (_, k) => {
    for (const { weight, m, s, dispersion } of parts)
      sum += weight * Math.exp(logCountDensity(k, m, s * s, dispersion));
    return sum;
  });
}

const cases: readonly (readonly [last: number, parts: readonly Part[]])[] = [
  [60, [{ weight: 1, m: 1, s: 0, dispersion: 0 }]],
  [60, [{ weight: 1, m: -3, s: 0.5, dispersion: 0 }]],
  [300, [{ weight: 1, m: 1.5, s: 0.3, dispersion: 0.4 }]],
  [
    400,
    [
      { weight: 0.3, m: 2, s: 0.1, dispersion: 0 },
      { weight: 0.7, m: 0.5, s: 0.8, dispersion: 0.2 },
    ],
  ],
  [600, [{ weight: 1, m: 4.5, s: 0.02, dispersion: 0 }]],
];

test("quantiles are the least counts whose probability from below reaches p, and scores the sums that define them", () => {
  for (const [last, parts] of cases) {
    const below = slowBelow(parts, last);
    expect(1 - below[last]).toBeLessThan(1e-6);
    for (const p of [0.001, 0.05, 0.5, 0.95, 0.999]) {
      // Not where a probability is p itself but for rounding.
      if (below.some((own) => Math.abs(own - p) < 1e-7)) continue;
      expect(countQuantiles(partsOf(parts), 0, [p])).toEqual([below.findIndex((own) => own >= p)]);
    }
    for (const y of [0, 3, 20]) {
      const crps = below.reduce((sum, own, k) => sum + (own - Number(k >= y)) ** 2, 0);
      const scores = countScores(partsOf(parts), 0, y);
      expect(Math.abs(scores.crps - crps)).toBeLessThan(1e-5 * (1 + crps));
      expect(scores.below).toBeGreaterThanOrEqual((y > 0 ? below[y - 1] : 0) - 1e-7);
      expect(scores.below).toBeLessThanOrEqual(below[y] + 1e-7);
    }
  }
});

test("large counts have quantiles and scores by their continuous limit, near those of all their sums", () => {
  for (const [last, part] of [
    [1600, { weight: 1, m: Math.log(1000), s: 0, dispersion: 0 }],
    [4000, { weight: 1, m: Math.log(900), s: 0.1, dispersion: 0.03 }],
  ] as const) {
    const below = slowBelow([part], last);
    for (const p of [0.05, 0.5, 0.95]) {
      const exact = below.findIndex((own) => own >= p);
      expect(Math.abs(countQuantiles(partsOf([part]), 0, [p])[0] - exact)).toBeLessThanOrEqual(1);
    }
    for (const y of [700, 1010]) {
      const crps = below.reduce((sum, own, k) => sum + (own - Number(k >= y)) ** 2, 0);
      const scores = countScores(partsOf([part]), 0, y);
      expect(Math.abs(scores.crps / crps - 1)).toBeLessThan(0.02);
      expect(Math.abs(scores.below - below[y])).toBeLessThan(0.02);
    }
  }
  // Nothing hangs or overflows far from the data.
  for (const m of [-900, 30, 290, 900]) {
    const [low, high] = countQuantiles(partsOf([{ weight: 1, m, s: 3, dispersion: 2 }]), 0, [0.05, 0.95]);
    expect(low).toBeLessThanOrEqual(high);
    expect(high).toBeLessThan(Number.POSITIVE_INFINITY);
  }
});

const cellsOf = (values: readonly number[]) => values.map(String);

test("whole numbers from 0 on with rare large ones are guessed to be counts; scores, years, codes and classes are not", () => {
  const random = new Random(3);
  const draw = (rate: number) => {
    let [count, product] = [-1, 1];
    while (product > Math.exp(-rate) || count < 0) [count, product] = [count + 1, product * random.uniform()];
    return count;
  };
  const counts = Array.from({ length: 300 }, (_, i) => draw(1 + (i % 7)));
  expect(guessTask(cellsOf(counts))).toBe("count");
  const spread = Array.from({ length: 300 }, () => draw(4 * random.uniform() ** 3 * 3));
  expect(guessTask(cellsOf(spread))).toBe("count");
  const below = (n: number) => Math.floor(random.uniform() * n);
  const of = (make: () => number) => guessTask(cellsOf(Array.from({ length: 300 }, make)));
  expect(of(() => below(3))).toBe("classification");
  expect(of(() => below(10))).toBe("classification");
  expect(of(() => 1990 + below(30))).toBe("regression");
  expect(of(() => below(91))).toBe("regression");
  expect(of(() => 5 * below(30))).toBe("regression");
  expect(of(() => 60 + draw(20))).toBe("regression");
  expect(of(() => draw(3) - 1)).not.toBe("count");
  expect(of(() => draw(3) / 2)).toBe("regression");
});

async function modelOf(dispersions: readonly number[]) {
  const names = ["x", "y"];
  const rows = Array.from({ length: 30 }, (_, i) => [String(i / 10), String((i * 7) % 6)]);
  const encoding = tableEncoding({ names, rows }, { target: "y", task: "count" });
  const objects = rows.map(([x, y]) => ({ x, y }));
  const x = new NDArray(encoding.encode(objects).x, [30, 1]);
  const y = new NDArray(
    Float64Array.from(rows, ([, own]) => encoding.encodeTarget(own) ?? 0),
    [30, 1],
  );
  const posteriors = [];
  for (const dispersion of dispersions) {
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
    const options = { likelihood: poisson({ dispersion }), structure: "full", checks: false } as const;
    posteriors.push(await laplace(net, options).fit({ x, y }));
  }
  const weights = Float64Array.from(dispersions, () => 1 / dispersions.length);
  return { objects, model: tableModel({ mixture: { posteriors, weights }, encoding }) };
}

test("a model of counts predicts whole intervals and probabilities, and its file the same bits", async () => {
  for (const dispersions of [[0], [0.3], [0, 0], [0, 0.3, 0.2]]) {
    const { objects, model } = await modelOf(dispersions);
    const own = model.predict(objects);
    const again = loadTableModel(saveTableModel(model)).predict(objects);
    for (const name of ["mean", "sd", "lower", "upper", "functionSd", "epistemic"] as const) {
      expect(again[name]).toEqual(own[name]);
    }
    const { lower = [], upper = [], mean = [], sd = [], parts = [] } = own;
    expect(Array.from(lower).every(Number.isInteger) && Array.from(upper).every(Number.isInteger)).toBe(true);
    expect(tableQuantiles(own, 0.95)).toEqual(Float64Array.from(upper));
    // Moments by sums over all counts.
    const first = parts.map((part) => ({
      weight: part.weight,
      m: part.mean[0],
      s: part.sd[0],
      dispersion: part.dispersion ?? 0,
    }));
    const below = slowBelow(first, 400);
    const p = below.map((value, k) => value - (k > 0 ? below[k - 1] : 0));
    const average = p.reduce((sum, own, k) => sum + own * k, 0);
    const variance = p.reduce((sum, own, k) => sum + own * (k - average) ** 2, 0);
    expect(Math.abs(mean[0] / average - 1)).toBeLessThan(1e-6);
    expect(Math.abs(sd[0] ** 2 / variance - 1)).toBeLessThan(1e-4);
    const truth = objects.map(({ y }) => Number(y));
    const logs = tableLogDensities(own, truth);
    expect(Math.abs(Math.exp(logs[0]) - p[truth[0]])).toBeLessThan(1e-9);
    expect(Array.from(tableScores(own, truth).negativeLogDensity)).toEqual(Array.from(logs, (log) => -log));
    expect(
      tableLogDensities(
        own,
        truth.map((y) => y + 0.5),
      ).every((log) => log === Number.NEGATIVE_INFINITY),
    ).toBe(true);
  }
});

test("means of parts are at most twice the largest count of a training with zeros, or the mixture's median where that is further", async () => {
  const { model } = await modelOf([0, 0.3]);
  const { mean = [], lower = [], upper = [] } = model.predict(["-60", "0", "60"].map((x) => ({ x })));
  for (const [i, own] of mean.entries()) expect(own <= 10 || (lower[i] <= own && own <= upper[i])).toBe(true);
  const meanOf = (all: readonly Part[], most?: number) => countPredictions(partsOf(all), 1, () => 0, most).mean[0];
  const [usual, vague, far] = [
    [1, 0.1],
    [1, 4],
    [6, 0.5],
  ].map(([m, s]) => ({ weight: 1, m, s, dispersion: 0 }));
  expect(meanOf([usual], 10)).toBe(meanOf([usual]));
  expect(meanOf([vague])).toBeGreaterThan(1000);
  expect(meanOf([vague], 10)).toBe(10);
  const [median] = countQuantiles(partsOf([far]), 0, [0.5]);
  expect(median).toBeGreaterThan(300);
  expect(meanOf([far], 10)).toBe(median);
  // One part that errs far counts by its weight.
  const both = [
    { ...usual, weight: 0.9 },
    { ...far, weight: 0.1 },
  ];
  expect(meanOf(both, 10)).toBeCloseTo(0.9 * meanOf([usual]) + 1, 10);
});

test("what is not a count is refused, where the model is made and where its target is read", async () => {
  const table = {
    names: ["x", "y"],
    rows: [
      ["1", "2"],
      ["2", "1.5"],
      ["3", "0"],
    ],
  };
  expect(() => tableEncoding(table, { target: "y", task: "count" })).toThrow("not a count");
  const { model } = await modelOf([0]);
  expect(() => model.encoding.encodeTarget("-1")).toThrow("not a count");
  expect(() => model.encoding.onTargetScale("yeoJohnson", [1, 2, 3])).toThrow("counts");
  const { posterior, encoding } = model;
  const numbers = tableEncoding(table, { target: "y", task: "regression", kinds: { x: "number" } });
  expect(() => tableModel({ posterior, encoding: numbers })).toThrow("normal numbers");
  expect(() => tableModel({ posterior, encoding })).not.toThrow();
});
