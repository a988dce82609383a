import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, Random } from "../../src/index.ts";
import { activationCode, kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { differences } from "../reference/arrays.ts";
import { derivatives, exact, exactSlopes, functions, type Name, normalCdf, type Pair } from "../reference/functions.ts";
import { describeBuilds } from "./builds.ts";

const names = Object.keys(activationCode) as Name[];
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
  const grid = Array.from({ length: 2001 }, (_, i) => from + ((to - from) * i) / 2000);
  for (let i = 0; i < 3000; i++) grid.push(i / 300 - 5 + random.uniform() / 300);
  for (let exponent = -1022; exponent < 10; exponent++) {
    const x = 2 ** exponent * (1 + random.uniform());
    grid.push(x, -x);
  }
  for (let i = 0; i < 2000; i++) grid.push(from + (to - from) * random.uniform());
  return grid.filter((x) => x >= from && x <= to);
}

/** The largest error in units in the last place of the expected value; with `absolute`, of 1. */
function worst(
  dtype: DType,
  xs: readonly number[],
  actual: ArrayLike<number>,
  expected: (x: number) => Pair,
  absolute = (_x: number) => false,
) {
  const [digits, smallest, largest] =
    dtype === "float64" ? [52, 2 ** -1022, Number.MAX_VALUE] : [23, 2 ** -126, 3.4028234663852886e38];
  let found = { error: 0, x: Number.NaN };
  xs.forEach((x, i) => {
    const [high, low] = expected(x);
    if (Object.is(actual[i], high) || (Math.abs(high) > largest && actual[i] === Math.sign(high) * inf)) return;
    const size = absolute(x) ? 1 : Math.max(Math.abs(high), smallest);
    // The reference has fewer digits below 1e-290: there the unit is not rounded down to a power of two.
    const scale = size < 1e-290 ? size : 2 ** Math.floor(Math.log2(size));
    const error = (Math.abs(actual[i] - high - low) / scale) * 2 ** digits;
    if (!(error <= found.error)) found = { error, x };
  });
  return found;
}

describeBuilds("activations", () => {
  // Bounds on the errors of φ and φ′ in units in the last place, in every build; elementwise.ts states them.
  const bounds: Record<Name, [number, number]> = {
    relu: [0, 0],
    leakyRelu: [1, 0.5],
    elu: [2, 2],
    selu: [2.5, 2.5],
    gelu: [4, 4],
    silu: [3, 4],
    softplus: [2, 2.5],
    sigmoid: [2.5, 2.5],
    tanh: [2.6, 2.5],
    exp: [1, 1],
    log: [1, 1],
    erf: [1.5, 2.2],
    cos: [2.5, 2.5],
  };
  // silu′ has a zero at -1.278: near it the error is relative to 1.
  const nearZero = (name: Name) => (x: number) => name === "silu" && x > -1.6 && x < -1;

  test.each(names)("of float64: %s and its derivative are within their bounds", (name) => {
    const xs = points(-760, 760).filter((x) => name !== "log" || x > 0);
    xs.push(...points(-40, 40).filter((x) => name !== "log" || x > 0));
    const { values, slopes } = evaluate(name, xs);
    const value = worst("float64", xs, values, (x) => exact[name](x, alphaOf(name)));
    expect(value.error, `at ${value.x}`).toBeLessThanOrEqual(bounds[name][0]);
    const slope = worst("float64", xs, slopes, (x) => exactSlopes[name](x, alphaOf(name)), nearZero(name));
    expect(slope.error, `at ${slope.x}`).toBeLessThanOrEqual(bounds[name][1]);
  });

  test.each(names)("of float32: %s and its derivative are within their bounds", (name) => {
    const all = [...points(-110, 110), ...points(-16, 16)].map(Math.fround);
    const xs = all.filter((x) => name !== "log" || x > 0);
    const { values, slopes } = evaluate(name, xs, "float32");
    const value = worst("float32", xs, values, (x) => exact[name](x, alphaOf(name)));
    expect(value.error, `at ${value.x}`).toBeLessThanOrEqual(bounds[name][0]);
    const slope = worst("float32", xs, slopes, (x) => exactSlopes[name](x, alphaOf(name)), nearZero(name));
    expect(slope.error, `at ${slope.x}`).toBeLessThanOrEqual(bounds[name][1]);
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
    ["erf", 0.5, 0.5204998778130465],
    ["erf", -2, -0.9953222650189527],
    ["cos", 1, 0.5403023058681398],
    ["cos", -22, -0.9999608263946371],
    ["cos", 1e5, -0.9993608074382122],
    ["log", 2, Math.LN2],
    ["log", 10, Math.LN10],
    ["log", 5e-324, -744.4400719213812],
    ["exp", 1, Math.E],
    ["exp", -745, 5e-324],
    ["exp", 709.78, 1.7928227943945155e308],
    ["relu", -3, 0],
    ["relu", 3, 3],
    ["leakyRelu", -3, -0.03],
    ["selu", 1, 1.0507009873554805],
  ])("%s(%d) is %d", (name, x, expected) => {
    const [value] = evaluate(name, [x], "float64", name === "elu" ? 1 : 0.01).values;
    expect([value]).toBeAllClose([expected], { relative: 1e-15 });
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
    ["log", [Number.NaN, Number.NaN, 709.1962086421661, inf], [-0, -1e-308, 1e-308, 0]],
    ["erf", [-1, -1, 1, 1], [0, 0, 0, 0]],
  ])("%s has its limits at both ends", (name, values, slopes) => {
    const got = evaluate(name, [-inf, -1e308, 1e308, inf]);
    expect(got.values).toBeAllClose(values, { relative: 1e-15 });
    expect(got.slopes).toBeAllClose(slopes, { relative: 1e-15 });
  });

  test.each(names)("%s and its derivative are finite at ±745, ±709, ±1e-310 and zeros of both signs", (name) => {
    const xs = [745, -745, 709, -709, 1e-310, -1e-310, 0, -0].filter((x) =>
      name === "log" ? x > 1e-300 : name !== "exp" || x < 710,
    );
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

  test.each(["tanh", "elu", "selu", "gelu", "silu", "leakyRelu", "erf"] as const)(
    "%s keeps the sign of a zero",
    (name) => {
      expect(differences(evaluate(name, [0, -0]).values, [0, -0])).toEqual([]);
    },
  );

  test.each(names)("%s of NaN is NaN, wherever it stands", (name) => {
    for (const dtype of ["float32", "float64"] as const) {
      for (let n = 1; n <= 5; n++) {
        for (let at = 0; at < n; at++) {
          const xs = new Array(n).fill(0.5);
          xs[at] = Number.NaN;
          const { values, slopes } = evaluate(name, xs, dtype);
          expect(Array.from(values, Number.isNaN)).toEqual(xs.map(Number.isNaN));
          expect(Array.from(slopes, Number.isNaN)).toEqual(xs.map(Number.isNaN));
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
    const from = name === "log" ? 0.5 : -20;
    const x = fc.double({ min: from, max: 20, noNaN: true }).filter((at) => Math.abs(at) > 1e-3);
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

  test("log is -Infinity at zeros of both signs and NaN below, in both types", () => {
    for (const dtype of ["float32", "float64"] as const) {
      expect(Array.from(evaluate("log", [0, -0, -1e-30, -inf], dtype).values)).toEqual([
        -inf,
        -inf,
        Number.NaN,
        Number.NaN,
      ]);
    }
  });

  test("denormal values and slopes are right, though factors of them would be rounded to less", () => {
    expect(evaluate("silu", [-749]).values).toBeAllClose([-4e-323], { absolute: 5e-324 });
    expect(evaluate("gelu", [-38.5]).values).toBeAllClose([-5.4e-323], { absolute: 5e-324 });
    expect(evaluate("tanh", [-372]).slopes).toBeAllClose([3e-323], { absolute: 5e-324 });
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
