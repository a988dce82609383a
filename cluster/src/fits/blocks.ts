// Shards that are done together: a subtree of the tree over which sums are added. How large it is changes no bit.

/** 2^level shards, the first of which is place · 2^level. */
export interface Block {
  readonly level: number;
  readonly place: number;
}

/** Shards from one to before another. */
export type Run = readonly [first: number, end: number];

/** Blocks that each worker is to have, so that the last ones end at about the same time. */
const FOR_EACH = 16;
/** Workers that there may be soon. */
const SOON = 4;

/** How many blocks there are to be for so many workers; long shards are few, and then each is a block. */
export const blocksFor = (workers: number): number => FOR_EACH * Math.max(workers, SOON);

/** The shards of a block. */
export const runOf = ({ level, place }: Block): Run => [place * 2 ** level, (place + 1) * 2 ** level];

/** How many shards there are in runs. */
export const lengthOf = (runs: readonly Run[]): number => runs.reduce((sum, [first, end]) => sum + end - first, 0);

/**
 * Shards as at least so many blocks, if there are as many.
 * @param runs in order
 */
export function blocksOf(runs: readonly Run[], count: number): Block[] {
  const most = Math.floor(Math.log2(Math.max(1, lengthOf(runs) / count)));
  const blocks: Block[] = [];
  for (const [first, end] of runs) {
    for (let at = first; at < end; ) {
      let level = 0;
      // As long as the next larger one begins here, and nothing of it is done.
      while (level < most && at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level++;
      blocks.push({ level, place: at / 2 ** level });
      at += 2 ** level;
    }
  }
  return blocks;
}

/** The runs of the shards for which an array has 0, or alike. */
export function runsOf(done: ArrayLike<number>): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < done.length; at++) {
    if (done[at] !== 0) continue;
    const first = at;
    while (at < done.length && done[at] === 0) at++;
    runs.push([first, at]);
  }
  return runs;
}

/**
 * Blocks that lie in runs as a whole, and what the runs have besides.
 * @param blocks no two of which have a shard in common
 */
export function without(runs: readonly Run[], blocks: readonly Block[]): { kept: Block[]; left: Run[] } {
  const kept: Block[] = [];
  const left: Run[] = [];
  const sorted = blocks.map((block) => ({ block, run: runOf(block) })).sort((a, b) => a.run[0] - b.run[0]);
  let next = 0;
  for (const [first, end] of runs) {
    let at = first;
    for (; next < sorted.length && sorted[next].run[0] < end; next++) {
      const { block, run } = sorted[next];
      if (run[0] < at || run[1] > end) continue;
      if (run[0] > at) left.push([at, run[0]]);
      kept.push(block);
      at = run[1];
    }
    if (at < end) left.push([at, end]);
  }
  return { kept, left };
}
