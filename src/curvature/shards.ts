// How the data of a fit are cut into shards: by the number of examples and by sizes alone.

import { NDArray } from "../array/ndarray.ts";
import type { TargetedBatch } from "../network/run.ts";
import { type DataShard, passBytes } from "./accumulate.ts";
import { dryAccumulators, passesOf } from "./accumulators.ts";
import { outputsApart } from "./outputs-apart.ts";
import { once, type Plan } from "./plan.ts";

/** Multiplications that a shard is worth, about 30 ms, and those for each number of its sums, which are read, sent and added. */
const LEAST_WORK = 2 ** 28;
const WORK_PER_NUMBER = 2 ** 9;
/** Numbers of sums (64 MiB) from which on there is one shard: others would take their memory once more. */
const MOST_NUMBERS = 2 ** 23;
/** Examples of the dry run. */
const MEASURED = 64;

/** How many examples of a pass are a shard: a power of 2, or Infinity. */
export function lengthOfShard(plan: Plan, number: number): number {
  return once(plan, `shard ${number}`, () => {
    const passes = passesOf(plan);
    const pass = passes[number];
    const accumulatorFor = dryAccumulators(plan, pass);
    const { length } = accumulatorFor(1);
    const apart = number === passes.length - 1 ? outputsApart(plan, length) : 1;
    const numbers = apart * length + plan.net.parameterCount;
    if (numbers > MOST_NUMBERS) return Number.POSITIVE_INFINITY;
    const whole = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
    const { work } = passBytes({ plan, accumulatorFor, apart }, whole, MEASURED);
    const least = Math.max(LEAST_WORK, WORK_PER_NUMBER * numbers);
    return 2 ** Math.max(0, Math.ceil(Math.log2((least * MEASURED) / work)));
  });
}

/** Some examples of a batch. */
function rows({ data, shape }: NDArray, first: number, end: number): NDArray {
  const width = data.length / shape[0];
  return new NDArray(data.subarray(first * width, end * width), [end - first, ...shape.slice(1)]);
}

/** Batches as shards of so many examples. */
export function* shardsOf(batches: Iterable<TargetedBatch>, length: number): Generator<DataShard> {
  const iterator = batches[Symbol.iterator]();
  try {
    let [next, start] = [iterator.next(), 0];
    if (length === Number.POSITIVE_INFINITY) {
      const rest = function* () {
        for (; next.done !== true; next = iterator.next()) yield next.value;
      };
      if (next.done !== true) {
        const { inputs, weights } = next.value;
        yield { start, most: inputs.shape[0], batches: rest(), weighted: weights !== undefined };
      }
      return;
    }
    // Examples of the batch that earlier shards have.
    for (let taken = 0; next.done !== true; ) {
      const own: TargetedBatch[] = [];
      let free = length;
      while (free > 0 && next.done !== true) {
        const { inputs, targets, weights } = next.value;
        const size = inputs.shape[0];
        const end = Math.min(size, taken + free);
        const all = taken === 0 && end === size;
        const some = (array: NDArray) => rows(array, taken, end);
        own.push(
          all ? next.value : { inputs: some(inputs), targets: some(targets), weights: weights && some(weights) },
        );
        free -= end - taken;
        taken = end;
        if (taken < size) continue;
        taken = 0;
        next = iterator.next();
      }
      const most = Math.max(...own.map(({ inputs }) => inputs.shape[0]));
      yield { start, most, batches: own, weighted: own[0].weights !== undefined };
      start += length - free;
    }
  } finally {
    iterator.return?.();
  }
}
