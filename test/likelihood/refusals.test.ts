// Targets and networks that a likelihood cannot take are named where they enter.

import { describe, expect, test } from "vitest";
import {
  bernoulli,
  categorical,
  chain,
  dense,
  exp,
  gaussian,
  LaplaceError,
  type Layer,
  type Likelihood,
  OptionError,
  poisson,
  reshape,
  ShapeError,
  sigmoid,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";

describe("targets", () => {
  test.each<[string, Likelihood, unknown, number[], typeof ShapeError, RegExp]>([
    ["a label beyond the classes", categorical(), [0, 3], [2, 3], ValueError, /label 3 of sample 1 .* from 0 to 2/],
    ["a label below 0", categorical(), [-1, 0], [2, 3], ValueError, /label -1 of sample 0/],
    ["a label between two", categorical(), [0, 0.5], [2, 3], ValueError, /label 0\.5 of sample 1/],
    ["probabilities that sum to 2", categorical(), [[1, 1]], [1, 2], ValueError, /must be at least 0 and sum to 1/],
    ["labels of fewer examples", categorical(), [0], [2, 3], ShapeError, /labels \[2\] or probabilities \[2, 3\]/],
    ["a binary label 2", bernoulli(), [0, 2], [2, 1], ValueError, /target 2 \(element 1\)/],
    ["a binary label below 0", bernoulli(), [[0, 1, -1]], [1, 3], ValueError, /target -1 \(element 2\)/],
    [
      "one label where three are expected",
      bernoulli(),
      [0, 1],
      [2, 3],
      ShapeError,
      /shape \[2\], but the outputs \[2, 3\]/,
    ],
    ["a count below 0", poisson(), [3, -1], [2, 1], ValueError, /target -1 \(element 1\) is not a count/],
    ["half a count", poisson(), [[0.5, 1]], [1, 2], ValueError, /target 0\.5 \(element 0\) is not a count/],
    ["an infinite count", poisson(), [Infinity], [1, 1], ValueError, /y has the value Infinity/],
    [
      "one number where two are expected",
      gaussian(),
      [1, 2],
      [2, 2],
      ShapeError,
      /shape \[2\], but the outputs \[2, 2\]/,
    ],
    ["NaN", gaussian(), [[1, Number.NaN]], [1, 2], ValueError, /y has the value NaN at \[0, 1\]/],
  ])("%s", (_, likelihood, targets, shape, error, message) => {
    const read = () => likelihood.readTargets("here", targets as never, shape, "float64");
    expect(read).toThrow(error);
    expect(read).toThrow(message);
    expect(read).toThrow("here: ");
  });

  test("what they take, they take as it is", () => {
    expect(categorical().readTargets("", [2, 0], [2, 3], "float64").toArray()).toEqual([
      [0, 0, 1],
      [1, 0, 0],
    ]);
    expect(bernoulli().readTargets("", [1, 0.25], [2, 1], "float32").toArray()).toEqual([[1], [0.25]]);
    expect(poisson().readTargets("", [0, 7], [2, 1], "float64").toArray()).toEqual([[0], [7]]);
    expect(
      gaussian()
        .readTargets("", [[1, -2]], [1, 2], "float64")
        .toArray(),
    ).toEqual([[1, -2]]);
  });
});

describe("networks", () => {
  const ending = (outputs: number, ...last: Layer[]) => chain({ inputs: 2 }, dense(3, tanh), dense(outputs), ...last);
  test.each<[string, Likelihood, ReturnType<typeof ending>, typeof LaplaceError, RegExp]>([
    ["sigmoid before classes", categorical(), ending(3, sigmoid), LaplaceError, /ends in sigmoid/],
    [
      "sigmoid before a label",
      bernoulli(),
      ending(1, sigmoid),
      LaplaceError,
      /ends in sigmoid, .* Leave the sigmoid out/,
    ],
    [
      "sigmoid in another shape",
      bernoulli(),
      ending(2, sigmoid, (x) => reshape(x, [2, 1])),
      LaplaceError,
      /ends in sigmoid/,
    ],
    [
      "one output for classes",
      categorical(),
      ending(1),
      ShapeError,
      /at least two classes, .* shape \[1\]\. One logit is for "binary"/,
    ],
    [
      "three noises for two outputs",
      gaussian({ noise: [1, 2, 3] }),
      ending(2),
      ShapeError,
      /3 noises, but .* shape \[2\]/,
    ],
    ["exp before a rate", poisson(), ending(1, exp), LaplaceError, /ends in exp, .* applies the exponential itself/],
    ["one noise in a list for two outputs", gaussian({ noise: [1] }), ending(2), ShapeError, /1 noises, but/],
  ])("%s", (_, likelihood, net, error, message) => {
    const read = () => readLikelihood("here", likelihood, net);
    expect(read).toThrow(error);
    expect(read).toThrow(message);
    expect(read).toThrow("here: ");
  });

  test("others pass, also those that end in an activation the likelihood does not apply", () => {
    for (const [likelihood, net] of [
      [categorical(), ending(3, tanh)],
      [bernoulli(), ending(2)],
      [poisson(), ending(2, tanh)],
      [gaussian(), ending(2, exp)],
      [gaussian({ noise: [1, 2] }), ending(2, sigmoid)],
      [gaussian({ noise: [2] }), ending(1, sigmoid)],
    ] as const) {
      expect(readLikelihood("here", likelihood, net)).toBe(likelihood);
    }
  });

  test("a task stands for its likelihood, one output of a classification for a logit", () => {
    const name = (task: never, outputs: number) => readLikelihood("here", task, ending(outputs)).name;
    expect(name("regression" as never, 2)).toBe("gaussian");
    expect(name("classification" as never, 3)).toBe("categorical");
    expect(name("classification" as never, 1)).toBe("bernoulli");
    expect(name("binary" as never, 2)).toBe("bernoulli");
    expect(name("count" as never, 1)).toBe("poisson");
    expect(() => name("regresion" as never, 1)).toThrow(OptionError);
    expect(() => name("regresion" as never, 1)).toThrow(/"regression", .* not "regresion"/);
    for (const none of [undefined, null, 3, {}]) expect(() => name(none as never, 1)).toThrow(/must be gaussian\(\)/);
  });
});

describe("the noise of a Gaussian", () => {
  test.each<[unknown, RegExp]>([
    [0, /noise must be a finite number above 0, not 0/],
    [-1, /not -1/],
    [Number.NaN, /not NaN/],
    [Infinity, /not Infinity/],
    [[1, 0], /not 0/],
    [[1, "2"], /not 2/],
    [[], /a list of one for each output/],
    [{}, /a list of one for each output/],
  ])("%j is refused", (noise, message) => {
    expect(() => gaussian({ noise } as never)).toThrow(OptionError);
    expect(() => gaussian({ noise } as never)).toThrow(message);
    expect(() => gaussian({ noise } as never)).toThrow("gaussian: ");
  });

  test("unknown options are refused, with a hint", () => {
    expect(() => gaussian({ nois: 1 } as never)).toThrow(/unknown option "nois"\. Did you mean "noise"\?/);
  });

  test("of several outputs is known by its geometric mean, and scales as a whole", () => {
    const likelihood = gaussian({ noise: [1, 4] });
    expect([likelihood.hyper.value]).toBeAllClose([2], { relative: 1e-15 });
    const doubled = likelihood.withHyper?.(4) as Likelihood;
    const { variance } = doubled.targetAt(new Float64Array(2), [2]);
    expect(variance).toBeAllClose([4, 64], { relative: 1e-14 });
  });
});
