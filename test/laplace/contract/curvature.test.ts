// Every curvature is what its definition says, a sum over examples, and an operator.

import { describe, expect, test } from "vitest";
import { type Curvature, curvatureProduct, DataLoader, OptionError, Random, ValueError } from "../../../src/index.ts";
import { kroneckerBlock, type Matrix, middles, product, transposed } from "../../reference/laplace.ts";
import { needsBasis } from "../../stored-structures.ts";
import { allCases, basisOf, type Case, cases, fixtureOf, near, notInParts } from "./cases.ts";

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  expect(actual).toBeAllClose(expected, near(expected, relative));
}

function expectSame(a: Curvature, b: Curvature, relative = 1e-12): void {
  expect(a.examples).toBe(b.examples);
  expectNear(a.dense().data, b.dense().data, relative);
}

function contract(one: Case): void {
  const fixture = fixtureOf(one);
  const { curve, curvature, reference, data, rows } = fixture;
  const { structure, kind, world, samples, options } = one;
  const alone = samples === 1;
  // An eigenbasis, or the factors A of "kfoc", is found from all examples, so that curvatures of parts add only in a common one.
  const common = () => (needsBasis(structure) ? { basis: curvature() } : {});

  test("is its definition", () => {
    expect(curvature().examples).toBe(samples);
    expect(curvature().size).toBe(fixture.indices().length);
    expectNear(curvature().dense().data, reference().flat(), 1e-9);
  });

  if (structure === "ekfac")
    test("its bases are those of the Kronecker factors", () => {
      const { monteCarloSamples = 1, seed = 0, sharing = "expand" } = options;
      const weights = middles(one.model.density, fixture.examples, kind, { samples: monteCarloSamples, seed });
      fixture.parts().forEach((part, i) => {
        const q = basisOf(curvature(), i);
        expectNear(product(transposed(q), q).flat(), identity(q.length).flat(), 1e-12);
        const block = kroneckerBlock(fixture.examples, weights, part, sharing, fixture.keep);
        const turned = product(transposed(q), product(block, q));
        const diagonal = turned.map((row, r) => row.map((x, c) => (r === c ? x : 0)));
        expectNear(turned.flat(), diagonal.flat(), 1e-9);
      });
    });

  test.skipIf(alone)(`does not depend on batches${alone ? " (there is one example)" : ""}`, () => {
    for (const batchSize of [1, 3, 5]) expectSame(curve(new DataLoader(data, { batchSize }), common()), curvature());
    const batches = [rows.slice(0, 2), rows.slice(2, 3), rows.slice(3)].map(world.dataOf);
    expectSame(curve(batches, common()), curvature());
    // Found from batches, the basis is the same up to rotations where eigenvalues agree: those keep the trace.
    expectNear([trace(curve(batches))], [trace(curvature())], structure === "kfoc" ? 1e-8 : 1e-12);
  });

  const skipped = notInParts(one);
  test.skipIf(skipped !== "")(`is the sum over shards${skipped}`, () => {
    for (const cuts of [[1], [2, 3], [4, 5, 6]]) {
      const ends = [...cuts, samples];
      const shards = ends.map((end, i) => {
        const first = ends[i - 1] ?? 0;
        return curve(world.dataOf(rows.slice(first, end)), { ...common(), first });
      });
      expectSame(
        shards.reduce((sum, shard) => sum.merge(shard)),
        curvature(),
      );
      const backwards = shards.toReversed();
      const last = backwards.slice(1).reduce((sum, shard) => shard.merge(sum), backwards[0]);
      expectSame(last, curvature());
    }
  });

  const ordered = kind === "monteCarlo" ? " (draws go by places)" : skipped;
  test.skipIf(ordered !== "")(`does not depend on the order of the examples${ordered}`, () => {
    const order = Array.from(new Random(7).permutation(samples));
    expectSame(curve(world.dataOf(order), common()), curvature());
  });

  test("is one operator: dense, diagonal, times, scale", () => {
    const n = curvature().size;
    const dense = curvature().dense().data;
    expectNear(
      curvature().diagonal().data,
      Array.from({ length: n }, (_, i) => dense[i * n + i]),
      1e-12,
    );
    const random = new Random(3);
    const v = Array.from({ length: 3 }, () => Array.from({ length: n }, () => random.normal()));
    const due = v.map((row) => row.map((_, i) => row.reduce((sum, x, j) => sum + dense[i * n + j] * x, 0)));
    const many = curvature().times(v);
    expect(many.shape).toEqual([3, n]);
    expectNear(many.data, due.flat(), 1e-12);
    expect(curvature().times(v[1]).shape).toEqual([n]);
    expectNear(curvature().times(v[1]).data, due[1], 1e-12);
    const doubled = curvature().scale(2);
    expect(doubled.examples).toBe(samples);
    expectNear(
      doubled.dense().data,
      dense.map((x) => 2 * x),
      // Roots of eigenvalues are rounded anew.
      structure === "functional" ? 1e-12 : 1e-15,
    );
    expectNear(
      doubled.times(v).data,
      due.flat().map((x) => 2 * x),
      1e-12,
    );
    expect(curvature().dense().data).toEqual(dense);
    const twice = curvature().merge(curvature());
    expect(twice.examples).toBe(2 * samples);
    expectNear(twice.dense().data, doubled.dense().data, 1e-12);
  });

  test("refuses to add to another structure or other weights", () => {
    for (const other of cases) {
      if (other.world !== world || other.kind !== kind || other.samples !== samples) continue;
      if (other.structure === structure) continue;
      expect(() => curvature().merge(fixtureOf(other).curvature())).toThrow(ValueError);
      break;
    }
    const { parameterTable } = world.net;
    const some = curve(data, { weights: { parameters: [parameterTable[1].name] } });
    expect(() => curvature().merge(some)).toThrow(ValueError);
    expect(() => some.merge(curvature())).toThrow(ValueError);
  });

  if (structure === "full" && options.weights === "all") {
    test("is what curvatureProduct multiplies by", () => {
      const random = new Random(3);
      const v = Array.from({ length: curvature().size }, () => random.normal());
      const { monteCarloSamples, seed } = options;
      const draws = { ...(monteCarloSamples && { monteCarloSamples }), ...(seed && { seed }) };
      const found = curvatureProduct(world.net, one.model.likelihood, data, v, { curvature: kind, ...draws });
      expectNear(found.data, curvature().times(v).data, 1e-12);
    });
  }

  if (structure === "diagonal" || structure === "ekfac")
    test("keeps the full matrix's diagonal or trace", () => {
      const full = curve(data, { structure: "full", sharing: "expand" });
      if (structure === "diagonal") expectNear(curvature().diagonal().data, full.diagonal().data, 1e-12);
      else expectNear([trace(curvature())], [trace(full)], 1e-12);
    });

  if (needsBasis(structure))
    test("is nearer to the full matrix than Kronecker factors are", () => {
      const full = curve(data, { structure: "full" }).dense().data;
      const kronecker = curve(data, { structure: "kronecker" }).dense().data;
      const distance = (m: ArrayLike<number>) => Math.hypot(...full.map((x: number, i: number) => x - m[i]));
      expect(distance(curvature().dense().data)).toBeLessThanOrEqual(distance(kronecker) * (1 + 1e-9) + 1e-12);
    });
}

for (const one of cases) describe(one.name, () => contract(one));

for (const one of allCases.filter(({ exists }) => !exists)) {
  test(`${one.name} is refused: the structure takes whole parameters`, () => {
    expect(() => fixtureOf(one).curvature()).toThrow(OptionError);
    expect(() => fixtureOf(one).approximation()).toThrow(OptionError);
  });
}

function trace(curvature: Curvature): number {
  return Array.from(curvature.diagonal().data).reduce((sum, x) => sum + x, 0);
}

function identity(n: number): Matrix {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
}
