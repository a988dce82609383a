import { expect, test } from "vitest";
import { checkChoice, checkInteger, checkNumber, checkOptions } from "../src/errors.ts";
import {
  FileError,
  LaplaceError,
  MemoryBudgetError,
  NonFiniteLossError,
  OptionError,
  ShapeError,
  ValueError,
  WeightsError,
} from "../src/index.ts";

test("every error is a LaplaceError, and carries its own name", () => {
  const errors = [
    new LaplaceError("m"),
    new ShapeError("m"),
    new ValueError("m"),
    new OptionError("m"),
    new MemoryBudgetError("m", 10, 5),
    new NonFiniteLossError("m", 2, 3),
    new FileError("altered", "m"),
    new WeightsError("m", ["a"], ["b"], []),
  ];
  for (const error of errors) {
    expect(error).toBeInstanceOf(LaplaceError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(error.constructor.name);
    expect(String(error)).toBe(`${error.constructor.name}: m`);
  }
  expect(new MemoryBudgetError("m", 10, 5)).toMatchObject({ bytes: 10, budget: 5 });
  expect(new FileError("newer", "m")).toMatchObject({ reason: "newer" });
  expect(new WeightsError("m", ["a"], ["b"], [])).toMatchObject({ missing: ["a"], unexpected: ["b"], mismatched: [] });
  expect(new NonFiniteLossError("m", 2, 3)).toMatchObject({ epoch: 2, batch: 3 });
});

test("an unknown option is named, with the nearest known one", () => {
  const known = ["learningRate", "momentum"];
  const message = (options: object) => {
    try {
      checkOptions("sgd", options, known);
    } catch (error) {
      return error instanceof OptionError ? error.message : error;
    }
    return undefined;
  };
  expect(message({})).toBeUndefined();
  expect(message({ learningRate: 1, momentum: undefined })).toBeUndefined();
  expect(message({ LearningRte: 1 })).toBe(
    'sgd: unknown option "LearningRte". Did you mean "learningRate"? Known options: learningRate, momentum.',
  );
  expect(message({ decay: 1 })).toBe('sgd: unknown option "decay". Known options: learningRate, momentum.');
});

test("integers, numbers and choices are checked at their bounds", () => {
  expect(() => checkInteger("f", "n", 1, 1)).not.toThrow();
  for (const bad of [0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", undefined]) {
    expect(() => checkInteger("f", "n", bad, 1)).toThrow(`f: n must be an integer of at least 1, not ${bad}.`);
  }
  expect(() => checkNumber("f", "r", 0, 0)).not.toThrow();
  expect(() => checkNumber("f", "r", 1e-300, 0, true)).not.toThrow();
  expect(() => checkNumber("f", "r", 0, 0, true)).toThrow("f: r must be a finite number above 0, not 0.");
  for (const bad of [-1e-9, Number.NaN, Number.POSITIVE_INFINITY, "1", undefined]) {
    expect(() => checkNumber("f", "r", bad, 0)).toThrow(`f: r must be a finite number of at least 0, not ${bad}.`);
  }
  expect(() => checkChoice("f", "c", "b", ["a", "b"])).not.toThrow();
  expect(() => checkChoice("f", "c", 3, ["a", "b"])).toThrow('f: c must be one of "a", "b", not 3.');
});
