// How the data of a fit are cut into shards: by the number of examples and by sizes alone.

import { someRows } from "../data/dataset.ts";
import type { Batch } from "../network/run.ts";
import { type DataShard, passBytes } from "./accumulate.ts";
import { dryAccumulators, passesOf } from "./accumulators.ts";
import { outputsApart } from "./outputs-apart.ts";
import { once, type Plan } from "./plan.ts";

/** Multiplications that a shard is worth, about 30 ms, and those for each number of its sums, which are read, sent and added. */
export const LEAST_WORK = 2 ** 28;
const WORK_PER_NUMBER = 2 ** 11;
/** Numbers of sums (64 MiB) from which on there is one shard: others would take their memory once more. */
export const MOST_NUMBERS = 2 ** 23;
/** Examples of the dry run. */
const MEASURED = 64;

/** How many examples of a pass are a shard: a power of 2, or Infinity. */
export function lengthOfShard(plan: Plan, number: number): number {
  return once(plan, `shard ${number}`, () => {
    const passes = passesOf(plan);
    const pass = passes[number];
    const accumulatorFor = dryAccumulators(plan, pass);
    const { length } = accumulatorFor(1);
    const apart = number === passes.length - 1 ? outputsApart(plan, () => length) : 1;
    const numbers = apart * length + plan.net.parameterCount;
    if (numbers > MOST_NUMBERS) return Number.POSITIVE_INFINITY;
    const whole = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
    const { work } = passBytes({ plan, accumulatorFor, apart }, whole, MEASURED);
    const least = Math.max(LEAST_WORK, WORK_PER_NUMBER * numbers);
    return 2 ** Math.max(0, Math.ceil(Math.log2((least * MEASURED) / work)));
  });
}

/** Batches as shards of so many examples; as one, they come as it is summed. @param start the number of the first example */
export function* shardsOf<Own extends Batch>(
  batches: Iterable<Own>,
  length: number,
  start = 0,
): Generator<DataShard<Own>> {
  if (length === Number.POSITIVE_INFINITY) {
    yield wholeOf(batches);
    return;
  }
  let own: Own[] = [];
  let free = length;
  let at = start;
  const taken = (): DataShard<Own> => {
    const most = Math.max(...own.map(({ inputs }) => inputs.shape[0]));
    const shard = { start: at, most, batches: own, weighted: own[0].weights !== undefined };
    at += length - free;
    [own, free] = [[], length];
    return shard;
  };
  for (const batch of batches) {
    const size = batch.inputs.shape[0];
    for (let first = 0; first < size; ) {
      const end = Math.min(size, first + free);
      own.push(end - first === size ? batch : someRows(batch, first, end));
      free -= end - first;
      first = end;
      if (free === 0) yield taken();
    }
  }
  if (own.length > 0) yield taken();
}

/** Batches as one shard. */
function wholeOf<Own extends Batch>(batches: Iterable<Own>): DataShard<Own> {
  const iterator = batches[Symbol.iterator]();
  const head = iterator.next();
  const first = head.done === true ? undefined : head.value;
  return {
    start: 0,
    most: first?.inputs.shape[0] ?? 0,
    batches: from(head, iterator),
    weighted: first?.weights !== undefined,
  };
}

/** What an iterator gives from there on. */
function* from<T>(head: IteratorResult<T>, iterator: Iterator<T>): Generator<T> {
  try {
    for (let at = head; at.done !== true; at = iterator.next()) yield at.value;
  } finally {
    iterator.return?.();
  }
}
