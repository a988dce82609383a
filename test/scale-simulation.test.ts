// The simulation of fits on many machines, beside one that goes microsecond after microsecond.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { depthOf, type ScalePlan, simulate } from "../bench/scale-simulation.ts";
import { ticks } from "./reference/scale-ticks.ts";

const plans: fc.Arbitrary<ScalePlan> = fc.record({
  shards: fc.integer({ min: 1, max: 21 }),
  level: fc.integer({ min: 0, max: 2 }),
  machines: fc.integer({ min: 1, max: 3 }),
  lanes: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1000),
  shardTime: fc.integer({ min: 1, max: 40 }),
  addTime: fc.integer({ min: 1, max: 5 }),
  spread: fc.constantFrom(0, 0.5),
  slowPart: fc.constantFrom(0, 0.5),
  slowness: fc.constantFrom(1, 3),
  lifeTime: fc.constantFrom(Number.POSITIVE_INFINITY, 300, 900),
  restartTime: fc.integer({ min: 1, max: 60 }),
  lease: fc.integer({ min: 1, max: 60 }),
  shardBytes: fc.integer({ min: 0, max: 30 }),
  sumBytes: fc.integer({ min: 0, max: 20 }),
  storeRequest: fc.integer({ min: 1, max: 3 }),
  storeRate: fc.constantFrom(1, 7, 100),
  storeLatency: fc.integer({ min: 0, max: 9 }),
  queueRequest: fc.integer({ min: 1, max: 4 }),
});

const quiet: ScalePlan = {
  ...{ shards: 16, level: 1, machines: 2, lanes: 2, seed: 1, shardTime: 100, addTime: 10, spread: 0, slowPart: 0 },
  ...{ slowness: 1, lifeTime: Number.POSITIVE_INFINITY, restartTime: 1, lease: 1, shardBytes: 0, sumBytes: 0 },
  ...{ storeRequest: 1, storeRate: 1, storeLatency: 0, queueRequest: 1 },
};

describe("the simulation", () => {
  test("is that of every microsecond", () => {
    fc.assert(
      fc.property(plans, (plan) => {
        expect(simulate(plan)).toMatchObject(ticks(plan));
      }),
    );
  });

  test("of nothing that fails sums each shard once, and adds one time less", () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const { summed, additions, ended, jobs } = simulate({ ...plan, lifeTime: Number.POSITIVE_INFINITY });
        expect(summed).toBe(plan.shards);
        expect(ended).toBe(0);
        expect(jobs).toBeGreaterThanOrEqual(plan.shards / 2 ** plan.level);
        // Both of two neighbours may add.
        expect(additions).toBeGreaterThanOrEqual(plan.shards - 1);
      }),
    );
  });

  test("by hand: 16 shards of 100 µs in jobs of 2, on 2 machines of 2 lanes", () => {
    const { time, busy, depth } = simulate(quiet);
    // Each lane has 4 shards; store and queue take a microsecond a request.
    expect(time).toBeGreaterThan(400);
    expect(time).toBeLessThan(550);
    expect(busy).toBeGreaterThan(0.8);
    expect(depth).toBe(4);
    expect(simulate({ ...quiet, machines: 1, lanes: 1 }).time).toBeGreaterThan(1600);
  });

  test("knows how deep the tree is", () => {
    expect([1, 2, 3, 4, 5, 7, 8, 1000].map(depthOf)).toEqual([0, 1, 2, 2, 3, 4, 3, 14]);
  });
});
