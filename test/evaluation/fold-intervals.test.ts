import { describe, expect, test } from "vitest";
import { foldIntervals, OptionError, Random, ShapeError, ValueError } from "../../src/index.ts";
import { meanOf } from "../reference/evaluation.ts";

type Line = readonly [intercept: number, slope: number];

/** Least squares of one input, by its formula. */
function line(x: readonly number[], y: readonly number[]): Line {
  const [mx, my] = [meanOf(x), meanOf(y)];
  const slope = meanOf(x.map((a, i) => (a - mx) * (y[i] - my))) / meanOf(x.map((a) => (a - mx) ** 2));
  return [my - slope * mx, slope];
}

/** Targets of a bent curve with heavy tails that widen: no line is right about them. */
function table(random: Random, n: number) {
  const x = Array.from({ length: n }, () => random.normal());
  const y = x.map((a) => a + 0.5 * a ** 2 + (0.2 + 0.5 * Math.abs(a)) * random.normal() * (1 + random.normal() ** 2));
  return { x, y };
}

const deviation = (x: number) => 0.1 + Math.abs(x); // what the model says of its spread, in wrong units

/** Held-out predictions of a cross-validation with lines, and those of its models for new inputs. */
function crossValidated({ x, y }: { x: number[]; y: number[] }, folds: number, next: readonly number[]) {
  const fold = x.map((_, i) => i % folds);
  const lines = Array.from({ length: folds }, (_, k) => {
    const rest = Array.from(x.keys()).filter((i) => fold[i] !== k);
    return line(
      rest.map((i) => x[i]),
      rest.map((i) => y[i]),
    );
  });
  const predict = (inputs: readonly number[], of: (i: number) => Line) => ({
    mean: inputs.map((a, i) => of(i)[0] + of(i)[1] * a),
    variance: inputs.map((a) => deviation(a) ** 2),
  });
  return {
    heldOut: { ...predict(x, (i) => lines[fold[i]]), targets: y, fold },
    predictions: lines.map((each) => predict(next, () => each)),
  };
}

/** The set of the paper, asked target by target: how many scores are below the new one. */
function holds(heldOut: ReturnType<typeof crossValidated>["heldOut"], at: { m: number[]; s: number[] }, y: number) {
  const { mean, variance, targets, fold } = heldOut;
  const below = targets.filter((target, i) => {
    const score = Math.abs(target - mean[i]) / Math.sqrt(variance[i]);
    return score < Math.abs(y - at.m[fold[i]]) / at.s[fold[i]];
  });
  return below.length;
}

describe("intervals from folds", () => {
  test("by hand: two folds, four samples", () => {
    const heldOut = { mean: [0, 0, 0, 0], variance: [1, 1, 1, 1], targets: [1, -2, 3, 4], fold: [0, 0, 1, 1] };
    const predictions = [
      { mean: [10], variance: [4] },
      { mean: [20], variance: [1] },
    ];
    // Ends above: 10 + 1·2, 10 + 2·2, 20 + 3, 20 + 4; below: 8, 6, 17, 16. ⌈5 · 0.6⌉ = 3.
    const { lower, upper } = foldIntervals(heldOut, predictions, { level: 0.6 });
    expect(Array.from(upper.data)).toEqual([23]);
    expect(Array.from(lower.data)).toEqual([8]);
    // Not scaled: 11, 12, 23, 24 and 9, 8, 17, 16.
    const plain = foldIntervals(heldOut, predictions, { level: 0.8, scaled: false });
    expect([...plain.lower.data, ...plain.upper.data]).toEqual([8, 24]);
    const few = foldIntervals(heldOut, predictions, { level: 0.9 });
    expect([...few.lower.data, ...few.upper.data]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  test("an interval holds the paper's set of targets", () => {
    const random = new Random(3);
    for (let round = 0; round < 20; round++) {
      const [data, next] = [table(random, 23), random.normal()];
      const { heldOut, predictions } = crossValidated(data, [2, 5, 23][round % 3], [next]);
      const { lower, upper } = foldIntervals(heldOut, predictions, { level: 0.8 });
      const at = { m: predictions.map(({ mean }) => mean[0]), s: predictions.map(() => deviation(next)) };
      for (let step = 0; step <= 200; step++) {
        const y = -20 + step / 5;
        const inside = lower.data[0] <= y && y <= upper.data[0];
        if (holds(heldOut, at, y) < 0.8 * 24) expect(inside).toBe(true);
      }
    }
  });

  test.each([
    ["jackknife+", 20, 20],
    ["CV+", 20, 5],
    ["CV+ of two folds", 20, 2],
  ])("%s covers at least its bound over 500 tables, and about its level", (_, n, folds) => {
    const random = new Random(17);
    for (const scaled of [true, false]) {
      const level = 0.8;
      const covered = Array.from({ length: 500 }, () => {
        const next = table(random, 20);
        const { heldOut, predictions } = crossValidated(table(random, n), folds, next.x);
        const { lower, upper } = foldIntervals(heldOut, predictions, { level, scaled });
        return meanOf(next.y.map((y, i) => (y >= lower.data[i] && y <= upper.data[i] ? 1 : 0)));
      });
      const share = Math.min((2 * (1 - 1 / folds)) / (n / folds + 1), (1 - folds / n) / (folds + 1));
      expect(meanOf(covered)).toBeGreaterThan(1 - 2 * (1 - level) - share);
      expect(meanOf(covered)).toBeGreaterThan(level - 0.03);
      expect(meanOf(covered)).toBeLessThan(level + 0.1);
    }
  });

  test("several outputs hold one by one", () => {
    const heldOut = { mean: [0, 0, 0], variance: [1, 1, 1], targets: [1, 2, 3], fold: [0, 1, 2] };
    const other = { ...heldOut, targets: [10, 20, 30] };
    const pair = <T>(a: readonly T[], b: readonly T[]) => a.map((value, i) => [value, b[i]]);
    const both = foldIntervals(
      {
        mean: pair(heldOut.mean, other.mean),
        variance: pair(heldOut.variance, other.variance),
        targets: pair(heldOut.targets, other.targets),
        fold: heldOut.fold,
      },
      heldOut.fold.map((k) => ({ mean: [[k, -k]], variance: [[1, 4]] })),
      { level: 0.7 },
    );
    const alone = (of: typeof heldOut, sign: number, variance: number) =>
      foldIntervals(
        of,
        of.fold.map((k) => ({ mean: [sign * k], variance: [variance] })),
        { level: 0.7 },
      );
    const [a, b] = [alone(heldOut, 1, 1), alone(other, -1, 4)];
    expect(both.upper.shape).toEqual([1, 2]);
    expect(Array.from(both.upper.data)).toEqual([a.upper.data[0], b.upper.data[0]]);
    expect(Array.from(both.lower.data)).toEqual([a.lower.data[0], b.lower.data[0]]);
  });

  test("refusals", () => {
    const heldOut = { mean: [0, 0], variance: [1, 1], targets: [1, 2], fold: [0, 1] };
    const one = { mean: [0], variance: [1] };
    expect(() => foldIntervals(heldOut, [one])).toThrow("fold 1 of sample 1 is not an integer from 0 to 0");
    expect(() => foldIntervals({ ...heldOut, fold: [0] }, [one, one])).toThrow(ShapeError);
    expect(() => foldIntervals(heldOut, [])).toThrow(ValueError);
    expect(() => foldIntervals(heldOut, one as never)).toThrow(ValueError);
    expect(() => foldIntervals(heldOut, [one, { mean: [0, 1], variance: [1, 1] }])).toThrow(ShapeError);
    expect(() => foldIntervals(heldOut, [one, { mean: [0], variance: [0] }])).toThrow(ValueError);
    expect(() => foldIntervals(heldOut, [one, { mean: [0], variance: [0] }], { scaled: false })).not.toThrow();
    expect(() => foldIntervals(heldOut, [one, one], { level: 2 })).toThrow(OptionError);
    expect(() => foldIntervals(null as never, [one, one])).toThrow("heldOut must be an object");
    expect(() => foldIntervals(heldOut, [one, null as never])).toThrow("predictions[1] must be an object");
  });
});
