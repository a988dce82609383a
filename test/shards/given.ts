// What the tests of shards share: fits of every structure with shards of few examples, and their numbers.

import fc from "fast-check";
import { Random } from "../../src/array/random.ts";
import type { Summary } from "../../src/curvature/accumulate.ts";
import { type CurvatureKind, type CurvatureOptions, readPlan, withOwn } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
import type { FarData } from "../../src/data/far-data.ts";
import {
  chain,
  conv2d,
  type Data,
  dense,
  flatten,
  laplace,
  layerNorm,
  type Network,
  randomNormal,
  saveFit,
  solver,
  tanh,
} from "../../src/index.ts";
import { atOnce, type BurstOptions, type ExamplesReport, inBursts } from "../../src/kernels/steps.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { Fit } from "../../src/posterior/fit.ts";
import type { Executor, Shards } from "../../src/shards/executor.ts";
import { type Lane, Lost, ShareOut } from "../../src/shards/share-out.ts";
import { bringAll } from "../../src/structures/all.ts";
import { type Structure, structures } from "../../src/structures/curvature.ts";
import { storedStructures } from "../stored-structures.ts";

bringAll();

const images = (dtype: "float32" | "float64") =>
  chain({ inputs: [1, 4, 4], seed: 3, dtype }, conv2d(2, 3, tanh), flatten, layerNorm(), dense(3));
const rows = (dtype: "float32" | "float64") => chain({ inputs: 3, seed: 5, dtype }, dense(5, tanh), dense(2));

const record = fc.record({
  structure: fc.constantFrom(...storedStructures),
  curvature: fc.constantFrom("ggn", "monteCarlo", "empiricalFisher"),
  sharing: fc.constantFrom("expand", "reduce"),
  dtype: fc.constantFrom("float32", "float64"),
  convolution: fc.boolean(),
  examples: fc.integer({ min: 1, max: 23 }),
  length: fc.integer({ min: 1, max: 9 }),
  batch: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

type Recorded = typeof record extends fc.Arbitrary<infer T> ? T : never;
export type Case = Omit<Recorded, "structure" | "curvature"> & { structure: Structure; curvature: CurvatureKind };

export const cases: fc.Arbitrary<Case> = record;

/** Every structure of every type of numbers, with the exact Hessian where it has one. */
export const everyStructure = structures.flatMap((structure) =>
  (["float32", "float64"] as const).map((dtype) => ({ structure, dtype })),
);

const withHessian: readonly Structure[] = ["full", "diagonal", "lowRank"];

/** Cases of one structure and type. */
export function casesOf(structure: Structure, dtype: "float32" | "float64"): fc.Arbitrary<Case> {
  const all: CurvatureKind[] = ["ggn", "monteCarlo", "empiricalFisher"];
  if (withHessian.includes(structure)) all.push("hessian");
  return fc.tuple(record, fc.constantFrom(...all)).map(([one, curvature]) => ({ ...one, structure, dtype, curvature }));
}

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
  const options: CurvatureOptions = { structure, curvature, sharing, points, seed: drawn, solver: solver({}) };
  const read = readPlan("fit", net, () => readLikelihood("fit", likelihood, net), options);
  const plan = withOwn("fit", read, options);
  const approximation = laplace(net, { likelihood, checks: false, clip: curvature === "hessian", ...options });
  const bytes = (fit: Fit) => {
    if (structure !== "operator") return Buffer.from(saveFit(fit)).toString("base64");
    // It is in no file: its diagonal is summed, and a product goes through the data that it keeps.
    const { curvature, loss, gradient } = fit;
    const product = curvature.times(new Float64Array(curvature.size).fill(1));
    return JSON.stringify([curvature.diagonal(), product, loss, gradient]);
  };
  const numbers = (sums: Summary) => {
    const { likelihood, kind, samples, sharing } = plan;
    const theta = Float64Array.from(net.parameters.data);
    const fit = new Fit({ net, theta, likelihood, kind, samples, seed: plan.seed, sharing, basis: false }, sums);
    return `${bytes(fit)} ${sums.squares}`;
  };
  const sums = (on?: Executor, options: BurstOptions<number> = {}, data: Data | FarData = batches()) =>
    inBursts(summarise("fit", plan, data, { length, on }), options);
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

/**
 * So many who do shards side by side, as workers do: each begins for itself, takes the next shard when it has done its last, and
 * is as slow as drawn. Some shards are done twice, and some are given back by who ends: never the last one there is.
 * @param takesComing whether it takes shards that are known one after the other
 */
export function lanes(count: number, seed: number, takesComing = false): Executor {
  const random = new Random(seed);
  const turns = async (most: number) => {
    for (let left = random.uint32() % most; left > 0; left--) await new Promise(setImmediate);
  };
  return {
    lanes: takesComing ? count : undefined,
    async run<Common, Job, Result>(
      { task, prepare, jobs, coming, take }: Shards<Common, Job, Result>,
      options: BurstOptions<ExamplesReport> = {},
    ) {
      const common = await inBursts(prepare());
      const out = new ShareOut<Job, Result>(
        coming ?? jobs,
        (place, result) => {
          take(place, result);
          if (random.uint32() % 3 === 0) take(place, result);
        },
        { signal: options.signal },
      );
      coming?.tell(() => out.wake());
      let there = count;
      const one = async () => {
        await turns(9);
        const work = await inBursts(task.begin(common));
        const lane: Lane<Job, Result> = async (job) => {
          await turns(5);
          const ends = () => there > 1 && random.uint32() % 8 === 0 && there-- > 1;
          if (ends()) throw new Lost();
          const result = await inBursts(work(job));
          if (random.uint32() % 3 === 0) await inBursts(work(job));
          await turns(5);
          if (ends()) throw new Lost();
          return result;
        };
        await out.join(lane);
      };
      await Promise.all(Array.from({ length: count }, one));
      out.finish();
    },
  };
}
