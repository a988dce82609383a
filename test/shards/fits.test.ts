// Fits in shards: the bits depend neither on who sums a shard, nor on their order, nor on one that is done twice.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import type { Summary } from "../../src/curvature/accumulate.ts";
import { type CurvatureOptions, readPlan } from "../../src/curvature/plan.ts";
import { fitRounds } from "../../src/curvature/rounds.ts";
import { lengthOfShard } from "../../src/curvature/shards.ts";
import {
  chain,
  conv2d,
  dense,
  flatten,
  laplace,
  layerNorm,
  type Network,
  randomNormal,
  savePosterior,
  tanh,
} from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { Fit } from "../../src/posterior/fit.ts";
import { type Executor, runRounds } from "../../src/shards/executor.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const structures = ["full", "diagonal", "kronecker", "ekfac"] as const;
const kinds = ["ggn", "monteCarlo", "empiricalFisher"] as const;

/** Does all shards on this thread in an order of its own, some of them twice. */
function permuting(seed: number): Executor {
  const random = new Random(seed);
  return {
    async run(shards) {
      const work = atOnce(shards.task.begin(atOnce(shards.prepare())));
      const waiting = Array.from(shards.jobs, (job, place) => ({ job, place, times: 1 + (random.uint32() % 2) }));
      while (waiting.length > 0) {
        const [next] = waiting.splice(random.uint32() % waiting.length, 1);
        shards.take(next.place, atOnce(work(next.job)));
        if (next.times > 1) waiting.push({ ...next, times: next.times - 1 });
      }
    },
  };
}

const images = (dtype: "float32" | "float64") =>
  chain({ inputs: [1, 4, 4], seed: 3, dtype }, conv2d(2, 3, tanh), flatten, layerNorm(), dense(3));
const rows = (dtype: "float32" | "float64") => chain({ inputs: 3, seed: 5, dtype }, dense(5, tanh), dense(2));

const cases = fc.record({
  structure: fc.constantFrom(...structures),
  curvature: fc.constantFrom(...kinds),
  sharing: fc.constantFrom("expand", "reduce"),
  dtype: fc.constantFrom("float32", "float64"),
  convolution: fc.boolean(),
  examples: fc.integer({ min: 1, max: 23 }),
  length: fc.integer({ min: 1, max: 9 }),
  batch: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

/** A network, its data as batches, and options of a curvature. */
function given({
  convolution,
  dtype,
  examples,
  batch,
  seed,
  ...rest
}: typeof cases extends fc.Arbitrary<infer T> ? T : never) {
  const net: Network = convolution ? images(dtype as "float32") : rows(dtype as "float32");
  const x = randomNormal([examples, ...net.inputShape], { seed });
  const y = convolution
    ? { data: Float64Array.from({ length: examples }, (_, i) => (i * 7 + seed) % 3), shape: [examples] }
    : randomNormal([examples, 2], { seed: seed + 1 });
  const cut = (first: number, end: number) => {
    const part = ({ data, shape }: { data: ArrayLike<number>; shape: readonly number[] }) => {
      const width = data.length / shape[0];
      const own = Array.prototype.slice.call(data, first * width, end * width);
      return { data: Float64Array.from(own), shape: [end - first, ...shape.slice(1)] };
    };
    return { x: part(x), y: part(y) };
  };
  const batches = (first: number, end: number) => {
    const all = [];
    for (let at = 0; at < examples; at += batch) {
      const [from, to] = [Math.max(first, at), Math.min(end, at + batch, examples)];
      if (from < to) all.push(cut(from, to));
    }
    return all;
  };
  const likelihood = convolution ? ("classification" as const) : ("regression" as const);
  const options: CurvatureOptions = { ...(rest as CurvatureOptions), seed: rest.curvature === "monteCarlo" ? seed : 0 };
  const { structure, curvature, sharing } = options;
  return { net, likelihood, batches, options: { structure, curvature, sharing, seed: options.seed } };
}

/** A summary's numbers. */
function numbers(net: Network, likelihood: "classification" | "regression", options: CurvatureOptions, sums: Summary) {
  const plan = readPlan("", net, () => readLikelihood("", likelihood, net), options);
  const of = {
    net,
    theta: Float64Array.from(net.parameters.data),
    likelihood: plan.likelihood,
    kind: plan.kind,
    samples: plan.samples,
    seed: plan.seed,
    sharing: plan.sharing,
    basis: plan.basis !== undefined,
  };
  const fit = new Fit(of, sums);
  const posterior = laplace(net, { likelihood, checks: false, ...options }).posterior(fit);
  return `${Buffer.from(savePosterior(posterior)).toString("base64")} ${sums.squares}`;
}

describe("a fit in shards", () => {
  test("is the same bits in any order, and the tree's sum of its shards' fits", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const { net, likelihood, batches, options } = given(one);
        const plan = readPlan("fit", net, () => readLikelihood("fit", likelihood, net), options);
        const rounds = () => fitRounds("fit", plan, batches(0, one.examples), 0, one.length);
        const due = numbers(net, likelihood, options, await runRounds(rounds(), undefined, {}));
        const found = await runRounds(rounds(), permuting(one.seed), {});
        expect(numbers(net, likelihood, options, found) === due).toBe(true);
        if (one.structure === "ekfac") return;
        const approximation = laplace(net, { likelihood, checks: false, ...options });
        const sumOf = async (first: number, end: number): Promise<Fit> => {
          if (end - first <= 1) {
            const at = first * one.length;
            return approximation.sum(batches(at, Math.min(one.examples, at + one.length)), { first: at });
          }
          const half = first + 2 ** (Math.ceil(Math.log2(end - first)) - 1);
          return (await sumOf(first, half)).merge(await sumOf(half, end));
        };
        const merged = approximation.posterior(await sumOf(0, Math.ceil(one.examples / one.length)));
        expect(due.startsWith(Buffer.from(savePosterior(merged)).toString("base64"))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test("that is small is one shard; a shard is a power of 2 of examples, or all", () => {
    const net = chain({ inputs: 784, seed: 1 }, dense(256, tanh), dense(10));
    const lengthOf = (options: CurvatureOptions) =>
      lengthOfShard(
        readPlan("", net, () => readLikelihood("", "classification", net), options),
        0,
      );
    expect(lengthOf({ structure: "kronecker" })).toBe(512);
    expect(lengthOf({ structure: "diagonal" })).toBe(1024);
    expect(lengthOf({ structure: "full" })).toBe(Number.POSITIVE_INFINITY);
    const narrow = rows("float64");
    const small = readPlan("", narrow, () => readLikelihood("", "regression", narrow), { structure: "full" });
    expect(lengthOfShard(small, 0)).toBeGreaterThan(10_000);
  });
});
