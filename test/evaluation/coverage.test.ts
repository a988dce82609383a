import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  conformalIntervals,
  coverageByGroup,
  coverageBySlab,
  OptionError,
  Random,
  ShapeError,
  ValueError,
} from "../../src/index.ts";

describe("coverage by group", () => {
  test("by hand", () => {
    const regions = { lower: [0, 0, 0, 0, -Infinity], upper: [1, 1, 1, 1, Infinity] };
    const found = coverageByGroup(regions, [0, 2, 1, 0.5, 100], ["b", "b", "a", "a", "a"]);
    expect(found.map(({ group, samples, coverage }) => [group, samples, coverage])).toEqual([
      ["b", 2, 0.5],
      ["a", 3, 1],
    ]);
    // Wilson's interval of 1 of 2: (½ ± z √(1/8 + z²/16) …), by hand 0.0945 to 0.9055; of 3 of 3: 0.4385 to 1.
    expect(found[0].range[0]).toBeCloseTo(0.0945312, 6);
    expect(found[0].range[1]).toBeCloseTo(0.9054688, 6);
    expect(found[1].range[0]).toBeCloseTo(0.438503, 6);
    expect(found[1].range[1]).toBe(1);
  });

  test("sets hold their label", () => {
    const found = coverageByGroup({ sets: [[0, 1], [], [2]] }, [1, 0, 2], [7, 7, 8]);
    expect(found.map(({ group, coverage }) => [group, coverage])).toEqual([
      [7, 0.5],
      [8, 1],
    ]);
  });

  test("refusals", () => {
    const one = { lower: [[0]], upper: [[1]] };
    expect(coverageByGroup(one, [0.5], ["a"])[0].coverage).toBe(1);
    expect(() => coverageByGroup(one, [0.5, 1], ["a", "b"])).toThrow(ShapeError);
    expect(() => coverageByGroup(one, [0.5], [])).toThrow("expected 1 groups");
    expect(() => coverageByGroup(one, [0.5], "a" as never)).toThrow(ShapeError);
    expect(() => coverageByGroup(one, [0.5], [{} as never])).toThrow(ValueError);
    expect(() => coverageByGroup({ lower: [2], upper: [1] }, [0.5], ["a"])).toThrow("above its upper bound");
    expect(() => coverageByGroup({ lower: [[0, 1]], upper: [[1, 2]] }, [[0, 1]], ["a"])).toThrow(
      "one output at a time",
    );
    expect(() => coverageByGroup({ lower: [Number.NaN], upper: [1] }, [0.5], ["a"])).toThrow(ValueError);
    expect(() => coverageByGroup({} as never, [0.5], ["a"])).toThrow("expected { lower, upper } or { sets }");
    expect(() => coverageByGroup({ sets: [[0]] }, [0, 1], ["a", "b"])).toThrow(ShapeError);
  });
});

describe("coverage by slab of uncertainty", () => {
  test("every sample is in one slab, slabs ascend, equal uncertainties stay together", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.boolean()), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        (samples, slabs) => {
          fc.pre(slabs <= samples.length);
          const regions = { lower: samples.map(() => 0), upper: samples.map(([width]) => width) };
          const targets = samples.map(([, held]) => (held ? 0 : -1));
          const found = coverageBySlab(regions, targets, { slabs });
          expect(found.reduce((sum, slab) => sum + slab.samples, 0)).toBe(samples.length);
          expect(found.length).toBeLessThanOrEqual(slabs);
          found.forEach(({ from, to, samples: count, coverage }, i) => {
            if (i > 0) expect(from).toBeGreaterThan(found[i - 1].to);
            const members = samples.filter(([width]) => width >= from && width <= to);
            expect(count).toBe(members.length);
            expect(coverage).toBeCloseTo(members.filter(([, held]) => held).length / count, 12);
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  test("scaled conformal intervals hold in every slab; those of one width fail in the last", () => {
    const random = new Random(5);
    const make = (n: number) => {
      const variance = Array.from({ length: n }, () => Math.exp(2 * random.normal()));
      return { mean: variance.map(() => 0), variance, targets: variance.map((v) => Math.sqrt(v) * random.normal()) };
    };
    const [calibration, next] = [make(1000), make(4000)];
    const slabs = (of: typeof calibration, to: typeof next) =>
      coverageBySlab(conformalIntervals(of, to), next.targets, { by: next.variance, slabs: 4 });
    const flat = <T extends typeof next>(of: T) => ({ ...of, variance: of.variance.map(() => 1) });
    const [adaptive, constant] = [slabs(calibration, next), slabs(flat(calibration), flat(next))];
    for (const { coverage } of adaptive) expect(Math.abs(coverage - 0.9)).toBeLessThan(0.04);
    expect(constant[0].coverage).toBe(1);
    expect(constant[3].coverage).toBeLessThan(0.7);
    expect(constant[3].range[1]).toBeLessThan(0.9);
  });

  test("refusals", () => {
    const two = { lower: [0, 0], upper: [1, 1] };
    expect(() => coverageBySlab(two, [0, 0])).toThrow(OptionError);
    expect(() => coverageBySlab(two, [0, 0], { slabs: 0 })).toThrow(OptionError);
    expect(() => coverageBySlab(two, [0, 0], { slabs: 1, by: [1] })).toThrow(ShapeError);
    expect(coverageBySlab(two, [0, 2], { slabs: 2 }).map(({ samples }) => samples)).toEqual([2]);
  });
});
