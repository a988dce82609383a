import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  array,
  batchNorm,
  categorical,
  chain,
  crossEntropy,
  dense,
  dropout,
  gaussNewton,
  gradient,
  lastLayerEvidence,
  mse,
  NonFiniteLossError,
  network,
  Random,
  randomNormal,
  type Traced,
  tanh,
  train,
} from "../../src/index.ts";
import { copyIn, openScope } from "../../src/kernels/memory.ts";
import { atOnce, inBursts, setClock } from "../../src/kernels/steps.ts";
import { readLoss } from "../../src/losses/losses.ts";
import { overFixedFeatures } from "../../src/training/fixed-features.ts";
import { featuresOf, freeHeads } from "../../src/training/linear-heads.ts";
import { preconditionerOf } from "../../src/training/softmax-preconditioner.ts";
import { type SoftmaxPoint, softmaxRegression } from "../../src/training/softmax-regression.ts";
import { minimum, objective, slopes } from "../reference/softmax-regression.ts";

/** Where it ends. */
function ended(given: ReturnType<typeof problem>, tolerance: number) {
  let last: SoftmaxPoint = { weights: given.start, objective: Number.NaN };
  const values: number[] = [];
  const steps = softmaxRegression({ ...given, tolerance, steps: 1000 }, (point) => {
    last = point;
    values.push(point.objective);
  });
  return { steps, values, last: () => last };
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Rows in no order, classes by the sign of the first features: separable where rows are few. */
function problem(shape: { n: number; s: number; classes: number; seed: number; kind: string; log: number }) {
  const { n, s, classes, seed, kind, log } = shape;
  const random = new Random(seed);
  const features = count(n).map(() => count(s).map(() => random.normal()));
  // Columns that repeat each other.
  if (kind === "repeated" && s > 1) for (const row of features) row[s - 1] = row[0];
  const label = (i: number) => {
    if (kind === "separable") return Math.min(classes - 1, Math.max(0, Math.round(features[i][0] + classes / 2)));
    // The last class is absent but where rows are soft.
    return Math.floor(random.uniform() * Math.max(1, classes - 1));
  };
  const targets = count(n).map((i) => {
    const own = label(i);
    if (kind === "soft") return count(classes).map((c) => (c === own ? 0.7 : 0) + 0.3 / classes);
    if (kind === "ignored" && i % 3 === 1) return count(classes).map(() => 0);
    return count(classes).map((c) => (c === own ? 1 : 0));
  });
  const weights = count(n).map((i) => (kind === "weighted" ? ((i + 1) % 4) * random.uniform() : 1));
  const start = Float64Array.from(count(s * classes), () => (kind === "far" ? 5 * random.normal() : 0));
  return {
    features: Float64Array.from(features.flat()),
    targets: Float64Array.from(targets.flat()),
    weights: Float64Array.from(weights),
    ...{ classes, penalty: 10 ** log, start },
    slow: { features, targets, weights, penalty: 10 ** log },
  };
}

describe("softmax regression over fixed features", () => {
  const kinds = ["plain", "soft", "weighted", "ignored", "separable", "repeated", "far"] as const;

  test.each(kinds)("ends where Newton's method on the whole Hessian does: %s", (kind) => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 14 }),
          s: fc.integer({ min: 1, max: 5 }),
          classes: fc.integer({ min: 2, max: 5 }),
          seed: fc.integer({ min: 0, max: 10_000 }),
          log: fc.double({ min: -2.5, max: 1.5, noNaN: true }),
        }),
        (shape) => {
          const given = problem({ ...shape, kind });
          const { steps, values, last } = ended(given, 1e-14);
          expect(atOnce(steps).converged).toBe(true);
          const slow = minimum(given.slow);
          const { weights, objective: value } = last();
          expect([value]).toBeAllClose([objective(given.slow, slow)], { relative: 1e-10, absolute: 1e-12 });
          expect(Array.from(weights)).toBeAllClose(slow.flat(), { relative: 1e-4, absolute: 1e-5 });
          for (let k = 1; k < values.length; k++) expect(values[k]).toBeLessThanOrEqual(values[k - 1]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("ends there, too, from where softmax says one class alone, with weak penalties", () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 2, max: 30 }),
          s: fc.integer({ min: 1, max: 4 }),
          classes: fc.integer({ min: 2, max: 4 }),
          seed: fc.integer({ min: 0, max: 10_000 }),
          log: fc.double({ min: -7, max: -3, noNaN: true }),
        }),
        fc.constantFrom(100, 1000, 1e6),
        (shape, size) => {
          const given = problem({ ...shape, kind: "plain" });
          const random = new Random(shape.seed);
          const start = Float64Array.from(given.start, () => size * random.normal());
          const { steps, last } = ended({ ...given, start }, 1e-14);
          expect(atOnce(steps).converged).toBe(true);
          const least = objective(given.slow, minimum(given.slow));
          expect(last().objective).toBeLessThan(least * (1 + 1e-8) + 1e-12);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("at the minimum it reports where it is, once", () => {
    const given = problem({ n: 20, s: 3, classes: 3, seed: 3, kind: "plain", log: -1 });
    const { steps, last } = ended(given, 1e-14);
    atOnce(steps);
    const again = ended({ ...given, start: Float64Array.from(last().weights) }, 1e-12);
    expect(atOnce(again.steps)).toEqual({ converged: true, steps: 1 });
    expect(again.values).toBeAllClose([last().objective], { relative: 1e-14 });
    const zero = ended({ ...given, weights: new Float64Array(20) }, 1e-14);
    expect(atOnce(zero.steps)).toEqual({ converged: true, steps: 1 });
    expect(zero.values).toEqual([0]);
  });

  test.each(kinds)("ends there, too, where features are more than rows: %s", (kind) => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 6 }),
          s: fc.integer({ min: 2, max: 14 }),
          classes: fc.integer({ min: 2, max: 4 }),
          seed: fc.integer({ min: 0, max: 10_000 }),
          // From penalties that are lost beside a row to some that are far above.
          log: fc.double({ min: -8, max: 3, noNaN: true }),
        }),
        (shape) => {
          const given = problem({ ...shape, kind });
          const { steps, last } = ended(given, 1e-14);
          expect(atOnce(steps).converged).toBe(true);
          const least = objective(given.slow, minimum(given.slow));
          expect(last().objective).toBeLessThan(least * (1 + 1e-8) + 1e-11);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("by the order of rows and of features it is preconditioned by the same matrix", () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 9 }),
          size: fc.integer({ min: 1, max: 23 }),
          classes: fc.integer({ min: 1, max: 4 }),
          seed: fc.integer({ min: 0, max: 10_000 }),
          penalty: fc.constantFrom(0.01, 1, 100),
        }),
        ({ n, size, classes, seed, penalty }) => {
          fc.pre(2 * n * n <= size * size);
          const random = new Random(seed);
          const draw = (k: number) => Float64Array.from({ length: k }, () => random.normal());
          const [features, roots, x] = [draw(n * size), draw(n).map(Math.abs), draw(size * classes)];
          if (n > 2) roots[1] = 0;
          // M x, sum by sum.
          const r = x.map((one) => penalty * one);
          for (let i = 0; i < n; i++) {
            for (let c = 0; c < classes; c++) {
              const along = count(size).reduce((sum, s) => sum + features[i * size + s] * x[s * classes + c], 0);
              for (let s = 0; s < size; s++) r[s * classes + c] += roots[i] ** 2 * features[i * size + s] * along;
            }
          }
          const end = openScope();
          try {
            const phi = copyIn("float64", features);
            for (const longest of [0, Number.POSITIVE_INFINITY]) {
              const before = preconditionerOf({ phi, n, size, classes, penalty }, longest);
              expect(atOnce(before.factor(roots))).toBe(true);
              expect(before.solve(r)).toBeAllClose(x, { relative: 1e-5, absolute: 1e-6 });
            }
          } finally {
            end();
          }
        },
      ),
    );
  });

  test("its gradient vanishes with many features and classes", () => {
    const given = problem({ n: 150, s: 60, classes: 12, seed: 3, kind: "plain", log: -3 });
    const { steps, last } = ended(given, 1e-14);
    expect(atOnce(steps).converged).toBe(true);
    const { weights } = last();
    const rows = count(60).map((s) => Array.from(weights.subarray(12 * s, 12 * s + 12)));
    const before = Math.hypot(
      ...slopes(
        given.slow,
        rows.map((row) => row.map(() => 0)),
      ),
    );
    expect(Math.hypot(...slopes(given.slow, rows))).toBeLessThan(1e-6 * before);
  });

  test("a coarse tolerance leaves no more than it says, by fewer steps", () => {
    const given = problem({ n: 150, s: 60, classes: 12, seed: 4, kind: "plain", log: -3 });
    const [fine, coarse] = [ended(given, 1e-14), ended(given, 1e-3)];
    const [{ steps: many }, { steps: few, converged }] = [atOnce(fine.steps), atOnce(coarse.steps)];
    expect(converged).toBe(true);
    expect(few).toBeLessThan(many);
    expect(coarse.last().objective).toBeLessThan(fine.last().objective * (1 + 1e-3));
  });

  test("in bursts it is the same to the bit, beside others that do the same", async () => {
    const given = problem({ n: 600, s: 40, classes: 5, seed: 5, kind: "plain", log: -2 });
    const whole = ended(given, 1e-12);
    atOnce(whole.steps);
    // A clock that ends a burst at every look.
    let now = 0;
    setClock(() => (now += 10));
    try {
      const all = [ended(given, 1e-12), ended(given, 1e-12)];
      await Promise.all(all.map(({ steps }) => inBursts(steps)));
      for (const { last } of all) expect(last()).toEqual(whole.last());
    } finally {
      setClock(undefined);
    }
  });
});

describe("gaussNewton where last layers alone are free", () => {
  const x = randomNormal([80, 3], { seed: 1 });
  const labels = count(80).map((n) => (x.data[3 * n] > 0.4 ? 2 : x.data[3 * n + 1] > -0.3 ? 1 : 0));
  const made = (dtype: "float32" | "float64" = "float64") => {
    const net = network({ inputs: 3, seed: 2, dtype }, (z) =>
      add(
        dense(3, undefined, { name: "out" })(dense(9, tanh, { name: "features" })(z)),
        dense(3, undefined, { name: "skip" })(z),
      ),
    );
    net.freeze("features.weight");
    net.freeze("features.bias");
    return net;
  };
  const options = { loss: crossEntropy, weightDecay: 0.003 };
  const data = { x, y: array(labels) };

  test("ends at the minimum that the whole matrix leads to, and frozen weights stay", async () => {
    const [fast, slow] = [made(), made()];
    const before = Array.from(fast.named()["features.weight"].data);
    const reports: number[] = [];
    const found = await train(fast, data, {
      ...options,
      optimizer: gaussNewton(),
      onProgress: ({ loss }) => reports.push(loss),
    });
    const whole = await train(slow, data, { ...options, optimizer: gaussNewton({ solver: "cholesky" }) });
    expect(found.converged && whole.converged).toBe(true);
    expect(found.history.length).toBe(found.steps);
    expect(reports).toEqual(found.history.map(({ loss }) => loss));
    expect([found.history.at(-1)?.loss ?? 0]).toBeAllClose([whole.history.at(-1)?.loss ?? 1], { relative: 1e-10 });
    expect(Array.from(fast.forward(x).data)).toBeAllClose(Array.from(slow.forward(x).data), { absolute: 1e-4 });
    expect(Array.from(fast.named()["features.weight"].data)).toEqual(before);
    const free = ["out.weight", "out.bias", "skip.weight", "skip.bias"];
    const g = gradient(fast, crossEntropy, data);
    const named = free.flatMap((name) => {
      const { offset, size } = fast.parameterTable.find((one) => one.name === name) as { offset: number; size: number };
      return count(size).map((i) => g.data[offset + i] + 0.003 * fast.parameters.data[offset + i]);
    });
    expect(Math.hypot(...named)).toBeLessThan(1e-7);
  });

  test("takes weights of examples, labels that do not count, and networks of float32", async () => {
    const weights = array(count(80).map((n) => n % 3));
    const ignored = labels.map((label, n) => (n % 3 === 0 ? -1 : label));
    const repeated = count(80).flatMap((n) => count(n % 3).map(() => n));
    const all = {
      x: array(repeated.map((n) => Array.from(x.data.subarray(3 * n, 3 * n + 3)))),
      y: array(repeated.map((n) => labels[n])),
    };
    const [weighed, there, without, single] = [made(), made(), made(), made("float32")];
    const loss = categorical({ ignoredLabel: -1 });
    const optimizer = gaussNewton();
    await train(there, all, { ...options, optimizer });
    await train(weighed, { ...data, weights }, { ...options, optimizer });
    await train(without, { x, y: array(ignored), weights }, { ...options, loss, optimizer });
    await train(single, { x, y: array(labels), weights }, { ...options, optimizer });
    const of = (net: ReturnType<typeof made>) => Array.from(net.forward(x).data, Number);
    expect(of(weighed)).toBeAllClose(of(there), { absolute: 1e-5 });
    expect(of(without)).toBeAllClose(of(there), { absolute: 1e-5 });
    expect(of(single)).toBeAllClose(of(there), { absolute: 1e-3 });
  });

  test("without a penalty, classes that can be told apart end at a loss of nothing", async () => {
    const net = chain({ inputs: 1, seed: 0, dtype: "float64" }, dense(3));
    const apart = { x: array([[-2], [-1], [1], [2]]), y: array([0, 0, 2, 2]) };
    const { history } = await train(net, apart, { loss: crossEntropy, optimizer: gaussNewton() });
    expect(history.at(-1)?.loss).toBeLessThan(1e-6);
    expect(net.parameters.data.every(Number.isFinite)).toBe(true);
  });

  test("refuses a start whose loss is not finite", async () => {
    const net = chain({ inputs: 1, seed: 0, dtype: "float64" }, dense(3));
    net.parameters.data.set([1e200, -1e200, 0, 0, 0, 0]);
    const huge = { x: array([[1e200], [-1e200]]), y: array([0, 1]) };
    await expect(train(net, huge, { ...options, optimizer: gaussNewton() })).rejects.toThrow(NonFiniteLossError);
  });

  test("where features take more memory than there may be, the other way leads to the same", async () => {
    const [near, far] = [made(), made()];
    await train(near, data, { ...options, optimizer: gaussNewton() });
    const small = gaussNewton({ solver: "conjugateGradients", memoryBudget: 1000 });
    await train(far, data, { ...options, optimizer: small });
    expect(Array.from(far.forward(x).data)).toBeAllClose(Array.from(near.forward(x).data), { absolute: 1e-3 });
  });

  describe("of columns as they are in tables", () => {
    const n = 200;
    const [z, e] = [randomNormal([n, 3], { seed: 1 }), randomNormal([n, 3], { seed: 9 })];
    const y = array(
      count(n).map((i) => {
        const scores = [0, 1, 2].map((k) => (k < 2 ? 1 : 0.5) * z.data[3 * i + k] + 0.5 * e.data[3 * i + k]);
        return scores.indexOf(Math.max(...scores));
      }),
    );
    const scaled = (sizes: number[], means: number[]) =>
      array(
        count(n).map((i) => sizes.map((size, k) => means[k] + size * z.data[3 * i + k])),
        { dtype: "float64" },
      );
    const ended = async (x: ReturnType<typeof scaled>, weightDecay: number, solver?: "cholesky", size = 1) => {
      const net = chain({ inputs: 3, seed: 2, dtype: "float64" }, dense(3));
      net.parameters.data.set(net.parameters.data.map((one) => size * one));
      const optimizer = gaussNewton({ solver });
      const { converged, history } = await train(net, { x, y }, { loss: crossEntropy, weightDecay, optimizer });
      return { converged, loss: history.at(-1)?.loss ?? Number.NaN };
    };

    test("without a penalty it ends where it does with standardised ones", async () => {
      const plain = await ended(scaled([1, 1, 1], [0, 0, 0]), 0);
      const raw = await ended(scaled([2e4, 15, 1], [5e4, 40, 0]), 0);
      expect([plain.converged, raw.converged]).toEqual([true, true]);
      expect([raw.loss]).toBeAllClose([plain.loss], { relative: 1e-9 });
      const far = await ended(scaled([1, 1, 1], [0, 0, 0]), 0, undefined, 1000);
      expect(far.converged).toBe(true);
      expect([far.loss]).toBeAllClose([plain.loss], { relative: 1e-9 });
    });

    test.each([
      [1e-6, [2e4, 0.1, 1], [5e4, 0.5, 0]],
      [1e-8, [2e4, 0.1, 1], [5e4, 0.5, 0]],
      [1e-6, [1e6, 1e-4, 1], [0, 0, 0]],
    ])("with one of %s it ends where the whole matrix leads to: %j", async (weightDecay, sizes, means) => {
      const x = scaled(sizes, means);
      const [fast, whole] = [await ended(x, weightDecay), await ended(x, weightDecay, "cholesky")];
      expect(fast.converged).toBe(true);
      expect(fast.loss).toBeLessThan(whole.loss * (1 + 1e-8));
    });
  });

  test("a second training says where it is", async () => {
    const net = made();
    const optimizer = gaussNewton();
    const { history } = await train(net, data, { ...options, optimizer });
    const reports: number[] = [];
    const again = await train(net, data, { ...options, optimizer, onProgress: ({ loss }) => reports.push(loss) });
    expect([again.converged, again.steps, again.history.length]).toEqual([true, 1, 1]);
    expect(reports).toEqual([again.history[0].loss]);
    expect(reports).toBeAllClose([history.at(-1)?.loss ?? 0], { relative: 1e-12 });
  });

  test.each([
    ["goes into another", '"0.weight" goes into another of them', (a: Traced) => add(a, dense(3)(a))],
    ["is added to itself", '"0.weight" is in the sum more than once', (a: Traced) => add(a, a)],
  ])("where a last layer %s, the network is not linear in its weights", async (_, message, ending) => {
    const net = network({ inputs: 3, seed: 2, dtype: "float64" }, (z) => ending(dense(3)(z)));
    const { converged } = await train(net, data, { ...options, optimizer: gaussNewton() });
    expect(converged).toBe(true);
    const slope = gradient(net, crossEntropy, data).data.map((g, i) => g + 0.003 * net.parameters.data[i]);
    expect(Math.hypot(...slope)).toBeLessThan(1e-7);
    const real = { x, y: randomNormal([80, 3], { seed: 4 }) };
    const training = train(net, real, { loss: mse, optimizer: lastLayerEvidence() });
    await expect(training).rejects.toThrow(message);
  });

  test("refuses layers that draw or take a batch's statistics, before ones that are free", async () => {
    const drops = chain({ inputs: 3, seed: 2 }, dropout(0.5), dense(3));
    const norms = chain({ inputs: 3, seed: 2 }, batchNorm(), dense(3));
    norms.freeze("0.scale", "0.shift");
    const optimizer = gaussNewton();
    await expect(train(drops, data, { ...options, optimizer })).rejects.toThrow("no dropout: leave it out");
    await expect(train(norms, data, { ...options, optimizer })).rejects.toThrow("no batchNorm that takes");
  });

  test("features, their copy and a matrix have to fit into the memory budget", () => {
    const net = made();
    const rule = readLoss("train", crossEntropy, net);
    const problem = {
      ...{ net, rule, epochs: 10, weightDecay: 0.003, evidence: undefined },
      data: { inputs: x.as("float64"), targets: array(labels), weights: undefined },
    };
    const bytes = 8 * 14 * (2 * 80 + 14);
    expect(overFixedFeatures(problem, { tolerance: 1e-12, memoryBudget: bytes - 1 })).toBeUndefined();
    expect(overFixedFeatures(problem, { tolerance: 1e-12, memoryBudget: bytes })).toBeDefined();
  });

  test("features are computed with pauses", () => {
    const heads = freeHeads("train", made());
    const inputs = randomNormal([3000, 3], { seed: 5, dtype: "float64" });
    if (heads === undefined) throw new Error("there are heads");
    const { features, columns, biases } = heads;
    let now = 0;
    setClock(() => (now += 10));
    let pauses = 0;
    const counted = (function* () {
      const steps = featuresOf(heads, inputs);
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        pauses++;
        yield;
      }
    })();
    return inBursts(counted)
      .finally(() => setClock(undefined))
      .then((phi) => {
        expect(pauses).toBeGreaterThan(5);
        const width = columns.length - biases;
        const values = Array.from(features.forward(inputs).data);
        const rows = count(3000).flatMap((i) => [...values.slice(i * width, (i + 1) * width), 1, 1]);
        expect(Array.from(phi.data)).toEqual(rows);
      });
  });
});
