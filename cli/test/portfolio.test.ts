// The mixture of candidates, against one by every number.

import fc from "fast-check";
import { NDArray, randomNormal, tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { candidatesFor } from "../src/fitting/candidates.ts";
import { outcomeMessage, readOutcome } from "../src/fitting/job-messages.ts";
import { doJob } from "../src/fitting/jobs.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { hopeless, mixOf, mixtureWeights, worthGoingOn } from "../src/fitting/portfolio.ts";

/** Losses [candidate][part][scale][row] of so many candidates, parts and scales. */
const losses = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 3 }))
  .chain(([candidates, parts, scales]) => {
    const of = <T>(length: number, one: fc.Arbitrary<T>) => fc.array(one, { minLength: length, maxLength: length });
    const part = fc
      .integer({ min: 1, max: 4 })
      .chain((rows) => of(scales, of(rows, fc.double({ min: -5, max: 5, noNaN: true }))));
    // A candidate's parts have the rows of the others': lengths are made equal by cutting.
    return of(candidates, of(parts, part)).map((all) => {
      return all.map((own) =>
        own.map((each, k) => {
          const rows = Math.min(...all.map((other) => other[k][0].length));
          return each.map((values) => Float64Array.from(values.slice(0, rows)));
        }),
      );
    });
  });

describe("mixture", () => {
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

  test("each candidate has the first scale that is hardly worse than its best, by the other parts", () => {
    fc.assert(
      fc.property(losses, fc.boolean(), (all, leave) => {
        const scales = all[0][0].map((_, s) => s + 1);
        const without = leave ? 0 : -1;
        const found = mixOf(all, scales, { without });
        expect(sum(found.weights)).toBeCloseTo(1, 10);
        all.forEach((parts, candidate) => {
          const own = scales.map((_, s) => parts.flatMap((part, k) => (k === without ? [] : [...part[s]])));
          const sums = own.map(sum);
          const best = own[sums.indexOf(Math.min(...sums))];
          expect(found.losses[candidate]).toBeCloseTo(Math.min(...sums) / best.length, 9);
          const hardlyWorse = own.map((values) => {
            const differences = values.map((loss, i) => loss - best[i]);
            const mean = sum(differences) / values.length;
            const deviation = Math.sqrt(sum(differences.map((d) => (d - mean) ** 2)));
            return { excess: sum(differences), bound: 0.25 * deviation };
          });
          const chosen = scales.indexOf(found.scales[candidate]);
          expect(hardlyWorse[chosen].excess).toBeLessThanOrEqual(hardlyWorse[chosen].bound + 1e-9);
          for (const { excess, bound } of hardlyWorse.slice(0, chosen)) expect(excess).toBeGreaterThan(bound - 1e-9);
        });
      }),
    );
  });

  test("the weights of two are where the density of all rows, and of half a row more of each, is greatest", () => {
    const row = fc.tuple(fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: -3, max: 3, noNaN: true }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 3, maxLength: 30 }), (rows) => {
        const [a, b] = [0, 1].map((k) => rows.map((both) => both[k]));
        const [weight] = mixtureWeights([a, b]);
        const gain = (w: number) =>
          sum(rows.map(([x, y]) => Math.log(w * Math.exp(-x) + (1 - w) * Math.exp(-y)))) +
          0.5 * (Math.log(w) + Math.log(1 - w));
        let best = 0;
        for (let w = 0.0005; w < 1; w += 0.0005) if (best === 0 || gain(w) > gain(best)) best = w;
        if (best < 0.035) expect(weight).toBe(0);
        else if (best > 0.965) expect(weight).toBe(1);
        else if (best > 0.045 && best < 0.955) expect(Math.abs(weight - best)).toBeLessThan(0.01);
      }),
    );
  });

  test("a candidate that was given up has no weight, whichever part is left out", () => {
    const [good, bad] = [[Float64Array.of(1, 1)], [Float64Array.of(0, 0)]];
    const losses = [
      [bad, undefined, undefined],
      [good, good, good],
    ];
    for (const left of [0, undefined]) expect(mixOf(losses, [1], { without: left ?? -1 }).weights).toEqual([0, 1]);
  });

  test("only what is clearly behind is given up", () => {
    const near = [Float64Array.of(1, 1.2, 0.9, 1.1)];
    const behind = [Float64Array.of(2, 2.2, 1.9, 2.1)];
    expect([near, behind].map((_, c) => hopeless([[near], [behind]], c))).toEqual([false, true]);
    expect(hopeless([[near], [[Float64Array.of(0, 3, 0, 3)]]], 1)).toBe(false);
  });
});

test("a candidate adds little that repeats another, and much that knows rows of its own", () => {
  const part = (of: (row: number) => number) => [[Float64Array.from({ length: 200 }, (_, row) => of(row))]];
  const [even, odd] = [part((row) => row % 2), part((row) => (row + 1) % 2)];
  const nearly = part((row) => (row % 2) + 0.001 * (row % 3));
  const all = [even, odd, nearly, [undefined]];
  const addsLittle = (own: Parameters<typeof worthGoingOn>[0], c: number, others: number[], weights?: number[]) =>
    !worthGoingOn(own, [...others, c], new Set([c]), [undefined], weights).includes(c);
  expect(addsLittle(all, 1, [0])).toBe(false);
  expect(addsLittle(all, 2, [0])).toBe(true);
  // Beside its copy, but not alone.
  expect(addsLittle(all, 0, [1, 2])).toBe(true);
  expect(addsLittle(all, 0, [1])).toBe(false);
  expect(addsLittle(all, 0, [3])).toBe(false);
  expect(addsLittle(all, 3, [0])).toBe(true);
  // Of few rows less than a quarter of a nat in all is chance.
  const short = (all: Float64Array[][]) => all.map(([own]) => [own.slice(0, 10)]);
  const slightly = part((row) => (row % 2) - 0.02);
  expect(addsLittle([even, slightly], 1, [0])).toBe(false);
  expect(addsLittle([short(even), short(slightly)], 1, [0])).toBe(true);
  // Not each by itself: what is left out adds little together.
  const bits = [0, 1, 2].map((k) => part((row) => (row % 50 === k ? 1.5 : 2)));
  const flat = part(() => 2);
  const each = bits.map((_, k) => addsLittle([flat, ...bits], k + 1, [0, ...[1, 2, 3].filter((c) => c !== k + 1)]));
  const going = worthGoingOn([flat, ...bits], [0, 1, 2, 3], new Set([1, 2, 3]), [undefined]);
  expect(each).toEqual([true, true, true]);
  expect(going.length).toBeGreaterThan(1);
  expect(going.length).toBeLessThan(4);
  // Of copies that take long one goes on, and what must not be asked; in each family by itself.
  const copies = [even, nearly, nearly, odd];
  const none = copies.map(() => undefined);
  expect(worthGoingOn(copies, [0, 1, 2, 3], new Set([1, 2]), none)).toEqual([0, 3]);
  expect(worthGoingOn(copies, [0, 1, 2, 3], new Set([0, 1, 2]), none)).toHaveLength(2);
  expect(worthGoingOn(copies, [0, 1, 2, 3], new Set([1, 3]), none)).toEqual([0, 2, 3]);
  const families = [undefined, "Poisson", "Poisson", undefined] as const;
  expect(worthGoingOn(copies, [0, 1, 2, 3], new Set([1, 2]), families)).toHaveLength(3);
  expect(worthGoingOn([even, [undefined]], [0, 1], new Set([1]), none)).toEqual([0]);
  // Rows that do not count have no say.
  const weights = Array.from({ length: 200 }, (_, row) => 1 - (row % 2));
  expect(addsLittle(all, 1, [0], weights)).toBe(true);
});

test("few rows of many inputs have what second order fits of them, and networks by first order", () => {
  const columns = (count: number) => ({
    names: [...Array.from({ length: count }, (_, j) => `x${j}`), "y"],
    rows: Array.from({ length: 80 }, (_, i) => Array.from({ length: count + 1 }, (_, j) => `${Math.sin(i * (j + 2))}`)),
  });
  const settings = { activation: "tanh", structure: "auto", memoryBudget: 2 ** 30, rounds: 5, seed: 0 } as const;
  const waysOf = (count: number, folded: boolean) => {
    const encoding = tableEncoding(columns(count), { target: "y" });
    return candidatesFor(encoding, 80, { ...settings, folded }).map(({ recipe }) =>
      recipe.by === "evidence"
        ? `units ${recipe.width}`
        : recipe.by === "rounds"
          ? `network ${recipe.hidden}`
          : "features",
    );
  };
  expect(waysOf(10, true)).toContain("units 12");
  expect(waysOf(10, true).filter((way) => way.startsWith("network"))).toEqual([]);
  const many = waysOf(150, true);
  expect(many.filter((way) => way.startsWith("units"))).toEqual(["units 0"]);
  expect(many.filter((way) => way === "features").length).toBeGreaterThan(1);
  expect(many).toContain("network 64,64");
  // Of several classes a kernel has one prior where each takes long.
  const kernelsOf = (count: number) => {
    const table = columns(count);
    const own = table.rows.map((row, i) => [...row.slice(0, count), `c${i % 3}`]);
    const encoding = tableEncoding({ ...table, rows: own }, { target: "y" });
    return candidatesFor(encoding, 300, { ...settings, folded: true }).filter(({ name }) => name.includes("kernel"));
  };
  expect([kernelsOf(10), kernelsOf(200)].map(({ length }) => length)).toEqual([2, 1]);
  // Counts too, by networks whose dispersion is estimated.
  const { names, rows } = columns(150);
  const counted = { names, rows: rows.map((row, i) => [...row.slice(0, -1), `${i % 7}`]) };
  const ofCounts = candidatesFor(tableEncoding(counted, { target: "y", task: "count" }), 80, {
    ...settings,
    folded: true,
  });
  const networks = ofCounts.filter(({ recipe }) => recipe.by === "rounds");
  expect(networks.map(({ family }) => family)).toEqual(["negative binomial", "negative binomial"]);
  expect(ofCounts.some(({ recipe }) => recipe.by === "evidence")).toBe(true);
  // So many that nothing of second order is quick, or that there are no folds.
  for (const ways of [waysOf(600, true), waysOf(400, false)])
    expect(ways.every((way) => way.startsWith("network"))).toBe(true);
});

test("random features with relevance find a wave in one input of four, and come back from a message", async () => {
  const rows = 120;
  const x = randomNormal([rows, 4], { seed: 5 });
  const noise = randomNormal([rows], { seed: 6 });
  const y = Float64Array.from({ length: rows }, (_, i) => Math.sin(3 * x.data[4 * i]) + 0.1 * noise.data[i]);
  const nothing = Array.from({ length: rows }, () => []);
  const numbers = { rows, x, y: new NDArray(y, [rows, 1]), unusual: nothing, gaps: nothing };
  const recipe = {
    by: "features",
    learning: learningOfClasses(0),
    features: 60,
    length: 1,
    precision: undefined,
    relevance: true,
    memoryBudget: 2 ** 28,
    seed: 1,
  } as const;
  const outcome = await doJob({ recipe, numbers, division: { part: [], rest: [] } }, () => {});
  const { posterior, relevance = [] } = outcome;
  expect(relevance.length).toBe(4);
  expect(Math.max(...relevance.slice(1))).toBeLessThan(0.02 * relevance[0]);
  // What is learned after the last layer's evidence is the last layer alone.
  expect(posterior.size).toBe(60 + 1 + 4);
  const fresh = randomNormal([200, 4], { seed: 9 });
  const { mean } = posterior.predict(fresh);
  const error = Array.from(mean.data, (m, i) => (m - Math.sin(3 * fresh.data[4 * i])) ** 2);
  expect(Math.sqrt(error.reduce((sum, one) => sum + one / 200, 0))).toBeLessThan(0.25);
  const again = readOutcome(structuredClone(outcomeMessage(outcome)));
  expect(again.posterior.predict(fresh).variance.data).toEqual(posterior.predict(fresh).variance.data);
});

describe("random features of several classes", () => {
  const classes = 4;
  const rows = 240;
  /** Classes are quarters of two rings, which no line tells apart. */
  const labelOf = (a: number, b: number) =>
    (Math.floor((Math.atan2(b, a) / Math.PI + 1) * 2) + (Math.hypot(a, b) > 1 ? 2 : 0)) % classes;
  const nothing = Array.from({ length: rows }, () => []);
  const numbersFrom = (seed: number) => {
    const x = randomNormal([rows, 2], { seed });
    const y = Float64Array.from({ length: rows }, (_, i) => labelOf(x.data[2 * i], x.data[2 * i + 1]));
    return { rows, x, y: new NDArray(y, [rows, 1]), unusual: nothing, gaps: nothing };
  };
  const recipe = {
    by: "features",
    learning: learningOfClasses(classes),
    features: 200,
    length: 0.5,
    precision: 0.001,
    memoryBudget: 2 ** 28,
    seed: 1,
  } as const;
  const fitted = (numbers: ReturnType<typeof numbersFrom>) =>
    doJob({ recipe, numbers, division: { part: [], rest: [] } }, () => {});
  const fresh = numbersFrom(9);
  const mistakes = (probabilities: NDArray) =>
    Array.from(fresh.y.data as Float64Array).filter((label, i) => {
      const own = Array.from(probabilities.sub(i).data as Float64Array);
      return own.indexOf(Math.max(...own)) !== label;
    }).length;

  test("find classes that no line tells apart, by a minimum, and come back from a message", async () => {
    const outcome = await fitted(numbersFrom(5));
    const { posterior, course } = outcome;
    expect(posterior.size).toBe((200 + 1 + 2) * classes);
    expect(posterior.structure).toBe("kronecker");
    for (let k = 1; k < course.train.length; k++) expect(course.train[k]).toBeLessThan(course.train[k - 1]);
    const sure = posterior.with({ temperature: 0.0001 });
    expect(mistakes(sure.predict(fresh.x).mean)).toBeLessThan(0.2 * rows);
    const again = readOutcome(structuredClone(outcomeMessage(outcome)));
    expect(again.posterior.predict(fresh.x).variance.data).toEqual(posterior.predict(fresh.x).variance.data);
  });

  test("are more uncertain outside of the data, at the lowest temperature, too", async () => {
    const numbers = numbersFrom(5);
    const { posterior } = await fitted(numbers);
    const deviation = (x: NDArray) => {
      const { functionVariance } = posterior.with({ temperature: 0.0001 }).predict(x);
      return Array.from(functionVariance.data, Math.sqrt).reduce((sum, one) => sum + one, 0);
    };
    const outside = new NDArray(
      numbers.x.data.map((one) => 10 * one),
      numbers.x.shape,
    );
    expect(deviation(outside)).toBeGreaterThan(2 * deviation(numbers.x));
  });

  test("are candidates where a product with them is quick, and of other tables none", () => {
    const encodingOf = (own: number, labels: number) =>
      tableEncoding(
        {
          names: ["a", "b", "y"],
          rows: Array.from({ length: own }, (_, i) => [`${i % 7}.5`, `${i % 5}.25`, `class ${i % labels}`]),
        },
        { target: "y" },
      );
    const settings = { activation: "tanh", structure: "auto", memoryBudget: 2 ** 30, rounds: 5, seed: 0 } as const;
    const named = (labels: number, of: number, structure: "auto" | "diagonal" = "auto") =>
      candidatesFor(encodingOf(700, labels), of, { ...settings, structure, folded: true }).flatMap(
        ({ name, recipe }) => (recipe.by === "features" ? [`${name}: ${recipe.features}`] : []),
      );
    expect(named(11, 990)).toEqual([
      ...[0.1, 0.01, 0.001, 0.0001].map((p) => `random features of length 0.5, prior ${p}: 300`),
      ...[0.1, 0.01].map((p) => `a kernel around rows, prior ${p}: 300`),
    ]);
    expect(named(3, 990)).toEqual(named(11, 990));
    expect(named(26, 20_000)).toEqual([]);
    expect(named(11, 990, "diagonal")).toEqual([]);
    expect(named(2, 990).length).toBe(5);
    // A kernel takes products of centres and inputs for each row, and 16 times as many for one that lacks a value.
    const wide = (inputs: number, gapped: number) => {
      const names = [...Array.from({ length: inputs }, (_, j) => `x${j}`), "y"];
      const rows = Array.from({ length: 900 }, (_, i) => names.map((_, j) => `${Math.sin(i * (j + 1)).toFixed(3)}5`));
      const table = tableEncoding({ names, rows }, { target: "y" });
      return candidatesFor(table, 900, { ...settings, folded: true, gapped }).some(({ name }) => /kernel/.test(name));
    };
    expect([wide(60, 0), wide(60, 30), wide(60, 900), wide(400, 0)]).toEqual([true, true, false, false]);
  });
});
