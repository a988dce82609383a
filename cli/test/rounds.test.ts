// Networks by first order, of few rows: as many epochs as there is time for, and as many rounds for all rows as the folds had.

import fc from "fast-check";
import { crossEntropy, gradient, NDArray } from "laplace-ts";
import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { doJob, type Job, takesLong } from "../src/fitting/jobs.ts";
import type { Lanes } from "../src/fitting/lanes.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { fitRecipe, rowPasses, tryRecipe } from "../src/fitting/recipe.ts";
import { settings } from "./settings.ts";

test("a round of few rows is 80 epochs, and 20 at least where a network has many weights", () => {
  const [rows, weights] = [fc.integer({ min: 10, max: 849 }), fc.integer({ min: 1, max: 200_000 })];
  fc.assert(
    fc.property(rows, weights, fc.integer({ min: 1, max: 5 }), (n, size, rounds) => {
      const epochs = rowPasses({ rounds, epochs: undefined }, n, size) / (rounds * n);
      if (n * size <= 8e6) expect(epochs).toBe(80);
      else if (epochs > 20) expect(epochs * n * size).toBeLessThanOrEqual(4 * 1.6e8);
      else expect(epochs).toBe(20);
      expect(rowPasses({ rounds, epochs: 40 }, n, size)).toBe(40 * rounds * n);
    }),
  );
});

test.each([5, 1])(
  "all rows are learned from in as many rounds as the folds had in the middle, and the one of all their rows: at most %i",
  async (most) => {
    const rows = Array.from({ length: 60 }, (_, i) => {
      const x = ((i * 37) % 101) / 20;
      return [String(x), String(Math.sin(x) + ((i * 7) % 5) / 10)];
    });
    const jobs: Job[] = [];
    const rounds: number[] = [];
    const lanes: Lanes = {
      async do(job, onShare) {
        jobs.push(job);
        const found = await doJob(job, onShare);
        rounds.push(found.course.rounds);
        return found;
      },
      close() {},
    };
    const table = { names: ["x", "y"], rows, lines: rows.map((_, i) => i + 2) };
    const fit = await fitTable(
      table,
      { ...settings, target: "y", hidden: [3], folds: 3, epochs: 8, rounds: most },
      () => {},
      lanes,
    );
    const whole = jobs.filter(({ numbers }) => numbers.rows === 60);
    const folds = jobs.flatMap(({ numbers }, j) => (numbers.rows === 40 ? [rounds[j]] : []));
    expect(folds).toHaveLength(3);
    const middle = folds.sort((a, b) => a - b)[1];
    expect(whole.map((job) => job.rounds)).toEqual([middle + 1]);
    // The report shows how validation went, which all rows do not say.
    expect(fit.course.validation.length).toBeGreaterThan(0);
    expect(fit.course.rounds).toBe(middle);
  },
);

test("after the rounds that a part of the rows chose, one more goes on from there with all rows", async () => {
  const x = Float64Array.from({ length: 40 }, (_, i) => ((i * 17) % 40) / 10 - 2);
  const array = (values: Float64Array) => new NDArray(values, [40, 1]);
  const none = Array.from(x, () => []);
  const numbers = { rows: 40, x: array(x), y: array(x.map(Math.sin)), unusual: none, gaps: none };
  const division = { part: [1, 11, 21, 31], rest: [] as number[] };
  for (let i = 0; i < 40; i++) if (!division.part.includes(i)) division.rest.push(i);
  const recipe = {
    by: "rounds",
    learning: learningOfClasses(0),
    hidden: [4],
    activation: "tanh",
    structure: "full",
    memoryBudget: 2 ** 28,
    first: 5,
    rounds: 3,
    epochs: undefined,
    seed: 1,
  } as const;
  const { begun, course, posterior } = await tryRecipe(recipe, numbers, division, () => {});
  const [found, again] = [
    await doJob({ recipe, numbers, division }, () => {}),
    await fitRecipe(recipe, numbers, 1, () => {}, begun),
  ];
  expect([posterior.examples, found.posterior.examples]).toEqual([36, 40]);
  expect(found.course).toEqual(course);
  expect(found.posterior.mean).toEqual(again.posterior.mean);
  const elsewhere = { ...begun, parameters: begun.parameters.map((own) => -0.5 * own) };
  const other = await fitRecipe(recipe, numbers, 1, () => {}, elsewhere);
  expect(found.posterior.mean).not.toEqual(other.posterior.mean);
});

/** Rows of so many inputs, of classes in turn. */
function ofClasses(rows: number, inputs: number, classes: number) {
  const none = Array.from({ length: rows }, () => []);
  const value = (_: unknown, i: number) =>
    Math.sin(1 + i * (i % 7)) + ((Math.floor(i / inputs) % classes) * (i % 3)) / 2;
  const x = new NDArray(Float64Array.from({ length: rows * inputs }, value), [rows, inputs]);
  const y = new NDArray(
    Float64Array.from({ length: rows }, (_, i) => i % classes),
    [rows],
  );
  return { rows, x, y, unusual: none, gaps: none };
}

const ofRounds = (classes: number, hidden: number[], memoryBudget: number) =>
  ({
    by: "rounds",
    learning: learningOfClasses(classes),
    hidden,
    activation: "tanh",
    structure: "diagonal",
    memoryBudget,
    first: 5,
    rounds: 2,
    epochs: undefined,
    seed: 1,
  }) as const;

test("a linear model of several classes is near its minimum, also where there is no memory for Newton's steps", async () => {
  const [rows, inputs, classes] = [240, 5, 4];
  const numbers = ofClasses(rows, inputs, classes);
  const places = Array.from({ length: rows }, (_, i) => i);
  const division = { part: places.filter((i) => i % 5 === 0), rest: places.filter((i) => i % 5 > 0) };
  /** The cosine between the loss's gradient and the weights, −1 where these are at the minimum of loss and decay. */
  const cosine = async (memoryBudget: number) => {
    const { net } = (await doJob({ recipe: ofRounds(classes, [], memoryBudget), numbers, division }, () => {}))
      .posterior;
    const slope = gradient(net, crossEntropy, { x: numbers.x, y: numbers.y }).data;
    const weights = net.parameters.data;
    const product = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Array.from(a).reduce((sum, one, i) => sum + one * b[i], 0);
    return product(slope, weights) / Math.sqrt(product(slope, slope) * product(weights, weights));
  };
  const [near, frugal] = [await cosine(2 ** 28), await cosine(8 * (inputs + 1) * 2 * rows)];
  expect(near).toBeLessThan(-0.99);
  expect(frugal).toBeLessThan(-0.99);
});

test("what takes long must be worth it: first order of any rows, and of enough rows sooner", () => {
  const long = (rows: number, inputs: number, hidden: number[]) =>
    takesLong({
      recipe: { ...ofRounds(3, hidden, 2 ** 28), rounds: 5 },
      numbers: ofClasses(rows, inputs, 3),
      division: { part: [], rest: [] },
    });
  expect(long(240, 400, [64, 64])).toBe(true);
  expect(long(800, 5, [64, 64])).toBe(true);
  expect(long(240, 5, [16])).toBe(false);
});
