// What whoever asks for a fit keeps: as much for ten thousands of shards as for some.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { chain, dense, laplace, type NDArray, randomNormal, tanh } from "laplace-ts";
import { type Executor, inBursts } from "laplace-ts/executor";
import { expect, test } from "vitest";
import { BegunFit } from "../src/fits/begun.ts";
import { type Block, runOf } from "../src/fits/blocks.ts";
import { FitWork } from "../src/fits/doing.ts";
import { sumName } from "../src/fits/fit.ts";
import { Following } from "../src/following.ts";
import type { Hearer, ShardQueue } from "../src/queue/waiting.ts";
import type { Store, StoredObject } from "../src/store/store.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** Bytes of objects and buffers that something holds. */
function held(): number {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Objects that a store keeps, and bytes that the data of no shard of this test have. */
const [FIRST, SHARD] = [10, 4000];

/**
 * A store as a disk elsewhere: nothing of it is in this process but the first objects and the first page. Every sum of a fit is that of its first shard,
 * and is there when the queue was given it.
 */
class Elsewhere implements Store {
  readonly address = "elsewhere";
  readonly #kept = new Map<string, Uint8Array>();
  #sum: Uint8Array | undefined;
  #paged = false;
  done: readonly Block[] | undefined;
  /** Looks when so many objects were written. */
  readonly #look: () => void;
  #written = 0;

  constructor(look: () => void) {
    this.#look = look;
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    // As a disk does, it takes turns.
    if (++this.#written % 50 === 0) await new Promise(setImmediate);
    if (this.#written % 5000 === 0) this.#look();
    if (name.includes("/sums/")) this.#sum ??= bytes;
    else if (this.#kept.size < FIRST || name.endsWith("/fit")) this.#kept.set(name, bytes);
    else if (bytes.length > SHARD && !this.#paged) {
      this.#paged = true;
      this.#kept.set(name, bytes);
    }
    return true;
  }
  async get(name: string) {
    return name.includes("/sums/") ? this.#sum : this.#kept.get(name);
  }
  async stat() {
    return undefined;
  }
  async *list(prefix: string): AsyncGenerator<readonly StoredObject[]> {
    if (!prefix.endsWith("/sums/") || this.done === undefined) return;
    yield this.done.map(({ level, place }) => ({ name: sumName(prefix.split("/")[1], level, place), size: 1, age: 0 }));
  }
  async delete() {}
  async tidy() {}
}

/** The most bytes that are held at some moments of a fit of so many shards, beyond those before it. */
async function mostHeld(shardCount: number): Promise<number> {
  const net = chain({ inputs: 3, seed: 1 }, dense(4, tanh), dense(2));
  let before = Number.POSITIVE_INFINITY;
  let most = 0;
  const look = () => {
    most = Math.max(most, held() - before);
  };
  interface Shard {
    readonly batches: readonly { readonly inputs: NDArray; readonly targets: NDArray }[];
  }
  const on: Executor = {
    async run(shards) {
      // As many shards as are wanted, each of an example of its own.
      const [given] = shards.jobs;
      const { batches, ...rest } = given as Shard;
      const each = function* () {
        for (let start = 0; start < shardCount; start++) {
          const inputs = randomNormal([1, 3], { seed: start, dtype: "float32" });
          const targets = randomNormal([1, 2], { seed: start, dtype: "float32" });
          yield { ...rest, start, most: 1, batches: [{ ...batches[0], inputs, targets }] } as typeof given;
        }
      };
      const common = await inBursts(shards.prepare());
      const store = new Elsewhere(look);
      before = held();
      const begun = await BegunFit.write(store, shards, common, each(), { by: "test", mixBuilds: false });
      const { fit } = begun;
      expect(fit.shards).toBe(shardCount);
      const work = await FitWork.open(store, fit.name);
      await work.do({ level: 0, place: 0 }, "test");
      look();
      const queue = {
        refused: undefined,
        trouble: undefined,
        hear: async () => {},
        unhear: () => {},
        cancel: async () => {},
        remove: async () => {},
        workers: async () => 2,
        add: async (name: string, blocks: readonly Block[]) => {
          look();
          store.done = blocks;
          const hearer = following as Hearer;
          queueMicrotask(() => {
            for (const block of blocks) hearer.done({ fit: name, ...block });
          });
          expect(blocks.reduce((sum, block) => sum + runOf(block)[1] - runOf(block)[0], 0)).toBe(shardCount);
        },
      };
      const following = new Following(begun, queue as unknown as ShardQueue, { attempts: 1, onWarning: () => {} });
      await following.toTheEnd();
      look();
    },
  };
  await laplace(net, { likelihood: "regression", structure: "diagonal", checks: false }).fit(
    { x: randomNormal([1, 3], { seed: 1 }), y: randomNormal([1, 2], { seed: 2 }) },
    { on },
  );
  return most;
}

test("whoever asks keeps no more of 20,000 shards than of 2,000", { timeout: 120_000 }, async () => {
  await mostHeld(2000);
  const [few, many] = [await mostHeld(2000), await mostHeld(20_000)];
  // A digest of each alone would be 1.5 MB more.
  expect(many - few).toBeLessThan(700_000);
});
