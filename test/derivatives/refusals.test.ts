// Bad input is named where it enters, and nothing is half-changed behind it.

import { afterEach, describe, expect, test } from "vitest";
import {
  array,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  dense,
  gradient,
  jacobian,
  jvp,
  type LaplaceError,
  MemoryBudgetError,
  mse,
  OptionError,
  perSampleGradientNorms,
  perSampleGradients,
  randomNormal,
  ShapeError,
  tanh,
  ValueError,
  vjp,
  zeros,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, tanh), dense(3));
const before = net.parameters.clone();
const x = randomNormal([4, 2], { seed: 1 });
const y = randomNormal([4, 3], { seed: 2 });

afterEach(() => {
  expect(net.parameters).toEqual(before);
  expect(memoryUse().inUse).toBe(0);
});

function refuses(call: () => unknown, error: new (...values: never[]) => LaplaceError, message: RegExp): void {
  expect(call).toThrow(error);
  expect(call).toThrow(message);
}

const overX = { forward: net.forward.bind(net), jacobian: (x: never) => jacobian(net, x) };
describe.each<[string, (x: never) => unknown]>([
  ...Object.entries(overX),
  ["jvp", (x) => jvp(net, x, zeros([net.parameterCount]))],
  ["vjp", (x) => vjp(net, x, zeros([4, 3]))],
])("%s refuses inputs", (name, call) => {
  test.each<[string, unknown, typeof ShapeError, RegExp]>([
    ["of another width", zeros([4, 3]), ShapeError, /inputs of shape \[B, 2\], B examples, got \[4, 3\]/],
    ["that are one example", [1, 2], ShapeError, /got \[2\]\. One example is a batch of one/],
    ["that are a number", 3, ShapeError, /inputs of shape \[B, 2\], B examples, got \[\]/],
    ["of an empty batch", zeros([0, 2]), ShapeError, /the batch is empty/],
    ["that are not finite", [[1, Number.POSITIVE_INFINITY]], ValueError, /x has the value Infinity at \[0, 1\]/],
    ["that are not numbers", [["1", 2]], ValueError, /"1" \(string\), is not a number/],
  ])("%s", (_, bad, error, message) => {
    refuses(() => call(bad as never), error, message);
    if (!message.source.includes("string")) expect(() => call(bad as never)).toThrow(`${name}: `);
  });
});

const losses = { gradient, perSampleGradients, perSampleGradientNorms };
describe.each(Object.entries(losses))("%s refuses", (name, derivative) => {
  const rows = [
    [1, 2],
    [3, 4],
  ];
  test.each<[string, typeof mse, unknown, typeof ShapeError, RegExp]>([
    ["inputs of another width", mse, { x: zeros([4, 3]), y }, ShapeError, /inputs of shape \[B, 2\]/],
    ["one example without a batch", mse, { x: [1, 2], y: [1, 2] }, ShapeError, /add an axis in front/],
    ["an empty batch", mse, { x: zeros([0, 2]), y: zeros([0, 3]) }, ShapeError, /there are no samples/],
    ["targets of another shape", mse, { x, y: zeros([4, 2]) }, ShapeError, /shape \[4, 2\], but the outputs \[4, 3\]/],
    ["other numbers of inputs and targets", mse, { x, y: zeros([3, 3]) }, ShapeError, /\[4, 2\] and \[3, 3\]/],
    ["data without targets", mse, { x }, ValueError, /an object \{ x, y \} of inputs and targets/],
    ["inputs that are not finite", mse, { x: [[Number.NaN, 1]], y: [[1, 2, 3]] }, ValueError, /x has the value NaN/],
    ["targets that are not finite", mse, { x: [[1, 1]], y: [[1, Number.NaN, 3]] }, ValueError, /y has the value NaN/],
    ["labels beyond the classes", crossEntropy, { x: rows, y: [0, 3] }, ValueError, /label 3 of sample 1/],
    ["labels below 0", crossEntropy, { x: rows, y: [-1, 0] }, ValueError, /label -1 of sample 0/],
    ["labels that are fractions", crossEntropy, { x: rows, y: [0.5, 1] }, ValueError, /label 0\.5 of sample 0/],
    [
      "probabilities that do not sum to 1",
      crossEntropy,
      {
        x: rows,
        y: [
          [0.5, 0.5, 0],
          [0.5, 0.5, 0.5],
        ],
      },
      ValueError,
      /targets of sample 1 are not probabilities/,
    ],
    [
      "binary targets beyond 1",
      binaryCrossEntropy,
      {
        x: rows,
        y: [
          [0, 1, 0],
          [0, 1, 2],
        ],
      },
      ValueError,
      /target 2 \(element 5\)/,
    ],
    [
      "a loss of the user's own",
      ((f: number) => f) as never,
      { x, y },
      ValueError,
      /loss must be mse, crossEntropy, binaryCrossEntropy or a likelihood/,
    ],
  ])("%s", (_, loss, batch, error, message) => {
    refuses(() => derivative(net, loss, batch as { x: never; y: never }), error, message);
    expect(() => derivative(net, loss, batch as { x: never; y: never })).toThrow(`${name}: `);
  });

  test("unknown options and reductions", () => {
    const call = (options: object) => () => derivative(net, mse, { x, y }, options);
    refuses(call({ reducktion: "sum" }), OptionError, /unknown option "reducktion"\. Did you mean "reduction"\?/);
    refuses(call({ reduction: "none" }), OptionError, /reduction must be one of "mean", "sum", not "none"/);
  });
});

test("numbers that float32 cannot hold are named, not turned into infinity", () => {
  const single = net.graph;
  const narrow = chain({ inputs: 2 }, dense(3, tanh), dense(3));
  expect(single.parameterCount).toBe(narrow.parameterCount);
  const huge = [[1, 1e39]];
  refuses(() => jacobian(narrow, huge), ValueError, /x as float32 has the value Infinity at \[0, 1\]/);
  refuses(() => gradient(narrow, mse, { x: [[1, 1]], y: [[1, 1, 1e39]] }), ValueError, /y as float32 .* at \[0, 2\]/);
  refuses(() => vjp(narrow, [[1, 1]], [[1, 1, -1e39]]), ValueError, /cotangent as float32 has the value -Infinity/);
  refuses(() => jvp(narrow, [[1, 1]], { inputs: huge }), ValueError, /tangent of the inputs as float32/);
});

test("tangents and cotangents of other shapes are refused", () => {
  const good = zeros([net.parameterCount]);
  refuses(
    () => jvp(net, x, zeros([5])),
    ShapeError,
    /jvp: the tangent must be a vector of the network's 21 parameters/,
  );
  refuses(() => jvp(net, x, 3), ShapeError, /not of shape \[\]/);
  refuses(() => jvp(net, x, { inputs: zeros([4, 3]) }), ShapeError, /tangent of the inputs must have shape \[4, 2\]/);
  refuses(() => jvp(net, x, { parameters: zeros([1]), inputs: x }), ShapeError, /not of shape \[1\]/);
  refuses(() => jvp(net, x, {}), OptionError, /the tangent has neither parameters nor inputs/);
  refuses(() => jvp(net, x, { input: x } as never), OptionError, /unknown option "input"\. Did you mean "inputs"\?/);
  good.data[2] = Number.NaN;
  refuses(() => jvp(net, x, good), ValueError, /the tangent has the value NaN at \[2\]/);
  refuses(() => vjp(net, x, zeros([4, 2])), ShapeError, /vjp: the cotangent must have shape \[4, 3\], not \[4, 2\]/);
  refuses(() => vjp(net, x, zeros([3])), ShapeError, /the cotangent must have shape \[4, 3\], not \[3\]/);
  refuses(() => vjp(net, x, [[Number.NaN, 1, 1]] as never), ShapeError, /not \[1, 3\]/);
});

test("unknown options are refused by everything that takes options", () => {
  refuses(() => jacobian(net, x, { budget: 3 } as never), OptionError, /jacobian: unknown option "budget"/);
  refuses(
    () => jacobian(net, x, { withRespectTo: "x" as never }),
    OptionError,
    /one of "parameters", "inputs", not "x"/,
  );
  refuses(() => vjp(net, x, y, { out: y } as never), OptionError, /vjp: unknown option "out"/);
  refuses(
    () => vjp(net, x, y, { withRespectTo: "weights" as never }),
    OptionError,
    /vjp: withRespectTo must be one of/,
  );
  refuses(
    () => gradient(net, mse, { x, y }, { withRespectTo: "outputs" as never }),
    OptionError,
    /gradient: withRespectTo must be one of/,
  );
  const limited = { memoryBudget: 3 } as never;
  refuses(() => gradient(net, mse, { x, y }, limited), OptionError, /gradient: unknown option "memoryBudget"/);
});

test("an out of another shape or element type is refused and left alone", () => {
  const outs = [zeros([4, 3]), zeros([4, 3, 21], { dtype: "float32" })];
  for (const out of outs) {
    out.data.fill(7);
    refuses(() => jacobian(net, x, { out }), ShapeError, /jacobian: out is a float\d\d array .* result is float64/);
    expect(out.data.every((value) => value === 7)).toBe(true);
  }
  refuses(() => gradient(net, mse, { x, y }, { out: zeros([20]) }), ShapeError, /gradient: out is .* shape \[21\]/);
  refuses(() => perSampleGradients(net, mse, { x, y }, { out: zeros([21]) }), ShapeError, /shape \[4, 21\]/);
});

test("what exceeds the memory budget is refused before anything is allocated", () => {
  const use = memoryUse();
  const many = zeros([100_000, 2]);
  const big = chain({ inputs: 2 }, dense(1000, tanh), dense(100));
  const bytes = 100_000 * 100 * big.parameterCount * 4;
  const failure = (call: () => unknown) => {
    try {
      call();
    } catch (error) {
      return error as MemoryBudgetError;
    }
    throw new Error("nothing was thrown");
  };
  const overJacobian = failure(() => jacobian(big, many));
  expect(overJacobian).toBeInstanceOf(MemoryBudgetError);
  expect(overJacobian).toMatchObject({ bytes, budget: 2 ** 30 });
  expect(overJacobian.message).toContain(`an array of shape [100000, 100, ${big.parameterCount}] needs`);
  expect(overJacobian.message).toContain(`(${bytes} bytes), the memory budget is 1.000 GiB. vjp and jvp give products`);
  const labels = array(Array.from({ length: 100_000 }, () => 0));
  const overRows = failure(() => perSampleGradients(big, crossEntropy, { x: many, y: labels }));
  expect(overRows).toBeInstanceOf(MemoryBudgetError);
  expect(overRows.bytes).toBe(100_000 * big.parameterCount * 4);
  expect(overRows.message).toContain("perSampleGradientNorms almost nothing");
  expect(memoryUse()).toEqual(use);

  const exact = 4 * 3 * 21 * 8;
  expect(jacobian(net, x, { memoryBudget: exact }).size).toBe(4 * 3 * 21);
  refuses(() => jacobian(net, x, { memoryBudget: exact - 1 }), MemoryBudgetError, /needs 1\.969 KiB \(2016 bytes\)/);
  refuses(
    () => jacobian(net, x, { memoryBudget: -1 }),
    OptionError,
    /memoryBudget must be a finite number of at least 0/,
  );
});
