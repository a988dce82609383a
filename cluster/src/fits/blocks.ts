// Shards that are done together: a subtree of the tree over which sums are added. How large it is changes no bit.

/** 2^level shards, the first of which is place · 2^level. */
export interface Block {
  readonly level: number;
  readonly place: number;
}

/** Blocks that each worker is to have, so that the last ones end at about the same time. */
const FOR_EACH = 16;
/** Workers that there may be soon. */
const SOON = 4;

/** How many blocks there are to be for so many workers; long shards are few, and then each is a block. */
export const blocksFor = (workers: number): number => FOR_EACH * Math.max(workers, SOON);

/**
 * Shards as at least so many blocks, if there are as many.
 * @param shards numbers in order
 */
export function blocksOf(shards: readonly number[], count: number): Block[] {
  const most = Math.floor(Math.log2(Math.max(1, shards.length / count)));
  const blocks: Block[] = [];
  for (let at = 0; at < shards.length; ) {
    const first = shards[at];
    let level = 0;
    // As long as the next larger one begins here, and nothing of it is done.
    while (
      level < most &&
      first % 2 ** (level + 1) === 0 &&
      shards[at + 2 ** (level + 1) - 1] === first + 2 ** (level + 1) - 1
    )
      level++;
    blocks.push({ level, place: first / 2 ** level });
    at += 2 ** level;
  }
  return blocks;
}

/** The numbers of a block's shards. */
export const shardsOf = ({ level, place }: Block): number[] =>
  Array.from({ length: 2 ** level }, (_, i) => place * 2 ** level + i);

/** How many examples a block has. */
export function examplesOf({ level, place }: Block, examples: readonly number[]): number {
  let sum = 0;
  for (let shard = place * 2 ** level; shard < (place + 1) * 2 ** level; shard++) sum += examples[shard];
  return sum;
}
