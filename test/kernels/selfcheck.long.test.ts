import { expect, test } from "vitest";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import * as memory from "../../src/kernels/memory.ts";
import { firstDifference } from "../../src/kernels/selfcheck.ts";

const both = () => ({ float32: { ...kernelsFor("float32") }, float64: { ...kernelsFor("float64") } });

test("the check of a build finds any kernel that computes something else", () => {
  const right = both();
  expect(firstDifference(right, both(), memory)).toBeUndefined();
  for (const name of ["gemm", "activation", "softmax", "adamStep", "solveBackward", "sumAxis"] as const) {
    const wrong = both();
    Object.assign(wrong.float64, { [name]: () => {} });
    expect(firstDifference(wrong, right, memory)?.kernel).toBe(`${name} (float64)`);
  }
  const wrong = both();
  Object.assign(wrong.float64, { eigh: () => 0 });
  expect(firstDifference(wrong, right, memory)?.kernel).toBe("eigh (float64)");
});
