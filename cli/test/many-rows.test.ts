// What is done with many rows: samples, divisions of them, what a fit takes, and that all rows are learned from in the end.

import fc from "fast-check";
import { NDArray, Random } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { estimateOf, estimateText } from "../src/fitting/estimate.ts";
import { divisionOf } from "../src/fitting/fits.ts";
import { doJob, type Recipe } from "../src/fitting/jobs.ts";
import { MANY_ROWS, sampleOf, someOf, thinned } from "../src/fitting/many-rows.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { rowPasses } from "../src/fitting/recipe.ts";
import type { Numbers } from "../src/model/rows.ts";

describe("samples", () => {
  test("have as many rows as asked for, ascending, all where there are no more", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.nat(), (n, most, seed) => {
        const some = someOf(n, most, seed);
        expect(some.length).toBe(Math.min(n, most));
        expect(some.every((i, k) => i >= 0 && i < n && (k === 0 || i > some[k - 1]))).toBe(true);
      }),
    );
  });

  test("have each row as often as another", () => {
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 3000; seed++) for (const i of someOf(10, 3, seed)) counts[i]++;
    // 900 expected, with a deviation of 25.
    for (const count of counts) expect(Math.abs(count - 900)).toBeLessThan(5 * 25);
  });

  test("a division of few rows stays, of many each side keeps its share", () => {
    const sides = (part: number, rest: number) => ({
      part: Array.from({ length: part }, (_, i) => 2 * i),
      rest: Array.from({ length: rest }, (_, i) => 2 * i + 1),
    });
    const few = sides(1000, 9000);
    expect(thinned(few, 1)).toEqual(few);
    const many = sides(30_000, 170_000);
    const { part, rest } = thinned(many, 1);
    expect([part.length, rest.length]).toEqual([7500, 42_500]);
    const known = { part: new Set(many.part), rest: new Set(many.rest) };
    expect(part.every((i) => known.part.has(i)) && rest.every((i) => known.rest.has(i))).toBe(true);
    // What is divided anywhere in a fit is divided so.
    expect(divisionOf({ divide: () => many }, 0.15, 1)).toEqual({ part, rest });
  });
});

const rows = MANY_ROWS + 10_000;

/** A line, and at the end of the table another. */
function twoLines(weighted = false): Numbers {
  const random = new Random(1);
  const x = Float64Array.from({ length: rows }, () => random.normal());
  const y = x.map((own, i) => (i < MANY_ROWS ? own : 3 - 2 * own) + 0.1 * random.normal());
  return {
    rows,
    x: new NDArray(x, [rows, 1]),
    y: new NDArray(y, [rows, 1]),
    unusual: Array.from(x, () => []),
    gaps: Array.from(x, () => []),
    ...(weighted && {
      weights: new NDArray(
        x.map((_, i) => (i < MANY_ROWS ? 1 : 3)),
        [rows],
      ),
    }),
  };
}

/** Intercept and slope by least squares. */
function leastSquares({ x, y, weights }: Numbers): [number, number] {
  let [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];
  for (let i = 0; i < y.size; i++) {
    const [w, a, b] = [weights?.data[i] ?? 1, x.data[i], y.data[i]];
    [n, sx, sy, sxx, sxy] = [n + w, sx + w * a, sy + w * b, sxx + w * a * a, sxy + w * a * b];
  }
  const slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  return [(sy - slope * sx) / n, slope];
}

describe("all of many rows are learned from", () => {
  const learning = learningOfClasses(0);
  const shared = { learning, memoryBudget: 2 ** 28, seed: 0 } as const;
  const whole = { division: { part: [], rest: [] } };
  const line = async (recipe: Recipe, numbers: Numbers, rounds?: number): Promise<[number, number]> => {
    const { posterior } = await doJob({ recipe, numbers, ...whole, rounds }, () => {});
    const [at0, at1] = posterior.net.forward([[0], [1]]).data;
    return [at0, at1 - at0];
  };

  test.each([false, true])("by second order: the line of all rows, weighted: %s", async (weighted) => {
    const numbers = twoLines(weighted);
    const expected = leastSquares(numbers);
    const found = await line({ ...shared, by: "evidence", width: 0, groups: "layers" }, numbers);
    for (const k of [0, 1]) expect(Math.abs(found[k] - expected[k])).toBeLessThan(1e-3);
    const sample = leastSquares(sampleOf(numbers, 0) as Numbers);
    expect(Math.abs(sample[0] - expected[0]) + Math.abs(sample[1] - expected[1])).toBeGreaterThan(1e-3);
  });

  test("by first order: near the line of all rows, whose posterior has them all", async () => {
    const numbers = twoLines();
    const expected = leastSquares(numbers);
    const recipe: Recipe = {
      ...shared,
      by: "rounds",
      hidden: [],
      activation: "tanh",
      structure: "full",
      first: 5,
      rounds: 2,
    };
    const { posterior } = await doJob({ recipe, numbers, ...whole, rounds: 2 }, () => {});
    const [at0, at1] = posterior.net.forward([[0], [1]]).data;
    expect(Math.abs(at0 - expected[0]) + Math.abs(at1 - at0 - expected[1])).toBeLessThan(0.05);
    // The variance of a mean of as many rows.
    const { functionVariance } = posterior.predict([[0]]);
    const noise = posterior.noise?.data[0] ?? 0;
    expect((functionVariance.data[0] * rows) / noise ** 2).toBeGreaterThan(0.9);
    expect((functionVariance.data[0] * rows) / noise ** 2).toBeLessThan(1.1);
  });
});

describe("what a fit of many rows takes", () => {
  const recipe: Recipe = {
    by: "rounds",
    learning: learningOfClasses(0),
    hidden: [64, 64],
    activation: "tanh",
    structure: "kronecker",
    memoryBudget: 2 ** 30,
    first: 5,
    rounds: 5,
    seed: 0,
  };
  const candidate = { name: "", recipe, seeds: 1, network: "", structureReason: "" };
  const of = (count: number, cores = 2) =>
    estimateOf({ rows: count, columns: 20, inputs: 62, candidates: [candidate, candidate], folds: 0, cores });

  test("grows with the rows, and no faster", () => {
    for (const what of ["seconds", "bytes"] as const) {
      const [one, two, four] = [1e6, 2e6, 4e6].map((count) => of(count)[what]);
      expect(two).toBeGreaterThan(one);
      expect((four - two) / (two - one)).toBeCloseTo(2, 6);
    }
    expect(rowPasses({ rounds: 5 }, 4e6, 100) - rowPasses({ rounds: 5 }, 2e6, 100)).toBe(4 * 2e6);
    expect(of(1e6, 1).seconds).toBeGreaterThan(of(1e6, 2).seconds);
  });

  test("is said in words", () => {
    const text = (seconds: number) => estimateText(1_000_000, { seconds, bytes: 2.05e9 });
    expect(text(40)).toContain("1,000,000 rows: about a minute and 2.0 GB of memory");
    expect(text(400)).toContain("about 7 minutes");
    expect(text(7000)).toContain("about 1.9 hours");
  });
});
