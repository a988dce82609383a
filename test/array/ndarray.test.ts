import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  type DType,
  full,
  LaplaceError,
  NDArray,
  type Nested,
  OptionError,
  randomNormal,
  ShapeError,
  ValueError,
  zeros,
} from "../../src/index.ts";

const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const dtypes = fc.constantFrom<DType>("float32", "float64");

/** 0, 1, 2, … in a shape. */
function counting(shape: readonly number[], dtype: DType = "float64"): NDArray {
  const result = zeros(shape, { dtype });
  for (let i = 0; i < result.size; i++) result.data[i] = i;
  return result;
}

describe("NDArray", () => {
  test("knows its shape, type, size and rank", () => {
    const a = new NDArray(new Float32Array(6), [2, 3]);
    expect([a.shape, a.dtype, a.size, a.rank]).toEqual([[2, 3], "float32", 6, 2]);
    const number = new NDArray(new Float64Array(1), []);
    expect([number.shape, number.dtype, number.size, number.rank]).toEqual([[], "float64", 1, 0]);
  });

  test("keeps its shape when the list it was made from changes", () => {
    const shape = [2, 2];
    const made = [array(new Float64Array(4), { shape }), zeros(shape), new NDArray(new Float64Array(4), shape)];
    shape[0] = 7;
    for (const a of made) expect(a.shape).toEqual([2, 2]);
  });

  test.each([[[-1]], [[1.5]], [[2, Number.NaN]], [[Number.POSITIVE_INFINITY]]])("refuses %j as a shape", (shape) => {
    expect(() => new NDArray(new Float64Array(2), shape)).toThrow(/is not a shape/);
    expect(() => zeros(shape)).toThrow(/is not a shape/);
    expect(() => zeros(shape)).toThrow(ShapeError);
  });

  test("refuses elements that do not fill the shape, and a size no memory has", () => {
    expect(() => new NDArray(new Float64Array(5), [2, 3])).toThrow(/5 elements.*\[2, 3\]/);
    expect(() => zeros([2 ** 40, 2 ** 10])).toThrow(/No memory for an array of 1125899906842624 float64 numbers/);
    expect(() => zeros([2 ** 40, 2 ** 10])).toThrow(LaplaceError);
  });

  test("finds an element by its indices, also from the end", () => {
    fc.assert(
      fc.property(shapes, dtypes, fc.array(fc.nat(), { minLength: 4, maxLength: 4 }), (shape, dtype, picks) => {
        fc.pre(shape.every((n) => n > 0));
        const a = counting(shape, dtype);
        const indices = shape.map((n, axis) => picks[axis] % n);
        const offset = indices.reduce((at, index, axis) => at * shape[axis] + index, 0);
        expect(a.at(...indices)).toBe(offset);
        expect(a.at(...indices.map((index, axis) => index - shape[axis]))).toBe(offset);
      }),
    );
  });

  test.each([[[2, 0]], [[0, -4]], [[0.5, 0]], [[Number.NaN, 0]]])("has no element at %j of 2 by 3", (indices) => {
    expect(() => zeros([2, 3]).at(...indices)).toThrow(/out of range for axis [01] of shape \[2, 3\]/);
    expect(() => zeros([2, 3]).at(...indices)).toThrow(ShapeError);
  });

  test("wants one index for each axis", () => {
    expect(() => zeros([2, 3]).at(0)).toThrow(/1 indices.*\[2, 3\]/);
    expect(array(7).at()).toBe(7);
  });

  test("gives a part that shares its elements", () => {
    const a = counting([2, 3, 2]);
    const part = a.sub(-1);
    expect(part.toArray()).toEqual([
      [6, 7],
      [8, 9],
      [10, 11],
    ]);
    part.data[0] = 60;
    expect(a.at(1, 0, 0)).toBe(60);
    expect(a.sub(1).sub(2).sub(0).item()).toBe(10);
    expect(() => a.sub(2)).toThrow(/Index 2 is out of range for axis 0/);
    expect(() => array(1).sub(0)).toThrow(/without axes/);
    expect(zeros([2, 0]).sub(1).shape).toEqual([0]);
  });

  test("takes another shape with the same elements, shared", () => {
    const a = counting([2, 6]);
    expect(a.reshape(3, 4).at(2, 3)).toBe(11);
    expect(a.reshape(-1).shape).toEqual([12]);
    expect(a.reshape(2, -1, 2).shape).toEqual([2, 3, 2]);
    expect(a.reshape(12, -1).shape).toEqual([12, 1]);
    expect(zeros([0, 3]).reshape(-1, 3).shape).toEqual([0, 3]);
    expect(array([5]).reshape().shape).toEqual([]);
    a.reshape(12).data[0] = 100;
    expect(a.at(0, 0)).toBe(100);
  });

  test.each([[[5]], [[-1, 5]], [[-1, -1]], [[-2, -6]], [[2.4, 5]], [[-1, 0]]])(
    "does not take the shape %j",
    (shape) => {
      expect(() => counting([2, 6]).reshape(...shape)).toThrow(/\[2, 6\] cannot take the shape/);
    },
  );

  test("converts its type, and is itself where it has it", () => {
    const a = array([0.1, 1e300]);
    expect(a.as("float64")).toBe(a);
    const narrow = a.as("float32");
    expect([narrow.dtype, ...narrow.data]).toEqual(["float32", Math.fround(0.1), Number.POSITIVE_INFINITY]);
    expect(a.data[1]).toBe(1e300);
  });

  test("is copied by clone", () => {
    const a = counting([2, 2], "float32");
    const copy = a.clone();
    copy.data[0] = 9;
    expect([copy.shape, copy.dtype, a.data[0]]).toEqual([[2, 2], "float32", 0]);
  });

  test("of one element gives it as a number", () => {
    expect(array([[[3]]]).item()).toBe(3);
    expect(() => array([1, 2]).item()).toThrow(/\[2\] has 2 elements/);
    expect(() => zeros([0]).item()).toThrow(ShapeError);
  });

  test("prints itself in Node", () => {
    expect(inspect(array([1, 2]))).toBe("vector of 2, float64\n  1\n  2");
    expect(`${array([1, 2])}`).toBe("vector of 2, float64\n  1\n  2");
  });
});

describe("array", () => {
  test("and toArray are inverse for any shape, type and number", () => {
    fc.assert(
      fc.property(shapes, dtypes, fc.nat(), (shape, dtype, seed) => {
        const a = randomNormal(shape, { dtype, seed });
        if (a.size > 1) [a.data[0], a.data[1]] = [-0, Number.NaN];
        const back = array(a.toArray(), { dtype, shape });
        expect(back.shape).toEqual(shape);
        expect(back.data).toEqual(a.data);
        // Without an axis of length 0 the nesting tells the shape.
        if (a.size > 0) expect(array(a.toArray()).shape).toEqual(shape);
      }),
    );
  });

  test("reads lists, numbers and empty lists", () => {
    expect([array(3).shape, array([]).shape, array([[], []]).shape]).toEqual([[], [0], [2, 0]]);
    expect(array([[[1], [2]]]).shape).toEqual([1, 2, 1]);
    expect(array([1]).dtype).toBe("float64");
    expect(array([0.1], { dtype: "float32" }).data).toEqual(Float32Array.of(0.1));
    expect(array([1, 2, 3, 4], { shape: [2, -1] }).shape).toEqual([2, 2]);
  });

  test("reads integer arrays, lists of typed arrays and lists of arrays", () => {
    expect(array(Int32Array.of(1, -2)).toArray()).toEqual([1, -2]);
    expect(array([Float32Array.of(1, 2), Uint8Array.of(3, 4)]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(array([array([1, 2]), array([3, 4])]).shape).toEqual([2, 2]);
    expect(() => array([array([1, 2]), array([3])])).toThrow(ShapeError);
    expect(() => array([1n] as never)).toThrow(ValueError);
  });

  test("copies typed arrays and keeps their type", () => {
    const source = Float32Array.of(1, 2, 3, 4);
    const a = array(source, { shape: [2, 2] });
    source[0] = 9;
    expect([a.dtype, a.at(0, 0)]).toEqual(["float32", 1]);
    expect(array(source, { dtype: "float64" }).dtype).toBe("float64");
    expect(array(source).shape).toEqual([4]);
  });

  test("copies an NDArray with its shape", () => {
    const a = zeros([2, 2]);
    const copy = array(a, { dtype: "float32" });
    copy.data[0] = 1;
    expect([copy.shape, copy.dtype, a.data[0]]).toEqual([[2, 2], "float32", 0]);
    expect(array(a, { shape: [4] }).shape).toEqual([4]);
  });

  test.each<[string, unknown, RegExp]>([
    ["a longer row", [[1], [2, 3]], /rows differ in length at depth 1: 2, where the first has 1/],
    ["a shorter row", [[1, 2], [3]], /depth 1: 1, where the first has 2/],
    ["a row after an empty one", [[], [1]], /depth 1: 1, where the first has 0/],
    ["a number where a row is expected", [[1], 2], /expected a row, got a number/],
    ["a row where a number is expected", [1, [2]], /rows differ in length at depth 1/],
  ])("refuses %s", (_, values, message) => {
    expect(() => array(values as Nested)).toThrow(message);
    expect(() => array(values as Nested)).toThrow(ShapeError);
  });

  test.each<[unknown, RegExp]>([
    [[1, "2"], /at \[1\], "2" \(string\), is not a number/],
    [[null], /null \(object\)/],
    [[undefined], /undefined/],
    [[[1], [true]], /true \(boolean\)/],
    ["12", /"12" \(string\), is not a number. Number\(text\)/],
    [[10n], /10 \(bigint\)/],
  ])("refuses %o, which is not a number", (values, message) => {
    expect(() => array(values as Nested)).toThrow(message);
    expect(() => array(values as Nested)).toThrow(ValueError);
  });

  test("refuses unknown options and types", () => {
    expect(() => array([1], { dtyp: "float32" } as never)).toThrow(/unknown option "dtyp".*Did you mean "dtype"/);
    expect(() => zeros([1], { dtype: "float16" as never })).toThrow(/one of "float32", "float64", not "float16"/);
    expect(() => array([1], { dtype: "float16" as never })).toThrow(OptionError);
  });

  test("fills by zeros and full", () => {
    expect(zeros([2, 2]).toArray()).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(full([3], 2.5, { dtype: "float32" }).data).toEqual(Float32Array.of(2.5, 2.5, 2.5));
    expect(full([], 1).item()).toBe(1);
  });
});

test("the tests' own equality of arrays sees elements, shapes and types", () => {
  expect(array([1, 2])).toEqual(array([1, 2]));
  expect([array([1, 2])]).not.toEqual([array([1, 3])]);
  expect(array([1, 2])).not.toEqual(array([[1, 2]]));
  expect(array([1, 2])).not.toEqual(array([1, 2], { dtype: "float32" }));
});
