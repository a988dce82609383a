// Models that cannot become a network are refused, with the reason.

import { describe, expect, test } from "vitest";
import {
  add,
  chain,
  concatenate,
  dense,
  elu,
  flatten,
  LaplaceError,
  type Layer,
  leakyRelu,
  multiply,
  network,
  OptionError,
  relu,
  reshape,
  residual,
  ShapeError,
  scaleShift,
  softmax,
  subtract,
  type Traced,
  tanh,
} from "../../src/index.ts";

/** What JavaScript's type checker would not let pass. */
const untyped = (f: (x: never) => unknown) => f as unknown as Layer;
const make = (model: Layer, inputs: number | number[] = 6) => network({ inputs }, model);

describe("a model is refused", () => {
  test.each<[string, Layer, RegExp]>([
    ["that returns a constant", untyped(() => 3), /must return a value it computed from its argument/],
    ["that returns nothing", untyped(() => undefined), /must return a value it computed from its argument/],
    ["that returns a promise", untyped(async (x) => x), /must return a value it computed from its argument/],
    [
      "that calculates with JavaScript's operators",
      untyped((x) => x * 2),
      /operators and comparisons have no derivative/,
    ],
    ["that adds with JavaScript's operators", untyped((x) => dense(1)((x + 1) as never)), /no derivative rule/],
    ["that compares with JavaScript's operators", untyped((x) => (x > 0 ? x : relu(x))), /no derivative rule/],
    [
      "that passes a number where a value is expected",
      untyped(() => relu(3 as never)),
      /relu: expected a traced value, .*got number/,
    ],
    ["that multiplies a value by NaN", (x) => multiply(x, Number.NaN), /multiply: the constant NaN is not finite/],
    ["that adds infinity to a value", (x) => add(x, Number.POSITIVE_INFINITY), /add: the constant Infinity/],
    ["that has an infinite slope", (x) => leakyRelu(x, Number.POSITIVE_INFINITY), /leakyRelu: the constant Infinity/],
    ["that has a slope that is not a number", (x) => elu(x, Number.NaN), /elu: the constant NaN/],
    ["that ends in softmax", chain(dense(3), softmax), /ends in softmax, but losses and likelihoods take logits/],
    ["that concatenates nothing", () => concatenate(), /there is nothing to concatenate/],
    ["that concatenates options alone", () => concatenate({ axis: 0 }), /there is nothing to concatenate/],
    ["that misspells an axis", (x) => concatenate(x, { axes: 0 } as never), /concatenate: unknown option "axes"/],
    [
      "that concatenates a number",
      (x) => concatenate(x, 3 as never),
      /concatenate: expected a traced value, .*got number/,
    ],
    [
      "with a layer whose value is not used",
      (x) => {
        dense(2)(x);
        return tanh(x);
      },
      /layer with "0\.weight" is applied, but its value does not reach the output/,
    ],
    [
      "with two layers of one name",
      chain(dense(2, relu, { name: "hidden" }), dense(2, relu, { name: "hidden" })),
      /Two layers are named "hidden"/,
    ],
  ])("%s", (_, model, message) => {
    expect(() => make(model)).toThrow(LaplaceError);
    expect(() => make(model)).toThrow(message);
  });

  test("that mixes values of two networks", () => {
    let stranger: Traced | undefined;
    make((x) => {
      stranger = x;
      return x;
    });
    expect(() => make((x) => add(x, stranger as Traced))).toThrow(LaplaceError);
    expect(() => make((x) => add(x, stranger as Traced))).toThrow(/add: its inputs belong to different networks/);
    expect(() => make(() => stranger as Traced)).toThrow(/must return a value it computed from its argument/);
  });
});

describe("shapes that do not fit are refused", () => {
  const shared = dense(2);
  const stretch = scaleShift();
  test.each<[string, Layer, number[], RegExp]>([
    ["a dense layer at another width", chain(shared, shared), [6], /linear: the layer takes 6 inputs, .* shape \[2\]/],
    ["scaleShift at another width", chain(stretch, dense(2), stretch), [6], /scaleShift: the layer takes 6 inputs/],
    ["a residual of another width", residual(dense(2)), [6], /add: the shapes \[6\] and \[2\] differ/],
    ["a product of two shapes", (x) => multiply(x, dense(2)(x)), [6], /multiply: the shapes \[6\] and \[2\] differ/],
    ["a difference of two shapes", (x) => subtract(dense(2)(x), x), [6], /add: the shapes \[2\] and \[6\] differ/],
    ["a shape with other elements", (x) => reshape(x, [4, 2]), [6], /reshape: \[6\] cannot take the shape \[4, 2\]/],
    ["a shape with negative lengths", (x) => reshape(x, [-2, -3]), [6], /cannot take the shape \[-2, -3\]/],
    ["a shape with fractions", (x) => reshape(x, [1.5, 4]), [6], /cannot take the shape \[1\.5, 4\]/],
    [
      "columns of two heights",
      (x) => concatenate(x, reshape(x, [1, 6])),
      [6],
      /\[6\] and \[1, 6\] differ in another axis than 0/,
    ],
    [
      "images of two widths, by channels",
      (x) => concatenate(x, x, reshape(x, [2, 3, 1]), { axis: -3 }),
      [1, 2, 3],
      /concatenate: \[1, 2, 3\] and \[1, 2, 3\] and \[2, 3, 1\] differ in another axis than 0/,
    ],
    ["an axis there is not", (x) => concatenate(x, x, { axis: 3 }), [1, 2, 3], /concatenate: .* has no axis 3/],
    ["a dense layer on a number", dense(1), [], /dense: expected a vector as input/],
    ["scaleShift on a number", scaleShift(), [], /scaleShift: expected a vector as input/],
    ["softmax of a number", (x) => flatten(softmax(x)), [], /softmax: a single number has no axis/],
  ])("%s", (_, model, inputs, message) => {
    expect(() => make(model, inputs)).toThrow(ShapeError);
    expect(() => make(model, inputs)).toThrow(message);
  });
});

test("options of layers are checked", () => {
  const cases: [make: () => unknown, message: RegExp][] = [
    [() => dense(0), /dense: outputs must be an integer of at least 1, not 0/],
    [() => dense(1.5), /dense: outputs must be an integer of at least 1, not 1\.5/],
    [() => dense(1, relu, { biass: false } as never), /dense: unknown option "biass"\. Did you mean "bias"\?/],
    [() => dense(1, relu, { init: "xavier" as never }), /init must be one of "glorotUniform", .*, not "xavier"/],
    [() => dense(1, { bias: false } as never), /the activation must be a function such as relu, not object/],
    [() => scaleShift({ shfit: false } as never), /scaleShift: unknown option "shfit"/],
    [() => scaleShift({ scale: false, shift: false }), /without a scale and without a shift nothing is left/],
  ];
  for (const [make, message] of cases) {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  }
  expect(() => chain(relu, 3 as never)).toThrow(/A layer must be a function over traced values, not number/);
  expect(() => chain(relu, class Halves {} as never)).toThrow(/A layer must be a function .*, not the class Halves/);
});

test("a value that is computed and not used costs nothing", () => {
  const net = make((x) => {
    tanh(x);
    return relu(x);
  });
  expect(net.summary()).not.toContain("tanh");
  expect([...net.forward([[1, -1, 2, -2, 3, -3]]).data]).toEqual([1, 0, 2, 0, 3, 0]);
});
