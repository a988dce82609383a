// What Kronecker and EKFAC curvatures are made of, as users read it: products give the curvature back.

import { describe, expect, test } from "vitest";
import {
  type Curvature,
  chain,
  conv2d,
  convTranspose2d,
  curvatureOf,
  dense,
  flatten,
  type NDArray,
  type Network,
  randomNormal,
  type Structure,
  scaleShift,
  tanh,
} from "../../src/index.ts";

const plain = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4, tanh), scaleShift(), dense(2));
const images = chain(
  { inputs: [2, 5, 5], seed: 1, dtype: "float64" },
  conv2d(4, 3, tanh, { groups: 2 }),
  convTranspose2d(3, 2, tanh),
  flatten,
  dense(2),
);

/** The block of groups of B ⊗ A, or of B alone, at [row, column]. */
function entry(b: NDArray, a: NDArray | undefined, row: number, column: number): number {
  const n = a?.shape.at(-1) ?? 1;
  const m = b.shape.at(-1) as number;
  const [i, j] = [Math.floor(row / n), Math.floor(column / n)];
  if (Math.floor(i / m) !== Math.floor(j / m)) return 0;
  const g = Math.floor(i / m);
  const left = b.data[(g * m + (i % m)) * m + (j % m)];
  return left * (a === undefined ? 1 : a.data[(g * n + (row % n)) * n + (column % n)]);
}

function check(
  net: Network,
  curvature: Curvature,
  blocks: readonly { parameter: string; of(r: number, c: number): number }[],
) {
  const dense = curvature.dense();
  expect(blocks.map(({ parameter }) => parameter)).toEqual(net.parameterTable.map(({ name }) => name));
  let at = 0;
  blocks.forEach(({ of }, k) => {
    const { size } = net.parameterTable[k];
    for (let r = 0; r < size; r += 3) {
      for (let c = 0; c < size; c += 2) expect(of(r, c)).toBeCloseTo(dense.at(at + r, at + c), 9);
    }
    at += size;
  });
}

describe.each([
  ["dense layers", plain],
  ["groups and transposed convolutions", images],
])("%s", (_, net) => {
  const x = randomNormal([7, ...net.inputShape], { seed: 2 });
  const data = { x, y: randomNormal([7, 2], { seed: 3 }) };

  test("the factors' products are the matrix", () => {
    const curvature = curvatureOf(net, "regression", data, { structure: "kronecker" });
    const blocks = curvature.factors().map(({ parameter, b, a }) => ({
      parameter,
      of: (r: number, c: number) => entry(b, a, r, c),
    }));
    check(net, curvature, blocks);
  });

  test.each(["kronecker", "ekfac"] as Structure[])("eigenbases of %s", (structure) => {
    const curvature = curvatureOf(net, "regression", data, { structure });
    const blocks = curvature.eigenbases().map(({ parameter, values, b, a }) => ({
      parameter,
      of: (r: number, c: number) => {
        let sum = 0;
        for (let i = 0; i < values.size; i++) sum += values.data[i] * entry(b, a, r, i) * entry(b, a, c, i);
        return sum;
      },
    }));
    check(net, curvature, blocks);
  });

  test("what is read is a copy", () => {
    const curvature = curvatureOf(net, "regression", data, { structure: "kronecker" });
    const before = curvature.dense();
    for (const { a, b } of curvature.factors()) {
      b.data.fill(0);
      a?.data.fill(0);
    }
    for (const { values } of curvature.eigenbases()) values.data.fill(0);
    expect(curvature.dense()).toEqual(before);
  });
});

test("other structures have none, and say which have", () => {
  const data = { x: randomNormal([7, 3], { seed: 2 }), y: randomNormal([7, 2], { seed: 3 }) };
  const of = (structure: Structure) => curvatureOf(plain, "regression", data, { structure });
  for (const structure of ["full", "diagonal"] as const) {
    expect(() => of(structure).factors()).toThrow(/only "kronecker" or "kfoc" has/);
    expect(() => of(structure).eigenbases()).toThrow(/only "kronecker", "ekfac" or "kfoc" has/);
  }
  expect(() => of("ekfac").factors()).toThrow(/eigenbases\(\)/);
});
