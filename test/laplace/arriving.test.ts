// A fit of batches that come in time: the bits of a list of the same batches, however they are cut; and what is said of data that cannot be
// gone through as often as the fit needs.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { farData } from "../../src/curvature/far.ts";
import { readPlan, withOwn } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
import { arriving } from "../../src/data/arriving.ts";
import {
  type AsyncData,
  array,
  chain,
  type Data,
  dense,
  gather,
  gaussian,
  type LaplaceOptions,
  laplace,
  randomNormal,
  solver,
  tanh,
  train,
  workers,
} from "../../src/index.ts";
import { atOnce, inBursts } from "../../src/kernels/steps.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(5, tanh), dense(1));

/** Batches of these sizes. */
function batches(sizes: readonly number[], weighted = false) {
  return sizes.map((n, i) => ({
    x: randomNormal([n, 2], { seed: 3 * i }),
    y: randomNormal([n, 1], { seed: 3 * i + 1 }),
    ...(weighted && { weights: array(Array.from({ length: n }, (_, j) => 1 + (j % 3))) }),
  }));
}

/** The same in time, in arrays that are filled anew for each batch of a size. */
async function* inTime(list: ReturnType<typeof batches>) {
  const places = new Map<number, ReturnType<typeof batches>[number]>();
  for (const { x, y, weights } of list) {
    const place = places.get(x.shape[0]) ?? {
      x: x.clone(),
      y: y.clone(),
      ...(weights && { weights: weights.clone() }),
    };
    places.set(x.shape[0], place);
    place.x.data.set(x.data);
    place.y.data.set(y.data);
    await Promise.resolve();
    yield place;
  }
}

const options = (structure: LaplaceOptions["structure"], rest: object = {}): LaplaceOptions => ({
  likelihood: gaussian({ noise: 0.5 }),
  structure,
  checks: false,
  ...rest,
});

test("the bits of a list, whatever the sizes of batches and shards", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(1, 2, 8, 16, Number.POSITIVE_INFINITY),
      fc.constantFrom("full", "kronecker", "ekfac") as fc.Arbitrary<"full">,
      fc.boolean(),
      fc.constantFrom("ggn", "monteCarlo") as fc.Arbitrary<"ggn">,
      async (sizes, length, structure, weighted, curvature) => {
        const list = batches(sizes, weighted);
        const plan = () => {
          const given = { structure, curvature };
          return withOwn(
            "fit",
            readPlan("fit", net, () => gaussian(), given),
            {},
          );
        };
        const told: number[] = [];
        const sums = await inBursts(summarise("fit", plan(), (() => inTime(list)) as never, { length, arriving }), {
          onProgress: (n) => told.push(n as number),
        });
        const expected = atOnce(summarise("fit", plan(), list, { length }));
        expect([sums.loss, sums.examples, sums.constant]).toEqual([
          expected.loss,
          expected.examples,
          expected.constant,
        ]);
        expect(sums.curvature.dense().data).toEqual(expected.curvature.dense().data);
        expect(Math.max(...told)).toBe(list.reduce((n, { x }) => n + x.shape[0], 0));
      },
    ),
    { numRuns: 40 },
  );
});

test.each([
  ["full", {}],
  ["diagonal", { curvature: "hessian", clip: true }],
  ["kronecker", { curvature: "monteCarlo" }],
  ["ekfac", {}],
  ["lowRank", { rank: 3 }],
  ["functional", { points: 7 }],
] as const)("%s: fit takes an async generator function, and workers do its shards", async (structure, rest) => {
  const list = batches([30, 30, 7, 30]);
  const made = laplace(net, options(structure, rest));
  const of = async (data: Data | AsyncData, on?: ReturnType<typeof workers>) =>
    (await made.fit(data, on && { on })).predict(list[0].x).variance.data;
  const expected = await of(list);
  expect(await of(() => inTime(list))).toEqual(expected);
  const pool = workers({ count: 2 });
  expect(await of(() => inTime(list), pool)).toEqual(expected);
  if (structure === "full" || structure === "kronecker") expect(await of(inTime(list))).toEqual(expected);
});

test("sum takes one too", async () => {
  const list = batches([5, 9]);
  const made = laplace(net, options("full"));
  const { curvature } = await made.sum(inTime(list));
  expect(curvature.dense().data).toEqual((await made.sum(list)).curvature.dense().data);
});

describe("what is said", () => {
  const list = batches([8, 8]);
  const fit = (data: Data | AsyncData, structure: LaplaceOptions["structure"] = "full", rest = {}) =>
    laplace(net, options(structure, rest)).fit(data);
  test.each([
    ["ekfac", {}, '"ekfac" goes through the data more than once'],
    ["functional", { points: 5 }, "points are drawn from the data first"],
    ["operator", { solver: solver({}) }, '"operator" goes through the data for each product'],
  ] as const)("%s of one async generator", async (structure, rest, why) => {
    await expect(fit(inTime(list), structure, rest)).rejects.toThrow(
      `fit: ${why}, and an iterator can be gone through only once: give { x, y }, a list of batches, a DataLoader, or the generator function itself`,
    );
  });
  test("operator of a function", async () => {
    await expect(fit(() => inTime(list), "operator", { solver: solver({}) })).rejects.toThrow(
      "give await gather(batches)",
    );
  });
  test("none", async () => {
    await expect(fit(inTime([]))).rejects.toThrow("fit: there are no data.");
  });
  test("not batches", async () => {
    const bad = async function* () {
      yield { x: [[1, 2]] };
    };
    await expect(fit(bad as never)).rejects.toThrow("fit: data must be an object { x, y }");
    await expect(fit((async () => list) as never)).rejects.toThrow("write await");
  });
  test("some with weights", async () => {
    await expect(fit(inTime([...list, ...batches([4], true)]))).rejects.toThrow("give all of them weights");
  });
  test("an error of the generator is the fit's, and one of the fit ends the generator", async () => {
    const fails = async function* () {
      yield list[0];
      throw new RangeError("The disk is gone.");
    };
    await expect(fit(fails())).rejects.toThrow(new RangeError("The disk is gone."));
    let ended = false;
    const long = async function* () {
      try {
        for (;;) yield { x: [[1, Number.NaN]], y: [[0]] };
      } finally {
        ended = true;
      }
    };
    await expect(fit(long())).rejects.toThrow("x has the value NaN");
    expect(ended).toBe(true);
  });
  test("a signal stops it between two batches", async () => {
    const controller = new AbortController();
    let given = 0;
    const endless = async function* () {
      for (;;) {
        if (++given === 5) controller.abort(new Error("enough"));
        yield list[0];
      }
    };
    await expect(laplace(net, options("full")).fit(endless(), { signal: controller.signal })).rejects.toThrow("enough");
    expect(given).toBeLessThan(7);
  });
  test("a signal stops what waits for a batch that never comes", async () => {
    const never = async function* () {
      yield list[0];
      await new Promise(() => {});
    };
    const stopped = (work: (signal: AbortSignal) => Promise<unknown>) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), 20);
      return expect(work(controller.signal)).rejects.toThrow("enough");
    };
    await stopped((signal) => laplace(net, options("full")).fit(never(), { signal }));
    await stopped((signal) => gather(never(), { signal }));
    await stopped((signal) => train(net.clone(), never, { loss: gaussian(), signal }));
    const far = farData({ examples: 3, rowsAt: (first) => ({ at: first, read: () => new Promise(() => {}) }) });
    await stopped((signal) => laplace(net, options("full")).fit(far, { signal }));
  });
});
