// Whether data give the same product twice: estimates and solutions that go through them again and again need one matrix.

import { dot } from "../array/dot.ts";
import { Random } from "../array/random.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";

/** By how much two products with one vector may differ, relatively. */
const SAME = 1e-5;

/** @throws ValueError where two products with one vector differ */
export function* checkSame<Report>(
  where: string,
  times: (v: Float64Array) => Steps<Float64Array, Report>,
  size: number,
): Steps<void, Report> {
  const random = new Random(1);
  const probe = Float64Array.from({ length: size }, () => random.normal());
  const [one, two] = [yield* times(probe), yield* times(probe)];
  const apart = one.map((x, i) => x - two[i]);
  if (dot(apart, apart) <= SAME ** 2 * dot(one, one)) return;
  throw new ValueError(
    `${where}: two products with the same vector differ. Likely causes: data that are augmented at random, or shuffled under draws of "monteCarlo" or with dropLast. Give the same data each time.`,
  );
}
