import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, Random } from "../../src/index.ts";
import { activationCode, kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { differences } from "../reference/arrays.ts";
import { derivatives, functions, type Name, normalCdf } from "../reference/functions.ts";

const names = Object.keys(activationCode) as Name[];
const smooth = ["gelu", "silu", "softplus", "sigmoid", "tanh", "exp"] as const;
const kinked = ["relu", "leakyRelu", "elu", "selu"] as const;
const alphaOf = (name: Name) => (name === "elu" ? 0.7 : 0.01);
const inf = Number.POSITIVE_INFINITY;

/** φ and φ′ of every number, by the kernels. */
function evaluate(name: Name, xs: ArrayLike<number>, dtype: DType = "float64", alpha = alphaOf(name)) {
  return scope(() => {
    const n = xs.length;
    const [x, y, d] = [copyIn(dtype, xs), allocateFloats(dtype, n), allocateFloats(dtype, n)];
    const kernels = kernelsFor(dtype);
    kernels.activation(activationCode[name], n, x, y, alpha);
    kernels.activationDerivative(activationCode[name], n, x, y, d, alpha);
    return { values: copyOut(dtype, y, n), slopes: copyOut(dtype, d, n) };
  });
}

/** Dense grids over [from, to] and about 0, random numbers between, and numbers of every exponent. */
function points(from: number, to: number): number[] {
  const random = new Random(1);
  const grid = Array.from({ length: 4001 }, (_, i) => from + ((to - from) * i) / 4000);
  for (let i = 0; i < 6000; i++) grid.push(i / 600 - 5 + random.uniform() / 600);
  for (let exponent = -1022; exponent < 10; exponent++) {
    const x = 2 ** exponent * (1 + random.uniform());
    grid.push(x, -x);
  }
  for (let i = 0; i < 4000; i++) grid.push(from + (to - from) * random.uniform());
  return grid.filter((x) => x >= from && x <= to);
}

/** The largest |actual − expected| / (2^-52 |expected|) or, for `absolute`, without the division by |expected|. */
function worst(xs: readonly number[], actual: ArrayLike<number>, expected: (x: number) => number, absolute = false) {
  let largest = { error: 0, x: Number.NaN };
  xs.forEach((x, i) => {
    const want = expected(x);
    // Below the normal numbers half a unit in the last place is not relative any more.
    const scale = absolute ? 1 : Math.max(Math.abs(want), 2 ** -1022);
    const error = Math.abs(actual[i] - want) / scale / 2 ** -52;
    if (!(error <= largest.error)) largest = { error, x };
  });
  return largest;
}

describe("activations", () => {
  // The largest errors seen, in units of 2^-52 relative to the value, against references that err by up to one
  // themselves; the bounds are little above them.
  test.each<[Name, number, number, number]>([
    ["relu", -1e3, 1e3, 0],
    ["leakyRelu", -1e3, 1e3, 0],
    ["elu", -720, 720, 2],
    ["selu", -720, 720, 2.5],
    ["silu", -700, 700, 2.5],
    ["softplus", -740, 740, 2.5],
    ["sigmoid", -740, 740, 2],
    ["tanh", -30, 30, 2.5],
    ["exp", -740, 709, 1.5],
    ["gelu", -1, 40, 6],
    ["gelu", -2.83, -1, 900], // the sum of two numbers near 1/2
    ["gelu", -6, -2.83, 50],
    ["gelu", -38, -6, 1200], // e^(-x²/2), where the rounding of x² counts
  ])("of float64: %s on [%d, %d] errs by at most %d units", (name, from, to, bound) => {
    const xs = points(from, to);
    const { values } = evaluate(name, xs);
    const { error, x } = worst(xs, values, (at) => functions[name](at, alphaOf(name)));
    expect(error, `at ${x}`).toBeLessThanOrEqual(bound);
  });

  // Relative to the derivative, or absolutely where it is the difference of numbers near 1: 1 − y for y rounded to 1,
  // as in the usual frameworks, and around the zeros of silu′ and gelu′.
  test.each<[Name, number, number, number, "relative" | "absolute"]>([
    ["relu", -1e3, 1e3, 0, "relative"],
    ["leakyRelu", -1e3, 1e3, 0, "relative"],
    ["elu", -720, 720, 2, "relative"],
    ["selu", -720, 720, 2.5, "relative"],
    ["softplus", -740, 740, 2, "relative"],
    ["exp", -740, 709, 1.5, "relative"],
    ["sigmoid", -740, 0, 2.5, "relative"],
    ["sigmoid", 0, 740, 1, "absolute"],
    ["tanh", -1, 1, 5, "relative"],
    ["tanh", -740, 740, 2.5, "absolute"],
    ["silu", -700, -2, 5, "relative"],
    ["silu", -2, 6, 7, "absolute"],
    ["silu", 6, 700, 22, "absolute"],
    ["gelu", -38, -6, 300, "relative"],
    ["gelu", -6, 40, 3, "absolute"],
  ])("of float64: the derivative of %s on [%d, %d] errs by at most %d units, %s", (name, from, to, bound, kind) => {
    const xs = points(from, to);
    const { slopes } = evaluate(name, xs);
    const { error, x } = worst(xs, slopes, (at) => derivatives[name](at, alphaOf(name)), kind === "absolute");
    expect(error, `at ${x}`).toBeLessThanOrEqual(bound);
  });

  test.each(names)("of float32 are those of float64, rounded once: %s", (name) => {
    const xs = points(-80, 80).map(Math.fround);
    const narrow = evaluate(name, xs, "float32");
    const wide = evaluate(name, xs);
    expect(differences(narrow.values, wide.values.map(Math.fround))).toEqual([]);
    if (["sigmoid", "tanh", "exp"].includes(name)) {
      // Computed from the rounded y.
      const error = worst(xs, narrow.slopes, (x) => derivatives[name](x, 0.01), name !== "exp").error;
      expect(error).toBeLessThanOrEqual(2 ** 29);
    } else {
      expect(differences(narrow.slopes, wide.slopes.map(Math.fround))).toEqual([]);
    }
  });

  test.each<[Name, number, number]>([
    ["tanh", 1e-9, 1e-9],
    ["tanh", -1e-9, -1e-9],
    ["elu", -1e-12, -9.999999999995e-13],
    ["selu", -1e-12, -1.7580993408464979e-12],
    ["softplus", -40, 4.248354255291589e-18],
    ["softplus", 0, Math.LN2],
    ["softplus", 40, 40],
    ["sigmoid", -700, 9.85967654375977e-305],
    ["sigmoid", -744, 1e-323],
    ["sigmoid", 0, 0.5],
    ["sigmoid", 40, 1],
    ["silu", -700, -6.901773580631839e-302],
    ["gelu", 1e-12, 5.000000000003989e-13],
    ["gelu", 1, 0.8413447460685429],
    ["gelu", -1, -0.15865525393145707],
    ["gelu", -10, -7.619853024160526e-23],
    ["exp", 1, Math.E],
    ["exp", -745, 5e-324],
    ["exp", 709.78, 1.7928227943945155e308],
    ["relu", -3, 0],
    ["relu", 3, 3],
    ["leakyRelu", -3, -0.03],
    ["selu", 1, 1.0507009873554805],
  ])("%s(%d) is %d", (name, x, expected) => {
    const [value] = evaluate(name, [x], "float64", name === "elu" ? 1 : 0.01).values;
    expect([value]).toBeAllClose([expected], { relative: name === "gelu" ? 1e-14 : 1e-15 });
  });

  // φ and φ′ at −∞, −1e308, 1e308, ∞.
  test.each<[Name, number[], number[]]>([
    ["relu", [0, 0, 1e308, inf], [0, 0, 1, 1]],
    ["leakyRelu", [-inf, -1e306, 1e308, inf], [0.01, 0.01, 1, 1]],
    ["elu", [-0.7, -0.7, 1e308, inf], [0, 0, 1, 1]],
    [
      "selu",
      [-1.7580993408473766, -1.7580993408473766, 1.0507009873554805 * 1e308, inf],
      [0, 0, 1.0507009873554805, 1.0507009873554805],
    ],
    ["gelu", [-0, -0, 1e308, inf], [0, 0, 1, 1]],
    ["silu", [-0, -0, 1e308, inf], [0, 0, 1, 1]],
    ["softplus", [0, 0, 1e308, inf], [0, 0, 1, 1]],
    ["sigmoid", [0, 0, 1, 1], [0, 0, 0, 0]],
    ["tanh", [-1, -1, 1, 1], [0, 0, 0, 0]],
    ["exp", [0, 0, inf, inf], [0, 0, inf, inf]],
  ])("%s has its limits at both ends", (name, values, slopes) => {
    const got = evaluate(name, [-inf, -1e308, 1e308, inf]);
    expect(got.values).toBeAllClose(values, { relative: 1e-15 });
    expect(got.slopes).toBeAllClose(slopes, { relative: 1e-15 });
  });

  test.each(names)("%s and its derivative are finite at ±745, ±709, ±1e-310 and zeros of both signs", (name) => {
    const xs = [745, -745, 709, -709, 1e-310, -1e-310, 0, -0].filter((x) => name !== "exp" || x < 710);
    const { values, slopes } = evaluate(name, xs);
    const alpha = alphaOf(name);
    expect(values).toBeAllClose(
      xs.map((x) => functions[name](x, alpha)),
      { relative: 1e-15, absolute: 5e-324 },
    );
    expect(slopes).toBeAllClose(
      xs.map((x) => derivatives[name](x, alpha)),
      { relative: 1e-15, absolute: 3e-16 },
    );
  });

  test.each(["tanh", "elu", "selu", "gelu", "silu", "leakyRelu"] as const)("%s keeps the sign of a zero", (name) => {
    expect(differences(evaluate(name, [0, -0]).values, [0, -0])).toEqual([]);
  });

  test.each(names)("%s of NaN is NaN, wherever it stands", (name) => {
    for (const dtype of ["float32", "float64"] as const) {
      for (let n = 1; n <= 5; n++) {
        for (let at = 0; at < n; at++) {
          const xs = new Array(n).fill(0.5);
          xs[at] = Number.NaN;
          const { values, slopes } = evaluate(name, xs, dtype);
          expect(Array.from(values, Number.isNaN)).toEqual(xs.map(Number.isNaN));
          if ((smooth as readonly string[]).includes(name)) {
            expect(Array.from(slopes, Number.isNaN)).toEqual(xs.map(Number.isNaN));
          }
        }
      }
    }
  });

  test.each(names)("%s writes exactly the n numbers asked for, each independent of its place", (name) => {
    for (const dtype of ["float32", "float64"] as const) {
      const xs = [-2.5, 0.1, 3, -0.75, 1e-3, -40, 6, -1, 0.5];
      const all = evaluate(name, xs, dtype);
      for (let n = 1; n <= 9; n++) {
        const [y, d] = scope(() => {
          const x = copyIn(dtype, xs);
          const [y, d] = [copyIn(dtype, new Array(12).fill(77)), copyIn(dtype, new Array(12).fill(77))];
          kernelsFor(dtype).activation(activationCode[name], n, x, y, alphaOf(name));
          kernelsFor(dtype).activationDerivative(activationCode[name], n, x, y, d, alphaOf(name));
          return [copyOut(dtype, y, 12), copyOut(dtype, d, 12)];
        });
        const rest = new Array(12 - n).fill(77);
        expect(Array.from(y)).toEqual([...all.values.subarray(0, n), ...rest]);
        expect(Array.from(d)).toEqual([...all.slopes.subarray(0, n), ...rest]);
      }
    }
  });

  test.each(names)("%s may overwrite its argument", (name) => {
    const xs = [-2.5, 0.1, 3, -0.75, 1e-3];
    scope(() => {
      const x = copyIn("float64", xs);
      kernelsFor("float64").activation(activationCode[name], 5, x, x, alphaOf(name));
      expect(differences(copyOut("float64", x, 5), evaluate(name, xs).values)).toEqual([]);
    });
  });

  test.each(names)("the derivative of %s is what central differences tend to", (name) => {
    const x = fc.double({ min: -20, max: 20, noNaN: true }).filter((at) => Math.abs(at) > 1e-3);
    fc.assert(
      fc.property(x, (at) => {
        const h = 2 ** -17;
        const { values } = evaluate(name, [at - h, at + h]);
        const slope = evaluate(name, [at]).slopes[0];
        const difference = (values[1] - values[0]) / (2 * h);
        expect([difference]).toBeAllClose([slope], { relative: 1e-9, absolute: 1e-9 });
      }),
    );
  });

  test.each(kinked)("the derivative of %s at 0 is the one from the left", (name) => {
    const alpha = 0.7;
    expect(evaluate(name, [0], "float64", alpha).slopes).toBeAllClose([derivatives[name](0, alpha)], {
      relative: 1e-15,
    });
  });
});

describe("the reference's normal distribution", () => {
  test("agrees with tabulated values", () => {
    const table: [number, number][] = [
      [0, 0.5],
      [-1, 0.15865525393145705],
      [-2, 0.02275013194817921],
      [-6, 9.865876450376981e-10],
      [-10, 7.619853024160527e-24],
      [-37, 5.725571222524577e-300],
      [1, 0.8413447460685429],
    ];
    for (const [x, p] of table) expect([normalCdf(x)]).toBeAllClose([p], { relative: 1e-15 });
  });
});
