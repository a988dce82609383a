import { describe, expect, test } from "vitest";
import {
  array,
  conformalIntervals,
  conformalSets,
  OptionError,
  Random,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import { meanOf } from "../reference/evaluation.ts";

/** Heavy-tailed targets around a biased mean, with variances that are far too small: no level holds by itself. */
function regression(random: Random, n: number) {
  const mean = Array.from({ length: n }, () => random.normal());
  const variance = mean.map(() => 0.01 + 0.05 * random.uniform());
  const targets = mean.map((m, i) => m + 0.3 + Math.sqrt(variance[i]) * random.normal() * (1 + random.normal() ** 2));
  return { mean, variance, targets };
}

/** Labels that are not drawn from the probabilities at all. */
function classification(random: Random, n: number, classes: number) {
  const probabilities = Array.from({ length: n }, () => {
    const weights = Array.from({ length: classes }, () => random.uniform() ** 2 + 1e-3);
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  });
  const labels = probabilities.map((row) =>
    random.uniform() < 0.5 ? row.indexOf(Math.max(...row)) : random.integer(classes),
  );
  return { probabilities, labels };
}

/** Tolerance of an average over repetitions, of which each has a standard deviation of at most ½: four standard errors. */
const within = (values: readonly number[]) => {
  const mean = meanOf(values);
  return 4 * Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)) / values.length);
};

describe("intervals", () => {
  test("by hand: scores 1 to 9, of which 0.8 takes the eighth", () => {
    const scores = [3, 9, 1, 7, 5, 2, 8, 6, 4];
    const calibration = {
      mean: scores.map(() => 0),
      variance: scores.map(() => 4),
      targets: scores.map((score, i) => (i % 2 === 0 ? 2 : -2) * score),
    };
    const { lower, upper, quantile } = conformalIntervals(
      calibration,
      { mean: [[10], [20]], variance: [[1], [9]] },
      { level: 0.8 },
    );
    expect(Array.from(quantile.data)).toEqual([8]);
    expect(lower.shape).toEqual([2, 1]);
    expect(Array.from(lower.data)).toEqual([2, -4]);
    expect(Array.from(upper.data)).toEqual([18, 44]);
    const at = (level: number) =>
      conformalIntervals(calibration, { mean: [0], variance: [1] }, { level }).quantile.data[0];
    // ⌈10 · level⌉, where 10 · 0.7 and such must not round up
    expect([0.05, 0.1, 0.3, 0.6, 0.61, 0.7, 0.9].map(at)).toEqual([1, 1, 3, 6, 7, 7, 9]);
    expect(at(0.91)).toBe(Number.POSITIVE_INFINITY);
  });

  test("the rank does not suffer from rounding", () => {
    for (const n of [9, 19, 49, 99, 199, 999]) {
      const targets = Array.from({ length: n }, (_, i) => i + 1);
      const calibration = { mean: targets.map(() => 0), variance: targets.map(() => 1), targets };
      for (let percent = 1; percent < 100; percent++) {
        const { quantile } = conformalIntervals(calibration, { mean: [0], variance: [1] }, { level: percent / 100 });
        const rank = Math.ceil(((n + 1) * percent) / 100);
        expect(quantile.data[0]).toBe(rank > n ? Number.POSITIVE_INFINITY : rank);
      }
    }
  });

  test.each([0.5, 0.8, 0.9])("cover at least %d on average, and not much more, whatever the model", (level) => {
    const random = new Random(7);
    const n = 49;
    const covered = Array.from({ length: 600 }, () => {
      const next = regression(random, 20);
      const { lower, upper } = conformalIntervals(regression(random, n), next, { level });
      return meanOf(next.targets.map((y, i) => (y >= lower.data[i] && y <= upper.data[i] ? 1 : 0)));
    });
    const rank = Math.ceil((n + 1) * level);
    expect(Math.abs(meanOf(covered) - rank / (n + 1))).toBeLessThan(within(covered));
    expect(meanOf(covered)).toBeGreaterThan(level - within(covered));
  });

  test("each output has its own quantile", () => {
    const calibration = {
      mean: [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
      variance: [
        [1, 1],
        [1, 1],
        [1, 1],
      ],
      targets: [
        [1, 10],
        [2, 20],
        [3, 30],
      ],
    };
    const prediction = { mean: [[0, 0]], variance: [[1, 4]] };
    const { lower, upper, quantile } = conformalIntervals(calibration, prediction, { level: 0.5 });
    expect(Array.from(quantile.data)).toEqual([2, 20]);
    expect(Array.from(upper.data)).toEqual([2, 40]);
    expect(Array.from(lower.data)).toEqual([-2, -40]);
  });

  test("refusals", () => {
    const one = { mean: [0], variance: [1], targets: [1] };
    expect(() => conformalIntervals(one, one, { level: 1 })).toThrow(OptionError);
    expect(() => conformalIntervals(one, { mean: [[0, 1]], variance: [[1, 1]] })).toThrow(ShapeError);
    expect(() => conformalIntervals({ ...one, targets: [1, 2] }, one)).toThrow(ShapeError);
    expect(() => conformalIntervals({ ...one, variance: [0] }, one)).toThrow(ValueError);
    expect(() => conformalIntervals(one, { mean: [0], variance: [-1] })).toThrow(ValueError);
    expect(() => conformalIntervals({ mean: [], variance: [], targets: [] }, one)).toThrow(ShapeError);
    expect(() => conformalIntervals(one, { mean: [Number.NaN], variance: [1] })).toThrow(ValueError);
    expect(() => conformalIntervals(undefined as never, one)).toThrow("calibration must be an object");
    expect(() => conformalIntervals(one, undefined as never)).toThrow("prediction must be an object");
  });
});

describe("sets", () => {
  test("by hand", () => {
    const calibration = {
      probabilities: [
        [0.9, 0.1, 0],
        [0.2, 0.5, 0.3],
        [0.1, 0.2, 0.7],
        [0.4, 0.3, 0.3],
      ],
      labels: [0, 1, 2, 2], // probabilities 0.9, 0.5, 0.7, 0.3
    };
    const next = [
      [0.5, 0.5, 0],
      [0.35, 0.35, 0.3],
      [0.1, 0.1, 0.8],
    ];
    const sets = (level: number) => conformalSets(calibration, next, { level });
    // Rank ⌈5 · 0.6⌉ = 3: the third largest probability of a label.
    expect(sets(0.6)).toEqual({ sets: [[0, 1], [], [2]], threshold: 0.5 });
    expect(sets(0.8)).toEqual({ sets: [[0, 1], [0, 1, 2], [2]], threshold: 0.3 });
    expect(sets(0.81).threshold).toBe(Number.NEGATIVE_INFINITY);
    expect(sets(0.81).sets).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(conformalSets({ probabilities: [0.9, 0.2, 0.6], labels: [1, 0, 1] }, [0.7], { level: 0.75 }).sets).toEqual([
      [1],
    ]);
  });

  test.each([0.6, 0.9])("cover at least %d on average, whatever the model", (level) => {
    const random = new Random(11);
    const n = 39;
    const covered = Array.from({ length: 600 }, () => {
      const next = classification(random, 20, 4);
      const { sets } = conformalSets(classification(random, n, 4), array(next.probabilities), { level });
      return meanOf(next.labels.map((label, i) => (sets[i].includes(label) ? 1 : 0)));
    });
    expect(meanOf(covered)).toBeGreaterThan(level - within(covered));
    expect(meanOf(covered)).toBeLessThan(level + 1 / (n + 1) + within(covered));
  });

  test("adaptive sets by hand, without random shares", () => {
    const calibration = {
      probabilities: [
        [0.9, 0.1, 0],
        [0.2, 0.5, 0.3],
        [0.1, 0.2, 0.7],
        [0.4, 0.3, 0.3],
      ],
      labels: [0, 2, 2, 2], // scores 0.9, 0.8, 0.7, and of equal ones the first come first: 1
    };
    const next = [
      [0.5, 0.3, 0.2],
      [0.35, 0.35, 0.3],
      [0.05, 0.1, 0.85],
    ];
    const { sets, threshold } = conformalSets(calibration, next, { level: 0.4, score: "aps", randomized: false });
    expect(threshold).toBe(0.8);
    expect(sets).toEqual([[0, 1], [0, 1], []]);
    const all = conformalSets(calibration, next, { level: 0.9, score: "aps" });
    expect(all.threshold).toBe(Number.POSITIVE_INFINITY);
    expect(all.sets).toEqual(next.map(() => [0, 1, 2]));
  });

  test.each([0.6, 0.9])("adaptive sets cover %d on average, with random shares not much more", (level) => {
    const random = new Random(12);
    const n = 39;
    const cover = (randomized: boolean) =>
      Array.from({ length: 600 }, (_, seed) => {
        const next = classification(random, 20, 4);
        const options = { level, score: "aps", randomized, seed } as const;
        const { sets } = conformalSets(classification(random, n, 4), array(next.probabilities), options);
        return meanOf(next.labels.map((label, i) => (sets[i].includes(label) ? 1 : 0)));
      });
    const [drawn, plain] = [cover(true), cover(false)];
    expect(meanOf(drawn)).toBeGreaterThan(level - within(drawn));
    expect(meanOf(drawn)).toBeLessThan(level + 1 / (n + 1) + within(drawn));
    expect(meanOf(plain)).toBeGreaterThan(level - within(plain));
  });

  test("adaptive sets hold hard samples about as often as easy ones, the smallest sets do not", () => {
    // Probabilities that are right: of easy samples one label has 0.95, of hard ones four share.
    const random = new Random(21);
    const make = (size: number) => {
      const probabilities = Array.from({ length: size }, (_, i) =>
        i % 2 ? [0.95, 0.03, 0.01, 0.01] : [0.4, 0.3, 0.2, 0.1],
      );
      const labels = probabilities.map((row) => {
        let left = random.uniform();
        return row.findIndex((p) => {
          left -= p;
          return left < 0;
        });
      });
      return { probabilities, labels };
    };
    const [calibration, next] = [make(2000), make(4000)];
    const gap = (score: "lac" | "aps") => {
      const { sets } = conformalSets(calibration, next.probabilities, { level: 0.8, score });
      const share = (odd: number) =>
        meanOf(sets.flatMap((set, i) => (i % 2 === odd ? [set.includes(next.labels[i]) ? 1 : 0] : [])));
      return share(1) - share(0);
    };
    expect(gap("lac")).toBeGreaterThan(0.2);
    expect(Math.abs(gap("aps"))).toBeLessThan(0.06);
  });

  test("refusals", () => {
    const one = { probabilities: [[0.5, 0.5]], labels: [1] };
    expect(() => conformalSets(one, [[0.2, 0.3, 0.5]])).toThrow(ShapeError);
    expect(() => conformalSets(one, [[0.2, 0.3]])).toThrow(ValueError);
    expect(() => conformalSets({ ...one, labels: [2] }, [[0.5, 0.5]])).toThrow(ValueError);
    expect(() => conformalSets(one, [[0.5, 0.5]], { level: 0 })).toThrow(OptionError);
    expect(() => conformalSets(one, [[0.5, 0.5]], { score: "raps" as never })).toThrow(OptionError);
    expect(() => conformalSets(one, [[0.5, 0.5]], { score: "aps", seed: -1 })).toThrow(OptionError);
    expect(() => conformalSets(undefined as never, [[0.5, 0.5]])).toThrow(ValueError);
  });
});
