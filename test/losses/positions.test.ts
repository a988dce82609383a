// Labels at every position, and labels that are ignored, against loops over positions.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  type DType,
  dense,
  gradient,
  type Loss,
  type NDArray,
  network,
  OptionError,
  perSampleGradientNorms,
  perSampleGradients,
  Random,
  ShapeError,
  sgd,
  train,
  ValueError,
} from "../../src/index.ts";
import { near, numbers } from "../reference/draw.ts";
import { variables } from "../reference/dual.ts";
import { lossCases } from "../reference/losses.ts";

const IGNORED = -100;

function outputGradient(loss: Loss, f: NDArray, y: NDArray, reduction: "mean" | "sum"): NDArray {
  const nothing = network({ inputs: f.shape.slice(1), dtype: f.dtype }, (x) => x);
  return gradient(nothing, loss, { x: f, y }, { reduction, withRespectTo: "inputs" });
}

interface World {
  readonly batch: number;
  readonly positions: readonly number[];
  readonly classes: number;
  readonly axis: "first" | "last";
  readonly dtype: DType;
  readonly f: NDArray;
  readonly labels: NDArray;
  /** Where the logit of a class at a position of an example lies. */
  at(b: number, t: number, c: number): number;
}

const worlds = fc
  .record({
    batch: fc.constantFrom(1, 2, 3),
    positions: fc.constantFrom([1], [2], [5], [2, 3], [1, 1]),
    classes: fc.constantFrom(2, 3, 7),
    axis: fc.constantFrom("first" as const, "last" as const),
    dtype: fc.constantFrom("float64" as const, "float32" as const),
    share: fc.constantFrom(0, 0.4, 1),
    seed: fc.nat(),
  })
  .map(({ batch, positions, classes, axis, dtype, share, seed }): World => {
    const random = new Random(seed);
    const t = positions.reduce((product: number, length) => product * length, 1);
    const shape = [batch, ...(axis === "first" ? [classes, ...positions] : [...positions, classes])];
    const f = array(numbers(random, batch * t * classes, dtype, 2), { shape, dtype });
    const labels = Array.from({ length: batch * t }, () =>
      random.uniform() < share ? IGNORED : random.integer(classes),
    );
    const at = (b: number, i: number, c: number) =>
      axis === "first" ? (b * classes + c) * t + i : (b * t + i) * classes + c;
    return { batch, positions, classes, axis, dtype, f, labels: array(labels, { shape: [batch, ...positions] }), at };
  });

/** Elements and their slopes in f, by a loop over labels. */
function reference({ batch, f, labels, classes, at }: World) {
  const slopes = new Array<number>(f.size).fill(0);
  const t = labels.size / batch;
  const elements = Array.from(labels.data, (label: number, i: number) => {
    if (label === IGNORED) return 0;
    const places = Array.from({ length: classes }, (_, c) => at(Math.floor(i / t), i % t, c));
    const row = variables(places.map((place) => f.data[place]));
    const oneHot = row.map((_, c) => (c === label ? 1 : 0));
    const [element] = lossCases.crossEntropy.elements(row, oneHot);
    element.slopes.forEach((slope, c) => {
      slopes[places[c]] += slope;
    });
    return element.value;
  });
  return { elements, slopes, counted: labels.data.filter((label: number) => label !== IGNORED).length };
}

describe("crossEntropy of labels at every position", () => {
  test("is the sum over those that are not ignored, and so is its gradient", () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const { f, labels, dtype, axis } = world;
        const loss = crossEntropy.with({ classAxis: axis, ignoredLabel: IGNORED });
        const { elements, slopes, counted } = reference(world);
        const sum = elements.reduce((a, b) => a + b, 0);
        const none = loss(f, labels, { reduction: "none" });
        expect(none.shape).toEqual(labels.shape);
        expect(none.data).toBeAllClose(elements, near(elements, dtype));
        expect([loss(f, labels, { reduction: "sum" })]).toBeAllClose([sum], near([sum], dtype));
        // PyTorch's mean of no labels is NaN.
        const mean = counted === 0 ? 0 : sum / counted;
        expect([loss(f, labels)]).toBeAllClose([mean], near([mean], dtype));
        expect(outputGradient(loss, f, labels, "sum").data).toBeAllClose(slopes, near(slopes, dtype));
        const means = slopes.map((slope) => slope / Math.max(1, counted));
        expect(outputGradient(loss, f, labels, "mean").data).toBeAllClose(means, near(means, dtype));
        // Exactly nothing where a label is ignored.
        const at = outputGradient(loss, f, labels, "sum").data;
        slopes.forEach((slope, i) => {
          if (slope === 0) expect(at[i]).toBe(0);
        });
      }),
    );
  });

  test("of one position is the plain loss to the bit, whatever the axis", () => {
    const f = array(numbers(new Random(1), 12, "float64"), { shape: [4, 3] });
    const y = array([0, 2, 1, 1]);
    for (const classAxis of ["first", "last"] as const) {
      const loss = crossEntropy.with({ classAxis, ignoredLabel: IGNORED });
      const shape = classAxis === "first" ? [4, 3, 1] : [4, 1, 3];
      expect(loss(f, y)).toBe(crossEntropy(f, y));
      expect(loss(f.reshape(...shape), y.reshape(4, 1))).toBe(crossEntropy(f, y));
      expect(outputGradient(loss, f.reshape(...shape), y.reshape(4, 1), "mean").data).toEqual(
        outputGradient(crossEntropy, f, y, "mean").data,
      );
    }
  });

  test("takes probabilities shaped like the outputs, equal to labels where they are rows of one 1", () => {
    const random = new Random(3);
    const f = array(numbers(random, 24, "float64"), { shape: [2, 3, 4] });
    const labels = array([0, 1, 2, 2, 1, 0, 0, 1], { shape: [2, 4] });
    const rows = array(
      Array.from({ length: 24 }, (_, i) =>
        labels.data[Math.floor(i / 12) * 4 + (i % 4)] === Math.floor(i / 4) % 3 ? 1 : 0,
      ),
      { shape: [2, 3, 4] },
    );
    const loss = crossEntropy.with({ classAxis: "first" });
    expect(loss(f, rows)).toBe(loss(f, labels));
    rows.data[0] += 0.5;
    expect(() => loss(f, rows)).toThrow(/targets of sample 0, position 0, are not probabilities/);
  });

  test("refuses what it cannot use, and names it", () => {
    const f = array(numbers(new Random(2), 12, "float64"), { shape: [2, 3, 2] });
    const y = [
      [0, 1, 0],
      [1, 5, 0],
    ];
    expect(() => crossEntropy(f, y)).toThrow(ShapeError);
    expect(() => crossEntropy(f, y)).toThrow(/shape \[3, 2\].*must be named.*classAxis of .*"last"/);
    const loss = crossEntropy.with({ classAxis: "last" });
    expect(() => loss(f, y)).toThrow(ValueError);
    expect(() => loss(f, y)).toThrow(/label 5 of sample 1, position 1, is not an integer from 0 to 1.*ignoredLabel/);
    expect(() => loss(f, [0, 1])).toThrow(/labels \[2, 3\] or probabilities \[2, 3, 2\], not of shape \[2\]/);
    expect(() => crossEntropy.with({ classAxis: "first" })(f, y)).toThrow(/labels \[2, 2\]/);
    expect(() => crossEntropy.with({ classAxis: "middle" as never })).toThrow(OptionError);
    expect(() => crossEntropy.with({ ignoredLabel: 0.5 })).toThrow(
      /crossEntropy.with: ignoredLabel must be an integer/,
    );
    expect(() => crossEntropy.with({ ignore: 1 } as never)).toThrow(OptionError);
    expect(() => binaryCrossEntropy.with({ classAxis: "last" } as never)).toThrow(OptionError);
    expect(() => crossEntropy.with({ classAxis: "first" })(f.reshape(2, 1, 6), [[0], [0]])).toThrow(/two classes/);
  });

  test("keeps the options that it is not given again", () => {
    const f = array(numbers(new Random(2), 12, "float64"), { shape: [2, 3, 2] });
    const y = array([0, 1, 7, 1, 7, 0], { shape: [2, 3] });
    const both = crossEntropy.with({ classAxis: "last", ignoredLabel: 7 });
    expect(crossEntropy.with({ ignoredLabel: 7 }).with({ classAxis: "last" })(f, y)).toBe(both(f, y));
  });
});

test("binaryCrossEntropy leaves ignored targets out", () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(1, 3), (seed, width) => {
      const random = new Random(seed);
      const f = array(numbers(random, 4 * width, "float64"), { shape: [4, width] });
      const y = array(
        Array.from({ length: 4 * width }, () => [0, 1, 0.3, IGNORED][random.integer(4)]),
        {
          shape: [4, width],
        },
      );
      const kept = Array.from(y.data.keys()).filter((i) => y.data[i] !== IGNORED);
      const loss = binaryCrossEntropy.with({ ignoredLabel: IGNORED });
      const slopes = new Array<number>(f.size).fill(0);
      let mean = 0;
      if (kept.length > 0) {
        const [some, targets] = [f, y].map((all) => array(kept.map((i) => [all.data[i]])));
        mean = binaryCrossEntropy(some, targets);
        kept.forEach((place, i) => {
          slopes[place] = outputGradient(binaryCrossEntropy, some, targets, "mean").data[i];
        });
      }
      expect([loss(f, y)]).toBeAllClose([mean], { relative: 1e-12, absolute: 1e-14 });
      expect(outputGradient(loss, f, y, "mean").data).toBeAllClose(slopes, { relative: 1e-12, absolute: 1e-14 });
      expect(loss(f, y, { reduction: "none" }).data.filter((x: number) => x === 0)).toHaveLength(
        4 * width - kept.length,
      );
    }),
  );
  expect(() => binaryCrossEntropy([[1]], [[IGNORED]])).toThrow(ValueError);
});

describe("what is built on the loss", () => {
  const inputs = array(numbers(new Random(5), 5 * 3 * 2, "float64"), { shape: [5, 3, 2] });
  // The second sample has one label, the fourth none.
  const labels = array([0, 1, 2, -1, -1, 2, 1, 1, -1, -1, -1, -1, 0, 2, 0], { shape: [5, 3] });
  const loss = crossEntropy.with({ classAxis: "last", ignoredLabel: -1 });
  const net = () =>
    chain(
      { inputs: [3, 2], dtype: "float64", seed: 2 },
      dense(4, (x) => x),
      dense(3),
    );

  test.each(["mean", "sum"] as const)("per-sample gradients are those of each sample alone: %s", (reduction) => {
    const model = net();
    const rows = perSampleGradients(model, loss, { x: inputs, y: labels }, { reduction });
    const norms = perSampleGradientNorms(model, loss, { x: inputs, y: labels }, { reduction });
    for (let i = 0; i < 5; i++) {
      const one = { x: inputs.sub(i).reshape(1, 3, 2), y: labels.sub(i).reshape(1, 3) };
      const due = gradient(model, loss, one, { reduction }).data;
      expect(rows.sub(i).data).toBeAllClose(due, { relative: 1e-12, absolute: 1e-14 });
      const norm = Math.hypot(...due);
      expect([norms.data[i]]).toBeAllClose([norm], { relative: 1e-9, absolute: 1e-12 });
    }
    expect(Array.from(rows.sub(3).data)).toEqual(new Array(model.parameterCount).fill(0));
    const total = gradient(model, loss, { x: inputs, y: labels }, { reduction: "sum" }).data;
    if (reduction === "mean") return;
    const sums = Array.from(total, (_, p) =>
      Array.from({ length: 5 }, (__, i) => rows.sub(i).data[p]).reduce((a, b) => a + b),
    );
    expect(total).toBeAllClose(sums, { relative: 1e-12, absolute: 1e-13 });
  });

  test("a step of training is along its gradient, and the epoch's loss is over the labels that count", async () => {
    const model = net();
    const before = model.parameters.clone();
    const step = gradient(model, loss, { x: inputs, y: labels }).data;
    const { history } = await train(
      model,
      { x: inputs, y: labels },
      { loss, optimizer: sgd({ learningRate: 0.5 }), epochs: 1, batchSize: 5 },
    );
    const due = before.data.map((theta: number, i: number) => theta - 0.5 * step[i]);
    expect(model.parameters.data).toBeAllClose(due, { relative: 1e-12, absolute: 1e-13 });
    const start = net();
    expect([history[0].loss]).toBeAllClose([loss(start.forward(inputs), labels)], { relative: 1e-12 });
    // In batches of 2, of which one has fewer labels, and one none.
    const options = { loss, optimizer: sgd({ learningRate: 1e-200 }), epochs: 1, batchSize: 1, shuffle: false };
    const { history: batches } = await train(start, { x: inputs, y: labels }, options);
    expect([batches[0].loss]).toBeAllClose([loss(start.forward(inputs), labels)], { relative: 1e-12 });
    const none = array(new Array(15).fill(-1), { shape: [5, 3] });
    const { history: nothing } = await train(start, { x: inputs, y: none }, options);
    expect(nothing[0].loss).toBe(0);
  });
});
