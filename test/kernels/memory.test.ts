import { describe, expect, test } from "vitest";
import { batchedMatmul, einsum, LaplaceError, randomNormal } from "../../src/index.ts";
import { STATIC_BYTES } from "../../src/kernels/heap.ts";
import {
  addToDiagonal,
  allocate,
  allocateFloats,
  copyIn,
  copyOut,
  copyOutTo,
  type FloatArray,
  giveBlock,
  inMemory,
  memoryUse,
  scope,
  shared,
  sumOf,
  takeBlock,
  writeIntegers,
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
      const lend = (use: (memory: FloatArray) => void) => inMemory(dtype, use);
      let kept: FloatArray | undefined;
      lend((memory) => {
        kept = memory;
      });
      const before = memoryUse().bytes;
      allocate(before);
      expect(memoryUse().bytes).toBeGreaterThan(before);
      // A forgotten view of unshared memory is detached; one of shared memory still shows what it showed.
      expect((kept as unknown as FloatArray).byteLength).toBe(shared ? before : 0);
      lend((memory) => expect(memory.byteLength).toBe(memoryUse().bytes));
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
      inMemory("float64", (memory) => {
        memory[pointer / 8] = 9;
      });
      return values;
    });
    expect(Array.from(copy)).toEqual([1, 2]);
  });

  test("sums, and adds to a diagonal", () => {
    scope(() => {
      const narrow = copyIn("float32", [0.1, 2, -3]);
      const wide = copyIn("float64", [Math.fround(0.1), 2, -3]);
      expect(sumOf("float64", wide, 3)).toBe(Math.fround(0.1) - 1);
      expect(sumOf("float32", narrow + 4, 2, true)).toBe(Math.SQRT2);
      expect(sumOf("float64", wide, 0)).toBe(0);
      const matrix = copyIn("float64", [1, 2, 3, 4]);
      addToDiagonal(2, 0.5, matrix);
      expect([...copyOut("float64", matrix, 4)]).toEqual([1.5, 2, 3, 4.5]);
      writeIntegers(matrix, [7, 2 ** 32 - 1]);
      expect([...new Uint32Array(copyOut("float64", matrix, 1).buffer)]).toEqual([7, 2 ** 32 - 1]);
    });
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

describe("a loan of memory", () => {
  const refusal = /allocated while a view of it is lent/;

  test("refuses every allocation at once, whether memory would have to grow or not, and ends with its body", () => {
    const mistakes: (() => unknown)[] = [
      () => allocate(8),
      () => copyIn("float64", [1]),
      () => takeBlock(8),
      // What the rows of a subset and a float32 fit once did: a view as the source of a copy.
      () => inMemory("float32", (memory) => copyIn("float64", memory.subarray(0, 1))),
      () => inMemory("float64", () => scope(() => batchedMatmul([[1]], [[2]]))),
      () =>
        inMemory("float64", (memory) => {
          inMemory("float32", () => {}); // the end of an inner loan does not end the outer one
          return memory[copyIn("float32", [1])];
        }),
    ];
    const { inUse } = memoryUse();
    for (const mistake of mistakes) {
      expect(() => scope(() => inMemory<unknown>("float64", mistake))).toThrow(refusal);
      expect(memoryUse().inUse).toBe(inUse);
      giveBlock(takeBlock(8), 8);
    }
  });

  test("gives no view away, but what was computed", () => {
    scope(() => {
      const pointer = copyIn("float64", [1, 2]);
      const at = pointer / 8;
      expect(() => inMemory("float64", (memory) => memory)).toThrow(/view of memory leaves/);
      expect(() => inMemory("float64", (memory) => memory.subarray(at, at + 1))).toThrow(/view of memory leaves/);
      expect(() => inMemory("float64", ({ buffer }) => new Uint8Array(buffer))).toThrow(/view of memory leaves/);
      expect(inMemory("float64", (memory) => memory[at + 1])).toBe(2);
      expect([...inMemory("float64", (memory) => memory.slice(at, at + 2))]).toEqual([1, 2]);
    });
  });
});
