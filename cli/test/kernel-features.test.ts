import fc from "fast-check";
import { gaussian, laplace, NDArray, randomNormal } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { kernelRegression } from "../../test/reference/kernel-regression.ts";
import { fitTable } from "../src/fitting/fit.ts";
import { outcomeMessage, readOutcome } from "../src/fitting/job-messages.ts";
import { doJob } from "../src/fitting/jobs.ts";
import { centresOf, headOf, kernelNetwork } from "../src/fitting/kernel-features.ts";
import { learningOfClasses } from "../src/fitting/network.ts";

const rowsOf = (x: NDArray) => {
  const [rows, inputs] = x.shape;
  return Array.from({ length: rows }, (_, i) => Array.from(x.data.slice(i * inputs, (i + 1) * inputs) as Float64Array));
};
const numbersOf = (x: NDArray, y: ArrayLike<number>) => {
  const rows = x.shape[0];
  const nothing = Array.from({ length: rows }, () => []);
  return { rows, x, y: new NDArray(Float64Array.from(y), [rows, 1]), unusual: nothing, gaps: nothing };
};

describe("features of a kernel around rows", () => {
  // More rows than are a panel of the root's inverse, too.
  test.each([12, 64, 140])(
    "around all of %i rows are a Gaussian process of the kernel, at rows and away from them",
    async (rows) => {
      const [length, precision, noise, inputs] = [0.7, 0.5, 0.3, 3];
      const x = randomNormal([rows, inputs], { seed: 1 });
      const y = rowsOf(x).map(([a, b, c]) => Math.sin(a) + b * c);
      const numbers = numbersOf(x, y);
      const net = kernelNetwork(inputs, 1, centresOf(numbers, 2 * rows, 1), { length, seed: 1, remainder: true });
      const posterior = await laplace(net, {
        likelihood: gaussian({ noise }),
        structure: "full",
        priorPrecision: precision,
        checks: false,
      }).fit(numbers);
      const fresh = randomNormal([6, inputs], { seed: 2 });
      const found = posterior.predict(fresh).functionVariance;
      const given = { x: rowsOf(x), y, length: length * inputs };
      const variances = { kernel: 1, bias: 1, linear: 0.3 ** 2 / inputs, noise: noise ** 2 * precision };
      for (const [i, at] of rowsOf(fresh).entries()) {
        const expected = kernelRegression({ ...given, variances }, at).variance / precision;
        expect(found.data[i]).toBeCloseTo(expected, 3);
      }
    },
  );

  test("have the variance of the kernel at every row, and rows by themselves are those of the network", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        (inputs, most, remainder) => {
          const x = randomNormal([15, inputs], { seed: inputs });
          const numbers = numbersOf(x, new Float64Array(15));
          const centres = centresOf(numbers, most, 3);
          expect(centres.length).toBe(most * inputs);
          const net = kernelNetwork(inputs, 1, centres, { length: 0.5, seed: 2, remainder });
          const head = headOf(net, numbers, remainder, 0);
          const features = most + (remainder ? 1 : 0);
          for (const row of rowsOf(head.numbers.x)) {
            const norm = row.slice(0, features).reduce((sum, one) => sum + one ** 2, 0);
            if (remainder) expect(norm).toBeCloseTo(1, 9);
            else expect(norm).toBeLessThan(1 + 1e-9);
          }
          head.net.parameters.data.forEach((_: number, i: number) => {
            head.net.parameters.data[i] = Math.sin(i);
          });
          head.give();
          const [own, whole] = [head.net.forward(head.numbers.x).data, net.forward(x).data];
          own.forEach((value: number, i: number) => {
            expect(value).toBeCloseTo(whole[i], 9);
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  test("are around rows that differ", () => {
    const x = new NDArray(Float64Array.of(1, 2, 1, 2, 3, 4), [3, 2]);
    const found = Array.from(centresOf(numbersOf(x, [0, 0, 0]), 3, 0));
    expect(found.length).toBe(4);
    expect([...found].sort()).toEqual([1, 2, 3, 4]);
  });

  const shared = { by: "features", features: 300, around: 1, memoryBudget: 2 ** 28, seed: 1 } as const;
  const division = { part: [], rest: [] };

  test("learn another function for each category, and many waves, and come back from a message", async () => {
    const numbers = { ...shared, learning: learningOfClasses(0), length: 1, precision: undefined } as const;
    // 0 or 1 in two columns says which of three functions it is.
    const kinds = [
      [0, 0],
      [0, 1],
      [1, 0],
    ];
    const functions = [(t: number) => Math.sin(3 * t), (t: number) => -Math.sin(3 * t), (t: number) => Math.abs(t) - 1];
    const table = (rows: number, seed: number) => {
      const random = randomNormal([rows, 2], { seed });
      const x = new NDArray(
        Float64Array.from({ length: rows * 3 }, (_, i) =>
          i % 3 === 0 ? random.data[2 * Math.floor(i / 3)] : kinds[Math.floor(i / 3) % 3][(i % 3) - 1],
        ),
        [rows, 3],
      );
      const truth = Array.from({ length: rows }, (_, i) => functions[i % 3](random.data[2 * i]));
      return { x, truth, y: truth.map((one, i) => one + 0.1 * random.data[2 * i + 1]) };
    };
    const [seen, fresh] = [table(180, 1), table(300, 2)];
    const job = { recipe: numbers, numbers: numbersOf(seen.x, seen.y), division };
    const outcome = await doJob(job, () => {});
    const { mean, variance } = outcome.posterior.predict(fresh.x);
    const squares = fresh.truth.reduce((sum, one, i) => sum + (one - mean.data[i]) ** 2 / fresh.truth.length, 0);
    expect(Math.sqrt(squares)).toBeLessThan(0.15);
    const again = readOutcome(structuredClone(outcomeMessage(outcome)));
    expect(again.posterior.predict(fresh.x).variance.data).toEqual(variance.data);

    const time = (rows: number, shift: number) =>
      new NDArray(
        Float64Array.from({ length: rows }, (_, i) => (4 * (i + shift)) / rows - 2),
        [rows, 1],
      );
    const wave = (t: number) => t + Math.sin(40 * t) / 3;
    const months = time(300, 0);
    const found = await doJob({ ...job, numbers: numbersOf(months, Float64Array.from(months.data, wave)) }, () => {});
    const between = time(299, 0.5);
    const predicted = found.posterior.predict(between).mean.data;
    const errors = Array.from(between.data as Float64Array, (t, i) => (predicted[i] - wave(t)) ** 2);
    expect(Math.sqrt(errors.reduce((sum, one) => sum + one / errors.length, 0))).toBeLessThan(0.05);
  });

  test("tell noise from a rough function: second measurements of the rows learned from lie in their intervals", async () => {
    const rough = ([a, b]: readonly number[]) => Math.sin(5 * a) + (Math.floor(3 * a) % 2) + 0.3 * b;
    const [places, first, second] = [1, 2, 3].map((seed) => rowsOf(randomNormal([60, 2], { seed })));
    const targets = (noise: readonly (readonly number[])[]) => places.map((row, i) => rough(row) + 0.1 * noise[i][0]);
    const names = ["a", "b", "y"];
    const rows = targets(first).map((y, i) => [...places[i], y].map(String));
    const settings = {
      activation: "tanh",
      missing: "impute",
      structure: "auto",
      memoryBudget: 2 ** 30,
      rounds: 5,
    } as const;
    const { model } = await fitTable(
      { names, rows, lines: rows.map((_, i) => i + 2) },
      { ...settings, target: "y", task: "regression", kinds: {}, seed: 0 },
      () => {},
    );
    const { lower = [], upper = [] } = model.predict(places.map(([a, b]) => ({ a: String(a), b: String(b) })));
    const inside = targets(second).filter((y, i) => lower[i] <= y && y <= upper[i]).length;
    // Around all rows the noise went to 0, and none were.
    expect(inside).toBeGreaterThanOrEqual(48);
  });

  test.each([2, 4])(
    "learn %i classes in squares of a board, and are more uncertain outside of the data",
    async (classes) => {
      const table = (rows: number, seed: number) => {
        const x = randomNormal([rows, 2], { seed });
        const y = rowsOf(x).map(
          ([a, b]) => (((Math.floor(1.2 * a) + 2 * Math.floor(1.2 * b)) % classes) + classes) % classes,
        );
        return { x, y };
      };
      const [seen, fresh] = [table(300, 1), table(300, 2)];
      const recipe = { ...shared, learning: learningOfClasses(classes), length: 1, precision: 0.01 } as const;
      const { posterior } = await doJob({ recipe, numbers: numbersOf(seen.x, seen.y), division }, () => {});
      const coldest = posterior.with({ temperature: 0.0001 });
      const { functionMean } = coldest.predict(fresh.x);
      const mistakes = fresh.y.filter((label, i) => {
        const f = Array.from(functionMean.sub(i).data as Float64Array);
        return (classes === 2 ? Number(f[0] > 0) : f.indexOf(Math.max(...f))) !== label;
      });
      expect(mistakes.length).toBeLessThan(0.25 * 300);
      const deviation = (x: NDArray) =>
        Array.from(coldest.predict(x).functionVariance.data as Float64Array, Math.sqrt).reduce(
          (sum, one) => sum + one,
          0,
        );
      const outside = new NDArray(
        seen.x.data.map((one: number) => 10 * one),
        seen.x.shape,
      );
      expect(deviation(outside)).toBeGreaterThan(deviation(seen.x));
    },
  );
});
