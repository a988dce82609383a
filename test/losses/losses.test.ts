// Losses against the formulas of torch's documentation, and against their limits at extreme logits.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  binaryCrossEntropy,
  crossEntropy,
  gradient,
  type Loss,
  mse,
  type NDArray,
  network,
  OptionError,
  Random,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { near, numbers } from "../reference/draw.ts";
import { variables } from "../reference/dual.ts";
import { type LossCase, lossCases } from "../reference/losses.ts";

/** ∂ loss / ∂ outputs: the gradient over the inputs of a network that does nothing. */
function outputGradient(loss: Loss, f: NDArray, y: Parameters<Loss>[1], reduction: "mean" | "sum"): NDArray {
  const nothing = network({ inputs: f.shape.slice(1), dtype: f.dtype }, (x) => x);
  return gradient(nothing, loss, { x: f, y }, { reduction, withRespectTo: "inputs" });
}

/** Probabilities for rows of that width, of which some are 0. */
function probabilities(random: Random, rows: number, width: number): number[] {
  return Array.from({ length: rows }, () => {
    const weights = Array.from({ length: width }, () => random.uniform());
    if (width > 2) weights[0] = 0;
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / total);
  }).flat();
}

const targetsFor = (name: string, random: Random, rows: number, width: number) =>
  name === "crossEntropy"
    ? probabilities(random, rows, width)
    : name === "mse"
      ? numbers(random, rows * width, "float64")
      : Array.from({ length: rows * width }, () => random.uniform());

describe.each<LossCase>(Object.values(lossCases))("$name", ({ name, loss, elements }) => {
  test.each(["float64", "float32"] as const)("has the formula's values and gradients in %s", (dtype) => {
    const shapes = fc.record({
      rows: fc.constantFrom(1, 2, 5),
      width: fc.constantFrom(...(name === "crossEntropy" ? [2, 3, 7] : [1, 2, 7])),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(shapes, ({ rows, width, seed }) => {
        const random = new Random(seed);
        const f = array(numbers(random, rows * width, dtype, 3), { shape: [rows, width], dtype });
        const y = array(targetsFor(name, random, rows, width), { shape: [rows, width] })
          .as(dtype)
          .as("float64");
        const expected = Array.from({ length: rows }, (_, i) =>
          elements(variables([...f.sub(i).data]), [...y.sub(i).data]),
        );
        const values = expected.flat().map(({ value }) => value);
        const sum = values.reduce((a, b) => a + b, 0);

        const none = loss(f, y, { reduction: "none" });
        expect(none.shape).toEqual(name === "crossEntropy" ? [rows] : [rows, width]);
        expect(none.dtype).toBe(dtype);
        expect(none.data).toBeAllClose(values, near(values, dtype));
        expect([loss(f, y, { reduction: "sum" })]).toBeAllClose([sum], near([sum], dtype));
        const mean = sum / values.length;
        expect([loss(f, y)]).toBeAllClose([mean], near([mean], dtype));
        expect(loss(f, y, { reduction: "mean" })).toBe(loss(f, y));

        const slopes = expected.flatMap((example) =>
          example[0].slopes.map((_, i) => example.reduce((total, element) => total + element.slopes[i], 0)),
        );
        expect(outputGradient(loss, f, y, "sum").data).toBeAllClose(slopes, near(slopes, dtype));
        const means = slopes.map((slope) => slope / values.length);
        expect(outputGradient(loss, f, y, "mean").data).toBeAllClose(means, near(means, dtype));
        expect(memoryUse().inUse).toBe(0);
      }),
    );
  });

  test("refuses what it cannot use, and names it", () => {
    const two = [
      [1, 2],
      [3, 4],
    ];
    const good =
      name === "crossEntropy"
        ? [0, 1]
        : [
            [0, 1],
            [1, 0],
          ];
    const refuses = (call: () => unknown, error: typeof ShapeError, message: string | RegExp) => {
      expect(call).toThrow(error);
      expect(call).toThrow(message);
      expect(memoryUse().inUse).toBe(0);
    };
    refuses(
      () => loss(two, good, { reductoin: "sum" } as never),
      OptionError,
      /unknown option "reductoin"\. Did you mean "reduction"\?/,
    );
    refuses(
      () => loss(two, good, { reduction: "total" } as never),
      OptionError,
      /reduction must be one of "mean", "sum", "none", not "total"/,
    );
    refuses(() => loss([], []), ShapeError, `${name}: the batch is empty.`);
    refuses(
      () =>
        loss(
          [
            [1, Number.NaN],
            [1, 2],
          ],
          good,
        ),
      ValueError,
      `${name}: the network's output has the value NaN at [0, 1]`,
    );
    refuses(() => loss(two, [[0, 1]]), ShapeError, /targets .*\[1, 2\]/);
    refuses(
      () =>
        loss(two, [
          [Number.NaN, 1],
          [1, 0],
        ]),
      ValueError,
      `${name}: y has the value NaN at [0, 0]`,
    );
  });
});

test("crossEntropy takes integer labels as rows of one 1", () => {
  const f = array([
    [1, -2, 0.5],
    [0, 3, -1],
  ]);
  const rows = [
    [0, 0, 1],
    [1, 0, 0],
  ];
  expect(crossEntropy(f, [2, 0], { reduction: "none" }).data).toEqual(
    crossEntropy(f, rows, { reduction: "none" }).data,
  );
  expect(outputGradient(crossEntropy, f, [2, 0], "mean").data).toEqual(
    outputGradient(crossEntropy, f, rows, "mean").data,
  );
  const logSum = Math.log(Math.exp(1) + Math.exp(-2) + Math.exp(0.5));
  expect(crossEntropy(f, [2, 0], { reduction: "none" }).data[0]).toBeCloseTo(logSum - 0.5, 14);
});

test("a single output takes targets [B]", () => {
  const f = [[1], [2]];
  expect(mse(f, [0, 4])).toBe(2.5);
  expect(binaryCrossEntropy(f, [0, 1])).toBe(binaryCrossEntropy(f, [[0], [1]]));
});

test("extreme logits give their limits", () => {
  const f = [
    [1000, -1000],
    [0, 800],
    [-1e5, 1e5],
  ];
  expect([...crossEntropy(f, [0, 0, 1], { reduction: "none" }).data]).toEqual([0, 800, 0]);
  expect([...crossEntropy(f, [1, 1, 0], { reduction: "none" }).data]).toEqual([2000, 0, 2e5]);
  expect([...outputGradient(crossEntropy, array(f), [1, 1, 0], "sum").data]).toEqual([1, -1, 0, 0, -1, 1]);
  // log(1 + e^-40), of which 1 + e^-40 alone would keep nothing.
  expect(crossEntropy([[40, 0]], [0])).toBeCloseTo(Math.exp(-40), 30);

  const logits = [[1000], [1000], [-1000], [-1000], [-40]];
  const labels = [[1], [0], [0], [1], [0]];
  const values = binaryCrossEntropy(logits, labels, { reduction: "none" }).data;
  expect(values).toBeAllClose([0, 1000, 0, 1000, Math.exp(-40)]);
  expect(outputGradient(binaryCrossEntropy, array(logits), labels, "sum").data).toBeAllClose([
    0,
    1,
    0,
    -1,
    1 / (1 + Math.exp(40)),
  ]);
});

test("crossEntropy refuses what is not a label or a probability", () => {
  const f = [
    [1, 2, 3],
    [3, 4, 5],
  ];
  const cases: [targets: number[] | number[][], message: RegExp][] = [
    [[0, 3], /label 3 of sample 1 is not an integer from 0 to 2\. Likely causes: labels that count from 1/],
    [[-1, 0], /label -1 of sample 0/],
    [[0.5, 0], /label 0\.5 of sample 0/],
    [
      [
        [0.5, 0.5, 0],
        [0.5, 0.4, 0],
      ],
      /targets of sample 1 are not probabilities: .* not to 0\.9/,
    ],
    [
      [
        [0.5, 0.5, 0],
        [1.5, -0.5, 0],
      ],
      /targets of sample 1 are not probabilities/,
    ],
  ];
  for (const [targets, message] of cases) {
    expect(() => crossEntropy(f, targets)).toThrow(ValueError);
    expect(() => crossEntropy(f, targets)).toThrow(message);
  }
  expect(() => crossEntropy([[1], [2]], [0, 0])).toThrow(
    /expected outputs of at least two classes.*binaryCrossEntropy/,
  );
  expect(() => crossEntropy(f, [[0, 1]])).toThrow(/labels \[2\] or probabilities \[2, 3\], not of shape \[1, 2\]/);
  expect(crossEntropy(f, [[0], [1]])).toBe(crossEntropy(f, [0, 1]));
});

test("binaryCrossEntropy refuses targets outside 0 and 1", () => {
  for (const target of [-0.1, 1.5, 2]) {
    expect(() => binaryCrossEntropy([[1], [2]], [[1], [target]])).toThrow(ValueError);
    expect(() => binaryCrossEntropy([[1], [2]], [[1], [target]])).toThrow(
      `target ${target} (element 1) is neither a label 0 or 1 nor a probability`,
    );
  }
});
