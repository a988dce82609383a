import { afterEach, expect, test } from "vitest";
import { eigh, NDArray, randomNormal, syrk } from "../../src/index.ts";
import { allocateFloats, copyOut, copyTo, openScope } from "../../src/kernels/memory.ts";
import { atOnce, inBursts, type Steps, setClock } from "../../src/kernels/steps.ts";
import { choleskyInSteps, eigenvaluesInSteps, eighInSteps, vectorsInSteps } from "../../src/linalg/in-steps.ts";

// A clock by which every burst is over at its first look: its looks are as many as there are pieces.
let looks = 0;
const impatient = () => 1000 * looks++;
afterEach(() => setClock(undefined));

const bytes = ({ buffer, byteOffset, byteLength }: Float64Array) => Buffer.from(buffer, byteOffset, byteLength);

/** The factor, and the pivot that failed, of a matrix. */
function* factored(matrix: Float64Array, n: number): Steps<{ failed: number; factor: Float64Array }> {
  const end = openScope();
  try {
    const a = allocateFloats("float64", n * n);
    copyTo("float64", a, matrix);
    const failed = yield* choleskyInSteps(n, a, n);
    const factor = copyOut("float64", a, n * n) as Float64Array;
    // Above the diagonal anything may be left; and all, where a pivot failed.
    for (let i = 0; i < n; i++) factor.fill(0, i * n + i + 1, (i + 1) * n);
    return { failed, factor: failed === 0 ? factor : factor.slice(0, 0) };
  } finally {
    end();
  }
}

test.each([1, 7, 383, 384, 385, 500, 801])("a Cholesky factor of order %i has the bits of one at once", async (n) => {
  const matrix = syrk(randomNormal([n, n + 3], { seed: n, dtype: "float64" })).data as Float64Array;
  for (const bad of [undefined, 0, Math.floor(n / 2), n - 1]) {
    const one = matrix.slice();
    if (bad !== undefined) one[bad * (n + 1)] = -1;
    const due = atOnce(factored(one, n));
    expect(due.failed).toBe(bad === undefined ? 0 : bad + 1);
    setClock(impatient);
    const found = await inBursts(factored(one, n));
    expect(found.failed).toBe(due.failed);
    expect(bytes(found.factor).equals(bytes(due.factor))).toBe(true);
  }
});

test.each([1, 2, 25, 200, 257, 320, 530])("eigenvalues and vectors of order %i, too", async (n) => {
  // A matrix of full rank, and one whose rank is a third: there, merges of the halves deflate.
  for (const k of [n, Math.ceil(n / 3)]) {
    const matrix = syrk(randomNormal([n, k], { seed: n, dtype: "float64" })).data as Float64Array;
    const due = eigh(new NDArray(matrix.slice(), [n, n]));
    const alone = eigh(new NDArray(matrix.slice(), [n, n]), { vectors: false });
    setClock(impatient);
    looks = 0;
    const found = await inBursts(eighInSteps(matrix, n, true));
    if (n > 257) expect(looks).toBeGreaterThan(n - 257);
    expect(bytes(found.values).equals(bytes(due.values.data as Float64Array))).toBe(true);
    expect(bytes(found.vectors).equals(bytes(due.vectors.data as Float64Array))).toBe(true);
    const { values } = await inBursts(eighInSteps(matrix, n, false));
    expect(bytes(values).equals(bytes(alone.values.data as Float64Array))).toBe(true);
  }
});

test.each([2, 25, 131, 257, 530])(
  "vectors of order %i that come later have the bits of those that come at once",
  async (n) => {
    for (const k of [n, Math.ceil(n / 3)]) {
      const matrix = syrk(randomNormal([n, k], { seed: n, dtype: "float64" })).data as Float64Array;
      const due = atOnce(eighInSteps(matrix, n, true, 0.5));
      const alone = atOnce(eighInSteps(matrix, n, false, 0.5));
      for (const clock of [undefined, impatient]) {
        setClock(clock);
        const { values, rest } = await inBursts(eigenvaluesInSteps(matrix, n, 0.5));
        expect(bytes(values).equals(bytes(alone.values))).toBe(true);
        // Other work in the same memory, in between.
        eigh(syrk(randomNormal([70, 70], { seed: 3, dtype: "float64" })));
        expect(bytes(await inBursts(vectorsInSteps(rest, n))).equals(bytes(due.vectors))).toBe(true);
        expect(bytes(atOnce(vectorsInSteps(rest, n))).equals(bytes(due.vectors))).toBe(true);
      }
    }
  },
);

test("two decompositions at once, and others in between, do not disturb each other", async () => {
  const [a, b] = [1, 2].map((seed) => syrk(randomNormal([300, 300], { seed, dtype: "float64" })).data as Float64Array);
  const due = [a, b].map((matrix) => atOnce(eighInSteps(matrix, 300, true)));
  setClock(impatient);
  const other = syrk(randomNormal([70, 70], { seed: 3, dtype: "float64" }));
  const meanwhile = setInterval(() => eigh(other), 0);
  const found = await Promise.all([a, b].map((matrix) => inBursts(eighInSteps(matrix, 300, true))));
  clearInterval(meanwhile);
  for (const [i, { values, vectors }] of found.entries()) {
    expect(bytes(values).equals(bytes(due[i].values))).toBe(true);
    expect(bytes(vectors).equals(bytes(due[i].vectors))).toBe(true);
  }
});
