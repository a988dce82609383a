// A shift before a dense layer has the curvature's own block in "kronecker" and "ekfac", whichever way its sum is made.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  categorical,
  chain,
  curvatureOf,
  dense,
  gaussian,
  type Layer,
  type Likelihood,
  layerNorm,
  type NDArray,
  randomNormal,
  relu,
  residual,
  tanh,
  type Weights,
  zeros,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";
import { nextLayer } from "../../src/structures/kronecker/next-layer.ts";
import { Selection } from "../../src/structures/selection.ts";

bringAll();

/** The block of weights from `at` on. */
function block(dense: NDArray, at: number, size: number): number[] {
  const n = dense.shape[0];
  return Array.from({ length: size * size }, (_, i) => dense.data[(at + Math.floor(i / size)) * n + at + (i % size)]);
}

test("blocks of scales and shifts are those of the whole matrix", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const one = <T>(...of: readonly T[]) => of[draw(fc.nat, of.length - 1)];
      const [width, classes] = [one(2, 3, 5), one(2, 4, 7, 70)];
      const after: readonly Layer[] = one<readonly Layer[]>(
        [dense(classes)],
        [dense(classes, tanh, { bias: false })],
        [dense(4, tanh), dense(classes)],
        [residual(dense(width)), dense(classes)],
        [relu, dense(classes)],
      );
      const positions = one<readonly number[]>([], [3]);
      const net = chain(
        { inputs: [...positions, 2], dtype: "float64", seed: 3 },
        dense(width, relu),
        layerNorm(),
        ...after,
      );
      const likelihood = one<Likelihood>(
        categorical(positions.length > 0 ? { classAxis: "last" } : {}),
        gaussian({ noise: 0.5 }),
      );
      const count = one(1, 4);
      const x = randomNormal([count, ...net.inputShape], { seed: 5 });
      const y = zeros(likelihood.targets === "classes" ? [count, ...positions] : [count, ...positions, classes]);
      const weights = one<Weights>("all", { parameters: ["1.scale", "1.shift"] }, { layers: ["1", "2"] });
      const curvature = one("ggn", "monteCarlo", "empiricalFisher");
      const find = (structure: "full" | "kronecker" | "ekfac") =>
        curvatureOf(net, likelihood, { x, y }, { structure, weights, curvature });
      const whole = find("full");
      for (const structure of ["kronecker", "ekfac"] as const) {
        const ours = find(structure);
        const matrix = ours.dense();
        for (const { role, at, size } of ours.selection.parameters) {
          if (role !== "scale" && role !== "shift") continue;
          const expected = block(whole.dense(), at, size);
          const largest = Math.max(1e-9, ...expected.map(Math.abs));
          expect(block(matrix, at, size)).toBeAllClose(expected, { relative: 1e-8, absolute: 1e-8 * largest });
        }
      }
    }),
    { numRuns: 40 },
  );
});

test("a layer is the next where it alone reads what was shifted", () => {
  const next = (weights: "all" | "lastLayer", ...layers: readonly Layer[]) => {
    const net = chain({ inputs: 3, seed: 1 }, dense(4, relu), layerNorm(), ...layers);
    const { selection } = curvatureOf(
      net,
      gaussian({ noise: 1 }),
      { x: zeros([1, 3]), y: zeros([1, ...net.outputShape]) },
      { structure: "diagonal", weights },
    );
    const site = net.graph.nodes.find(({ primitive }) => primitive.name === "scaleShift")?.site;
    return nextLayer(new Selection(net.graph, selection.parameters), site ? (net.graph.uses.get(site) ?? []) : [])
      ?.weight.name;
  };
  expect(next("all", dense(2))).toBe("2.weight");
  expect(next("all", dense(4, tanh), dense(2))).toBe("2.weight");
  expect(next("all")).toBeUndefined();
  expect(next("all", relu, dense(2))).toBeUndefined();
  expect(next("all", residual(dense(4)))).toBeUndefined();
  expect(next("lastLayer", dense(3), dense(2))).toBeUndefined();
});
