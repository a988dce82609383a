import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { kernels } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  type DType,
  type FloatArray,
  inMemory,
  later,
  memoryUse,
  scope,
  sumOf,
} from "../../src/kernels/memory.ts";
import { atOnce, inBursts, inPieces, type Steps, setClock } from "../../src/kernels/steps.ts";

// A clock by which every burst is over at its first look.
let ticks = 0;
const impatient = () => {
  ticks += 1000;
  return ticks;
};

afterEach(() => setClock(undefined));

/** The same steps at once, and in as many bursts as there may be. */
async function bothWays<Result>(steps: () => Steps<Result>): Promise<[Result, Result]> {
  const once = atOnce(steps());
  setClock(impatient);
  const before = memoryUse().inUse;
  const pieces = await inBursts(steps());
  expect(memoryUse().inUse).toBe(before);
  setClock(undefined);
  return [once, pieces];
}

const random = (length: number, seed: number, dtype: DType): FloatArray => {
  let state = seed + 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return dtype === "float32" ? Float32Array.from({ length }, next) : Float64Array.from({ length }, next);
};

/** What a kernel leaves of an array, after `call` was given its place. */
const leaves = (dtype: DType, start: FloatArray, call: (at: number) => void) =>
  function* (): Steps<FloatArray> {
    let result: FloatArray = new Float64Array();
    yield* inPieces(() => {
      const at = copyIn(dtype, start);
      call(at);
      later(() => {
        result = copyOut(dtype, at, start.length);
      });
    });
    return result;
  };

const same = ([a, b]: [FloatArray, FloatArray]) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

describe("work in pieces has the bits of work at once", () => {
  test.each([
    // [batch, m, n, k]: in one piece; cut over rows, columns and terms, the last of them few; over the batch; of few terms; a vector
    [1, 30, 40, 50],
    [1, 700, 530, 130],
    [1, 300, 300, 515],
    [1, 300, 300, 258],
    [40, 90, 80, 70],
    [2, 250, 260, 300],
    [1, 1100, 1000, 3],
    [1, 1100, 1, 1000],
  ])("a product %i × [%i, %i] over %i terms", async (batch, m, n, k) => {
    for (const dtype of ["float32", "float64"] as const) {
      const [a, b] = [random(batch * m * k, 1, dtype), random(batch * k * n, 2, dtype)];
      for (const add of [false, true]) {
        const product = leaves(dtype, random(batch * m * n, 3, dtype), (c) => {
          const [x, y] = [copyIn(dtype, a), copyIn(dtype, b)];
          kernelsFor(dtype).gemm(batch, m, n, k, x, m * k, k, 1, y, k * n, n, 1, c, m * n, n, 0.7, add);
          // Transposes.
          kernelsFor(dtype).gemm(batch, m, n, k, x, m * k, 1, m, y, k * n, 1, k, c, m * n, n, -1, true);
        });
        expect(same(await bothWays(product))).toBe(true);
      }
    }
  });

  test.each([
    [50, 60],
    [500, 600],
    [777, 257],
    [777, 260],
  ])("symmetric products [%i] of %i terms", async (n, k) => {
    for (const dtype of ["float32", "float64"] as const) {
      const rows = random(n * k, 4, dtype);
      const product = leaves(dtype, new Float64Array(n * n).fill(1), (c) => {
        const kernels = kernelsFor(dtype);
        const a = copyIn(dtype, rows);
        kernels.syrk(n, k, a, 1, n, c, n, -1, true, false);
        kernels.syrk(n, k, a, k, 1, c, n, 0.5, true, true);
      });
      expect(same(await bothWays(product))).toBe(true);
    }
  });

  test("solves with many right sides", async () => {
    const [n, columns] = [600, 333];
    const triangle = random(n * n, 5, "float64");
    for (let i = 0; i < n; i++) triangle[i * (n + 1)] = 30;
    for (const name of ["solveForward", "solveBackward"] as const) {
      const solution = leaves("float64", random(n * columns, 6, "float64"), (b) => {
        const t = copyIn("float64", triangle);
        kernelsFor("float64")[name](n, columns, t, n, 1, b, columns, 1);
        kernelsFor("float64")[name](n, columns, t, 1, n, b, 1, n);
      });
      expect(same(await bothWays(solution))).toBe(true);
    }
  });

  test("whatever the order of scopes, values that are read, and work that waits", async () => {
    // A random program on one array: each instruction allocates in a scope, and some read a value, which goes on into the array.
    const instruction = fc.tuple(
      fc.nat(3),
      fc.integer({ min: 1, max: 200_000 }),
      fc.double({ min: -1, max: 1, noNaN: true }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(instruction, { maxLength: 12 }), async (program) => {
        const run = leaves("float64", random(64, 7, "float64"), (at) => {
          const kernels = kernelsFor("float64");
          for (const [what, length, value] of program) {
            scope(() => {
              const other = allocateFloats("float64", Math.max(64, length));
              kernels.fill(64, value, other);
              if (what === 0) kernels.affine(64, 1.5, at, 0.5, other, false);
              if (what === 1) {
                inMemory("float64", (memory) => {
                  for (let i = 0; i < 64; i++) memory[other / 8 + i] += memory[at / 8 + 63 - i];
                });
              }
              if (what === 2) kernels.fill(64, sumOf("float64", at, 64) / 64, other);
              if (what === 3) {
                later(() =>
                  scope(() => {
                    const third = copyIn("float64", copyOut("float64", at, 64));
                    kernelsFor("float64").affine(64, value, third, 1, other, false);
                  }),
                );
              }
              kernels.affine(64, 0.25, other, 0.5, at, false);
            });
          }
        });
        expect(same(await bothWays(run))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("work in bursts", () => {
  const work = function* (): Steps<number, number> {
    for (let i = 1; i <= 5; i++) yield i;
    return 6;
  };

  test("reports between its steps, and gives the event loop its turns", async () => {
    setClock(impatient);
    const seen: (number | string)[] = [];
    const others = setInterval(() => seen.push("turn"), 0);
    expect(await inBursts(work(), { onProgress: (i) => seen.push(i) })).toBe(6);
    clearInterval(others);
    expect(seen.filter((one) => one !== "turn")).toEqual([1, 2, 3, 4, 5]);
  });

  test("is stopped between two steps by the signal's reason, and holds nothing then", async () => {
    setClock(impatient);
    const before = memoryUse().inUse;
    for (let at = 0; at <= 5; at++) {
      const controller = new AbortController();
      const reason = new Error("enough");
      let ended = false;
      const holding = function* (): Steps<number, number> {
        try {
          allocateFloats("float64", 1e6);
          return yield* work();
        } finally {
          ended = true;
        }
      };
      if (at === 0) controller.abort(reason);
      const onProgress = (i: number) => (i === at ? controller.abort(reason) : undefined);
      await expect(inBursts(holding(), { onProgress, signal: controller.signal })).rejects.toBe(reason);
      // What never began has nothing to end.
      expect(ended).toBe(at > 0);
      expect(memoryUse().inUse).toBe(before);
    }
  });

  test("two at once, and calls in between, do not disturb each other", async () => {
    setClock(impatient);
    const before = kernels.info().bytesInUse;
    const summing = function* (value: number): Steps<number> {
      const at = allocateFloats("float64", 1000);
      kernelsFor("float64").fill(1000, value, at);
      for (let i = 0; i < 20; i++) {
        yield* inPieces(() => {
          const one = allocateFloats("float64", 1000);
          kernelsFor("float64").fill(1000, 1, one);
          kernelsFor("float64").affine(1000, 1, one, 0, at, true);
        });
        yield;
      }
      return sumOf("float64", at, 1000);
    };
    const meanwhile = setInterval(
      () => scope(() => kernelsFor("float64").fill(1000, 99, allocateFloats("float64", 1000))),
      0,
    );
    expect(await Promise.all([inBursts(summing(1)), inBursts(summing(2)), inBursts(summing(3))])).toEqual([
      21000, 22000, 23000,
    ]);
    clearInterval(meanwhile);
    expect(kernels.info().bytesInUse).toBe(before);
  });

  test("an error that pieces meet comes out of the steps that they are in", async () => {
    const failing = function* (): Steps<string> {
      try {
        yield* inPieces(() => {
          later(() => {
            throw new Error("first");
          });
          throw new Error("second");
        });
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    expect(await bothWays(failing)).toEqual(["first", "first"]);
  });

  test("reading memory and giving a value without an instead is an error where work waits", async () => {
    const careless = function* (): Steps<number> {
      return yield* inPieces(() => {
        const at = copyIn("float64", Float64Array.of(3));
        return inMemory("float64", (memory) => memory[at / bytesPerElement("float64")]);
      });
    };
    expect(atOnce(careless())).toBe(3);
    await expect(inBursts(careless())).rejects.toThrow("instead");
  });
});
