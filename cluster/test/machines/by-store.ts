// Work in shards by the store alone, in one process, as two workers would do it.

import { type Executor, inBursts } from "laplace-ts/executor";
import { BegunFit } from "../../src/fits/begun.ts";
import { blocksOf } from "../../src/fits/blocks.ts";
import { FitWork } from "../../src/fits/doing.ts";
import type { Store } from "../../src/store/store.ts";
import { chances } from "../faulty.ts";

/** An executor that does shards by the store alone, in an order of its own. */
export function byStore(
  store: Store,
  seed: number,
  before: (fit: string, work: FitWork) => Promise<void> = async () => {},
): Executor {
  return {
    async run(shards) {
      const common = await inBursts(shards.prepare());
      const begun = await BegunFit.write(store, shards, common, shards.jobs, { by: "test", mixBuilds: false });
      const { name } = begun.fit;
      const next = chances(seed);
      let left = await begun.missing();
      if (left.length > 0) await before(name, await FitWork.open(store, name));
      for (;;) {
        left = await begun.missing();
        if (left.length === 0 && (await begun.collect())) return;
        if (left.length === 0) left = await begun.missing();
        // Two workers: each opens the fit, some shards both do.
        const workers = [await FitWork.open(store, name), await FitWork.open(store, name)];
        const blocks = blocksOf(left, [1, 2, 100][Math.floor(3 * next())]);
        const orders = workers.map(() => blocks.filter(() => next() < 0.7).sort(() => next() - 0.5));
        const given = [...orders[0], ...orders[1]];
        orders[0].push(...blocks.filter((block) => !given.includes(block)));
        await Promise.all(
          workers.map(async (worker, i) => {
            for (const block of orders[i]) await worker.do(block, `worker ${i}`);
          }),
        );
      }
    },
  };
}
