// The power of a mixture's probabilities, by rows that it has not seen.

import fc from "fast-check";
import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { bestPower, lossesAt, powerOf, type SaidOfClasses } from "../src/fitting/probability-power.ts";

/** Probabilities of rows, and labels drawn from them to a power. */
function said(rows: number, classes: number, power: number, seed: number): SaidOfClasses {
  const random = new Random(seed);
  const logs = new Float64Array(rows * classes);
  const labels = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const logits = Array.from({ length: classes }, () => 1.5 * random.normal());
    const total = Math.log(logits.reduce((sum, own) => sum + Math.exp(own), 0));
    logits.forEach((own, c) => {
      logs[i * classes + c] = own - total;
    });
    const raised = logits.map((own) => Math.exp(power * own));
    const sums = raised.map((_, c) => raised.slice(0, c + 1).reduce((sum, own) => sum + own, 0));
    const drawn = random.uniform() * sums[classes - 1];
    labels[i] = sums.findIndex((sum) => drawn < sum);
  }
  return { logs, labels };
}

const meanOf = (values: Float64Array) => values.reduce((sum, own) => sum + own / values.length, 0);

test("is the one that labels were drawn by, within what so many rows say", () => {
  for (const power of [0.5, 1, 2.2]) {
    for (const classes of [2, 11]) {
      const found = powerOf([said(2000, classes, power, 1), said(2000, classes, power, 2)]);
      expect(Math.abs(Math.log(found / power))).toBeLessThan(0.1);
    }
  }
});

test("is the best of a grid, but for half a row of any class, and powers beyond 1.5 that are rare", () => {
  fc.assert(
    fc.property(
      fc.record({ rows: fc.integer({ min: 20, max: 60 }), classes: fc.integer({ min: 2, max: 5 }), seed: fc.nat(1e6) }),
      ({ rows, classes, seed }) => {
        const part = said(rows, classes, 1.5, seed);
        const objective = (power: number) => {
          const losses = lossesAt(part, power);
          let any = 0;
          for (let i = 0; i < rows; i++)
            for (let c = 0; c < classes; c++) {
              const labels = new Float64Array(rows).fill(c);
              any += lossesAt({ ...part, labels }, power)[i] / classes / rows;
            }
          const prior = 0.5 * (Math.log(power) / (Math.log(1.5) / 2)) ** 2;
          return losses.reduce((sum, own) => sum + own, 0) + 0.5 * any + prior;
        };
        const found = objective(bestPower([part]));
        for (let step = 0; step <= 30; step++) {
          expect(found).toBeLessThanOrEqual(objective(8 ** (-1 + step / 15)) + 1e-4);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("few rows, all of them right, do not make a mixture as sure as can be, and many do more so", () => {
  const right = (rows: number): SaidOfClasses => ({
    logs: Float64Array.from({ length: 2 * rows }, (_, i) => Math.log(i % 2 === 0 ? 0.9 : 0.1)),
    labels: new Float64Array(rows),
  });
  const powers = [1, 10, 100, 1000].map((rows) => bestPower([right(rows)]));
  expect(powers).toEqual(powers.toSorted((a, b) => a - b));
  expect(powers[0]).toBeLessThan(1.05);
  expect(powers[1]).toBeLessThan(1.2);
  expect(powers[3]).toBeGreaterThan(2);
});

test("rows that count twice are as rows that are there twice; without rows it is 1", () => {
  const part = said(50, 3, 2, 5);
  const twice = bestPower([part, part]);
  expect(bestPower([{ ...part, weights: new Float64Array(50).fill(2) }])).toBeCloseTo(twice, 3);
  expect([powerOf([]), bestPower([])]).toEqual([1, 1]);
  expect(meanOf(lossesAt(part, twice))).toBeLessThanOrEqual(meanOf(lossesAt(part, 1)) + 1e-9);
});

test("is 1 where rows that did not choose it gain no more than chance, whether they are in parts or dealt", () => {
  let taken = 0;
  for (let seed = 0; seed < 40; seed++) {
    const parts = [0, 1, 2, 3, 4].map((k) => said(20, 3, 1, 100 * k + seed));
    for (const given of [parts, [said(100, 3, 1, 7 * seed)]]) if (powerOf(given) !== 1) taken++;
  }
  expect(taken).toBeLessThan(16);
  for (const given of [[0, 1, 2, 3, 4].map((k) => said(60, 3, 2.5, k)), [said(300, 3, 2.5, 9)]]) {
    expect(powerOf(given)).toBe(bestPower(given));
    expect(powerOf(given)).toBeGreaterThan(1.5);
  }
});
