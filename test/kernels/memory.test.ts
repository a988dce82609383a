import { describe, expect, test } from "vitest";
import { batchedMatmul, einsum, LaplaceError, randomNormal } from "../../src/index.ts";
import {
  allocate,
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  copyOutTo,
  floats,
  memoryUse,
  STATIC_BYTES,
  scope,
  shared,
} from "../../src/kernels/memory.ts";

describe("memory", () => {
  test("is released when a scope ends, and the scope's value returned", () => {
    const value = scope(() => {
      expect(allocate(100)).toBe(STATIC_BYTES);
      expect(memoryUse().inUse).toBe(128);
      return 7;
    });
    expect(value).toBe(7);
    expect(memoryUse().inUse).toBe(0);
  });

  test("is released when a scope throws", () => {
    expect(() =>
      scope(() => {
        allocate(1000);
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(memoryUse().inUse).toBe(0);
  });

  test("of a nested scope is released alone, also when that throws", () => {
    scope(() => {
      const outer = copyIn("float64", [1, 2, 3]);
      const before = memoryUse().inUse;
      scope(() => {
        copyIn("float64", [4, 5, 6]);
        expect(memoryUse().inUse).toBe(before + 64);
      });
      expect(() =>
        scope(() => {
          allocate(1e5);
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect(memoryUse().inUse).toBe(before);
      expect(Array.from(copyOut("float64", outer, 3))).toEqual([1, 2, 3]);
    });
  });

  test("begins every allocation on a cache line, and none overlap", () => {
    scope(() => {
      const sizes = [1, 63, 64, 65, 0, 4096, 3];
      const starts = sizes.map((bytes) => allocate(bytes));
      starts.forEach((start, i) => {
        expect(start % 64).toBe(0);
        if (i > 0) expect(start).toBeGreaterThanOrEqual(starts[i - 1] + sizes[i - 1]);
      });
    });
  });

  test.each(["float32", "float64"] as const)("keeps its values when it grows: %s", (dtype) => {
    scope(() => {
      const source = Array.from({ length: 1000 }, (_, i) => i / 8);
      const pointer = copyIn(dtype, source);
      const view = floats(dtype);
      const before = memoryUse().bytes;
      allocate(before);
      expect(memoryUse().bytes).toBeGreaterThan(before);
      // A forgotten view of unshared memory is detached; one of shared memory still shows what it showed.
      expect(view.length * bytesPerElement(dtype)).toBe(shared ? before : 0);
      expect(floats(dtype).length * bytesPerElement(dtype)).toBe(memoryUse().bytes);
      expect(Array.from(copyOut(dtype, pointer, 1000))).toEqual(source);
    });
  });

  test("converts between element types on the way in and out", () => {
    scope(() => {
      const narrow = copyIn("float32", Float64Array.of(0.1, 2));
      expect(Array.from(copyOut("float32", narrow, 2))).toEqual([Math.fround(0.1), 2]);
      const out = new Float64Array(4).fill(-1);
      copyOutTo("float32", narrow, 2, out, 1);
      expect(Array.from(out)).toEqual([-1, Math.fround(0.1), 2, -1]);
    });
  });

  test("copied out is not shared", () => {
    const copy = scope(() => {
      const pointer = copyIn("float64", [1, 2]);
      const values = copyOut("float64", pointer, 2);
      floats("float64")[pointer / 8] = 9;
      return values;
    });
    expect(Array.from(copy)).toEqual([1, 2]);
  });

  test("does not grow over a thousand calls of mixed sizes", () => {
    const call = (i: number) => {
      const a = randomNormal([1 + (i % 7), 1 + ((i * 13) % 50), 1 + ((i * 7) % 30)], { seed: i });
      const [batch, m, k] = a.shape;
      batchedMatmul(a, a.reshape(batch, k, m));
      einsum("bij,bik,bil->bjl", a, a, a);
      expect(() => einsum("bij,bij->bxy", a, a)).toThrow(LaplaceError);
      expect(() => batchedMatmul(a, a.reshape(batch * m, k))).toThrow(LaplaceError);
    };
    for (let i = 0; i < 210; i++) call(i);
    const { bytes } = memoryUse();
    for (let i = 0; i < 1000; i++) call(i);
    expect(memoryUse()).toEqual({ bytes, inUse: 0 });
  });

  test("beyond four gigabytes is refused, and what is there stays usable", () => {
    scope(() => {
      const pointer = copyIn("float64", [1, 2, 3]);
      const { inUse } = memoryUse();
      expect(() => allocateFloats("float64", 2 ** 29)).toThrow(/cannot grow to 4\d{9} bytes/);
      expect(() => allocateFloats("float64", 2 ** 29)).toThrow(LaplaceError);
      expect(memoryUse().inUse).toBe(inUse);
      expect(Array.from(copyOut("float64", pointer, 3))).toEqual([1, 2, 3]);
    });
  });
});
