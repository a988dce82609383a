import fc from "fast-check";
import { expect, test } from "vitest";
import { type DType, Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { differences, epsilon, matmul } from "../reference/arrays.ts";
import { describeBuilds } from "./builds.ts";

const GAP = 12345; // what memory between rows holds before and after
const dtypes = ["float32", "float64"] as const;

/** How a matrix lies: whether columns lie together, extra elements after each row (or column) and each matrix. */
interface Layout {
  transposed: boolean;
  rowGap: number;
  matrixGap: number;
}

interface Problem {
  dtype: DType;
  batch: number;
  m: number;
  n: number;
  k: number;
  a: Layout;
  b: Layout;
  c: Layout;
  /** C = α A B, or C += α A B. */
  alpha: number;
  add: boolean;
}

const plain: Layout = { transposed: false, rowGap: 0, matrixGap: 0 };

/** A batch of row-major matrices laid out in memory with gaps; also where each element went. */
function layOut(values: ArrayLike<number>, batch: number, rows: number, columns: number, layout: Layout) {
  const [long, short] = layout.transposed ? [columns, rows] : [rows, columns];
  const step = short + layout.rowGap;
  const matrix = long * step + layout.matrixGap;
  const [row, column] = layout.transposed ? [1, step] : [step, 1];
  const lying = new Array<number>(batch * matrix).fill(GAP);
  const places: number[] = [];
  for (let s = 0; s < batch; s++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        places.push(s * matrix + i * row + j * column);
        lying[places[places.length - 1]] = values[(s * rows + i) * columns + j];
      }
    }
  }
  return { lying, places, strides: [matrix, row, column] as const };
}

/** The kernel's C, all of its memory with the gaps, and where its elements are. */
function gemm(problem: Problem, a: ArrayLike<number>, b: ArrayLike<number>, c: ArrayLike<number>) {
  const { dtype, batch, m, n, k, alpha, add } = problem;
  const [la, lb] = [layOut(a, batch, m, k, problem.a), layOut(b, batch, k, n, problem.b)];
  const lc = layOut(c, batch, m, n, problem.c);
  const memory = scope(() => {
    const pa = copyIn(dtype, la.lying);
    const pb = copyIn(dtype, lb.lying);
    const pc = copyIn(dtype, lc.lying);
    const [sc, rc] = lc.strides;
    kernelsFor(dtype).gemm(batch, m, n, k, pa, ...la.strides, pb, ...lb.strides, pc, sc, rc, alpha, add);
    return copyOut(dtype, pc, lc.lying.length);
  });
  const elements = lc.places.map((place) => memory[place]);
  const inside = new Set(lc.places);
  const gaps = Array.from(memory).filter((_, place) => !inside.has(place));
  return { elements, gaps };
}

function numbers(count: number, seed: number, dtype: DType): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => (dtype === "float32" ? Math.fround(random.normal()) : random.normal()));
}

function check(problem: Problem, seed: number): void {
  const { dtype, batch, m, n, k, alpha, add } = problem;
  const a = numbers(batch * m * k, seed, dtype);
  const b = numbers(batch * k * n, seed + 1, dtype);
  const c = numbers(batch * m * n, seed + 2, dtype);
  const { elements, gaps } = gemm(problem, a, b, c);
  expect(gaps.every((value) => value === GAP)).toBe(true);
  for (let s = 0; s < batch; s++) {
    const { product, size } = matmul(a.slice(s * m * k, (s + 1) * m * k), b.slice(s * k * n, (s + 1) * k * n), m, n, k);
    product.forEach((x, i) => {
      const before = add ? c[s * m * n + i] : 0;
      const bound = 4 * (k + 1) * epsilon[dtype] * (Math.abs(alpha) * size[i] + Math.abs(before));
      const error = Math.abs(elements[s * m * n + i] - (before + alpha * x));
      if (!(error <= bound)) expect.fail(`matrix ${s}, element ${i}: error ${error}, bound ${bound}`);
    });
  }
}

const length = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 13, 16, 17, 31, 64, 97, 255, 256, 257, 300);
const layout: fc.Arbitrary<Layout> = fc.record({
  transposed: fc.boolean(),
  rowGap: fc.constantFrom(0, 0, 1, 2, 3, 5, 8),
  matrixGap: fc.constantFrom(0, 0, 1, 7),
});
const problem: fc.Arbitrary<Problem> = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    batch: fc.constantFrom(0, 1, 1, 1, 2, 3),
    m: length,
    n: length,
    k: length,
    a: layout,
    b: layout,
    c: layout.map((c) => ({ ...c, transposed: false })),
    alpha: fc.constantFrom(1, 1, -1, 0.375),
    add: fc.boolean(),
  })
  .filter(({ batch, m, n, k }) => batch * m * n * (k + 1) <= 3e5 && m * n <= 3e4);

describeBuilds("gemm", () => {
  test("is within the rounding of its sums, for any strides, and leaves the gaps alone", () => {
    fc.assert(
      fc.property(problem, fc.nat(), (p, seed) => check(p, seed)),
      { numRuns: 500 },
    );
  });

  const layouts = [false, true].flatMap((a) => [false, true].map((b) => [a, b] as const));
  test.each(dtypes.flatMap((dtype) => layouts.map(([a, b]) => [dtype, a, b] as const)))(
    "multiplies beyond a block of 256: %s, transposed %s and %s",
    (dtype, a, b) => {
      for (const [m, n, k] of [
        [5, 17, 257],
        [3, 300, 256],
        [300, 1, 255],
        [1, 31, 300],
        [2, 2, 600],
      ]) {
        for (const [alpha, add] of [
          [1, false],
          [1, true],
          [-1, true],
          [0.3, true],
        ] as const) {
          const p = { dtype, batch: 2, m, n, k, alpha, add, c: { ...plain, rowGap: 3, matrixGap: 1 } };
          check({ ...p, a: { ...plain, transposed: a, rowGap: 1 }, b: { ...plain, transposed: b, rowGap: 2 } }, m + n);
        }
      }
    },
  );

  test("writes zeros, or adds nothing, where there is nothing to sum", () => {
    const p: Problem = {
      dtype: "float64",
      batch: 2,
      m: 2,
      n: 3,
      k: 0,
      a: plain,
      b: plain,
      c: plain,
      alpha: 1,
      add: false,
    };
    const c = numbers(12, 1, "float64");
    const gapped = { ...plain, rowGap: 2, matrixGap: 1 };
    expect(differences(gemm(p, [], [], c).elements, new Array(12).fill(0))).toEqual([]);
    expect(gemm({ ...p, c: gapped }, [], [], c).gaps.every((value) => value === GAP)).toBe(true);
    expect(gemm({ ...p, add: true }, [], [], c).elements).toEqual(c);
  });

  test("gives each row, and each column, bits of its own, whatever is computed with it", () => {
    fc.assert(
      fc.property(problem, fc.nat(), fc.nat(), (p, seed, pick) => {
        fc.pre(p.m > 0 && p.n > 0);
        const { dtype, m, n, k } = p;
        const one = { ...p, batch: 1 };
        // Zeros of both signs are among the factors and in C.
        const signed = (values: number[]) => values.map((x, i) => (i % 3 === 0 ? x * 0 : x));
        const [a, b] = [signed(numbers(m * k, seed, dtype)), signed(numbers(k * n, seed + 1, dtype))];
        const c = signed(numbers(m * n, seed + 2, dtype));
        const all = gemm(one, a, b, c).elements;
        const i = pick % m;
        const row = gemm({ ...one, m: 1 }, a.slice(i * k, (i + 1) * k), b, c.slice(i * n, (i + 1) * n)).elements;
        expect(differences(all.slice(i * n, (i + 1) * n), row)).toEqual([]);
        const j = pick % n;
        const column = (x: number[]) => x.filter((_, at) => at % n === j);
        expect(differences(column(all), gemm({ ...one, n: 1 }, a, column(b), column(c)).elements)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("passes NaN and infinities on to exactly the sums they are in", () => {
    fc.assert(
      fc.property(
        problem,
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.boolean(),
        (p, seed, special, inA) => {
          fc.pre(p.m > 0 && p.n > 0 && p.k > 0);
          const { dtype, m, n, k } = p;
          const a = numbers(m * k, seed, dtype);
          const b = numbers(k * n, seed + 1, dtype);
          const target = inA ? a : b;
          for (const [at, value] of special) target[at % target.length] = value;
          const { elements } = gemm({ ...p, batch: 1, alpha: 1, add: false }, a, b, new Array(m * n).fill(0));
          const kind = (x: number) => (Number.isFinite(x) ? "finite" : String(x));
          expect(elements.map(kind)).toEqual(matmul(a, b, m, n, k).product.map(kind));
        },
      ),
      { numRuns: 150 },
    );
  });

  test("replaces what C held, NaN included, unless it accumulates", () => {
    scope(() => {
      const [a, b] = [copyIn("float64", [1, 2, 3, 4, 5, 6]), copyIn("float64", [1, 1, 1, 1, 1, 1])];
      const c = copyIn("float64", [Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
      const kernels = kernelsFor("float64");
      kernels.gemm(1, 2, 2, 3, a, 6, 3, 1, b, 6, 2, 1, c, 4, 2, 1, false);
      expect(Array.from(copyOut("float64", c, 4))).toEqual([6, 6, 15, 15]);
      kernels.gemm(1, 2, 2, 3, a, 6, 3, 1, b, 6, 2, 1, c, 4, 2, 1, true);
      expect(Array.from(copyOut("float64", c, 4))).toEqual([12, 12, 30, 30]);
    });
  });

  test("reads one matrix again for every product where the batch stride is 0", () => {
    scope(() => {
      const [a, b] = [copyIn("float32", [1, 2, 3, 4]), copyIn("float32", [1, 10, 100])];
      const c = allocateFloats("float32", 12);
      kernelsFor("float32").gemm(3, 4, 1, 1, a, 0, 1, 1, b, 1, 1, 1, c, 4, 1, 1, false);
      expect(Array.from(copyOut("float32", c, 12))).toEqual([1, 2, 3, 4, 10, 20, 30, 40, 100, 200, 300, 400]);
    });
  });
});
