// Intervals and sets that hold their level: against the definitions by plain loops, against other implementations, on simulated tables,
// and through a file.

import fc from "fast-check";
import {
  array,
  chain,
  dense,
  FileError,
  foldIntervals,
  laplace,
  loadTableModel,
  NDArray,
  Random,
  readSafetensors,
  saveTableModel,
  type TableGuarantee,
  type TableModel,
  type TablePrediction,
  tableConformity,
  tableEncoding,
  tableModel,
  tableRegions,
  ValueError,
  writeSafetensors,
} from "laplace-ts";
import { describe, expect, test } from "vitest";

/** Predictions of numbers, normal on the logarithm's scale or on their own. */
function numbers(mean: readonly number[], sd: readonly number[], log = false): TablePrediction {
  const [m, s] = [Float64Array.from(mean), Float64Array.from(sd)];
  const none = { epistemic: s, functionVariance: s, far: [], unusual: [] };
  const parts = [{ weight: 1, mean: m, sd: s, ...(log && { scale: { kind: "log" } as const }) }];
  return { rows: mean.length, mean: log ? m.map(Math.exp) : m, sd: s, parts, ...none };
}

/** Predictions of classes, [rows][classes]. */
function classes(rows: readonly (readonly number[])[]): TablePrediction {
  const flat = Float64Array.from(rows.flat());
  const shape = [rows.length, rows[0].length];
  const none = { epistemic: flat, functionVariance: flat, far: [], unusual: [] };
  const logs = new NDArray(flat.map(Math.log), shape);
  return { rows: rows.length, probabilities: new NDArray(flat, shape), logProbabilities: logs, ...none };
}

const guaranteeOf = (scores: readonly (readonly number[])[]): TableGuarantee<TableModel> => ({
  models: scores.map(() => ({}) as TableModel),
  scores: scores.map((own) => Float64Array.from(own)),
});

const level = fc.double({ min: 0.05, max: 0.95, noNaN: true });
const value = fc.double({ min: -3, max: 3, noNaN: true });
const size = fc.double({ min: 0.1, max: 3, noNaN: true });
const folds = fc.array(fc.array(size, { minLength: 1, maxLength: 7 }), { minLength: 1, maxLength: 4 });

describe("intervals", () => {
  test("are those of foldIntervals, by the same scores", () => {
    fc.assert(
      fc.property(folds, level, fc.infiniteStream(value), fc.infiniteStream(size), (scores, at, means, sizes) => {
        const next = <T>(of: IterableIterator<T>) => of.next().value as T;
        const predictions = scores.map(() => ({
          mean: [next(means), next(means)],
          sd: [next(sizes), next(sizes)],
        }));
        const found = tableRegions(
          guaranteeOf(scores),
          predictions.map(({ mean, sd }) => numbers(mean, sd)),
          { level: at },
        );
        // Rows whose mean is 0 and deviation 1 have their scores for targets.
        const all = scores.flat();
        const heldOut = { mean: all.map(() => 0), variance: all.map(() => 1), targets: all };
        const { lower, upper } = foldIntervals(
          { ...heldOut, fold: scores.flatMap((own, k) => own.map(() => k)) },
          predictions.map(({ mean, sd }) => ({ mean, variance: sd.map((s) => s * s) })),
          { level: at },
        );
        expect(Array.from(found.lower ?? [])).toBeAllClose(Array.from(lower.data));
        expect(Array.from(found.upper ?? [])).toBeAllClose(Array.from(upper.data));
      }),
    );
  });

  test("of a target on another scale are those of the scale, brought back", () => {
    const scores = [
      [1, 2, 3, 0.5],
      [0.2, 4],
    ];
    const predictions = [numbers([1], [0.5], true), numbers([0.8], [0.7], true)];
    const plain = [numbers([1], [0.5]), numbers([0.8], [0.7])];
    const [found, own] = [predictions, plain].map((all) => tableRegions(guaranteeOf(scores), all, { level: 0.6 }));
    expect(found.lower?.[0]).toBeCloseTo(Math.exp(own.lower?.[0] ?? 0), 12);
    expect(found.upper?.[0]).toBeCloseTo(Math.exp(own.upper?.[0] ?? 0), 12);
    // |log y − m| / s; no logarithm is as far as can be.
    const [near, off] = tableConformity(numbers([1, 1], [0.5, 0.5], true), [Math.exp(2), -1]);
    expect(near).toBeCloseTo(2, 12);
    expect(off).toBe(Number.POSITIVE_INFINITY);
  });

  test("are endless with too few scores, or where the scores are", () => {
    const [three, two] = [guaranteeOf([[1, 2, 3]]), guaranteeOf([[1, 2], [Number.POSITIVE_INFINITY]])];
    const { lower, upper } = tableRegions(three, [numbers([0], [1])], { level: 0.9 });
    expect([lower?.[0], upper?.[0]]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
    const both = [numbers([0], [1]), numbers([5], [1])];
    expect(tableRegions(two, both, { level: 0.5 }).upper?.[0]).toBe(2);
    expect(tableRegions(two, both, { level: 0.75 }).upper?.[0]).toBe(Number.POSITIVE_INFINITY);
  });

  test("of counts are whole, and lose none", () => {
    const part = { weight: 1, mean: Float64Array.of(0), sd: Float64Array.of(0.1), dispersion: 0 };
    const counts = { ...numbers([1.2], [1.1]), parts: [part] };
    const found = tableRegions(guaranteeOf([[1, 2, 3]]), [counts], { level: 0.5 });
    // 1.2 ± 2.2, without what is below 0.
    expect([found.lower?.[0], found.upper?.[0]]).toEqual([0, 3]);
  });
});

describe("sets", () => {
  const row = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }).map((all) => {
    const sum = all.reduce((a, b) => a + b, 0);
    return all.map((p) => p / sum);
  });

  test("have the classes of which fewer than (n + 1) · level scores are below theirs (CV+)", () => {
    const shares = fc.array(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(shares, fc.array(row, { minLength: 3, maxLength: 3 }), level, (scores, rows, at) => {
        const predictions = scores.map((_, k) => classes([rows[k]]));
        const { sets = [] } = tableRegions(guaranteeOf(scores), predictions, { level: at });
        const count = scores.flat().length;
        const smaller = [0, 1, 2].map((label) =>
          scores.reduce((sum, own, k) => {
            const [score] = tableConformity(predictions[k], [label]);
            return sum + own.filter((one) => one < score).length;
          }, 0),
        );
        const expected = [0, 1, 2].filter((label) => smaller[label] < (count + 1) * at);
        if (expected.length > 0) expect(sets[0]).toEqual(expected);
        else expect(smaller[sets[0][0]]).toBe(Math.min(...smaller));
      }),
    );
  });

  test("a class's score lies between what is more probable than it and that with its own", () => {
    fc.assert(
      fc.property(row, (p) => {
        const scores = p.map((_, label) => tableConformity(classes([p]), [label])[0]);
        p.forEach((own, label) => {
          const before = p.reduce(
            (sum, other, c) => sum + (other > own || (other === own && c < label) ? other : 0),
            0,
          );
          expect(scores[label]).toBeGreaterThanOrEqual(before);
          expect(scores[label]).toBeLessThanOrEqual(before + own);
        });
      }),
    );
  });

  test("its share is spread evenly, and the same for the same probabilities", () => {
    const random = new Random(3);
    const tenths = new Array<number>(10).fill(0);
    const one = () => {
      const p = 0.5 + 0.5 * random.uniform();
      const prediction = classes([[p, 1 - p]]);
      const [score] = tableConformity(prediction, [0]);
      expect(tableConformity(classes([[p, 1 - p]]), [0])[0]).toBe(score);
      tenths[Math.floor((10 * score) / p)]++;
    };
    for (let i = 0; i < 2000; i++) one();
    // 2000 draws in ten parts: 200 each, with a deviation of 13.4.
    for (const count of tenths) expect(Math.abs(count - 200)).toBeLessThan(4.5 * 13.4);
  });
});

/** How often regions hold over simulated tables, and the standard error. */
function simulated(tables: number, held: (random: Random) => boolean): readonly [number, number] {
  const random = new Random(5);
  let sum = 0;
  for (let t = 0; t < tables; t++) sum += Number(held(random));
  const share = sum / tables;
  return [share, Math.sqrt((share * (1 - share)) / tables)];
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x / values.length, 0);

describe("coverage over simulated tables", () => {
  test("one model that is wrong about the noise: the level", () => {
    const [share, error] = simulated(1000, (random) => {
      const draw = () => Math.exp(random.normal());
      const scores = tableConformity(
        numbers(new Array(19).fill(1), new Array(19).fill(0.1)),
        Array.from({ length: 19 }, draw),
      );
      const { lower, upper } = tableRegions(guaranteeOf([[...scores]]), [numbers([1], [0.1])], { level: 0.8 });
      const y = draw();
      return (lower?.[0] ?? 0) <= y && y <= (upper?.[0] ?? 0);
    });
    expect(Math.abs(share - 0.8)).toBeLessThan(3 * error);
  });

  test("the models of four folds: at least what the theorem says, and about the level", () => {
    const [share, error] = simulated(1000, (random) => {
      const y = Array.from({ length: 21 }, () => random.normal() ** 3);
      const models = [0, 1, 2, 3].map((k) => mean(y.slice(0, 20).filter((_, i) => i % 4 !== k)));
      const scores = models.map((m, k) => {
        const own = y.slice(0, 20).filter((_, i) => i % 4 === k);
        return [
          ...tableConformity(
            numbers(
              own.map(() => m),
              own.map(() => 0.5),
            ),
            own,
          ),
        ];
      });
      const predictions = models.map((m) => numbers([m], [0.5]));
      const { lower, upper } = tableRegions(guaranteeOf(scores), predictions, { level: 0.8 });
      return (lower?.[0] ?? 0) <= y[20] && y[20] <= (upper?.[0] ?? 0);
    });
    // 1 − 2 · 0.2 − (1 − 4/20) / 5, the smaller of the two.
    expect(share).toBeGreaterThan(0.6 - 0.16);
    expect(Math.abs(share - 0.8)).toBeLessThan(3 * error + 0.03);
  });

  test("sets of a classifier that is too sure: the level", () => {
    const [share, error] = simulated(1000, (random) => {
      const draw = () => {
        const x = random.normal();
        const p = 1 / (1 + Math.exp(-4 * x));
        return { p: [1 - p, p], label: Number(random.uniform() < 1 / (1 + Math.exp(-x))) };
      };
      const known = Array.from({ length: 19 }, draw);
      const scores = tableConformity(
        classes(known.map(({ p }) => p)),
        known.map(({ label }) => label),
      );
      const next = draw();
      const { sets = [] } = tableRegions(guaranteeOf([[...scores]]), [classes([next.p])], { level: 0.8 });
      return sets[0].includes(next.label);
    });
    // Sets that would be empty have a class, and so they may hold more.
    expect(share).toBeGreaterThan(0.8 - 3 * error);
    expect(share).toBeLessThan(0.86);
  });
});

describe("in a file", () => {
  const rows = Array.from({ length: 30 }, (_, i) => [String(i % 11), String(3 * (i % 11) + (i % 4))]);

  async function modelOf(from: number, target = "y"): Promise<TableModel> {
    const own = rows.slice(from, from + 20);
    const encoding = tableEncoding({ names: ["a", target], rows: own }, { target, task: "regression" });
    const { x } = encoding.encode(own.map(([a]) => ({ a })));
    const y = Float64Array.from(own, ([, cell]) => encoding.encodeTarget(cell) ?? 0);
    const data = { x: new NDArray(x, [20, encoding.inputs.length]), y: new NDArray(y, [20, 1]) };
    const net = chain({ inputs: encoding.inputs.length, seed: from, dtype: "float64" }, dense(1));
    const posterior = await laplace(net, { likelihood: "regression", checks: false }).fit(data);
    return tableModel({ posterior, encoding });
  }

  const made = async () => {
    const [model, a, b] = [await modelOf(0), await modelOf(5), await modelOf(10)];
    const guarantee = { models: [a, b], scores: [Float64Array.of(1, 2, 0.5, 7), Float64Array.of(0.1, 3)] };
    return tableModel({ ...model, guarantee });
  };

  test("it comes back, with the same intervals", async () => {
    const model = await made();
    const again = loadTableModel(saveTableModel(model));
    expect(again.guarantee?.scores).toEqual(model.guarantee?.scores);
    const fresh = [{ a: "3" }, { a: "40" }];
    const regionsOf = ({ guarantee }: TableModel) =>
      tableRegions(guarantee as TableGuarantee<TableModel>, guarantee?.models.map((one) => one.predict(fresh)) ?? [], {
        level: 0.7,
      });
    expect(regionsOf(again)).toEqual(regionsOf(model));
    expect(again.predict(fresh).mean).toEqual(model.predict(fresh).mean);
  });

  test("altered scores, files without a part, and guarantees of another target are refused", async () => {
    const model = await made();
    const { tensors, metadata } = readSafetensors(saveTableModel(model));
    const changed = { ...tensors, "guarantee.0.scores": array([1, 2, 0.5, 6], { dtype: "float64" }) };
    expect(() => loadTableModel(writeSafetensors(changed, metadata))).toThrow(/guarantee do not match/);
    const left = Object.fromEntries(
      Object.entries(tensors).filter(([name]) => !/^guarantee\.1\.(?!scores)/.test(name)),
    );
    expect(() => loadTableModel(writeSafetensors(left, metadata))).toThrow(FileError);
    const other = { models: [await modelOf(5, "z")], scores: [Float64Array.of(1)] };
    expect(() => tableModel({ ...model, guarantee: other })).toThrow(/models of the same target/);
    const own = { models: [model], scores: [Float64Array.of(1)] };
    expect(() => tableModel({ ...model, guarantee: own })).toThrow(ValueError);
    expect(() => tableModel({ ...model, guarantee: { ...own, scores: [Float64Array.of(-1)] } })).toThrow(/at least 0/);
  });
});
