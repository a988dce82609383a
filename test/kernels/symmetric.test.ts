import fc from "fast-check";
import { expect, test } from "vitest";
import { type DType, type FloatArray, Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { epsilon } from "../reference/arrays.ts";
import { describeBuilds } from "./builds.ts";

const dtype = fc.constantFrom<DType>("float32", "float64");
const order = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 97, 130);
const terms = fc.constantFrom(0, 1, 3, 4, 5, 31, 257, 515);

function numbers(count: number, seed: number, type: DType): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => (type === "float32" ? Math.fround(random.normal()) : random.normal()));
}

describeBuilds("symmetric kernels", () => {
  test("gemmt writes or adds the lower triangle of a symmetric product, A diag(w) Aᵀ with weights of any sign", () => {
    const problem = fc.record({
      type: dtype,
      n: order,
      k: terms,
      alpha: fc.constantFrom(1, -1, 0.375),
      add: fc.boolean(),
      transposed: fc.boolean(),
      gap: fc.constantFrom(0, 3),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(problem, ({ type, n, k, alpha, add, transposed, gap, seed }) => {
        const a = numbers(n * k, seed, type);
        const w = numbers(k, seed + 1, type);
        const [ra, ca] = transposed ? [1, n] : [k, 1];
        const at = (i: number, p: number) => a[i * ra + p * ca];
        const weighted = a.map((_, i) => {
          const p = transposed ? Math.floor(i / n) : i % k;
          return type === "float32" ? Math.fround(a[i] * w[p]) : a[i] * w[p];
        });
        const row = n + gap;
        const before = numbers(n * row, seed + 2, type);
        const c = scope(() => {
          const [x, y, z] = [copyIn(type, a), copyIn(type, weighted), copyIn(type, before)];
          kernelsFor(type).gemmt(n, k, x, ra, ca, y, ca, ra, z, row, alpha, add);
          return copyOut(type, z, n * row);
        });
        for (let i = 0; i < n; i++) {
          for (let j = 0; j <= i; j++) {
            let [sum, size] = [0, 0];
            for (let p = 0; p < k; p++) {
              const term = at(i, p) * weighted[j * ra + p * ca];
              sum += term;
              size += Math.abs(term);
            }
            const due = (add ? before[i * row + j] : 0) + alpha * sum;
            const bound = 4 * (k + 1) * epsilon[type] * (size + Math.abs(before[i * row + j]));
            if (!(Math.abs(c[i * row + j] - due) <= bound))
              expect.fail(`[${i}, ${j}] is ${c[i * row + j]}, not ${due}`);
          }
          // What lies between rows is left alone.
          expect(Array.from(c.subarray(i * row + n, (i + 1) * row))).toEqual(before.slice(i * row + n, (i + 1) * row));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("syrk scales and accumulates as gemmt does", () => {
    fc.assert(
      fc.property(dtype, order, terms, fc.nat(), (type, n, k, seed) => {
        const [a, before] = [numbers(n * k, seed, type), numbers(n * n, seed + 1, type)];
        const run = (symmetric: boolean) =>
          scope(() => {
            const [x, z] = [copyIn(type, a), copyIn(type, before)];
            if (symmetric) kernelsFor(type).syrk(n, k, x, k, 1, z, n, 0.5, true, false);
            else kernelsFor(type).gemmt(n, k, x, k, 1, copyIn(type, a), 1, k, z, n, 0.5, true);
            return copyOut(type, z, n * n);
          });
        const [one, other] = [run(true), run(false)];
        for (let i = 0; i < n; i++) {
          const upTo = (c: FloatArray) => c.subarray(i * n, i * n + i + 1);
          if (!upTo(one).every((x: number, j: number) => Object.is(x, upTo(other)[j]))) expect.fail(`row ${i} differs`);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("mirror copies the lower triangle onto the upper one and nothing else", () => {
    fc.assert(
      fc.property(dtype, order, fc.constantFrom(0, 1, 5), fc.nat(), (type, n, gap, seed) => {
        const row = n + gap;
        const before = numbers(n * row, seed, type);
        const after = scope(() => {
          const z = copyIn(type, before);
          kernelsFor(type).mirror(n, z, row);
          return Array.from(copyOut(type, z, n * row));
        });
        const due = before.map((x, at) => {
          const [i, j] = [Math.floor(at / row), at % row];
          return j < n && j > i ? before[j * row + i] : x;
        });
        expect(after).toEqual(due);
      }),
      { numRuns: 60 },
    );
  });

  test("scaleRows multiplies each row by a number of its own", () => {
    fc.assert(
      fc.property(dtype, order, order, fc.constantFrom(1, 4), fc.nat(), (type, rows, n, step, seed) => {
        const [x, w] = [numbers(rows * n, seed, type), numbers(rows * step, seed + 1, type)];
        const y = scope(() => {
          const to = copyIn(type, new Array(rows * n + 1).fill(7));
          kernelsFor(type).scaleRows(rows, n, copyIn(type, x), copyIn(type, w), step, to);
          return Array.from(copyOut(type, to, rows * n + 1));
        });
        const product = x.map((value, i) => value * w[Math.floor(i / n) * step]);
        expect(y).toEqual([...(type === "float32" ? product.map(Math.fround) : product), 7]);
      }),
      { numRuns: 100 },
    );
  });
});
