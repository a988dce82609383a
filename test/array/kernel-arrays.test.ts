import { afterEach, expect, test } from "vitest";
import {
  array,
  batchedMatmul,
  batchedOuter,
  batchedTranspose,
  chain,
  dense,
  einsum,
  kernelArray,
  kernels,
  LaplaceError,
  mse,
  type NDArray,
  OptionError,
  perSampleGradients,
  randomNormal,
  ShapeError,
  sigmoid,
  zeros,
} from "../../src/index.ts";

const made: NDArray[] = [];
const make: typeof kernelArray = (shape, options) => {
  const result = kernelArray(shape, options);
  made.push(result);
  return result;
};
afterEach(() => {
  for (const a of made.splice(0)) a.free();
  expect(kernels.info().bytesInUse).toBe(0);
});

test("an array in the kernels' memory begins with zeros and is counted until it is freed", () => {
  const before = kernels.info().bytesInUse;
  const a = make([3, 5], { dtype: "float32" });
  expect([...a.data].every((x) => x === 0)).toBe(true);
  expect([a.shape, a.dtype, a.size]).toEqual([[3, 5], "float32", 15]);
  // Memory that is not shared moves: the array is an ordinary one.
  expect(kernels.info().bytesInUse).toBe(before + (kernels.info().sharedMemory ? 64 : 0));
  a.free();
  a.free();
  expect(kernels.info().bytesInUse).toBe(before);
  array([1, 2]).free(); // others are left alone
});

test("used after it was freed it throws, and so do its parts: nobody else's memory is read or written", () => {
  const freed = make([2, 3]);
  const views = [freed, freed.sub(0), freed.sub(1).reshape(3, 1), freed.reshape(6), freed.sub(0).sub(1)];
  views[3].free(); // Only the array itself gives back its memory.
  expect(freed.data.length).toBe(6);
  freed.free();
  const next = make([2, 3]);
  next.data.fill(7);
  for (const view of views) {
    const { shape } = view;
    for (const use of [
      () => view.data,
      () => view.at(...shape.map(() => 0)),
      () => view.clone(),
      () => view.toArray(),
      () => [...view],
      () => JSON.stringify(view),
      () => view.reshape(view.size),
      () => array(view),
      () => batchedOuter(array([[1, 2]]), { out: view }),
      () => einsum("ij->ij", zeros([2, 3]), { out: view }),
    ]) {
      expect(use).toThrow(LaplaceError);
    }
    expect(() => view.data).toThrow(/used after free\(\)/);
    expect(`${view}`).toContain("freed");
  }
  const net = chain({ inputs: 3, dtype: "float64" }, dense(2));
  expect(() => net.forward(freed)).toThrow(/used after free/);
  expect(() => perSampleGradients(net, mse, { x: zeros([2, 3]), y: zeros([2, 2]) }, { out: freed })).toThrow(
    LaplaceError,
  );
  expect([...next.data]).toEqual([7, 7, 7, 7, 7, 7]);
});

test("functions give the same bits into it as into a new array, and read it where it lies", () => {
  const g = randomNormal([2, 97], { seed: 3 });
  const kept = make([2, 97]);
  kept.data.set(g.data);
  const out = make([2, 97, 97]);
  expect(batchedOuter(kept, { out })).toBe(out);
  expect(out.data).toEqual(batchedOuter(g).data);
  expect(einsum("bi,bj->bji", kept, kept, { out }).data).toEqual(einsum("bi,bj->bji", g, g).data);
  const square = make([97, 97]);
  expect(einsum("bi,bj->ij", kept, kept, { out: square }).data).toEqual(einsum("bi,bj->ij", g, g).data);
  expect(batchedTranspose(square, { out: square }).data).toEqual(einsum("bi,bj->ji", g, g).data);
  expect(kept.data).toEqual(g.data);
});

test("an operand that is the result as well, in whole or in part, is read before it is written", () => {
  const a = randomNormal([6, 6], { seed: 1 });
  const expected = batchedMatmul(a, a);
  const kept = make([6, 6]);
  kept.data.set(a.data);
  expect(batchedMatmul(kept, kept, { out: kept }).data).toEqual(expected.data);
  const two = make([2, 6, 6]);
  two.sub(0).data.set(a.data);
  expect(batchedMatmul(two.sub(0), a, { out: two.sub(1) }).data).toEqual(expected.data);
  expect(two.sub(0).data).toEqual(a.data);
});

test("per-sample gradients are written in place, and it keeps its values when memory grows", () => {
  const net = chain({ inputs: 1, dtype: "float64" }, dense(32, sigmoid), dense(1));
  const batch = { x: [[1], [2]], y: [[0], [1]] };
  const out = make([2, 97]);
  expect(perSampleGradients(net, mse, batch, { out })).toBe(out);
  const expected = perSampleGradients(net, mse, batch);
  expect(out.data).toEqual(expected.data);
  const { memoryBytes } = kernels.info();
  const held = out.data;
  const n = Math.ceil(Math.sqrt(memoryBytes / 8));
  expect(batchedTranspose(zeros([n, n])).at(-1, -1)).toBe(0);
  expect(kernels.info().memoryBytes).toBeGreaterThan(memoryBytes);
  expect(out.data).toEqual(expected.data);
  expect(held).toEqual(expected.data);
});

test("a shape or type that does not fit is refused", () => {
  expect(() => batchedOuter([[1, 2]], { out: make([1, 2, 3]) })).toThrow(ShapeError);
  expect(() => batchedOuter([[1, 2]], { out: make([1, 2, 2], { dtype: "float32" }) })).toThrow(ShapeError);
  expect(() => kernelArray([-1])).toThrow(ShapeError);
  expect(() => kernelArray([1], { dtype: "float16" as never })).toThrow(OptionError);
});
