import { expect, test } from "vitest";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import * as memory from "../../src/kernels/memory.ts";
import { differ, samplesOf, timesOf } from "../../src/kernels/selfcheck.ts";
import type { Exports } from "../../src/kernels/threads.ts";

/** The kernels by the names of a module. */
const exported = (changed: object = {}): Exports => {
  const named = (dtype: "float32" | "float64", suffix: string) =>
    Object.entries(kernelsFor(dtype)).map(([name, kernel]) => [`${name}${suffix}`, kernel]);
  return { ...Object.fromEntries([...named("float32", "_f32"), ...named("float64", "_f64")]), ...changed };
};

const different = (ours: Exports) => [
  ...new Set(
    [...samplesOf(ours, exported(), memory)].flatMap(({ kernel, expected, found }) =>
      differ(found(), expected()) ? [kernel] : [],
    ),
  ),
];

test("the check of a build finds any kernel that computes something else", () => {
  expect(different(exported())).toEqual([]);
  for (const name of [
    "gemm",
    "gemmt",
    "syrk",
    "cholesky",
    "rowGrams",
    "weightedGramRows",
    "solveForward",
    "solveBackward",
  ]) {
    const wrong = different(exported({ [`${name}_f64`]: () => 0 }));
    // The solve of a factor is part of the Cholesky check, too.
    expect(wrong).toContain(`${name} (float64)`);
    expect(wrong.length).toBeLessThanOrEqual(2);
  }
});

test("it finds a last bit", () => {
  const { gemm_f32: gemm, affine_f32: affine } = exported();
  const off = (...values: number[]) => {
    gemm(...values);
    affine(1, 1 + 2 ** -22, values[12], 0, values[12], 0);
    return 0;
  };
  expect(different(exported({ gemm_f32: off }))).toEqual(["gemm (float32)"]);
});

test("it times both, each by its own product", () => {
  const slow = (...values: number[]) => {
    for (let i = 0; i < 20; i++) exported().gemm_f32(...values);
    return 0;
  };
  const [ours, theirs] = timesOf(exported({ gemm_f32: slow }), exported(), memory);
  expect(ours).toBeGreaterThan(2 * theirs);
});
