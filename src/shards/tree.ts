// Sums over shards, added over a fixed binary tree: whoever computes them and in whatever order they come, the bits are the same.

/**
 * Adds what comes of shards: the sums of 0 and 1, of 2 and 3, those of both, and so on; where the right one of two is beyond the
 * end, the left one goes up alone. Of n shards it holds no more than those that wait for another, log₂ n where they come in order.
 */
export class Tree<T> {
  readonly #add: (left: T, right: T) => T;
  /** By level and place: sums over 2^level shards, the first of which is place · 2^level. */
  readonly #waiting: Map<number, T>[] = [];

  constructor(add: (left: T, right: T) => T) {
    this.#add = add;
  }

  /**
   * Takes the result of a shard, or the sum of 2^level shards, the first of which is place · 2^level. What comes a second time is not
   * looked at; whoever gives sums gives none of a shard that came by itself.
   */
  take(place: number, result: T, level = 0): void {
    // What was taken is in a sum that waits, here or above.
    for (let up = level, at = place; up < this.#waiting.length; up++, at = Math.floor(at / 2)) {
      if (this.#waiting[up].has(at)) return;
    }
    let [at, sum] = [place, result];
    for (let up = level; ; up++, at = Math.floor(at / 2)) {
      while (this.#waiting.length <= up) this.#waiting.push(new Map());
      const waiting = this.#waiting[up];
      const beside = at % 2 === 0 ? at + 1 : at - 1;
      const other = waiting.get(beside);
      if (!waiting.has(beside)) {
        waiting.set(at, sum);
        return;
      }
      waiting.delete(beside);
      sum = at < beside ? this.#add(sum, other as T) : this.#add(other as T, sum);
    }
  }

  /** The sum of all, when all were taken; undefined where there were none. */
  total(): T | undefined {
    let [sum, some]: [T | undefined, boolean] = [undefined, false];
    for (const waiting of this.#waiting) {
      for (const left of waiting.values()) {
        sum = some ? this.#add(left, sum as T) : left;
        some = true;
      }
    }
    return sum;
  }
}
