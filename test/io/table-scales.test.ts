// Targets that are learned on another scale: the scales against their definitions, predictions in the target's own units against
// sums over a fine grid, and files.

import fc from "fast-check";
import {
  dense,
  FileError,
  laplace,
  loadTableModel,
  mixture,
  NDArray,
  network,
  normalCdf,
  readTableEncoding,
  saveTableModel,
  type TableEncoding,
  type TablePrediction,
  tableEncoding,
  tableLogDensities,
  tableModel,
  tableQuantiles,
  tableScores,
  tanh,
  ValueError,
} from "laplace-ts";
import { describe, expect, test } from "vitest";
import { meanLimits } from "../../src/data/target.ts";
import {
  fromScale,
  inverseSlope,
  logSlope,
  momentsFromScale,
  onScale,
  scaleOf,
  type TargetScale,
} from "../../src/data/target-scales.ts";
import { inOwnUnits } from "../../src/io/table-mixtures.ts";

/** As Yeo & Johnson write it. */
function plain(scale: TargetScale, y: number): number {
  if (scale.kind === "log") return Math.log(y);
  const { lambda, center, unit } = scale;
  const u = (y - center) / unit;
  if (u >= 0) return lambda === 0 ? Math.log(u + 1) : ((u + 1) ** lambda - 1) / lambda;
  return lambda === 2 ? -Math.log(1 - u) : -((1 - u) ** (2 - lambda) - 1) / (2 - lambda);
}

const powers = [0, 0.3, 1, 1.75, 2].map((lambda) => ({ kind: "yeoJohnson", lambda, center: 3, unit: 2 }) as const);
const scales: readonly TargetScale[] = [{ kind: "log" }, ...powers];

test.each(scales)("there and back, and the slope: %j", (scale) => {
  const least = scale.kind === "log" ? 0.01 : -50;
  fc.assert(
    fc.property(fc.double({ min: least, max: 80, noNaN: true }), (y) => {
      const t = onScale(scale, y);
      expect(Math.abs(t - plain(scale, y))).toBeLessThan(1e-9 * (1 + Math.abs(t)));
      expect(Math.abs(fromScale(scale, t) - y)).toBeLessThan(1e-9 * (1 + Math.abs(y)));
      const h = 1e-5 * (scale.kind === "log" ? y : 1);
      const slope = (onScale(scale, y + h) - onScale(scale, y - h)) / (2 * h);
      expect(Math.abs(Math.log(slope) - logSlope(scale, y))).toBeLessThan(1e-4);
      expect(Math.abs(Math.log(inverseSlope(scale, t)) + logSlope(scale, y))).toBeLessThan(1e-9 * (1 + Math.abs(t)));
    }),
  );
  // Far out it stays a number.
  for (const t of [-1e6, 1e6]) {
    expect(Number.isFinite(fromScale(scale, t))).toBe(true);
    expect(Number.isFinite(inverseSlope(scale, t))).toBe(true);
  }
});

test("the power is found by which values are most nearly normal; a logarithm needs positive numbers", () => {
  const z = Array.from({ length: 99 }, (_, i) => {
    let [low, high] = [-5, 5];
    for (let step = 0; step < 60; step++) {
      const middle = (low + high) / 2;
      if (normalCdf(middle) < (i + 1) / 100) low = middle;
      else high = middle;
    }
    return low;
  });
  const own = (of: (z: number) => number) => scaleOf("yeoJohnson", z.map(of)) as (typeof powers)[number];
  expect(own((t) => t).lambda).toBeCloseTo(1, 10);
  expect(own((t) => Math.exp(t)).lambda).toBeLessThan(0.5);
  expect(own((t) => -Math.exp(t)).lambda).toBeGreaterThan(1.5);
  expect(scaleOf("log", [1, 2, 0])).toBeUndefined();
  expect(scaleOf("yeoJohnson", [1, 1, 1])).toBeUndefined();
});

const rows = Array.from({ length: 20 }, (_, i) => [
  String((i * 7) % 11),
  String(Math.exp(0.3 * ((i * 7) % 11) + (i % 3))),
]);
const plainEncoding = tableEncoding({ names: ["a", "y"], rows }, { target: "y" });
const values = rows.map(([, y]) => Number(y));
const fresh = [{ a: "3" }, { a: "8" }, { a: "" }];

async function modelOf(encoding: TableEncoding) {
  const { x: inputs } = encoding.encode(rows.map(([a]) => ({ a })));
  const x = new NDArray(inputs, [rows.length, encoding.inputs.length]);
  const y = new NDArray(
    Float64Array.from(rows, ([, cell]) => encoding.encodeTarget(cell) ?? 0),
    [rows.length, 1],
  );
  const posteriors = await Promise.all(
    [0, 1].map((seed) => {
      const net = network({ inputs: encoding.inputs.length, seed, dtype: "float64" }, (input) =>
        dense(1)(dense(2, tanh)(input)),
      );
      return laplace(net, { likelihood: "regression", checks: false }).fit({ x, y });
    }),
  );
  return tableModel({ mixture: mixture(posteriors, [0.4, 0.6]), encoding });
}

describe.each(["log", "yeoJohnson"] as const)("%s", (kind) => {
  const encoding = plainEncoding.onTargetScale(kind, values);

  test("predictions are those of the density in the target's own units", async () => {
    const model = await modelOf(encoding);
    const found = model.predict(fresh);
    const { mean = [], sd = [], lower = [], upper = [], functionSd = [], parts = [] } = found;
    // A grid on the scale, on which the density is that of Gaussians.
    const grid = 2000;
    fresh.forEach((_, i) => {
      const ends = [-9, 9].map((side) => parts.map((part) => part.mean[i] + side * part.sd[i]));
      const [low, high] = [Math.min(...ends[0]), Math.max(...ends[1])];
      const scale = encoding.target.kind === "number" ? encoding.target.scale : undefined;
      const at = Array.from({ length: grid }, (_, k) => low + ((k + 0.5) * (high - low)) / grid);
      const density = at.map((t) =>
        parts.reduce((sum, part) => {
          return sum + (part.weight * Math.exp(-0.5 * ((t - part.mean[i]) / part.sd[i]) ** 2)) / part.sd[i];
        }, 0),
      );
      const total = density.reduce((sum, p) => sum + p, 0);
      const ys = at.map((t) => fromScale(scale, t));
      const expectation = (of: (y: number) => number) =>
        ys.reduce((sum, y, k) => sum + (density[k] / total) * of(y), 0);
      const center = expectation((y) => y);
      expect(mean[i] / center).toBeCloseTo(1, 4);
      expect(sd[i] ** 2 / expectation((y) => (y - center) ** 2)).toBeCloseTo(1, 3);
      expect(functionSd[i] / sd[i]).toBeCloseTo(Math.sqrt(found.epistemic[i]), 10);
      const step = 20 / grid;
      expect(Math.abs(expectation((y) => Number(y < lower[i])) - 0.05)).toBeLessThan(step);
      expect(Math.abs(expectation((y) => Number(y < upper[i])) - 0.95)).toBeLessThan(step);
      expect(Math.abs(expectation((y) => Number(y < tableQuantiles(found, 0.3)[i])) - 0.3)).toBeLessThan(step);
      // The score as it is defined, over the same grid.
      const truth = 0.7 * center;
      const scored = tableScores(
        found,
        fresh.map(() => truth),
      );
      let [below, crps] = [0, 0];
      for (let k = 0; k + 1 < grid; k++) {
        below += density[k] / total;
        crps += (below - Number(ys[k] >= truth)) ** 2 * (ys[k + 1] - ys[k]);
      }
      expect(scored.crps[i] / crps).toBeCloseTo(1, 1);
      expect(Math.abs(scored.below[i] - expectation((y) => Number(y < truth)))).toBeLessThan(step);
      const h = 1e-4 * truth;
      const mass =
        tableScores(
          found,
          fresh.map(() => truth + h),
        ).below[i] -
        tableScores(
          found,
          fresh.map(() => truth - h),
        ).below[i];
      expect(scored.negativeLogDensity[i]).toBeCloseTo(-Math.log(mass / (2 * h)), 4);
      expect(
        tableLogDensities(
          found,
          fresh.map(() => truth),
        )[i],
      ).toBe(-scored.negativeLogDensity[i]);
    });
  });

  test("without its sums it predicts the same parts", async () => {
    const model = await modelOf(encoding);
    const { x, unusual, gaps } = encoding.encode(fresh, { unreadable: "missing" });
    const whole = model.predictEncoded(x, unusual, gaps);
    const { parts, epistemic, functionVariance, rows, far } = whole;
    const alone = model.predictEncoded(x, unusual, gaps, false);
    expect(alone).toEqual({ rows, parts, epistemic, functionVariance, far, unusual });
    const truth = [1, 2, 3];
    expect(tableScores(alone, truth)).toEqual(tableScores(whole, truth));
  });

  test("its file predicts the same bits, and the encoding of other rows keeps its kind", async () => {
    const model = await modelOf(encoding);
    expect(loadTableModel(saveTableModel(model)).predict(fresh)).toEqual(model.predict(fresh));
    expect(readTableEncoding(JSON.stringify(encoding)).target).toEqual(encoding.target);
    expect(encoding.ofRows({ names: ["a", "y"], rows }).target).toEqual(encoding.target);
    const half = encoding.ofRows({ names: ["a", "y"], rows: rows.slice(0, 10) }).target;
    expect(half).toMatchObject({ scale: { kind } });
    expect(half).not.toEqual(encoding.target);
    expect(encoding.onTargetScale(undefined, values).target).toEqual(plainEncoding.target);
  });
});

test("numbers there and back; what has no logarithm is refused", () => {
  const encoding = plainEncoding.onTargetScale("log", values);
  expect(encoding.ofTarget(encoding.toTarget(5))).toBeCloseTo(5, 12);
  expect(encoding.encodeTarget("5")).toBe(encoding.toTarget(5));
  expect(() => encoding.encodeTarget("0")).toThrow(/not above 0/);
  expect(() => plainEncoding.onTargetScale("log", [1, -1])).toThrow(/positive/);
  expect(() => plainEncoding.onTargetScale("log", ["a"] as never)).toThrow(ValueError);
  expect(() => plainEncoding.onTargetScale("root" as never, values)).toThrow(/kind/);
  const classes = tableEncoding({ names: ["a", "y"], rows: rows.map(([a], i) => [a, "uv"[i % 2]]) }, { target: "y" });
  expect(() => classes.onTargetScale("log", values)).toThrow(/classes/);
  expect(classes.ofTarget(1)).toBe(1);
});

test("a file's scale is checked; without one, the file is as before", () => {
  const json = JSON.parse(JSON.stringify(plainEncoding.onTargetScale("yeoJohnson", values)));
  expect(json.version).toBe(6);
  expect([json.target.low, json.target.high]).toEqual([Math.min(...values), Math.max(...values)]);
  // Files of before have no ends, and limit no means.
  const { low: _, high: __, ...target } = json.target;
  expect(JSON.parse(JSON.stringify(readTableEncoding(JSON.stringify({ ...json, version: 3, target })))).version).toBe(
    3,
  );
  for (const wrong of [{ low: 1 }, { low: 2, high: 1 }, { low: 0, high: "1" }])
    expect(() => readTableEncoding(JSON.stringify({ ...json, target: { ...target, ...wrong } }))).toThrow(FileError);
  expect(JSON.parse(JSON.stringify(plainEncoding)).version).toBe(2);
  const refused = (change: object) => () =>
    readTableEncoding(
      JSON.stringify({ ...json, target: { ...json.target, scale: { ...json.target.scale, ...change } } }),
    );
  for (const change of [{ lambda: 3 }, { unit: 0 }, { kind: "root" }, { more: 1 }, { center: null }]) {
    expect(refused(change)).toThrow(FileError);
  }
  expect(() => readTableEncoding(JSON.stringify({ ...json, version: 2 }))).toThrow(FileError);
});

test("means are at most as far beyond the values of the training as these are apart, or medians where they are further", () => {
  for (const kind of ["log", "yeoJohnson"] as const) {
    const { target } = plainEncoding.onTargetScale(kind, values);
    if (target.kind !== "number" || target.scale === undefined) throw new Error("a scale is expected");
    const [low, high] = meanLimits(target);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    expect([low, high]).toEqual([2 * least - most, 2 * most - least]);
    const part = (mean: number, sd: number) => ({ weight: 1, mean: Float64Array.of(mean), sd: Float64Array.of(sd) });
    const { scale, mean, sd } = target;
    const meanOf = (own: ReturnType<typeof part>) => inOwnUnits([own], scale, 1, [low, high]).mean[0];
    const free = (own: ReturnType<typeof part>) => momentsFromScale(scale, own.mean[0], own.sd[0] ** 2)[0];
    const [usual, vague, far] = [part(mean, 0.5 * sd), part(mean, 20 * sd), part(mean + 20 * sd, sd)];
    expect(meanOf(usual)).toBe(free(usual));
    expect(meanOf(vague)).toBe(high);
    expect(free(vague)).toBeGreaterThan(high);
    // Where half of the distribution is beyond the values, so is the mean.
    expect(fromScale(scale, far.mean[0])).toBeGreaterThan(high);
    expect(meanOf(far)).toBe(Math.min(free(far), fromScale(scale, far.mean[0])));
    // Of two parts each is limited, so that one that errs far counts by its weight.
    const both = [usual, vague].map((own) => ({ ...own, weight: 0.5 }));
    const found = inOwnUnits(both, scale, 1, [low, high]);
    expect(found.mean[0]).toBeCloseTo((free(usual) + high) / 2, 10);
    expect(found.means.map(([own]) => own)).toEqual([free(usual), high]);
  }
});

describe("the score on a scale", () => {
  const scoreOf = (parts: readonly { weight: number; mean: number; sd: number }[], y: number) => {
    const own = parts.map(({ weight, mean, sd }) => ({
      weight,
      mean: Float64Array.of(mean),
      sd: Float64Array.of(sd),
      scale: { kind: "log" } as const,
    }));
    return tableScores({ parts: own } as unknown as TablePrediction, [y]).crps[0];
  };
  const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });

  test("of one part is that of a log-normal number in closed form", () => {
    // Baran & Lerch 2015, equation (7).
    fc.assert(
      fc.property(number(-3, 3), number(0.02, 1.5), number(-5, 5), (mean, sd, z) => {
        const y = Math.exp(mean + sd * z);
        const exact =
          y * (2 * normalCdf(z) - 1) -
          2 * Math.exp(mean + sd ** 2 / 2) * (normalCdf(z - sd) + normalCdf(sd / Math.SQRT2) - 1);
        expect([scoreOf([{ weight: 1, mean, sd }], y) / exact]).toBeAllClose([1], { absolute: 2e-4 });
      }),
    );
  });

  test("of a wide and a narrow part is its integral", () => {
    fc.assert(
      fc.property(number(0.1, 1), number(-2, 2), number(-3, 3), (narrow, mean, at) => {
        const parts = [
          { weight: 0.4, mean: 0, sd: 1 },
          { weight: 0.6, mean, sd: narrow },
        ];
        const steps = 20_000;
        let sum = 0;
        for (const [low, high] of [
          [-11, at],
          [at, 11],
        ]) {
          const h = (high - low) / steps;
          for (let k = 0; k < steps; k++) {
            const t = low + (k + 0.5) * h;
            const below = parts.reduce((total, part) => total + part.weight * normalCdf((t - part.mean) / part.sd), 0);
            sum += (below - Number(t > at)) ** 2 * Math.exp(t) * h;
          }
        }
        expect([scoreOf(parts, Math.exp(at)) / sum]).toBeAllClose([1], { absolute: 1e-3 });
      }),
      { numRuns: 10 },
    );
  });
});
