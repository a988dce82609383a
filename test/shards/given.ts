// What the tests of shards share: fits of every structure with shards of few examples, and their numbers.

import fc from "fast-check";
import { Random } from "../../src/array/random.ts";
import type { Summary } from "../../src/curvature/accumulate.ts";
import { type CurvatureOptions, readPlan, withOwn } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
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
import { atOnce, type BurstOptions, inBursts } from "../../src/kernels/steps.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { Fit } from "../../src/posterior/fit.ts";
import type { Executor } from "../../src/shards/executor.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const images = (dtype: "float32" | "float64") =>
  chain({ inputs: [1, 4, 4], seed: 3, dtype }, conv2d(2, 3, tanh), flatten, layerNorm(), dense(3));
const rows = (dtype: "float32" | "float64") => chain({ inputs: 3, seed: 5, dtype }, dense(5, tanh), dense(2));

export const cases = fc.record({
  structure: fc.constantFrom("full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional"),
  curvature: fc.constantFrom("ggn", "monteCarlo", "empiricalFisher"),
  sharing: fc.constantFrom("expand", "reduce"),
  dtype: fc.constantFrom("float32", "float64"),
  convolution: fc.boolean(),
  examples: fc.integer({ min: 1, max: 23 }),
  length: fc.integer({ min: 1, max: 9 }),
  batch: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

export type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** A network, its data as batches, options of a curvature, the sums of a fit, and these as a text. */
export function given({ convolution, dtype, examples, length, batch, seed, structure, curvature, sharing }: Case) {
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
  const batches = (first = 0, end = examples) => {
    const all = [];
    for (let at = 0; at < examples; at += batch) {
      const [from, to] = [Math.max(first, at), Math.min(end, at + batch, examples)];
      if (from < to) all.push(cut(from, to));
    }
    return all;
  };
  const likelihood = convolution ? ("classification" as const) : ("regression" as const);
  const points = randomNormal([3, ...net.inputShape], { seed: seed + 2 });
  const drawn = curvature === "monteCarlo" ? seed : 0;
  const options = { structure, curvature, sharing, points, seed: drawn } as CurvatureOptions;
  const read = readPlan("fit", net, () => readLikelihood("fit", likelihood, net), options);
  const plan = withOwn("fit", read, options);
  const approximation = laplace(net, { likelihood, checks: false, ...options });
  const bytes = (fit: Fit) => Buffer.from(savePosterior(approximation.posterior(fit))).toString("base64");
  const numbers = (sums: Summary) => {
    const { likelihood, kind, samples, sharing } = plan;
    const theta = Float64Array.from(net.parameters.data);
    const fit = new Fit({ net, theta, likelihood, kind, samples, seed: plan.seed, sharing, basis: false }, sums);
    return `${bytes(fit)} ${sums.squares}`;
  };
  const sums = (on?: Executor, options: BurstOptions<number> = {}) =>
    inBursts(summarise("fit", plan, batches(), { length, on }), options);
  return { batches, approximation, sums, numbers, bytes };
}

/** Does all shards on this thread in an order of its own, some of them twice. */
export function permuting(seed: number): Executor {
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
